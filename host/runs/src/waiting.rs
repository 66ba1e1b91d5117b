//! Waiting for what matters: a run's port, an answer, a line of its console, its end, or silence.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use regex::bytes::{Regex, RegexBuilder};
use rookery_contract::options::WaitOptions;
use rookery_contract::shapes::RunStatus;
use rookery_project::{Error, Result, regular};

const CONSOLE: &str = "console.log";
/// How large an automaton a pattern may become: its search takes linear time in that.
const PATTERN_SIZE: usize = 1 << 20;
/// Bytes of the console that are searched at one look; a flood is searched over several.
const LOOK: u64 = 4 << 20;
/// A line is searched up to here.
const LINE: usize = 64 << 10;

/// A condition, and what of it was seen so far.
#[derive(Debug)]
pub struct Waiting {
    until: Until,
    name: &'static str,
}

#[derive(Debug)]
enum Until {
    Port(Option<u16>),
    Answers(Option<u16>),
    Console(Box<Console>),
    Exit,
    Quiet(Duration),
}

impl Waiting {
    /// Nothing was looked at yet. An error names the option that is wrong.
    pub fn new(options: &WaitOptions) -> Result<Self> {
        let (until, name) = match options.until.as_str() {
            "port" => (Until::Port(options.port), "port"),
            "answers" => (Until::Answers(options.port), "answers"),
            "console" => {
                let pattern = options.pattern.as_deref().unwrap_or_default();
                (Until::Console(Box::new(Console::new(pattern)?)), "console")
            }
            "exit" => (Until::Exit, "exit"),
            "quiet" => {
                let quiet = options.quiet_s.unwrap_or(WaitOptions::QUIET_S).max(1);
                (Until::Quiet(Duration::from_secs(quiet.into())), "quiet")
            }
            other => {
                return Err(Error::InvalidArgument(format!(
                    "until is {other:?}; allowed are \"port\", \"answers\", \"console\", \"exit\" \
                     and \"quiet\""
                )));
            }
        };
        Ok(Self { until, name })
    }

    /// What is waited for, in a word.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether the condition is met by a run that is like this.
    pub fn is_met(&mut self, status: &RunStatus) -> bool {
        let at = |port: &Option<u16>, guest: u16| port.is_none_or(|port| port == guest);
        match &mut self.until {
            Until::Port(port) => {
                let mut ports = status.endpoints.iter().map(|end| end.guest_port);
                ports.any(|guest| at(port, guest))
            }
            Until::Answers(None) => status.services.is_some_and(|counts| counts.answering > 0),
            Until::Answers(port) => {
                let mut answering = status.endpoints.iter().filter(|end| end.answers.answers());
                answering.any(|end| at(port, end.guest_port))
            }
            Until::Console(console) => console.is_there(status),
            Until::Exit => !status.is_running(),
            Until::Quiet(quiet) => status.is_running() && console_is_quiet(status, *quiet),
        }
    }
}

fn console_is_quiet(status: &RunStatus, quiet: Duration) -> bool {
    let Some(directory) = &status.results_dir else {
        return false;
    };
    let written = std::fs::symlink_metadata(Path::new(directory).join(CONSOLE))
        .and_then(|file| file.modified());
    written.is_ok_and(|written| {
        let since = SystemTime::now().duration_since(written);
        since.unwrap_or_default() >= quiet
    })
}

/// The console, searched as it grows.
#[derive(Debug)]
struct Console {
    pattern: Regex,
    path: Option<PathBuf>,
    offset: u64,
    /// The beginning of a line whose end was not written yet.
    rest: Vec<u8>,
}

impl Console {
    fn new(pattern: &str) -> Result<Self> {
        let example = "for example \"login:\"";
        if pattern.is_empty() {
            return Err(Error::InvalidArgument(format!(
                "until \"console\" needs a pattern, {example}"
            )));
        }
        let pattern = RegexBuilder::new(pattern)
            .multi_line(true)
            .size_limit(PATTERN_SIZE)
            .dfa_size_limit(PATTERN_SIZE)
            .build()
            .map_err(|error| {
                Error::InvalidArgument(format!(
                    "pattern must be a regular expression, {example}: {error}"
                ))
            })?;
        Ok(Self {
            pattern,
            path: None,
            offset: 0,
            rest: Vec::new(),
        })
    }

    fn is_there(&mut self, status: &RunStatus) -> bool {
        let directory = status.results_dir.as_ref();
        self.path = directory.map(|directory| Path::new(directory).join(CONSOLE));
        // Of a run that has ended, all is searched; else the next look goes on.
        loop {
            match self.look() {
                Some(true) => return true,
                Some(false) if !status.is_running() => {}
                _ => return false,
            }
        }
    }

    /// Search what is new. `None` where nothing is.
    fn look(&mut self) -> Option<bool> {
        let mut file = regular::open(self.path.as_deref()?).ok()?;
        file.seek(SeekFrom::Start(self.offset)).ok()?;
        let read = file.take(LOOK).read_to_end(&mut self.rest).ok()?;
        self.offset += read as u64;
        let found = read > 0 && self.pattern.is_match(&self.rest);
        let line = self.rest.iter().rposition(|byte| *byte == b'\n');
        self.rest.drain(..line.map_or(0, |end| end + 1));
        if self.rest.len() > LINE {
            self.rest.clear();
        }
        (read > 0).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::{Value, json};

    use super::*;

    fn waiting(options: Value) -> Result<Waiting> {
        Waiting::new(&serde_json::from_value(options).unwrap())
    }

    fn status(more: &Value) -> RunStatus {
        let mut status = json!({"run_id": "r", "status": "running"});
        status
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn a_port_that_is_open_need_not_answer() {
        let silent = json!({"kind": "silent"});
        let endpoint = |answer: &Value| {
            json!({"procname": "httpd", "proto": "tcp", "guest_ip": "0.0.0.0", "guest_port": 80,
                   "host": "127.0.0.1", "host_port": 8080, "answers": {"at_start": answer}})
        };
        let open = status(&json!({"endpoints": [endpoint(&silent)],
            "services": {"listening": 1, "asked": 1, "answering": 0}}));
        let answers = status(&json!({"endpoints": [endpoint(&json!({"kind": "http"}))],
            "services": {"listening": 1, "asked": 1, "answering": 1}}));
        for (options, open_meets, answers_meet) in [
            (json!({"until": "port"}), true, true),
            (json!({"until": "port", "port": 80}), true, true),
            (json!({"until": "port", "port": 23}), false, false),
            (json!({"until": "answers"}), false, true),
            (json!({"until": "answers", "port": 80}), false, true),
            (json!({"until": "answers", "port": 23}), false, false),
            (json!({"until": "exit"}), false, false),
        ] {
            let mut waiting = waiting(options.clone()).unwrap();
            assert_eq!(waiting.is_met(&open), open_meets, "{options}");
            assert_eq!(waiting.is_met(&answers), answers_meet, "{options}");
        }
        let mut end = waiting(json!({"until": "exit"})).unwrap();
        assert!(end.is_met(&status(&json!({"status": "finished"}))));
    }

    #[test]
    fn a_line_is_found_that_is_written_in_pieces_or_was_there_before() {
        let directory = tempfile::tempdir().unwrap();
        let mut console = std::fs::File::create(directory.path().join(CONSOLE)).unwrap();
        let status = status(&json!({"results_dir": directory.path()}));
        let mut login = waiting(json!({"until": "console", "pattern": "^router login:$"})).unwrap();
        console.write_all(b"boot\nrouter lo").unwrap();
        assert!(!login.is_met(&status));
        console.write_all(b"gin:\n").unwrap();
        assert!(login.is_met(&status));
        let mut boot = waiting(json!({"until": "console", "pattern": "boot"})).unwrap();
        assert!(boot.is_met(&status));
        let mut quiet = waiting(json!({"until": "quiet", "quiet_s": 1})).unwrap();
        assert!(!quiet.is_met(&status));
        std::thread::sleep(Duration::from_millis(1200));
        assert!(quiet.is_met(&status));
    }

    #[test]
    fn what_cannot_be_waited_for_is_refused_with_what_can() {
        for (options, said) in [
            (json!({"until": "boot"}), "\"answers\""),
            (json!({"until": "console"}), "needs a pattern"),
            (
                json!({"until": "console", "pattern": "("}),
                "regular expression",
            ),
            (
                json!({"until": "console", "pattern": "(a{999}){999}"}),
                "regular",
            ),
        ] {
            let Err(Error::InvalidArgument(why)) = waiting(options.clone()) else {
                panic!("{options}")
            };
            assert!(why.contains(said), "{why}");
        }
    }
}
