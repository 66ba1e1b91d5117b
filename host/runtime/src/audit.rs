//! The record of calls and decisions: a line of JSON for each, appended to a file that only its
//! owner reads.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use serde_json::{Map, Value, json};

use crate::decision::Refusal;
use crate::{FailureKind, Tool, Usage};

/// An open record. What was written is never changed or removed.
pub struct Audit {
    file: File,
    /// Lines that could not be written since the last one that could.
    lost: Mutex<u64>,
}

/// A call as it is recorded.
pub(crate) struct Call<'a> {
    pub(crate) tool: &'a str,
    /// `None` where no such tool is served.
    pub(crate) served: Option<&'a Tool>,
    /// SHA-256 of the arguments.
    pub(crate) arguments: &'a str,
    /// `None` if it succeeded.
    pub(crate) failure: Option<FailureKind>,
    /// The rule that refused it, if one did.
    pub(crate) rule: Option<&'a str>,
    /// The tool that made it, where an agent did not.
    pub(crate) by: Option<&'a str>,
    pub(crate) usage: &'a Usage,
}

impl Audit {
    /// Append to `file`, which is made where it is not there. Only a file will do: a pipe that
    /// nobody reads would hold up every call.
    pub fn open(file: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        // Without waiting for a reader of what turns out to be a pipe.
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = options.open(file)?;
        if !file.metadata()?.is_file() {
            let error = "it is not a regular file, and anything else could hold up every call";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, error));
        }
        Ok(Self {
            file,
            lost: Mutex::default(),
        })
    }

    /// Whether lines can be written. Where one could not, this tries again, and records how many
    /// were lost.
    pub(crate) fn works(&self) -> bool {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        // What was written of a lost line ends with the line's end before.
        if *lost > 0 {
            let line = format!("\n{}", line("gap", json!({ "lost": *lost })));
            if self.append(line.as_bytes()).is_ok() {
                *lost = 0;
            }
        }
        *lost == 0
    }

    /// Record a call that ended.
    pub(crate) fn call(&self, call: &Call<'_>) {
        let mut members = json!({
            "tool": call.tool,
            "plugin": call.served.map(|tool| &tool.plugin.digest),
            "arguments": call.arguments,
            "outcome": call.failure.map_or_else(|| json!("ok"), |kind| json!(kind)),
        });
        for (member, value) in [("rule", call.rule), ("called_by", call.by)] {
            if let Some(value) = value {
                members[member] = json!(value);
            }
        }
        members["usage"] = json!(call.usage);
        self.write("call", members);
    }

    /// Record that `subject` was granted what `rules` name, each by the rule there.
    pub(crate) fn granted(&self, subject: Value, rules: &Map<String, Value>) {
        self.decide("granted", subject, json!({ "rules": rules }));
    }

    /// Record that `subject` was refused.
    pub(crate) fn refused(&self, mut subject: Value, refusal: &Refusal) {
        subject["reason"] = json!(refusal.reason);
        self.decide("refused", subject, json!({ "rule": refusal.rule }));
    }

    fn decide(&self, decision: &str, subject: Value, by: Value) {
        let mut members = Map::new();
        members.insert("decision".to_owned(), json!(decision));
        for part in [by, subject] {
            if let Value::Object(part) = part {
                members.extend(part);
            }
        }
        self.write("decision", members.into());
    }

    /// Record under which rules a server begins.
    pub(crate) fn start(&self, rules: Value) {
        self.write("start", rules);
    }

    fn write(&self, event: &str, members: Value) {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = self.append(line(event, members).as_bytes()) {
            *lost += 1;
            tracing::error!(%error, "the audit cannot be written: calls are refused until it can");
        }
    }

    /// In one write, so that the lines of several servers do not mix.
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.file).write_all(bytes)
    }
}

fn line(event: &str, members: Value) -> String {
    let time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut line = Map::new();
    let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    line.insert("unix_ms".to_owned(), json!(time));
    line.insert("event".to_owned(), json!(event));
    if let Value::Object(members) = members {
        line.extend(members);
    }
    format!("{}\n", Value::Object(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_refused_at_once_whether_or_not_somebody_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert!(Audit::open(&pipe).is_err());
        let mut both = OpenOptions::new();
        let _reader = both.read(true).write(true).open(&pipe).unwrap();
        assert!(Audit::open(&pipe).is_err());
        assert!(Audit::open(&directory.path().join("file")).is_ok());
    }

    #[test]
    fn what_was_written_stays_and_a_decision_names_its_rule() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("audit");
        std::fs::write(&file, "before\n").unwrap();
        let audit = Audit::open(&file).unwrap();
        let rules = Map::from_iter([("live".to_owned(), json!("[default] grant"))]);
        audit.granted(json!({"plugin": "p"}), &rules);
        audit.refused(json!({"tool": "t"}), &Refusal::by("lock", "it was added"));
        assert!(audit.works());
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "before");
        for (line, members) in [
            (
                lines[1],
                r#""decision":"granted","rules":{"live":"[default] grant"},"plugin":"p""#,
            ),
            (
                lines[2],
                r#""decision":"refused","rule":"lock","tool":"t","reason":"it was added""#,
            ),
        ] {
            assert!(line.contains(members), "{line}");
        }
    }

    #[test]
    fn a_record_that_cannot_be_written_says_so() {
        let audit = Audit {
            file: File::options().write(true).open("/dev/full").unwrap(),
            lost: Mutex::default(),
        };
        assert!(audit.works());
        audit.start(json!({}));
        assert!(!audit.works());
    }
}
