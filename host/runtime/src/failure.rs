//! Why a call failed, and the one place that words it for the agent.

use std::fmt::Write as _;
use std::time::Duration;

use rookery_contract::{Error, Unavailable};
use wasmtime::Trap;
use wasmtime::component::ResourceTableError;
use wasmtime_wasi::I32Exit;

use crate::host::TooManyHostCalls;
use crate::limits::{HOST_CALL_BYTES, Limits, RESOURCES, SharedMemory};
use crate::meter::Meter;
use crate::stderr::excerpt;
use crate::{Failure, FailureKind, Usage, text};

/// The instance used its CPU budget.
#[derive(Debug, thiserror::Error)]
#[error("the CPU budget is spent")]
pub(crate) struct CpuSpent;

/// Longest message of a tool that is handed on.
const TOOL_MESSAGE_CHARS: usize = 4000;
/// How many of the runs that a call started are named where it failed.
const RUNS_NAMED: usize = 3;

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Reason {
    /// No such tool; the nearest one, if any is near.
    UnknownTool(Option<String>),
    /// A rule of the operator's is against it: why.
    Withheld(String),
    /// The audit cannot be written.
    Unrecorded,
    /// More calls of the plugin are under way than may wait.
    TooManyCalls(usize),
    /// No seat became free within this time.
    NoSeat(Duration),
    Cancelled,
    ArgumentsTooLarge {
        bytes: usize,
        limit: usize,
    },
    /// The component's code cannot be had any more.
    CodeUnavailable(String),
    /// The tool said so itself.
    Tool(Error),
    /// The instance aborted: a panic, an assertion, an uncaught exception.
    Abort,
    StackOverflow,
    Trap(String),
    Exit(i32),
    MemoryBudget(u64),
    /// Other calls had the memory that they share.
    SharedMemory(u64),
    CpuBudget(Duration),
    WallBudget(Duration),
    HostCallBudget(u64),
    ResourceBudget(usize),
    OutputBudget {
        bytes: Option<usize>,
        limit: usize,
    },
    Malformed(String),
    /// Checking the result against its schema would take too long.
    TooMuchToCheck,
    HostDefect,
}

/// A reason, with what the instance did before.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) reason: Reason,
    /// The plugin whose tool it was, as the policy names it.
    pub(crate) plugin: String,
    pub(crate) stderr: String,
    /// Runs that it started: they go on, and nobody else knows their ids.
    pub(crate) runs: Vec<String>,
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            plugin: String::new(),
            stderr: String::new(),
            runs: Vec::new(),
        }
    }
}

impl Reason {
    /// What an error of wasmtime means.
    pub(crate) fn of(
        error: &wasmtime::Error,
        meter: &Meter,
        limits: &Limits,
        shared: &SharedMemory,
    ) -> Self {
        if error.is::<CpuSpent>() {
            return Self::CpuBudget(limits.cpu);
        }
        if let Some(TooManyHostCalls(limit)) = error.downcast_ref() {
            return Self::HostCallBudget(*limit);
        }
        if let Some(ResourceTableError::Full) = error.downcast_ref() {
            return Self::ResourceBudget(RESOURCES);
        }
        if let Some(I32Exit(code)) = error.downcast_ref() {
            return Self::Exit(*code);
        }
        // What follows a refused growth, whatever the instance made of it.
        if meter.memory_was_refused() {
            return Self::MemoryBudget(limits.memory_bytes);
        }
        if meter.shared_memory_was_refused() {
            return Self::SharedMemory(shared.limit());
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::UnreachableCodeReached) => Self::Abort,
            // A Rust instance that runs out of its own stack touches memory that is not there.
            Some(Trap::StackOverflow | Trap::MemoryOutOfBounds) => Self::StackOverflow,
            Some(trap) => Self::Trap(trap.to_string()),
            None if error
                .root_cause()
                .to_string()
                .contains("fuel allocated for hostcalls") =>
            {
                Self::OutputBudget {
                    bytes: None,
                    limit: HOST_CALL_BYTES,
                }
            }
            None => Self::Trap(error.root_cause().to_string()),
        }
    }

    fn kind(&self) -> FailureKind {
        match self {
            Self::UnknownTool(_) => FailureKind::UnknownTool,
            Self::Withheld(_) => FailureKind::Denied,
            Self::Unrecorded => FailureKind::Unavailable,
            Self::TooManyCalls(_) | Self::NoSeat(_) => FailureKind::Busy,
            Self::Cancelled => FailureKind::Cancelled,
            Self::ArgumentsTooLarge { .. } => FailureKind::Limit,
            Self::CodeUnavailable(_) | Self::HostDefect => FailureKind::Internal,
            Self::Abort | Self::StackOverflow | Self::Trap(_) | Self::Exit(_) => FailureKind::Trap,
            Self::MemoryBudget(_) | Self::SharedMemory(_) => FailureKind::MemoryBudget,
            Self::CpuBudget(_) => FailureKind::CpuBudget,
            Self::WallBudget(_) => FailureKind::WallBudget,
            Self::HostCallBudget(_) => FailureKind::HostCallBudget,
            Self::ResourceBudget(_) => FailureKind::ResourceBudget,
            Self::OutputBudget { .. } | Self::TooMuchToCheck => FailureKind::OutputBudget,
            Self::Malformed(_) => FailureKind::MalformedOutput,
            Self::Tool(error) => error.into(),
        }
    }
}

impl Stop {
    /// The failure of `tool` for the agent.
    pub(crate) fn into_failure(self, tool: &str, usage: Usage) -> Failure {
        Failure {
            kind: self.kind(),
            message: self.message(tool),
            usage,
        }
    }

    /// As [`Failure::kind`] has it.
    pub(crate) fn kind(&self) -> FailureKind {
        self.reason.kind()
    }

    fn message(&self, tool: &str) -> String {
        let mut message = self.explanation(tool);
        for run in self.runs.iter().take(RUNS_NAMED) {
            if !message.contains(run.as_str()) {
                let _ = write!(
                    message,
                    " The run {run} is still running: wait for it with run_wait \
                     {{\"run_id\":\"{run}\"}}, or end it with run_stop."
                );
            }
        }
        message
    }

    /// What happened, and after it the one thing that the agent should do.
    fn explanation(&self, tool: &str) -> String {
        const LESS: &str = "Ask for less, with a smaller limit or a narrower pattern if the tool \
                            has one: the same call will very likely end the same way.";
        const OTHERS: &str = "Try other arguments: this is a defect of the tool, and the same \
                              call will very likely end the same way.";
        let more = |budget: &str, twice: u64| {
            format!(
                "The operator can raise it, in the policy under [plugin.{:?}]: {budget} = {twice}",
                if self.plugin.is_empty() {
                    tool
                } else {
                    &self.plugin
                }
            )
        };
        let less = |budget: &str, twice: u64| format!("{LESS} {}.", more(budget, twice));
        let twice_ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX / 2) * 2;
        let advice = match &self.reason {
            Reason::UnknownTool(_)
            | Reason::Withheld(_)
            | Reason::Unrecorded
            | Reason::TooManyCalls(_)
            | Reason::NoSeat(_)
            | Reason::Cancelled
            | Reason::ArgumentsTooLarge { .. }
            | Reason::Tool(_) => return self.story(tool),
            Reason::CodeUnavailable(_) => {
                "Tell the operator: trying again does not help.".to_owned()
            }
            Reason::Abort
            | Reason::StackOverflow
            | Reason::Trap(_)
            | Reason::Exit(_)
            | Reason::Malformed(_)
            | Reason::ResourceBudget(_) => OTHERS.to_owned(),
            Reason::MemoryBudget(limit) => less("memory_mib", (limit >> 20) * 2),
            Reason::SharedMemory(limit) => format!(
                "Call it again when the others have ended, or ask for less. The operator can \
                 raise it, at the top of the policy: shared_memory_mib = {}.",
                (limit >> 20) * 2
            ),
            Reason::CpuBudget(limit) => less("cpu_ms", twice_ms(*limit)),
            // Not a matter of how much was asked for: a tool that works is stopped by its CPU
            // budget before.
            Reason::WallBudget(limit) => format!(
                "Call it once more: the machine may have been busy. {}.",
                more("wall_ms", twice_ms(*limit))
            ),
            Reason::HostCallBudget(limit) => less("host_calls", limit * 2),
            Reason::OutputBudget { .. } | Reason::TooMuchToCheck => LESS.to_owned(),
            Reason::HostDefect => "Try once more; if it fails again, tell the operator.".to_owned(),
        };
        format!(
            "{} {advice} The server and the other tools keep working.",
            self.story(tool)
        )
    }

    /// What happened, without what to do about it.
    pub(crate) fn story(&self, tool: &str) -> String {
        let said = || {
            excerpt(&self.stderr).map_or_else(String::new, |words| format!(" It said: {words:?}."))
        };
        match &self.reason {
            Reason::UnknownTool(nearest) => {
                let hint = nearest
                    .as_ref()
                    .map_or_else(String::new, |name| format!(" Did you mean `{name}`?"));
                format!(
                    "there is no tool `{}`.{hint} tools/list gives all names.",
                    text::clean(tool, 80)
                )
            }
            Reason::Withheld(why) => format!(
                "`{}` is not served: {}.",
                text::clean(tool, 80),
                text::clean(why, TOOL_MESSAGE_CHARS)
            ),
            Reason::Unrecorded => format!(
                "`{tool}` was not started: the operator wants every call recorded, and the record \
                 cannot be written. Tell the operator that the audit's file or its disk needs \
                 room; then call again."
            ),
            Reason::TooManyCalls(limit) => format!(
                "`{tool}` was not started: {limit} calls of its plugin are running or waiting, and \
                 no more can wait. Try again when some have ended."
            ),
            Reason::NoSeat(waited) => format!(
                "`{tool}` was not started: earlier calls were still running after {}, the longest \
                 time that a call waits. Try again in a few seconds.",
                span(*waited)
            ),
            Reason::Cancelled => format!("`{tool}` was cancelled."),
            Reason::ArgumentsTooLarge { bytes, limit } => format!(
                "`{tool}` was not started: its arguments have {bytes} bytes, and at most {limit} \
                 are allowed. Pass less, or a path instead of contents."
            ),
            Reason::CodeUnavailable(why) => format!("`{tool}` cannot be started: {why}."),
            Reason::Tool(error) => tool_message(tool, error),
            Reason::Abort => format!("`{tool}` crashed.{}", said()),
            Reason::StackOverflow => format!(
                "`{tool}` crashed: it used memory beyond its own, most likely because it recursed \
                 too deeply.{}",
                said()
            ),
            Reason::Trap(what) => {
                format!("`{tool}` crashed: {}.{}", text::clean(what, 300), said())
            }
            Reason::Exit(code) => format!(
                "`{tool}` ended itself with status {code} instead of answering.{}",
                said()
            ),
            Reason::MemoryBudget(limit) => format!(
                "`{tool}` ran out of memory: its budget is {} MiB.",
                limit >> 20
            ),
            Reason::SharedMemory(limit) => format!(
                "`{tool}` ran out of memory: all calls of plugins share {} MiB, and other calls \
                 use some of it.",
                limit >> 20
            ),
            Reason::CpuBudget(limit) => format!(
                "`{tool}` was stopped: it used its CPU budget of {}.",
                span(*limit)
            ),
            Reason::WallBudget(limit) => format!(
                "`{tool}` was stopped: it did not answer within {}.",
                span(*limit)
            ),
            Reason::HostCallBudget(limit) => {
                format!("`{tool}` was stopped: it made more than {limit} host calls.")
            }
            Reason::ResourceBudget(limit) => format!(
                "`{tool}` was stopped: it held more than {limit} resources of the host (open \
                 results, root filesystems, streams) at the same time. A resource that is dropped \
                 no longer counts."
            ),
            Reason::OutputBudget {
                bytes: Some(bytes),
                limit,
            } => {
                format!("`{tool}` gave a result of {bytes} bytes, and at most {limit} are allowed.")
            }
            Reason::OutputBudget { bytes: None, limit } => format!(
                "`{tool}` was stopped: it handed over more than {} MiB in one piece.",
                limit >> 20
            ),
            Reason::TooMuchToCheck => format!(
                "`{tool}` gave a result that is so large that checking it against its schema \
                 would take more than a second."
            ),
            Reason::Malformed(what) => {
                format!("`{tool}` gave a result that is not valid: {what}.")
            }
            Reason::HostDefect => {
                format!("`{tool}` failed because of a defect of Rookery itself.")
            }
        }
    }
}

fn tool_message(tool: &str, error: &Error) -> String {
    let clean = |message: &str| text::clean(message, TOOL_MESSAGE_CHARS);
    match error {
        // Each part has its own bound, so that a long `why` does not take the remedy away.
        Error::Unavailable(missing) => Unavailable {
            what: clean(&missing.what),
            why: clean(&missing.why),
            how_to_enable: clean(&missing.how_to_enable),
        }
        .to_string(),
        Error::Cancelled => format!("`{tool}` was cancelled."),
        Error::Other((code, message)) => format!("{} ({})", clean(message), text::clean(code, 80)),
        other => clean(&other.to_string()),
    }
}

fn span(time: Duration) -> String {
    if time.as_millis().is_multiple_of(1000) {
        format!("{} s", time.as_secs())
    } else {
        format!("{} ms", time.as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_guest_are_escaped() {
        let stop = Stop {
            reason: Reason::Abort,
            plugin: String::new(),
            stderr: "panicked at x:\n\u{1b}[2J\u{202e}evil".into(),
            runs: Vec::new(),
        };
        let message = stop.message("probe");
        assert!(
            message.contains("\\u{1b}") && message.contains("\\u{202e}"),
            "{message}"
        );
        let error = Error::NotFound("no \u{1b}]0;x".into());
        assert!(
            !Stop::from(Reason::Tool(error))
                .message("probe")
                .contains('\u{1b}')
        );
    }

    #[test]
    fn a_call_that_fails_after_it_started_a_run_names_the_run_once() {
        let mut stop = Stop::from(Reason::WallBudget(Duration::from_secs(30)));
        stop.runs = vec!["run-router-0123456789abc".into()];
        let message = stop.message("run");
        assert!(
            message.ends_with(
                "The run run-router-0123456789abc is still running: wait for it with run_wait \
                 {\"run_id\":\"run-router-0123456789abc\"}, or end it with run_stop."
            ),
            "{message}"
        );
        let told = "the run run-router-0123456789abc was started, but its state cannot be read";
        stop.reason = Reason::Tool(Error::Backend(told.into()));
        assert_eq!(stop.message("run"), told);
    }

    #[test]
    fn the_remedy_comes_right_after_the_cause() {
        for (reason, remedy) in [
            (Reason::NoSeat(Duration::from_secs(30)), "Try again"),
            (Reason::TooManyCalls(4), "Try again"),
            (
                Reason::WallBudget(Duration::from_secs(30)),
                "Call it once more",
            ),
            (Reason::CpuBudget(Duration::from_secs(10)), "Ask for less"),
            (Reason::MemoryBudget(1 << 20), "Ask for less"),
            (Reason::HostCallBudget(10), "Ask for less"),
            (Reason::Exit(1), "Try other arguments"),
        ] {
            let message = Stop::from(reason).message("probe");
            let second = message.split(". ").nth(1).unwrap();
            assert!(second.starts_with(remedy), "{message}");
        }
    }

    #[test]
    fn every_crash_says_which_tool_and_that_the_server_goes_on() {
        for reason in [
            Reason::Abort,
            Reason::StackOverflow,
            Reason::Exit(3),
            Reason::MemoryBudget(1 << 20),
            Reason::CpuBudget(Duration::from_secs(1)),
        ] {
            let message = Stop::from(reason).message("probe");
            assert!(
                message.contains("`probe`") && message.contains("keep working"),
                "{message}"
            );
        }
    }
}
