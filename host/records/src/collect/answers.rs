//! `service_answers.yaml`: what the guest's TCP services said when they were asked. Penguin has no
//! such file.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rookery_contract::shapes::{AskedService, SERVICE_ANSWERS, ServiceAnswers};

use crate::collect::collector::Collector;
use crate::event::{Event, What};
use crate::file::{one_line, write_atomic};

/// Services that are kept.
const MAX_SERVICES: usize = 2000;

/// The collector. A backend that writes its other results itself has this one, too.
#[derive(Debug)]
pub struct Answers {
    path: PathBuf,
    services: BTreeMap<(u16, IpAddr), AskedService>,
    dirty: bool,
    dropped: u64,
}

impl Answers {
    /// The file goes to `directory`, and is there from the first flush on.
    pub fn new(directory: &Path) -> Self {
        Self {
            path: directory.join(SERVICE_ANSWERS),
            services: BTreeMap::new(),
            dirty: true,
            dropped: 0,
        }
    }

    /// What the service at an address of the guest said.
    pub(super) fn of(&self, ip: IpAddr, port: u16) -> Option<&ServiceAnswers> {
        self.services
            .get(&(port, ip))
            .map(|service| &service.answers)
    }

    /// Take note of an answer.
    pub fn event(&mut self, event: &Event) {
        let What::Answered {
            ip,
            port,
            at_end,
            answer,
        } = &event.what
        else {
            return;
        };
        let at = (*port, *ip);
        if self.services.len() >= MAX_SERVICES && !self.services.contains_key(&at) {
            self.dropped += 1;
            return;
        }
        let service = self.services.entry(at).or_insert_with(|| AskedService {
            procname: String::new(),
            proto: "tcp".into(),
            guest_ip: ip.to_string(),
            guest_port: *port,
            answers: ServiceAnswers::default(),
        });
        service.procname = one_line(&event.process.name);
        let said = if *at_end {
            &mut service.answers.at_end
        } else {
            &mut service.answers.at_start
        };
        *said = Some(answer.clone());
        self.dirty = true;
    }

    /// Bring the file up to date.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.dirty {
            // A row of JSON for each: YAML of any version reads the guest's text as text.
            let mut text = if self.services.is_empty() {
                "services: []\n".to_owned()
            } else {
                "services:\n".to_owned()
            };
            for service in self.services.values() {
                let row = serde_json::to_string(service).map_err(io::Error::other)?;
                let _ = writeln!(text, "- {row}");
            }
            write_atomic(&self.path, text.as_bytes())?;
            self.dirty = false;
        }
        Ok(())
    }
}

impl Collector for Answers {
    fn event(&mut self, event: &Event) {
        self.event(event);
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        self.flush()
    }

    fn dropped(&self) -> (&'static str, u64) {
        (SERVICE_ANSWERS, self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use rookery_contract::shapes::{AnswerKind, AskedServices, ServiceAnswer};

    use super::*;
    use crate::event::Process;

    #[test]
    fn each_port_has_a_row_with_both_answers_that_any_reader_of_yaml_takes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(SERVICE_ANSWERS);
        let read = || {
            let text = std::fs::read_to_string(&path).unwrap();
            let file: AskedServices = serde_yaml::from_str(&text).unwrap();
            (file.services, text)
        };
        let mut answers = Answers::new(directory.path());
        answers.flush().unwrap();
        assert!(read().0.is_empty());
        let hostile = "yes\\u{1b}\"]}, {x: y\u{e9}";
        for (at_end, port, title) in [(false, 80, "no"), (true, 80, hostile), (false, 23, "12:30")]
        {
            let answer = ServiceAnswer {
                asked_ms: 1200,
                kind: AnswerKind::Http,
                title: Some(title.into()),
                ..ServiceAnswer::default()
            };
            answers.event(&Event {
                at: Duration::from_secs(2),
                process: Process {
                    name: "httpd\n".into(),
                    ..Process::default()
                },
                what: What::Answered {
                    ip: "::".parse().unwrap(),
                    port,
                    at_end,
                    answer,
                },
            });
        }
        answers.flush().unwrap();
        let (services, text) = read();
        assert_eq!(text.lines().count(), 3, "{text}");
        let ports: Vec<_> = services.iter().map(|service| service.guest_port).collect();
        assert_eq!(ports, [23, 80]);
        let title = |answer: &Option<ServiceAnswer>| answer.clone().unwrap().title.unwrap();
        let web = &services[1];
        assert_eq!(web.procname, "httpd\\x0a");
        assert_eq!(title(&web.answers.at_start), "no");
        assert_eq!(title(&web.answers.at_end), hostile);
        assert!(services[0].answers.at_end.is_none());
        assert!(web.answers.answers());
    }
}
