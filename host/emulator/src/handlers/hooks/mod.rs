//! Hooks: what a supervised call was made with is printed before the call is answered. Calls that
//! the kernel carries out unseen are not watched, and are refused by their names.

use std::fmt::Write as _;

use rookery_contract::Next;
use rookery_contract::options::{CommandOptions, HookOptions};
use rookery_contract::shapes::{HookWay, Hooked, Hooks as Listed, Unhooked};
use rookery_project::{Error, Result, quoted};
use rookery_runs::live::{Hooking, LiveAnswer, LiveRequest, Target};
use serde_json::json;

use crate::guest::access::{Callers, HasHooks, HasPlan};
use crate::guest::hooks::MOST;
use crate::handlers::table;
use crate::process::call::Call;

/// Of a string that an argument points at.
const TEXT: usize = 256;

/// Print what hooks want to know of this call.
pub fn print(guest: &mut (impl Callers + HasHooks), call: &Call) {
    if !guest.hooks().watches(call.number()) {
        return;
    }
    let who = guest.who(call);
    for (id, name, items) in guest.hooks().of(call.number(), &who.name) {
        let mut index = 0;
        let mut arguments = Vec::new();
        for item in &items {
            if item == "%proc" {
                arguments.push(quoted(who.name.as_bytes(), 40));
            } else {
                arguments.push(argument(guest, call, index, item));
                index += 1;
            }
        }
        let process = quoted(who.name.as_bytes(), 40);
        let line = format!(
            "{process}:{} sys_{name}({})\n",
            who.pid,
            arguments.join(", ")
        );
        guest.hooks().print(id, &line);
    }
}

/// One argument as its item says.
fn argument(guest: &mut impl Callers, call: &Call, index: usize, item: &str) -> String {
    let value = call.arg(index);
    match item {
        "%d" | "%i" => signed(value).to_string(),
        "%u" => value.to_string(),
        "%x" => format!("{value:x}"),
        "%X" => format!("{value:X}"),
        "%p" => format!("{value:#018x}"),
        "%b" => (value != 0).to_string(),
        "%c" => char::from(value.to_le_bytes()[0])
            .escape_default()
            .to_string(),
        "%s" => match guest.memory(call).and_then(|of| of.string(value, TEXT)) {
            Some(text) => format!("\"{}\"", quoted(&text, TEXT)),
            None => format!("{value:#x}(?)"),
        },
        "%fd" => {
            let fd = call.int(index);
            let file = guest.caller(call).and_then(|record| record.base(fd));
            let file = file.map_or_else(|| "?".to_owned(), |file| quoted(file.as_bytes(), TEXT));
            format!("{fd}({file})")
        }
        _ => pointed_at(guest, call, value, item),
    }
}

/// A number in the caller's memory, such as `%u16`.
fn pointed_at(guest: &mut impl Callers, call: &Call, address: u64, item: &str) -> String {
    let kind = item.get(1..2).unwrap_or_default();
    let bits: usize = item
        .get(2..)
        .and_then(|bits| bits.parse().ok())
        .unwrap_or(8);
    let mut bytes = [0; 8];
    let size = (bits / 8).clamp(1, 8);
    let wanted = bytes.get_mut(..size).unwrap_or_default();
    let read = guest
        .memory(call)
        .map(|memory| memory.read(address, wanted));
    if !matches!(read, Some(Ok(()))) {
        return format!("*{address:#x}(?)");
    }
    // Of a guest with the other byte order, its bytes.
    let value = u64::from_le_bytes(bytes);
    let mut text = String::new();
    let _ = match kind {
        "x" => write!(text, "{value:#x}"),
        "u" => write!(text, "{value}"),
        _ => {
            let unused = 64 - 8 * u32::try_from(size).unwrap_or(8);
            write!(text, "{}", (value << unused).cast_signed() >> unused)
        }
    };
    text
}

/// A guest of 32 bits passes a negative number either way.
fn signed(value: u64) -> i64 {
    match u32::try_from(value) {
        Ok(low) => i64::from(low.cast_signed()),
        Err(_) => value.cast_signed(),
    }
}

/// Answer a request about hooks.
pub fn take<'a>(
    guest: &mut (impl HasHooks + HasPlan<'a>),
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
        LiveRequest::Plugin(_) | LiveRequest::Snapshot(_) | LiveRequest::Snapshots => {
            Err(Error::unavailable(
                request.needs(),
                "the embedded emulator has none",
                "Run the project with the backend penguin",
            ))
        }
    }
}

fn add<'a>(guest: &mut (impl HasHooks + HasPlan<'a>), options: &HookOptions) -> Result<Hooked> {
    let hooking = Hooking::read(options)?;
    let name = match &hooking.target {
        Target::Syscall(name) => name.clone(),
        Target::Function { .. } => return Err(no_functions(guest)),
    };
    let (records, models) = what_is_seen(guest);
    let call = table::supervised(records, models).find(|(known, _)| *known == name);
    let call = call.ok_or_else(|| unseen(guest, &name))?;
    let later = format!("{name}at");
    let newer = table::supervised(records, models).any(|(known, _)| known == later);
    let note = newer.then(|| {
        format!(
            "the emulator may make sys_{later} of the guest's sys_{name}, whose first argument is \
             a directory: hook that, too"
        )
    });
    let hook_id = guest.hooks().add(options.clone(), hooking, call);
    let hook_id = hook_id
        .ok_or_else(|| Error::Limit(format!("this run has {MOST} hooks; remove one first")))?;
    Ok(Hooked { hook_id, note })
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
            kind: "syscall, any other".into(),
            offered: false,
            how: "the kernel carries it out and tells nobody; the backend penguin has it".into(),
            cost: None,
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

fn unseen<'a>(guest: &impl HasPlan<'a>, name: &str) -> Error {
    let (records, _) = what_is_seen(guest);
    let with_events = table::supervised(true, true).any(|(known, _)| known == name);
    if with_events && !records {
        let project = &guest.plan().project_dir;
        let on = Next::call(
            "set_config",
            json!({ "project_dir": project, "preset": "diagnostics" }),
        );
        return Error::unavailable(
            format!("a hook of sys_{name}"),
            "the supervisor sees this call only in a run that records events",
            format!("Call {on}, then run it again"),
        );
    }
    let why = if table::is_known(name) {
        "only some of its calls reach the supervisor; the kernel carries out the others unseen"
    } else {
        "the kernel carries it out unseen, or there is no such call; the operation list names \
         those that can be hooked"
    };
    Error::unavailable(
        format!("a hook of sys_{name}"),
        why,
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
