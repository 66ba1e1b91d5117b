//! Work on hostile bytes in a process of its own: what does it may be large, run for ever, blow up
//! or be taken over, and nothing can interrupt it from within.
//!
//! The process is the program that asks for it, called anew. It has stdin, stdout and stderr and
//! can open nothing else, its memory and its processor time are limited, and it dies with whoever
//! started it.

mod filter;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal};

/// How much the process gives way to its starter.
const NICE: i32 = 5;
/// Its exit status where its input is to blame.
const REFUSED: u8 = 3;

/// What the process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of memory.
    pub memory_bytes: u64,
    /// Of the processor's time.
    pub cpu: Duration,
}

/// How a process ended that did not do its work.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its input is to blame, as it said.
    Refused(String),
    /// It needs more than this.
    TooMuch(String),
    /// It crashed in this manner.
    Crashed(String),
}

/// The command that starts the process. `program` calls [`work`] when its first argument is `name`.
/// Its stdin is left to the caller; what it writes comes through pipes.
pub fn command(program: &Path, name: &str, limits: Limits) -> Command {
    let mut command = Command::new(program);
    command
        .arg(name)
        .arg(limits.memory_bytes.to_string())
        .arg(limits.cpu.as_millis().to_string())
        .env_clear()
        .current_dir("/")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The process: do `work` within its limits. `arguments` are what follows its name. An error of
/// `work` is what it says on stderr.
pub fn work(
    mut arguments: impl Iterator<Item = OsString>,
    work: impl FnOnce() -> Result<(), String>,
) -> ExitCode {
    let mut number = || arguments.next()?.into_string().ok()?.parse::<u64>().ok();
    let (Some(memory), Some(cpu_ms)) = (number(), number()) else {
        return ExitCode::from(2);
    };
    let done = confine(memory, cpu_ms)
        .map_err(|error| format!("cannot confine this process: {error}"))
        .and_then(|()| work());
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(REFUSED)
        }
    }
}

/// What the end of a process means that `said` this on stderr and did not succeed.
pub fn ended(status: ExitStatus, said: &str, limits: Limits) -> Ended {
    let signal = status.signal().and_then(Signal::from_named_raw);
    if signal == Some(Signal::XCPU) || (signal == Some(Signal::KILL) && said.is_empty()) {
        let most = limits.cpu.as_millis();
        return Ended::TooMuch(format!("{most} ms of processor time"));
    }
    // An allocation, a mapping, and the stack of a thread.
    let starved = [
        "memory allocation of",
        "Cannot allocate memory",
        "Resource temporarily unavailable",
    ];
    if starved.iter().any(|words| said.contains(words)) {
        return Ended::TooMuch(format!("{} MiB of memory", limits.memory_bytes >> 20));
    }
    if status.code() == Some(i32::from(REFUSED)) {
        return Ended::Refused(said.to_owned());
    }
    Ended::Crashed(if said.is_empty() {
        status.to_string()
    } else {
        format!("{status}: {said}")
    })
}

fn confine(memory: u64, cpu_ms: u64) -> anyhow::Result<()> {
    let limit = |resource, most: u64| {
        let most = rustix::process::getrlimit(resource)
            .maximum
            .map_or(most, |now| now.min(most));
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        rustix::process::setrlimit(resource, limit)
    };
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Data, memory)?;
    // Whole seconds are all that the kernel counts.
    limit(Resource::Cpu, cpu_ms.div_ceil(1000).max(1))?;
    let _ = rustix::process::nice(NICE);
    filter::apply()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_process_is_told_apart() {
        let limits = Limits {
            memory_bytes: 288 << 20,
            cpu: Duration::from_secs(14),
        };
        let ended = |raw: i32, said: &str| ended(ExitStatus::from_raw(raw), said, limits);
        assert_eq!(
            ended(24, ""),
            Ended::TooMuch("14000 ms of processor time".to_owned())
        );
        assert_eq!(
            ended(6, "memory allocation of 99 bytes failed"),
            Ended::TooMuch("288 MiB of memory".to_owned())
        );
        assert!(matches!(ended(11, ""), Ended::Crashed(how) if how.contains("signal: 11")));
        assert_eq!(
            ended(i32::from(REFUSED) << 8, "bad byte"),
            Ended::Refused("bad byte".to_owned())
        );
    }
}
