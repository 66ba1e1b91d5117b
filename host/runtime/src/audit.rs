//! The record of calls: a line of JSON for each, appended to a file that only its owner reads.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::{Tool, Usage};

/// An open record.
pub struct Audit(File);

impl Audit {
    /// Append to `file`, which is made where it is not there.
    pub fn open(file: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        Ok(Self(options.open(file)?))
    }

    /// Record a call that ended, with the digest of its arguments. In one write, so that the lines of several servers do not mix.
    pub(crate) fn record(&self, tool: &Tool, arguments: &str, outcome: &str, usage: &Usage) {
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let line = json!({
            "unix_ms": u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            "tool": tool.name,
            "plugin": tool.plugin.digest,
            "arguments": arguments,
            "outcome": outcome,
            "usage": usage,
        });
        if let Err(error) = (&self.0).write_all(format!("{line}\n").as_bytes()) {
            tracing::error!(%error, "a call could not be written to the audit");
        }
    }
}
