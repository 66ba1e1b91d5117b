//! Calls of tools by tools.
//!
//! A call can do no more than those that led to it: each interface that the called component
//! imports has to be granted to every one of them.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use rookery_contract::{Error, Unavailable};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::calls::{By, Calls};
use crate::audit::Call;
use crate::decision::Refusal;
use crate::failure::{Reason, Stop};
use crate::host::{Left, Toolbox};
use crate::interface::Interface;
use crate::registry::Entry;
use crate::seats::NESTED;
use crate::{Tool, Usage, cache, component_file, text};

/// The rule of what is refused here.
const RULE: &str = "toolbox.call";
/// Longest name of a tool in the audit.
const NAME_CHARS: usize = 120;

/// The calls that led to an instance, its own last: for the calls that it makes itself.
pub(super) struct Nest {
    calls: Calls,
    links: Vec<Link>,
    /// For the instances beyond the first.
    room: Option<Arc<OwnedSemaphorePermit>>,
}

/// One call that is under way.
#[derive(Clone)]
struct Link {
    tool: String,
    plugin: String,
    grants: BTreeSet<Interface>,
}

/// How a call by a tool ended.
struct Ended {
    answer: Result<Value, Stop>,
    usage: Usage,
    /// The rule that refused it, if one did.
    rule: Option<String>,
}

/// Why a tool is not called.
struct Refused {
    reason: Reason,
    rule: Option<String>,
}

/// A call by a tool, which is recorded when this is dropped: its caller may end before it.
struct Recorded<'a> {
    nest: &'a Nest,
    name: &'a str,
    arguments: &'a Value,
    ended: Option<Ended>,
}

impl Nest {
    /// For the first call, if it may make others.
    pub(super) fn of(calls: &Calls, entry: &Entry) -> Option<Arc<dyn Toolbox>> {
        entry.imports.contains(&Interface::Toolbox).then(|| {
            let nest = Self {
                calls: calls.clone(),
                links: vec![Link::of(entry)],
                room: None,
            };
            Arc::new(nest) as Arc<dyn Toolbox>
        })
    }

    /// For a call that this one makes, if it may make others.
    fn below(&self, entry: &Entry, room: &Arc<OwnedSemaphorePermit>) -> Option<Arc<dyn Toolbox>> {
        entry.imports.contains(&Interface::Toolbox).then(|| {
            let links = self.links.iter().cloned().chain([Link::of(entry)]);
            let nest = Self {
                calls: self.calls.clone(),
                links: links.collect(),
                room: Some(Arc::clone(room)),
            };
            Arc::new(nest) as Arc<dyn Toolbox>
        })
    }

    async fn ask(&self, left: Left, name: &str, arguments: &Arc<Value>) -> Ended {
        let entry = &match self.admit(name) {
            Ok(entry) => entry,
            Err(refused) => return refused.into(),
        };
        let violations = self.calls.violations(entry, arguments).await;
        if !violations.is_empty() {
            let wrong = format!("`{name}`: {}", violations.join("; "));
            return Refused::from(Error::InvalidArgument(wrong)).into();
        }
        let room = match &self.room {
            Some(room) => Ok(Arc::clone(room)),
            None => self.calls.executor.nest().await.map(Arc::new),
        };
        let (Ok(room), Some(prepared)) = (room, self.calls.prepare(entry, arguments).await) else {
            return Refused::from(Reason::HostDefect).into();
        };
        let limits = entry.limits.within(&left.limits);
        let toolbox = self.below(entry, &room);
        let asked = self
            .calls
            .ask(entry, &limits, prepared.text, toolbox, By::Tool(left));
        let (answer, usage) = asked.await;
        Ended {
            answer,
            usage,
            rule: None,
        }
    }

    /// The tool of this name, if it may be called.
    fn admit(&self, name: &str) -> Result<Arc<Entry>, Refused> {
        if !self.calls.are_recorded() {
            return Err(Reason::Unrecorded.into());
        }
        let registry = self.calls.registry();
        let Some(entry) = registry.entry(name) else {
            let nearest = || Reason::UnknownTool(registry.nearest(name));
            let refusal = registry.refusal(name);
            return Err(refusal.map_or_else(|| nearest().into(), Refused::from));
        };
        if self.links.iter().any(|link| link.tool == name) {
            let again = format!(
                "`{name}` is under way and waits for this call, so it cannot be called again here"
            );
            return Err(Error::InvalidArgument(again).into());
        }
        if self.links.len() >= NESTED {
            let deep = format!("calls of tools by tools are nested at most {NESTED} deep");
            return Err(Error::Limit(deep).into());
        }
        match self.links.iter().find_map(|link| link.lacks(entry)) {
            Some(why) => Err(Refused {
                reason: Reason::Tool(Error::Denied(why)),
                rule: Some(RULE.to_owned()),
            }),
            None => Ok(Arc::clone(entry)),
        }
    }
}

impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        let Some(audit) = &self.nest.calls.audit else {
            return;
        };
        let ended = self.ended.take();
        let ended = ended.unwrap_or_else(|| Refused::from(Reason::Cancelled).into());
        let registry = self.nest.calls.registry();
        let served: Option<&Tool> = registry.entry(self.name).map(|entry| &*entry.tool);
        audit.call(&Call {
            tool: &text::clean(self.name, NAME_CHARS),
            served,
            arguments: &cache::digest(self.arguments.to_string().as_bytes()),
            failure: ended.answer.as_ref().err().map(Stop::kind),
            rule: ended.rule.as_deref(),
            by: self.nest.links.last().map(|link| link.tool.as_str()),
            usage: &ended.usage,
        });
    }
}

impl Toolbox for Nest {
    fn call<'a>(
        &'a self,
        left: Left,
        name: &'a str,
        arguments: &'a str,
    ) -> Pin<Box<dyn Future<Output = rookery_contract::Result<String>> + Send + 'a>> {
        Box::pin(async move {
            let arguments = Arc::new(read(arguments)?);
            let mut recorded = Recorded {
                nest: self,
                name,
                arguments: &arguments,
                ended: None,
            };
            let ended = self.ask(left, name, &arguments).await;
            let answer = match &ended.answer {
                Ok(answer) => Ok(answer.to_string()),
                Err(stop) => Err(told(stop, name)),
            };
            recorded.ended = Some(ended);
            answer
        })
    }
}

impl Link {
    fn of(entry: &Entry) -> Self {
        Self {
            tool: entry.tool.name.clone(),
            plugin: component_file::name(&entry.tool.plugin.file),
            grants: entry.code.grants().clone(),
        }
    }

    /// Why a call of `entry` could do more than this one.
    fn lacks(&self, entry: &Entry) -> Option<String> {
        let mut beyond = entry.imports.iter();
        let beyond = beyond.find(|one| !one.is_free() && !self.grants.contains(one))?;
        Some(format!(
            "`{}` can {}, and {} was not granted `{beyond}`: a tool can call only what does no \
             more than it was granted itself. The operator would have `{beyond}` in `grant`, and \
             not in `deny`, of [plugin.{:?}] in the policy",
            entry.tool.name,
            beyond.ability(),
            self.tool,
            self.plugin
        ))
    }
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self {
            answer: Err(refused.reason.into()),
            usage: Usage::default(),
            rule: refused.rule,
        }
    }
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self { reason, rule: None }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Reason::Tool(error).into()
    }
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        Self {
            reason: Reason::Withheld(refusal.reason.clone()),
            rule: Some(refusal.rule.clone()),
        }
    }
}

/// The arguments that an instance gave.
fn read(arguments: &str) -> rookery_contract::Result<Value> {
    let read: Option<Value> = serde_json::from_str(arguments).ok();
    read.filter(Value::is_object).ok_or_else(|| {
        Error::InvalidArgument("the arguments are not a JSON object; give {} for none".to_owned())
    })
}

/// What the caller is told of a call that did not succeed.
fn told(stop: &Stop, tool: &str) -> Error {
    let story = stop.story(tool);
    let bounded = || {
        let own = "What a tool calls has at most what its caller has left of its own budgets.";
        Error::Limit(format!("{story} {own}"))
    };
    match &stop.reason {
        Reason::Tool(error) => error.clone(),
        Reason::UnknownTool(_) => Error::NotFound(story),
        Reason::Withheld(_) => Error::Denied(story),
        Reason::Unrecorded => Error::Unavailable(Unavailable {
            what: format!("a call of `{tool}`"),
            why: "the operator wants every call recorded, and the record cannot be written".into(),
            how_to_enable: "tell the operator that the audit's file or its disk needs room".into(),
        }),
        Reason::Cancelled => Error::Cancelled,
        Reason::TooManyCalls(_)
        | Reason::NoSeat(_)
        | Reason::ArgumentsTooLarge { .. }
        | Reason::MemoryBudget(_)
        | Reason::SharedMemory(_)
        | Reason::CpuBudget(_)
        | Reason::WallBudget(_)
        | Reason::HostCallBudget(_)
        | Reason::ResourceBudget(_)
        | Reason::OutputBudget { .. }
        | Reason::TooMuchToCheck => bounded(),
        Reason::CodeUnavailable(_)
        | Reason::Abort
        | Reason::StackOverflow
        | Reason::Trap(_)
        | Reason::Exit(_)
        | Reason::Malformed(_)
        | Reason::HostDefect => Error::Internal(story),
    }
}
