//! What a backend sees of the run's lifecycle: events go to the collectors and into the state,
//! requests come back.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rookery_contract::shapes::{Endpoint, ServiceAnswers, ServiceCounts};
use rookery_project::Result;

use crate::backend::{Backend, Control, Outcome, Request};
use crate::control::Inbox;
use crate::state::record::{Spec, State, Status};
use crate::state::store::RunDir;
use rookery_records::event::{Event, What};
use rookery_records::{Answers, Collectors, Record, Subject};
use serde_json::json;

/// The state on disk is replaced at most this often.
const STATE_EVERY: Duration = Duration::from_millis(200);
/// Result files are at most this old.
const FLUSH_EVERY: Duration = Duration::from_millis(800);
const MAX_ENDPOINTS: usize = 1000;

pub(crate) struct Lifecycle {
    run: RunDir,
    state: State,
    inbox: Inbox,
    /// Absent where the backend writes Penguin's files itself.
    collectors: Option<Collectors>,
    /// Where there are no collectors.
    answers: Option<Answers>,
    record: Record,
    sockets: BTreeMap<Address, Socket>,
    state_dirty: bool,
    /// Something has happened since the result files were flushed.
    has_news: bool,
    state_written: Instant,
    flushed: Instant,
}

/// Protocol, address and port in the guest.
type Address = (&'static str, IpAddr, u16);

/// A guest socket: who listens, and where the host forwards to it.
#[derive(Default)]
struct Socket {
    procname: String,
    host_port: Option<u16>,
    answers: ServiceAnswers,
}

/// What the result files say of the run from its start on.
fn subject(spec: &Spec, backend: &'static str) -> Subject {
    let plan = &spec.plan;
    Subject {
        run_id: spec.run_id.clone(),
        backend,
        project_dir: plan.project_dir.clone(),
        results_dir: plan.results_dir.clone(),
        arch: plan.arch.clone(),
        init: plan.init.clone(),
        timeout_s: plan.timeout_s,
        blocked_signals: plan.blocked_signals.len(),
        record_events: plan.record_events,
        record_env: plan.record_env,
    }
}

impl Lifecycle {
    /// Report the run as taken over.
    pub(crate) fn begin(
        run: RunDir,
        spec: &Spec,
        mut state: State,
        backend: &dyn Backend,
        inbox: Inbox,
    ) -> Result<Self> {
        let subject = subject(spec, backend.name());
        let mut record = Record::new(&subject, json!(spec.host));
        let (collectors, answers) = if backend.writes_results() {
            (None, Some(Answers::new(&subject.results_dir)))
        } else {
            record.write(&state.notes);
            (Some(Collectors::begin(&subject, &spec.config)), None)
        };
        state.phase = "preparing".into();
        run.write(&state)?;
        let now = Instant::now();
        Ok(Self {
            run,
            state,
            inbox,
            collectors,
            answers,
            record,
            sockets: BTreeMap::new(),
            state_dirty: false,
            has_news: true,
            state_written: now,
            flushed: now,
        })
    }

    /// The seconds that the run had in the end.
    pub(crate) fn timeout_s(&self) -> u64 {
        self.state.timeout_s
    }

    /// Write everything that is written at the end, the state last.
    pub(crate) fn end(
        mut self,
        outcome: &Result<Outcome>,
        status: Status,
        reason: &str,
    ) -> Result<()> {
        let completed = outcome.is_ok();
        self.flush_answers();
        self.state.services = self.services();
        let reason = &self.told(reason);
        if let Some(collectors) = &mut self.collectors {
            collectors.finish(completed, self.state.elapsed());
            self.record.counted(collectors);
        }
        self.state.notes.extend(self.record.faked_notes());
        self.state.notes.extend(self.record.repeated_note());
        self.record.ended(outcome, reason, self.state.elapsed());
        // Whether it can be written is a part of what it says.
        self.record.write(&self.state.notes);
        if let Some(note) = self.record.failures_note() {
            self.state.notes.push(note);
            self.record.write(&self.state.notes);
        }
        self.state.end(status, reason);
        self.run.write(&self.state)
    }

    /// How the run ended, and how many of its services answered.
    fn told(&self, reason: &str) -> String {
        let Some(ServiceCounts {
            listening,
            answering,
            ..
        }) = self.state.services
        else {
            return reason.to_owned();
        };
        format!("{reason}; {answering} of {listening} listening TCP ports answered when last asked")
    }

    /// What an event changes in the state.
    fn observe(&mut self, event: &Event) {
        match &event.what {
            What::Listen { proto, ip, port } => {
                if let Some(socket) = self.socket((proto, *ip, *port)) {
                    socket.procname.clone_from(&event.process.name);
                }
                self.enter("serving");
            }
            What::Forward {
                proto,
                ip,
                port,
                host_port,
            } => {
                if let Some(socket) = self.socket((proto, *ip, *port)) {
                    socket.host_port = Some(*host_port);
                    if socket.procname.is_empty() {
                        socket.procname.clone_from(&event.process.name);
                    }
                }
                self.state_dirty = true;
            }
            What::Answered {
                ip,
                port,
                at_end,
                answer,
            } => {
                if let Some(socket) = self.sockets.get_mut(&("tcp", *ip, *port)) {
                    let said = match at_end {
                        false => &mut socket.answers.at_start,
                        true => &mut socket.answers.at_end,
                    };
                    *said = Some(answer.clone());
                    self.state_dirty = true;
                }
            }
            What::Unlisten { proto, ip, port } => {
                self.state_dirty |= self.sockets.remove(&(*proto, *ip, *port)).is_some();
            }
            What::Faked { syscall, detail } => self.record.faked(syscall, detail),
            What::Mount {
                target,
                fstype,
                faked: true,
                ..
            } => self.record.faked("mount", &format!("{fstype} on {target}")),
            What::Repeated { what, times } => self.record.repeated(what, *times),
            What::Note(sentence) => self.note(sentence),
            _ => {}
        }
        if self.state.phase == "preparing" {
            self.enter("booting");
        }
    }

    fn note(&mut self, sentence: &str) {
        if !self.state.notes.iter().any(|known| known == sentence) {
            self.state.notes.push(sentence.to_owned());
            self.state_dirty = true;
            if self.collectors.is_some() {
                self.record.write(&self.state.notes);
            }
        }
    }

    /// The socket at an address, unless there are too many.
    fn socket(&mut self, at: Address) -> Option<&mut Socket> {
        let full = self.sockets.len() >= MAX_ENDPOINTS && !self.sockets.contains_key(&at);
        (!full).then(|| self.sockets.entry(at).or_default())
    }

    fn enter(&mut self, phase: &str) {
        // What was said of the preparations.
        self.state.reason = None;
        if self.state.phase != phase && self.state.phase != "stopping" {
            self.state.phase = phase.into();
            self.state_dirty = true;
        }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if self.state_dirty && now.duration_since(self.state_written) >= STATE_EVERY {
            self.state_dirty = false;
            self.state_written = now;
            self.state.endpoints = self.endpoints();
            self.state.services = self.services();
            if let Err(error) = self.run.write(&self.state) {
                tracing::error!(%error, "cannot write the run's state");
            }
        }
        if now.duration_since(self.flushed) >= FLUSH_EVERY {
            self.flushed = now;
            self.has_news = false;
            if let Some(collectors) = &mut self.collectors {
                collectors.flush();
            }
            self.flush_answers();
        }
        self.inbox.set_quiet(!self.state_dirty && !self.has_news);
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let host = self.record.host();
        let forwarded = self
            .sockets
            .iter()
            .filter_map(|((proto, ip, port), socket)| {
                socket.host_port.map(|host_port| Endpoint {
                    procname: socket.procname.clone(),
                    proto: (*proto).to_owned(),
                    guest_ip: ip.to_string(),
                    guest_port: *port,
                    host: host.clone(),
                    host_port,
                    answers: socket.answers.clone(),
                })
            });
        forwarded.collect()
    }

    /// How many TCP ports answer; none where no service was asked.
    fn services(&self) -> Option<ServiceCounts> {
        let mut ports: BTreeMap<u16, (bool, bool)> = BTreeMap::new();
        for ((proto, _, port), socket) in &self.sockets {
            if *proto == "tcp" {
                let (asked, answers) = ports.entry(*port).or_default();
                *asked |= !socket.answers.is_empty();
                *answers |= socket.answers.answers();
            }
        }
        let count = |is: fn(&(bool, bool)) -> bool| {
            u32::try_from(ports.values().filter(|port| is(port)).count()).unwrap_or(u32::MAX)
        };
        let counts = ServiceCounts {
            listening: count(|_| true),
            asked: count(|(asked, _)| *asked),
            answering: count(|(_, answers)| *answers),
        };
        (counts.asked > 0).then_some(counts)
    }

    fn flush_answers(&mut self) {
        if let Some(answers) = &mut self.answers
            && let Err(error) = answers.flush()
        {
            tracing::error!(%error, "cannot write what the guest's services answered");
        }
    }
}

impl Control for Lifecycle {
    fn event(&mut self, event: Event) {
        self.has_news = true;
        self.observe(&event);
        if let Some(collectors) = &mut self.collectors {
            collectors.event(&event);
        }
        if let Some(answers) = &mut self.answers {
            answers.event(&event);
        }
        self.tick();
    }

    fn requests(&self) -> BorrowedFd<'_> {
        self.inbox.descriptor()
    }

    fn next_request(&mut self) -> Option<Request> {
        let request = self.inbox.next();
        if matches!(request, Some(Request::Stop)) {
            self.enter("stopping");
        }
        self.tick();
        request
    }

    fn preparing(&mut self, what: &str) {
        self.state.reason = Some(what.to_owned());
        self.state_dirty = true;
        self.tick();
    }

    fn lasts(&mut self, timeout_s: u64) {
        self.state.timeout_s = timeout_s;
        if let Err(error) = self.run.write(&self.state) {
            tracing::error!(%error, "cannot write the run's state");
        }
    }
}
