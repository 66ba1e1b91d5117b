//! The record of calls: a line of JSON for each, appended to a file that only its owner reads.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use serde_json::json;

use crate::{FailureKind, Tool, Usage};

/// An open record.
pub struct Audit(File);

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
        Ok(Self(file))
    }

    /// Record a call that ended, with the digest of its arguments. In one write, so that the lines
    /// of several servers do not mix.
    pub(crate) fn record(
        &self,
        tool: &Tool,
        arguments: &str,
        failure: Option<FailureKind>,
        usage: &Usage,
    ) {
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let line = json!({
            "unix_ms": u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            "tool": tool.name,
            "plugin": tool.plugin.digest,
            "arguments": arguments,
            "outcome": failure.map_or_else(|| json!("ok"), |kind| json!(kind)),
            "usage": usage,
        });
        if let Err(error) = (&self.0).write_all(format!("{line}\n").as_bytes()) {
            tracing::error!(%error, "a call could not be written to the audit");
        }
    }
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
}
