//! What a call of a tool takes, whoever makes it: arguments that fit, an instance, and an answer
//! that fits.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cache;
use crate::checks::SMALL;
use crate::code::Machine;
use crate::executor::{Answer, Ask, Executor, Job, Turn};
use crate::failure::{Reason, Stop};
use crate::host::{Left, Toolbox};
use crate::limits::Limits;
use crate::meter::thread_cpu_ns;
use crate::registry::{Entry, Registry};
use crate::{Audit, ProgressSink, Usage, coerce, work};

/// Where calls are made.
#[derive(Clone)]
pub(super) struct Calls {
    pub(super) machine: Arc<Machine>,
    pub(super) executor: Arc<Executor>,
    pub(super) audit: Option<Arc<Audit>>,
    pub(super) registry: Arc<RwLock<Arc<Registry>>>,
}

/// Arguments on their way to an instance.
pub(super) struct Prepared {
    /// JSON.
    pub(super) text: String,
    /// Of the arguments as they came, where it is recorded.
    pub(super) digest: Option<String>,
}

/// Who makes a call.
pub(super) enum By {
    /// An agent, or a person.
    Client {
        cancel: CancellationToken,
        progress: ProgressSink,
    },
    /// A tool, with what it has left.
    Tool(Left),
}

impl Calls {
    /// The tools as they are now.
    pub(super) fn registry(&self) -> Arc<Registry> {
        let registry = self.registry.read();
        Arc::clone(&registry.unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a call can be recorded, where it has to be.
    pub(super) fn are_recorded(&self) -> bool {
        self.audit.as_ref().is_none_or(|audit| audit.works())
    }

    /// All violations of the tool's input schema, in words.
    pub(super) async fn violations(
        &self,
        entry: &Arc<Entry>,
        arguments: &Arc<Value>,
    ) -> Vec<String> {
        let Some(schema) = entry.input.text() else {
            return Vec::new();
        };
        if work::is_small(arguments, SMALL) {
            let meant = coerce::arguments(arguments, schema);
            if entry.input.is_quick(&meant) {
                return entry.input.violations(&meant);
            }
        }
        let check = {
            let (entry, arguments) = (Arc::clone(entry), Arc::clone(arguments));
            move || {
                let schema = entry.input.text()?;
                Some(
                    entry
                        .input
                        .violations(&coerce::arguments(&arguments, schema)),
                )
            }
        };
        let checked = self.executor.on_large(entry.origin, check).await.flatten();
        checked.unwrap_or_else(|| vec!["the arguments could not be checked".to_owned()])
    }

    pub(super) async fn prepare(
        &self,
        entry: &Arc<Entry>,
        arguments: &Arc<Value>,
    ) -> Option<Prepared> {
        let recorded = self.audit.is_some();
        let prepare = {
            let (entry, arguments) = (Arc::clone(entry), Arc::clone(arguments));
            move || Prepared {
                digest: recorded.then(|| cache::digest(arguments.to_string().as_bytes())),
                text: match entry.input.text() {
                    Some(schema) => coerce::arguments(&arguments, schema).to_string(),
                    None => arguments.to_string(),
                },
            }
        };
        if work::is_small(arguments, SMALL) {
            Some(prepare())
        } else {
            self.executor.on_large(entry.origin, prepare).await
        }
    }

    /// Ask a tool, within `limits`.
    pub(super) async fn ask(
        &self,
        entry: &Arc<Entry>,
        limits: &Limits,
        arguments: String,
        toolbox: Option<Arc<dyn Toolbox>>,
        by: By,
    ) -> (Result<Value, Stop>, Usage) {
        let stopped = |reason: Reason| (Err(reason.into()), Usage::default());
        if arguments.len() > limits.argument_bytes {
            return stopped(Reason::ArgumentsTooLarge {
                bytes: arguments.len(),
                limit: limits.argument_bytes,
            });
        }
        let cancel = match &by {
            By::Client { cancel, .. } => cancel.clone(),
            // It is dropped with its caller.
            By::Tool(_) => CancellationToken::new(),
        };
        let linked = tokio::select! {
            linked = entry.code.linked(&self.machine) => linked,
            () = cancel.cancelled() => return stopped(Reason::Cancelled),
        };
        let pre = match linked {
            Ok(pre) => pre,
            Err(reason) => return stopped(Reason::CodeUnavailable(reason)),
        };
        let name = entry.tool.name.as_str();
        let job = Job {
            name,
            pre,
            caller: entry.caller.clone(),
            limits,
            origin: entry.origin,
            toolbox,
        };
        let ask = Ask::Call {
            name: name.to_owned(),
            arguments,
        };
        let charged = match &by {
            By::Client { .. } => None,
            By::Tool(left) => Some(Arc::clone(&left.meter)),
        };
        let (answer, mut usage) = match by {
            By::Client { progress, .. } => {
                let turn = Turn {
                    share: &entry.share,
                    cancel: cancel.clone(),
                    progress,
                };
                self.executor.ask(job, turn, ask).await
            }
            By::Tool(left) => self.executor.ask_within(job, left, ask).await,
        };
        let in_instance_ms = usage.cpu_ms;
        let output = match answer {
            Ok(Answer::Output(Ok(output))) => {
                usage.output_bytes = output.len() as u64;
                tokio::select! {
                    biased;
                    checked = self.checked(entry, limits, output, &mut usage) => {
                        checked.map_err(Stop::from)
                    }
                    () = cancel.cancelled() => Err(Reason::Cancelled.into()),
                }
            }
            Ok(Answer::Output(Err(error))) => Err(Reason::Tool(error).into()),
            Ok(Answer::Tools(_)) => Err(Reason::HostDefect.into()),
            Err(stop) => Err(stop),
        };
        // What was checked on another thread is the caller's too.
        if let Some(meter) = charged {
            meter.add_cpu((usage.cpu_ms - in_instance_ms) * 1_000_000);
        }
        (output, usage)
    }

    /// The output as a value that fits the tool's own schema. What that takes is the call's.
    async fn checked(
        &self,
        entry: &Arc<Entry>,
        limits: &Limits,
        output: String,
        usage: &mut Usage,
    ) -> Result<Value, Reason> {
        if output.len() > limits.output_bytes {
            return Err(Reason::OutputBudget {
                bytes: Some(output.len()),
                limit: limits.output_bytes,
            });
        }
        let unread = if output.len() <= SMALL {
            let value = read(entry, &output)?;
            if entry.output.is_quick(&value) {
                return fitting(entry, value);
            }
            Unread::Value(value)
        } else {
            Unread::Text(output)
        };
        let check = {
            let entry = Arc::clone(entry);
            move || {
                let begun = thread_cpu_ns();
                let value = match unread {
                    Unread::Value(value) => Ok(value),
                    Unread::Text(text) => read(&entry, &text),
                };
                let checked = value.and_then(|value| fitting(&entry, value));
                (checked, thread_cpu_ns().saturating_sub(begun))
            }
        };
        let left = limits
            .wall
            .saturating_sub(Duration::from_millis(usage.wall_ms));
        let begun = Instant::now();
        let checked = tokio::time::timeout(left, self.executor.on_large(entry.origin, check)).await;
        usage.wall_ms += u64::try_from(begun.elapsed().as_millis()).unwrap_or(0);
        match checked {
            Ok(Some((checked, cpu_ns))) => {
                usage.cpu_ms += cpu_ns / 1_000_000;
                checked
            }
            Ok(None) => Err(Reason::HostDefect),
            Err(_) => Err(Reason::WallBudget(limits.wall)),
        }
    }
}

/// An output that was not checked yet.
enum Unread {
    Text(String),
    Value(Value),
}

fn read(entry: &Entry, output: &str) -> Result<Value, Reason> {
    let output: Value = serde_json::from_str(output)
        .map_err(|error| Reason::Malformed(format!("it is not JSON ({error})")))?;
    if !output.is_object() {
        return Err(Reason::Malformed("it is not a JSON object".to_owned()));
    }
    Ok(match entry.output.text() {
        Some(schema) => coerce::output(output, schema),
        None => output,
    })
}

fn fitting(entry: &Entry, output: Value) -> Result<Value, Reason> {
    if entry.output.is_too_much(&output) {
        return Err(Reason::TooMuchToCheck);
    }
    match entry.output.broken_by(&output).as_slice() {
        [] => Ok(output),
        found => Err(Reason::Malformed(found.join("; "))),
    }
}
