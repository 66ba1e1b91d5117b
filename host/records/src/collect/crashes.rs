//! `crashes.yaml`: processes that died of a signal, one record for each name, signal and program
//! counter.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::collect::collector::{Collector, rounded};
use crate::collect::errno;
use crate::event::{Event, LastCall, What};
use crate::file::{one_line, scalar, write_atomic};

const MAX_RECORDS: usize = 1000;

#[derive(Debug, Clone, Serialize)]
pub(super) struct Crash {
    pub(super) proc: String,
    pub(super) pid: u32,
    signal: i32,
    signame: String,
    pc: String,
    time: f64,
    count: u64,
    /// Of the first one. Penguin has none, and neither has a summary.
    #[serde(skip)]
    last_calls: Vec<String>,
}

pub(super) struct Crashes {
    path: PathBuf,
    records: Vec<Crash>,
    dirty: bool,
    dropped: u64,
}

impl Crashes {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            path: directory.join("crashes.yaml"),
            records: Vec::new(),
            dirty: true,
            dropped: 0,
        }
    }

    pub(super) fn records(&self) -> &[Crash] {
        &self.records
    }
}

/// The name of a signal, as Penguin writes it.
fn signal_name(signal: i32) -> String {
    let name = signal_hook::low_level::signal_name(signal).unwrap_or_default();
    if name.is_empty() {
        format!("SIG{signal}")
    } else {
        name.to_owned()
    }
}

/// How a process ended, as Penguin writes it: its exit status and the reason. Where nobody saw the
/// end, there is no status.
pub(super) fn ending(code: Option<i32>, signal: Option<i32>) -> (i32, String) {
    match (code, signal) {
        (_, Some(signal)) => (
            signal.saturating_add(128),
            format!("signal:{}", signal_name(signal)),
        ),
        (Some(code), None) => (code, "exit_group".into()),
        (None, None) => (-1, "unknown".into()),
    }
}

/// `open "/dev/nvram": ENOENT(No such file or directory)`
fn describe(call: &LastCall) -> String {
    let outcome = match call.result {
        Some(result) => errno::describe(result.into()),
        None => "?".to_owned(),
    };
    one_line(&format!("{} {:?}: {outcome}", call.syscall, call.about))
}

impl Collector for Crashes {
    fn event(&mut self, event: &Event) {
        let What::Crash { signal, pc, last } = &event.what else {
            return;
        };
        let signal = *signal;
        let pc = format!("{:#010x}", pc.unwrap_or_default());
        let proc = one_line(&event.process.name);
        self.dirty = true;
        if let Some(record) = self
            .records
            .iter_mut()
            .find(|record| record.proc == proc && record.signal == signal && record.pc == pc)
        {
            record.count += 1;
        } else if self.records.len() < MAX_RECORDS {
            let signame = signal_name(signal);
            self.records.push(Crash {
                proc,
                pid: event.process.pid,
                signal,
                signame,
                pc,
                time: rounded(event.at),
                count: 1,
                last_calls: last.iter().map(describe).collect(),
            });
        } else {
            self.dropped += 1;
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        if self.dirty {
            let mut text = if self.records.is_empty() {
                "crashes: []\n"
            } else {
                "crashes:\n"
            }
            .to_owned();
            for Crash {
                proc,
                pid,
                signal,
                signame,
                pc,
                time,
                count,
                last_calls,
            } in &self.records
            {
                let proc = scalar(proc);
                let _ = write!(
                    text,
                    "- proc: {proc}\n  pid: {pid}\n  signal: {signal}\n  signame: {signame}\n"
                );
                let _ = write!(text, "  pc: '{pc}'\n  time: {time:?}\n  count: {count}\n");
                if !last_calls.is_empty() {
                    text.push_str("  last_calls:\n");
                }
                for call in last_calls {
                    let _ = writeln!(text, "  - {}", scalar(call));
                }
            }
            write_atomic(&self.path, text.as_bytes())?;
            self.dirty = false;
        }
        Ok(())
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("crashes.yaml", self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Process;

    #[test]
    fn an_end_that_nobody_saw_is_no_success() {
        assert_eq!(ending(Some(0), None), (0, "exit_group".into()));
        assert_eq!(ending(None, Some(9)), (137, "signal:SIGKILL".into()));
        assert_eq!(ending(None, None), (-1, "unknown".into()));
        assert_eq!(ending(None, Some(i32::MAX)).0, i32::MAX);
    }

    #[test]
    fn the_same_crash_again_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let mut crashes = Crashes::new(directory.path());
        crashes.flush(Duration::ZERO).unwrap();
        let path = directory.path().join("crashes.yaml");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "crashes: []\n");
        for (pid, signal, pc) in [
            (412, 11, Some(0x13a8c)),
            (500, 11, Some(0x13a8c)),
            (412, 6, None),
        ] {
            let process = Process {
                pid,
                name: "dsad".into(),
                ..Process::default()
            };
            crashes.event(&Event {
                at: Duration::from_micros(15_212_400),
                process,
                what: What::Crash {
                    signal,
                    pc,
                    last: vec![LastCall {
                        syscall: "open",
                        about: "/dev/nvram".into(),
                        result: Some(-libc::ENOENT),
                    }],
                },
            });
        }
        crashes.flush(Duration::ZERO).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "crashes:\n\
             - proc: dsad\n  pid: 412\n  signal: 11\n  signame: SIGSEGV\n  pc: '0x00013a8c'\n  \
             time: 15.212\n  count: 2\n  last_calls:\n  \
             - \"open \\\"/dev/nvram\\\": ENOENT(No such file or directory)\"\n\
             - proc: dsad\n  pid: 412\n  signal: 6\n  signame: SIGABRT\n  pc: '0x00000000'\n  \
             time: 15.212\n  count: 1\n  last_calls:\n  \
             - \"open \\\"/dev/nvram\\\": ENOENT(No such file or directory)\"\n"
        );
    }
}
