//! What all tools that wait for a run do alike.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Next;
use crate::error::{Error, Result, reason};
use crate::gist::gist;
use crate::host::{Emulation, Results, WaitOptions};
use crate::shapes::RunStatus;

/// Seconds that a tool waits unless told otherwise.
pub const USUAL_WAIT_S: u32 = 40;

/// What to wait for; flatten it into a tool's arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Until {
    /// Instead of its end: an open port, an answer, a console line, a quiet console
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Condition>,
    /// Guest port of port and answers; default: any
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// Regular expression for a console line
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub console: Option<String>,
    /// Seconds of quiet; default 10
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub quiet_s: Option<u32>,
}

/// What runs a project.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Backend {
    #[default]
    Auto,
    User,
    Penguin,
}

impl Backend {
    /// As `emulation.start` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::User => "user",
            Self::Penguin => "penguin",
        }
    }
}

/// A condition of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Condition {
    Port,
    Answers,
    Console,
    Exit,
    Quiet,
}

impl Until {
    /// The condition: the one that is named, else the one that has a value.
    fn condition(&self) -> Option<Condition> {
        let value = |is_given: bool, condition| is_given.then_some(condition);
        self.until
            .or_else(|| value(self.console.is_some(), Condition::Console))
            .or_else(|| value(self.port.is_some(), Condition::Answers))
            .or_else(|| value(self.quiet_s.is_some(), Condition::Quiet))
    }

    fn options(&self, condition: Condition) -> WaitOptions {
        WaitOptions {
            until: match condition {
                Condition::Port => "port",
                Condition::Answers => "answers",
                Condition::Console => "console",
                Condition::Exit => "exit",
                Condition::Quiet => "quiet",
            }
            .to_owned(),
            port: self.port,
            pattern: self.console.clone(),
            quiet_s: self.quiet_s,
        }
    }
}

/// Wait up to `seconds` for the run to end, or for what is to happen before; say how it went, and
/// what to call next.
pub fn wait(
    host: &(impl Emulation + Results),
    run_id: &str,
    seconds: u32,
    until: &Until,
) -> Result<RunStatus> {
    let milliseconds = seconds.saturating_mul(1000);
    let status = match until.condition() {
        Some(condition) => host.wait_until(run_id, &until.options(condition), milliseconds),
        None if seconds > WaitOptions::UNTOLD_S => {
            host.wait_until(run_id, &until.options(Condition::Exit), milliseconds)
        }
        None if seconds == 0 => host.status(run_id),
        None => host.wait(run_id, milliseconds),
    }?;
    let mut status = finish(status);
    status.summary = gist(host, &status);
    // What was waited for and did not happen is waited for on.
    if status.met == Some(false)
        && status.is_running()
        && let Some(next) = &mut status.next
        && let (Value::Object(arguments), Value::Object(until)) =
            (&mut next.arguments, json!(until))
    {
        arguments.extend(until);
    }
    Ok(status)
}

/// Like [`wait`], for a run that was just started: its id must not be lost if waiting fails.
pub fn wait_for_new(
    host: &(impl Emulation + Results),
    run_id: &str,
    seconds: u32,
    until: &Until,
) -> Result<RunStatus> {
    wait(host, run_id, seconds, until).map_err(|error| match error {
        Error::Cancelled => error,
        other => Error::Backend(format!(
            "the run {run_id} was started, but the wait for it failed: {}. Call run_wait \
             {{\"run_id\":\"{run_id}\"}}.",
            reason(&other)
        )),
    })
}

/// Add the next call: wait on, or see how it went.
pub fn finish(mut status: RunStatus) -> RunStatus {
    status.next = Some(match &status.results_dir {
        _ if status.is_running() => Next::call("run_wait", json!({ "run_id": status.run_id })),
        Some(results_dir) => Next::call("health", json!({ "results_dir": results_dir })),
        None => Next::call("health", json!({ "project_dir": status.project_dir })),
    });
    status
}
