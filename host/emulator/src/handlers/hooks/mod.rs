//! Hooks: what a call was made with, and what it gave, is printed. A call that the supervisor is
//! asked about is printed before it is answered; for any other, and for results, the processes of
//! one name are traced.

mod printed;
mod seen;

use rookery_contract::Next;
use rookery_contract::options::{CommandOptions, HookOptions};
use rookery_contract::shapes::{HookWay, Hooked, Hooks as Listed, Unhooked};
use rookery_project::{Error, Result};
use rookery_runs::live::{Hooking, LiveAnswer, LiveRequest, Target};
use serde_json::json;
use std::str::FromStr as _;
use syscalls::Sysno;

use crate::guest::access::{Callers, HasHooks, HasPlan};
use crate::guest::hooks::{MOST, Way};
use crate::handlers::table;

pub use seen::{entered, print, returned};

/// Answer a request about hooks.
pub fn take<'a>(
    guest: &mut (impl Callers + HasHooks + HasPlan<'a>),
    request: &LiveRequest,
) -> Result<LiveAnswer> {
    let missing = |id| Error::NotFound(format!("this run has no hook {id}"));
    match request {
        LiveRequest::Hook(options) => add(guest, options).map(LiveAnswer::Hooked),
        LiveRequest::Hooks => Ok(LiveAnswer::Hooks(Listed {
            ways: ways(guest),
            hooks: guest.hooks().list(),
        })),
        LiveRequest::Unhook(options) => {
            let removed = guest.hooks().remove(options.hook_id);
            match options.hook_id.filter(|_| removed.is_empty()) {
                Some(id) => Err(missing(id)),
                None => Ok(LiveAnswer::Unhooked(Unhooked { removed })),
            }
        }
        LiveRequest::HookOutput(options) => {
            let most = options.max_bytes.unwrap_or(CommandOptions::BYTES);
            let most = most.clamp(1, CommandOptions::MAX_BYTES) as usize;
            let read = guest.hooks().read(options.hook_id, options.offset, most);
            let output = read.ok_or_else(|| missing(options.hook_id))?;
            Ok(LiveAnswer::HookOutput(output))
        }
        LiveRequest::Model(_)
        | LiveRequest::Plugin(_)
        | LiveRequest::Snapshot(_)
        | LiveRequest::Snapshots => Err(Error::unavailable(
            request.needs(),
            "the embedded emulator has none",
            "Run the project with the backend penguin",
        )),
    }
}

fn add<'a>(
    guest: &mut (impl Callers + HasHooks + HasPlan<'a>),
    options: &HookOptions,
) -> Result<Hooked> {
    let hooking = Hooking::read(options)?;
    let name = match &hooking.target {
        Target::Syscall(name) => name.clone(),
        Target::Function { .. } => return Err(no_functions(guest)),
    };
    let (records, models) = what_is_seen(guest);
    let notified = table::supervised(records, models).find(|(known, _)| *known == name);
    let notified = notified.filter(|_| hooking.action.result.is_none());
    let (call, way) = match notified {
        Some(call) => (call, Way::Notified),
        None => (traced(&name, hooking.process.as_deref())?, Way::Traced),
    };
    let later = format!("{name}at");
    let newer = table::supervised(records, models).any(|(known, _)| known == later);
    let note = newer.then(|| {
        format!(
            "the emulator may make sys_{later} of the guest's sys_{name}, whose first argument is \
             a directory: hook that, too"
        )
    });
    let process = hooking.process.clone();
    let hook_id = guest.hooks().add(options.clone(), hooking, call, way);
    let hook_id = hook_id
        .ok_or_else(|| Error::Limit(format!("this run has {MOST} hooks; remove one first")))?;
    if let Some(process) = process.filter(|_| way == Way::Traced) {
        for pid in guest.procs().named(&process) {
            guest.hooks().named(pid, &process);
        }
    }
    Ok(Hooked { hook_id, note })
}

/// A call that is seen only of processes that are traced.
fn traced(name: &str, process: Option<&str>) -> Result<(&'static str, i64)> {
    let known = Sysno::from_str(name).map_err(|()| {
        Error::InvalidArgument(format!(
            "sys_{name} is no system call of this machine's Linux, which the emulator makes of the \
             guest's: sys_mmap2 of the guest is sys_mmap here, sys__llseek is sys_lseek"
        ))
    })?;
    if process.is_none() {
        return Err(Error::InvalidArgument(format!(
            "the kernel carries out sys_{name} unseen, or its result is asked for: name the \
             processes to trace by process, because a traced one stops at each of its calls"
        )));
    }
    Ok((known.name(), i64::from(known.id())))
}

/// Whether the run records events, and whether it models files.
fn what_is_seen<'a>(guest: &impl HasPlan<'a>) -> (bool, bool) {
    let plan = guest.plan();
    (plan.record_events, !plan.pseudofiles.is_empty())
}

fn ways<'a>(guest: &impl HasPlan<'a>) -> Vec<HookWay> {
    let (records, models) = what_is_seen(guest);
    let mut names: Vec<_> = table::supervised(records, models)
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    names.dedup();
    vec![
        HookWay {
            kind: "syscall".into(),
            offered: true,
            how: format!(
                "at the entry of calls that the supervisor is asked about in any case, as the \
                 emulator makes them on this machine: {}",
                names.join(", ")
            ),
            cost: Some("a line of text for each call that matches".into()),
        },
        HookWay {
            kind: "syscall, any other, or with its result (print %fd = %d)".into(),
            offered: true,
            how: "the processes that `process` names are traced; the emulator's own calls are \
                  among theirs"
                .into(),
            cost: Some(
                "each call of these processes takes some 10 microseconds longer, also one that is \
                 not hooked; one that is, some 50"
                    .into(),
            ),
        },
        HookWay {
            kind: "function".into(),
            offered: false,
            how: "needs a uprobe of the guest's own kernel; the backend penguin has it".into(),
            cost: None,
        },
    ]
}

fn no_functions<'a>(guest: &impl HasPlan<'a>) -> Error {
    Error::unavailable(
        "hooks of functions",
        "the embedded emulator has no kernel of the guest that could set a uprobe",
        format!("With Penguin installed, call {}", by_penguin(guest)),
    )
}

fn by_penguin<'a>(guest: &impl HasPlan<'a>) -> Next {
    let project = &guest.plan().project_dir;
    Next::call(
        "run",
        json!({ "project_dir": project, "backend": "penguin" }),
    )
}
