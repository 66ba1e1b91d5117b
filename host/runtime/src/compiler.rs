//! Compiling, in a process of its own: the compiler is large, a hostile component can keep it busy
//! for ever or blow it up, and nothing can interrupt it from within.
//!
//! The process is this program again, confined. It gets the component's bytes through a pipe and
//! gives machine code back through another, and it knows no key: what it gives becomes code that
//! may run only when the server seals it.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ExitCode, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rookery_confined::{Ended, Limits};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use crate::limits::COMPONENT_BYTES;
use crate::{engine, text};

/// What the process is called with, before its limits.
pub const COMPILE: &str = "compile";

/// It may take so many times its processor time, and at least this long, on a machine that has
/// other things to do.
const PATIENCE: u32 = 6;
const LEAST_PATIENCE: Duration = Duration::from_mins(1);
/// Bytes of machine code: so many, and so many for each byte of the component.
const CODE_BYTES: usize = 4 << 20;
const CODE_RATIO: usize = 8;
/// What compiling one component may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CompileLimits {
    pub(crate) memory_bytes: u64,
    pub(crate) cpu: Duration,
}

impl CompileLimits {
    /// For a component of so many bytes. Large ones are interpreters, of up to 20 MiB; they take
    /// 0.8 s and 20 MiB for each MiB.
    pub(crate) fn for_bytes(bytes: u64) -> Self {
        let mib = bytes.div_ceil(1 << 20).min(24);
        Self {
            memory_bytes: (256 + 32 * mib) << 20,
            cpu: Duration::from_secs(10 + 4 * mib),
        }
    }

    fn of_process(self) -> Limits {
        Limits {
            memory_bytes: self.memory_bytes,
            cpu: self.cpu,
        }
    }

    /// Whether something that broke `other` may fit into these.
    pub(crate) fn exceed(&self, other: &Self) -> bool {
        self.memory_bytes > other.memory_bytes || self.cpu > other.cpu
    }
}

/// Machine code that the compiler gave for exactly the bytes that it got.
pub(crate) struct Compiled(Vec<u8>);

impl Compiled {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Why there is no code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Uncompiled {
    /// It is not valid, or uses what this host does not have.
    Invalid(String),
    /// It was compiled, but this host cannot run it.
    Unfit(String),
    /// It needs more than its limits.
    TooMuch { what: String, limits: CompileLimits },
    /// The compiler crashed on it.
    Crashed(String),
    /// It did not get the processor time that it may use.
    Slow(Duration),
    /// The process could not be had.
    Host(String),
}

impl std::fmt::Display for Uncompiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(why) => write!(f, "it cannot be compiled: {why}"),
            Self::Unfit(why) => f.write_str(why),
            Self::TooMuch { what, .. } => write!(
                f,
                "compiling it needs more than {what}. Build it smaller; the operator can raise \
                 `compile_memory_mib` and `compile_cpu_ms` in the policy"
            ),
            Self::Crashed(how) => write!(f, "compiling it crashed the compiler ({how})"),
            Self::Slow(waited) => write!(
                f,
                "compiling it took longer than {} s, because the machine was busy; the next start \
                 tries again",
                waited.as_secs()
            ),
            Self::Host(why) => write!(f, "the compiler could not be run: {why}"),
        }
    }
}

/// Starts compilers, one for each core at a time.
pub(crate) struct Compiler {
    program: PathBuf,
    free: Mutex<usize>,
    freed: Condvar,
}

/// One core's turn, given back when it is dropped.
struct Turn<'a>(&'a Compiler);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

impl Compiler {
    /// `program` calls [`compile_component`] when its first argument is [`COMPILE`].
    pub(crate) fn new(program: PathBuf, cores: usize) -> Self {
        Self {
            program,
            free: Mutex::new(cores.max(1)),
            freed: Condvar::new(),
        }
    }

    fn turn(&self) -> Turn<'_> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = self
            .freed
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Turn(self)
    }

    /// Compile `bytes`. Blocks, for its turn first.
    pub(crate) fn compile(
        &self,
        bytes: &[u8],
        limits: CompileLimits,
    ) -> Result<Compiled, Uncompiled> {
        let _turn = self.turn();
        let host = |error: io::Error| Uncompiled::Host(error.to_string());
        let mut child = rookery_confined::command(&self.program, COMPILE, limits.of_process())
            .stdin(Stdio::piped())
            .spawn()
            .map_err(host)?;
        let most = CODE_BYTES + CODE_RATIO * bytes.len();
        let patience = LEAST_PATIENCE.max(limits.cpu * PATIENCE);
        let input = child.stdin.take();
        let output = std::thread::scope(|scope| {
            // One that ends early does not read everything.
            scope.spawn(move || input.map(|mut input| input.write_all(bytes)));
            let output = read_until(&mut child, most, Instant::now() + patience);
            if output.is_err() {
                // Else the writer would wait for ever.
                let _ = child.kill();
            }
            output
        });
        let code = match output {
            Ok(code) => code,
            Err(Unread::Late) => {
                let _ = child.wait();
                return Err(Uncompiled::Slow(patience));
            }
            Err(Unread::TooLarge) => {
                let _ = child.wait();
                let what = format!("{} MiB of machine code", most >> 20);
                return Err(Uncompiled::TooMuch { what, limits });
            }
            Err(Unread::Failed(error)) => {
                let _ = child.wait();
                return Err(host(error));
            }
        };
        let mut said = String::new();
        if let Some(errors) = child.stderr.take() {
            let _ = errors.take(4096).read_to_string(&mut said);
        }
        let status = child.wait().map_err(host)?;
        if status.success() {
            return Ok(Compiled(code));
        }
        let said = text::clean(said.trim(), 600);
        let ended = rookery_confined::ended(status, &said, limits.of_process());
        Err(match ended {
            Ended::Refused(why) => Uncompiled::Invalid(why),
            Ended::TooMuch(what) => Uncompiled::TooMuch { what, limits },
            Ended::Crashed(how) => Uncompiled::Crashed(how),
        })
    }
}

/// Why the output of a process was not read to its end.
enum Unread {
    Late,
    TooLarge,
    Failed(io::Error),
}

/// All that `child` writes, which must not be more than `most`, nor go on after `deadline`.
fn read_until(child: &mut Child, most: usize, deadline: Instant) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    let Some(output) = child.stdout.as_mut() else {
        return Err(Unread::Failed(io::Error::other("it has no output")));
    };
    let mut chunk = vec![0; 64 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(|_| Unread::Late)?;
        let mut ready = [PollFd::new(&*output, PollFlags::IN)];
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) => return Err(Unread::Late),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(Unread::Failed(error.into())),
        }
        match output.read(&mut chunk).map_err(Unread::Failed)? {
            0 => return Ok(bytes),
            n if bytes.len() + n > most => return Err(Unread::TooLarge),
            n => bytes.extend_from_slice(chunk.get(..n).unwrap_or_default()),
        }
    }
}

/// The process: compile the component on stdin to stdout. `arguments` are what follows [`COMPILE`].
pub fn compile_component(arguments: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    rookery_confined::work(arguments, compile)
}

fn compile() -> Result<(), String> {
    let mut bytes = Vec::new();
    io::stdin()
        .take(COMPONENT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    let code = engine::compiling()
        .and_then(|engine| Ok(engine.precompile_component(&bytes)?))
        .map_err(|error| format!("{error:#}"))?;
    io::stdout()
        .write_all(&code)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_limits_that_were_raised_are_worth_another_try() {
        let limits = CompileLimits::for_bytes(1000);
        assert!(!limits.exceed(&limits));
        let memory = CompileLimits {
            memory_bytes: limits.memory_bytes + 1,
            ..limits
        };
        assert!(memory.exceed(&limits) && !limits.exceed(&memory));
    }

    #[test]
    fn an_interpreter_may_use_what_interpreters_need() {
        let python = CompileLimits::for_bytes(18 << 20);
        assert!(python.memory_bytes > 800 << 20 && python.cpu > Duration::from_mins(1));
        let small = CompileLimits::for_bytes(48 << 10);
        assert!(small.memory_bytes <= 300 << 20 && small.cpu <= Duration::from_secs(15));
    }

    #[test]
    fn a_program_that_does_not_answer_or_is_not_there_is_an_error() {
        let limits = CompileLimits {
            memory_bytes: 1 << 20,
            cpu: Duration::from_millis(20),
        };
        let compile = |program: &str| {
            Compiler::new(program.into(), 1)
                .compile(&vec![0; 1 << 20], limits)
                .err()
        };
        assert!(matches!(compile("/nowhere"), Some(Uncompiled::Host(_))));
        assert!(matches!(
            compile("/bin/false"),
            Some(Uncompiled::Crashed(_))
        ));
    }
}
