//! A backend whose guest is a script: real events and real time, but no emulator.
//!
//! The script is the plan's `env`, in order: `("sleep_ms", "50")`, `("listen", "80")`, …

use std::io::Write as _;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rookery_contract::shapes::{CommandOutput, Reached, Received};
use rookery_project::{Error, Result};
use rookery_records::event::{Event, Operation, Process, What};
use rookery_runs::backend::{Availability, Backend, Check, Control, Outcome, Request};
use rookery_runs::plan::Plan;
use rustix::event::{PollFd, PollFlags};

pub fn backends() -> Vec<Box<dyn Backend>> {
    vec![
        Box::new(Absent),
        Box::new(Scripted {
            name: "scripted",
            grace: Duration::from_millis(700),
        }),
        // One that needs long to end in good order, as Penguin does.
        Box::new(Scripted {
            name: "patient",
            grace: Duration::from_mins(2),
        }),
    ]
}

/// A backend that never works here.
struct Absent;

impl Backend for Absent {
    fn name(&self) -> &'static str {
        "absent"
    }
    fn probe(&self) -> Availability {
        let fix = Some("Install the emulator".to_owned());
        let check = Check {
            name: "emulator".into(),
            ok: false,
            needed: true,
            detail: "not found".into(),
            fix,
        };
        Availability {
            backend: "absent",
            available: false,
            checks: vec![check],
        }
    }
    fn run(&self, _plan: &Plan, _control: &mut dyn Control) -> Result<Outcome> {
        Err(Error::Internal("never chosen".into()))
    }
}

struct Scripted {
    name: &'static str,
    grace: Duration,
}

impl Backend for Scripted {
    fn name(&self) -> &'static str {
        self.name
    }

    fn probe(&self) -> Availability {
        let check = Check {
            name: "emulator".into(),
            ok: true,
            needed: true,
            detail: "script 1.0".into(),
            fix: None,
        };
        Availability {
            backend: self.name,
            available: true,
            checks: vec![check],
        }
    }

    fn stop_grace(&self) -> Duration {
        self.grace
    }

    fn sweep(&self, plan: &Plan) {
        let mut swept = std::fs::File::options();
        let file = swept
            .append(true)
            .create(true)
            .open(plan.results_dir.join("swept"));
        file.unwrap().write_all(b"swept\n").unwrap();
    }

    fn run(&self, plan: &Plan, control: &mut dyn Control) -> Result<Outcome> {
        let started = Instant::now();
        let mut guest = Guest {
            started,
            deadline: started + Duration::from_secs(plan.timeout_s),
            deaf: false,
            farewell: Duration::ZERO,
            results_dir: plan.results_dir.clone(),
        };
        for (step, argument) in &plan.env {
            if let Some(outcome) = guest.step(control, step, argument)? {
                return Ok(outcome);
            }
        }
        guest
            .idle(control, None)
            .map_or_else(|| Ok(Outcome::Deadline), Ok)
    }
}

/// What happens in a step.
fn events(step: &str, argument: &str) -> Vec<What> {
    let port = argument.parse().unwrap_or(80);
    let ip = "0.0.0.0".parse().unwrap();
    let text = argument.to_owned();
    match step {
        "console" => vec![What::Console(text.into())],
        "exec" => vec![What::Exec {
            path: "/usr/sbin/httpd".into(),
            argv: argument.split(' ').map(str::to_owned).collect(),
            envp: vec!["PATH=/sbin:/bin".to_owned()],
            result: 0,
        }],
        "listen" => vec![
            What::Listen {
                proto: "tcp",
                ip,
                port,
            },
            What::Forward {
                proto: "tcp",
                ip,
                port,
                host_port: 40_000 + port,
            },
        ],
        "missing" => vec![
            What::Unmodelled {
                path: text.clone(),
                operation: Operation::Open { write: true },
            },
            What::Path {
                syscall: "openat",
                path: text,
                flags: 2,
                result: Some(-libc::ENOENT),
            },
        ],
        "env" => vec![What::EnvMissing { name: text }],
        "note" => vec![What::Note(text.into())],
        "crash" => vec![What::Crash {
            signal: libc::SIGSEGV,
            pc: Some(0x13a8c),
            last: Vec::new(),
        }],
        "signal" => vec![What::Signal {
            syscall: "kill",
            signal: port.into(),
            target: 1,
            blocked: true,
        }],
        "mount" => {
            let (source, fstype) = ("proc".into(), "proc".into());
            vec![What::Mount {
                source,
                target: text,
                fstype,
                result: 0,
                faked: false,
            }]
        }
        "flash" => vec![What::Mount {
            source: "/dev/mtdblock4".into(),
            target: text,
            fstype: "jffs2".into(),
            result: 0,
            faked: true,
        }],
        "again" => {
            let missing = What::Unmodelled {
                path: text,
                operation: Operation::Open { write: false },
            };
            let exit = What::Exit {
                code: Some(0),
                signal: None,
            };
            [(missing, 50), (exit, 7)]
                .map(|(what, times)| What::Repeated {
                    what: Box::new(what),
                    times,
                })
                .into()
        }
        "interface" => vec![What::InterfaceMissing {
            name: text,
            command: 0x8914,
            result: -libc::ENODEV,
        }],
        "faked" => vec![What::Faked {
            syscall: "init_module",
            detail: text,
        }],
        "exit" => vec![What::Exit {
            code: Some(0),
            signal: None,
        }],
        other => panic!("no step {other}"),
    }
}

struct Guest {
    started: Instant,
    deadline: Instant,
    /// Ignores every request.
    deaf: bool,
    /// How long it takes to stop.
    farewell: Duration,
    results_dir: PathBuf,
}

impl Guest {
    fn step(
        &mut self,
        control: &mut dyn Control,
        step: &str,
        argument: &str,
    ) -> Result<Option<Outcome>> {
        match step {
            "sleep_ms" => {
                let until = Instant::now() + Duration::from_millis(argument.parse().unwrap());
                return Ok(self.idle(control, Some(until)));
            }
            "end" => {
                return Ok(Some(Outcome::GuestEnded {
                    how: argument.into(),
                }));
            }
            "fail" => return Err(Error::Backend(argument.into())),
            "panic" => panic!("{argument}"),
            "deaf" => self.deaf = true,
            "farewell_ms" => self.farewell = Duration::from_millis(argument.parse().unwrap()),
            "in_the_way" => std::fs::create_dir(self.results_dir.join(argument)).unwrap(),
            "stuck" => std::thread::sleep(Duration::from_mins(10)),
            _ => {
                for what in events(step, argument) {
                    self.happen(control, what);
                }
            }
        }
        Ok(None)
    }

    fn happen(&self, control: &mut dyn Control, what: What) {
        let process = Process {
            pid: 42,
            ppid: 1,
            program: "/usr/sbin/httpd".into(),
            name: "httpd".into(),
        };
        control.event(Event {
            at: self.started.elapsed(),
            process,
            what,
        });
    }

    /// Serve requests until `until`, or until the run ends.
    fn idle(&mut self, control: &mut dyn Control, until: Option<Instant>) -> Option<Outcome> {
        loop {
            let now = Instant::now();
            if until.is_some_and(|until| now >= until) {
                return None;
            }
            if now >= self.deadline {
                return Some(Outcome::Deadline);
            }
            let left = until.map_or(self.deadline, |until| until.min(self.deadline)) - now;
            let left = rustix::time::Timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: left.subsec_nanos().into(),
            };
            {
                let requests = control.requests();
                let _ =
                    rustix::event::poll(&mut [PollFd::new(&requests, PollFlags::IN)], Some(&left));
            }
            while let Some(request) = control.next_request() {
                match request {
                    _ if self.deaf => {}
                    Request::Stop => {
                        std::thread::sleep(self.farewell);
                        return Some(Outcome::Stopped);
                    }
                    Request::Command(request, reply) if request.argv == ["never"] => drop(reply),
                    Request::Command(request, reply) => reply.send(Ok(CommandOutput {
                        exit_code: Some(0),
                        stdout: request.argv.join(" "),
                        ..CommandOutput::default()
                    })),
                    Request::Reach(request, reply) if request.port == 1 => {
                        reply.send(Err(Error::NotFound("nothing listens there".into())));
                    }
                    Request::Reach(request, reply) => {
                        let text = String::from_utf8_lossy(&request.send);
                        reply.send(Ok(Reached {
                            connected: true,
                            received: Received {
                                text: Some(text.into_owned()),
                                base64: None,
                                bytes: request.send.len() as u64,
                            },
                            ..Reached::default()
                        }));
                    }
                    // To what listens on this machine.
                    Request::Connect(request, reply) => {
                        let stream = TcpStream::connect(("127.0.0.1", request.port));
                        let none = |error: std::io::Error| Error::NotFound(error.to_string());
                        reply.send(stream.map(OwnedFd::from).map_err(none));
                    }
                    Request::Live(_, reply) => drop(reply),
                }
            }
        }
    }
}
