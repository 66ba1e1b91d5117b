//! Which services of Penguin's guest answer: asked through the ports of the host that lead there,
//! while the run lasts. When Penguin ends its guest is not known before, so there is no last
//! question.
//!
//! Penguin takes a connection before its guest has, so that a guest that refuses it is `closed`.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rookery_contract::shapes::ServiceAnswer;
use rookery_records::event::{Event, Process, What};
use rustix::event::PollFlags;

use crate::asking::{Questions, Schedule};
use crate::backend::Control;
use crate::penguin::live::host_of;

const LIMIT: Duration = Duration::from_secs(10);

/// A TCP service and the port that leads there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Service {
    pub(super) procname: String,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
    pub(super) host_port: u16,
}

pub(super) struct Asking {
    /// Where Penguin says at which address of the host its ports are.
    host: PathBuf,
    schedule: Schedule<Service>,
    questions: Questions,
    asked: HashMap<u32, (Service, Duration)>,
    numbers: u32,
}

impl Asking {
    pub(super) fn new(results_dir: &Path) -> Self {
        Self {
            host: results_dir.join("guest_ip"),
            schedule: Schedule::default(),
            questions: Questions::default(),
            asked: HashMap::new(),
            numbers: 0,
        }
    }

    /// What to wait for.
    pub(super) fn sockets(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.questions.sockets()
    }

    /// Ask those of `services` whose time has come, and report what others said; `now` is since the
    /// start.
    pub(super) fn advance(
        &mut self,
        services: &[Service],
        now: Duration,
        control: &mut dyn Control,
    ) {
        self.schedule
            .listen(Instant::now(), services.iter().cloned());
        for service in self.schedule.take_due(Instant::now()) {
            self.numbers = self.numbers.wrapping_add(1);
            let at = SocketAddr::new(host_of(&self.host), service.host_port);
            self.questions.ask(self.numbers, at, LIMIT);
            self.asked.insert(self.numbers, (service, now));
        }
        for (number, answer) in self.questions.advance() {
            let Some((service, asked)) = self.asked.remove(&number) else {
                continue;
            };
            self.schedule.answered(&service, &answer.kind);
            control.event(event(&service, asked, now, answer));
        }
    }
}

fn event(service: &Service, asked: Duration, at: Duration, answer: ServiceAnswer) -> Event {
    let process = Process {
        name: service.procname.clone(),
        ..Process::default()
    };
    let what = What::Answered {
        ip: service.ip,
        port: service.port,
        at_end: false,
        answer: ServiceAnswer {
            asked_ms: u64::try_from(asked.as_millis()).unwrap_or(u64::MAX),
            ..answer
        },
    };
    Event { at, process, what }
}
