//! What hooks print of a call: one that the supervisor is asked about, or one of a traced process.

use rookery_project::quoted;
use rookery_records::event::{Process, What};

use super::printed::value;
use crate::guest::access::{HasHooks, HasPlan, Reports};
use crate::guest::hooks::{Begun, Way};
use crate::process::call::Call;
use crate::process::record::Record;
use crate::qemu::arch::Arch;

/// Print what hooks want to know of a call that the supervisor is asked about.
pub fn print<'a>(guest: &mut (impl Reports + HasHooks + HasPlan<'a>), call: &Call) {
    if guest.hooks().watches(call.number())
        && let Some(process) = call.process
    {
        begin(guest, process, call.number(), call.args(), Way::Notified);
    }
}

/// A thread of a traced process enters a call.
pub fn entered<'a>(
    guest: &mut (impl Reports + HasHooks + HasPlan<'a>),
    thread: u32,
    number: i64,
    args: &[u64; 6],
) {
    let Ok(process) = guest.procs().identify(thread) else {
        return;
    };
    let begun = begin(guest, process, number, args, Way::Traced);
    if !begun.is_empty() {
        guest.hooks().begin(thread, begun);
    }
}

/// The call that a thread of a traced process was in returns.
pub fn returned<'a>(guest: &mut (impl Reports + HasHooks + HasPlan<'a>), thread: u32, result: i64) {
    let big_endian = is_big_endian(guest);
    for begun in guest.hooks().returned(thread) {
        let process = guest.procs().identify(thread).ok();
        let Some(record) = process.and_then(|pid| guest.procs().get(pid)) else {
            return;
        };
        let who = record.who.clone();
        let result = value(record, result.cast_unsigned(), begun.item(), big_endian);
        let (hook, line) = begun.with(&result);
        show(guest, who, hook, line);
    }
}

/// Print the call for each hook that wants it. Gives those whose results are to follow.
fn begin<'a>(
    guest: &mut (impl Reports + HasHooks + HasPlan<'a>),
    process: u32,
    number: i64,
    args: &[u64; 6],
    way: Way,
) -> Vec<Begun> {
    let Some(record) = guest.procs().get(process) else {
        return Vec::new();
    };
    let who = record.who.clone();
    let big_endian = is_big_endian(guest);
    let mut begun = Vec::new();
    for (id, name, action) in guest.hooks().of(number, &who.name, way) {
        let Some(record) = guest.procs().get(process) else {
            return begun;
        };
        let arguments = arguments(record, args, &action.arguments, big_endian);
        let process = quoted(who.name.as_bytes(), 40);
        let text = format!("{process}:{} sys_{name}({arguments})", who.pid);
        match action.result {
            Some(item) => begun.push(Begun::new(id, text, item)),
            None => show(guest, who.clone(), id, format!("{text}\n")),
        }
    }
    begun
}

/// A line of a hook: to be read now, and in the results.
fn show(guest: &mut (impl Reports + HasHooks), who: Process, hook: u32, line: String) {
    guest.hooks().print(hook, &line);
    guest.report(who, What::Hooked { hook, line });
}

fn arguments(record: &mut Record, args: &[u64; 6], items: &[String], big_endian: bool) -> String {
    let mut left = args.iter();
    let mut printed = Vec::new();
    for item in items {
        printed.push(if item == "%proc" {
            quoted(record.who.name.as_bytes(), 40)
        } else {
            let argument = left.next().copied().unwrap_or(0);
            value(record, argument, item, big_endian)
        });
    }
    printed.join(", ")
}

fn is_big_endian<'a>(guest: &impl HasPlan<'a>) -> bool {
    Arch::by_name(&guest.plan().arch).is_some_and(Arch::is_big_endian)
}
