//! Hooks of system calls: where they are, and the text that they have printed, which is kept here
//! within a bound.

use std::collections::HashMap;

use rookery_contract::options::HookOptions;
use rookery_contract::shapes::{Hook, HookOutput};
use rookery_runs::live::{Action as Printing, Hooking};

use crate::process::call::{Action, Call};
use crate::process::tracer::Order;

/// Of all hooks of a run at the same time.
pub const MOST: usize = 16;
/// What one hook keeps; of what is more, the older half goes.
const KEPT: usize = 1 << 20;
/// Threads whose calls are waited for.
const THREADS: usize = 1024;

/// How a hook sees its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The supervisor is asked about them.
    Notified,
    /// The processes are traced.
    Traced,
}

/// A call that a hook has begun to print: the rest is known when it returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    hook: u32,
    text: String,
    item: String,
}

impl Begun {
    /// `item` says how the result is printed.
    pub fn new(hook: u32, text: String, item: String) -> Self {
        Self { hook, text, item }
    }

    /// How the result is printed.
    pub fn item(&self) -> &str {
        &self.item
    }

    /// The hook, and its line with the result.
    pub fn with(&self, result: &str) -> (u32, String) {
        (self.hook, format!("{} = {result}\n", self.text))
    }
}

/// All hooks of a run.
#[derive(Debug, Default)]
pub struct Hooks {
    made: Vec<Made>,
    last: u32,
    /// What changed of traced ones since it was asked for.
    processes: Vec<(u32, bool)>,
    changed: bool,
    /// By thread.
    begun: HashMap<u32, Vec<Begun>>,
    /// Calls of processes that are to be traced from here on, which wait until they are.
    held: Vec<(u32, Call, Action)>,
}

#[derive(Debug)]
struct Made {
    id: u32,
    options: HookOptions,
    /// The call's number and name.
    number: i64,
    name: &'static str,
    hooking: Hooking,
    way: Way,
    text: Vec<u8>,
    /// How much came before `text`.
    gone: u64,
}

impl Hooks {
    /// Whether a hook is at this call, of which the supervisor is asked. Asked at every such call.
    pub fn watches(&self, number: i64) -> bool {
        let here = |hook: &Made| hook.number == number && hook.way == Way::Notified;
        self.made.iter().any(here)
    }

    /// Make one; its number.
    pub fn add(
        &mut self,
        options: HookOptions,
        hooking: Hooking,
        (name, number): (&'static str, i64),
        way: Way,
    ) -> Option<u32> {
        if self.made.len() >= MOST {
            return None;
        }
        self.last += 1;
        self.made.push(Made {
            id: self.last,
            options,
            number,
            name,
            hooking,
            way,
            text: Vec::new(),
            gone: 0,
        });
        self.changed |= way == Way::Traced;
        Some(self.last)
    }

    /// Those that print a call of `process`: their numbers, the call's name, and what they print.
    pub fn of(&self, number: i64, process: &str, way: Way) -> Vec<(u32, &'static str, Printing)> {
        let here = self.made.iter().filter(|hook| {
            let wanted = hook.hooking.process.as_deref();
            (hook.number, hook.way) == (number, way) && wanted.is_none_or(|name| name == process)
        });
        here.map(|hook| (hook.id, hook.name, hook.hooking.action.clone()))
            .collect()
    }

    /// A process is called `name` from now on, or is traced because it already is.
    pub fn named(&mut self, pid: u32, name: &str) {
        let mut traced = self.made.iter().filter(|hook| hook.way == Way::Traced);
        if traced.clone().next().is_some() {
            let is_wanted = traced.any(|hook| hook.hooking.process.as_deref() == Some(name));
            self.processes.push((pid, is_wanted));
        }
    }

    /// Whether a call is held back because its process is about to be traced; else it is given
    /// back, to be answered now.
    pub fn hold(&mut self, call: Call, answer: Action) -> Option<(Call, Action)> {
        let process = call
            .process
            .filter(|pid| self.processes.contains(&(*pid, true)));
        match process {
            Some(process) => {
                self.held.push((process, call, answer));
                None
            }
            None => Some((call, answer)),
        }
    }

    /// A process is traced, or cannot be; without one, all of them: what was held is answered.
    pub fn let_go(&mut self, process: Option<u32>) {
        let is_meant =
            |(pid, ..): &mut (u32, Call, Action)| process.is_none_or(|meant| meant == *pid);
        for (_, call, answer) in self.held.extract_if(.., is_meant) {
            call.answer(&answer);
        }
    }

    /// What whoever traces is to do, if anything changed; nothing, where no hook traces any more.
    pub fn take_orders(&mut self) -> Option<Vec<Order>> {
        if !self.changed && self.processes.is_empty() {
            return None;
        }
        self.changed = false;
        let processes = std::mem::take(&mut self.processes);
        let traced = || self.made.iter().filter(|hook| hook.way == Way::Traced);
        if traced().next().is_none() {
            return Some(Vec::new());
        }
        let results = traced().filter(|hook| hook.hooking.action.result.is_some());
        let watch = Order::Watch {
            entries: traced().map(|hook| hook.number).collect(),
            results: results.map(|hook| hook.number).collect(),
        };
        let follow = |(pid, is_wanted)| {
            if is_wanted {
                Order::Follow(pid)
            } else {
                Order::Leave(pid)
            }
        };
        let processes = processes.into_iter().map(follow);
        Some(std::iter::once(watch).chain(processes).collect())
    }

    /// A thread is in a call whose result is to be printed.
    pub fn begin(&mut self, thread: u32, begun: Vec<Begun>) {
        // One that ended in a call never comes back to it.
        if self.begun.len() > THREADS {
            self.begun.clear();
        }
        self.begun.insert(thread, begun);
    }

    /// What was begun for the call that a thread returns from.
    pub fn returned(&mut self, thread: u32) -> Vec<Begun> {
        self.begun.remove(&thread).unwrap_or_default()
    }

    /// A hook has printed this.
    pub fn print(&mut self, id: u32, line: &str) {
        let Some(hook) = self.made.iter_mut().find(|hook| hook.id == id) else {
            return;
        };
        hook.text.extend_from_slice(line.as_bytes());
        if hook.text.len() > KEPT {
            let half = hook.text.len() / 2;
            let end = hook.text.iter().skip(half).position(|byte| *byte == b'\n');
            let cut = end.map_or(half, |end| half + end + 1);
            hook.text.drain(..cut);
            hook.gone += cut as u64;
        }
    }

    /// All hooks, as they are listed.
    pub fn list(&self) -> Vec<Hook> {
        let described = self.made.iter().map(|hook| Hook {
            hook_id: hook.id,
            kind: hook.options.kind.clone(),
            target: format!("sys_{}", hook.name),
            action: hook.options.action.clone(),
            process: hook.hooking.process.clone(),
            bytes: Some(hook.gone + hook.text.len() as u64),
            note: (hook.gone > 0).then(|| format!("the first {} bytes are not kept", hook.gone)),
        });
        described.collect()
    }

    /// Remove one, or all; the numbers of those that are gone.
    pub fn remove(&mut self, id: Option<u32>) -> Vec<u32> {
        let is_wanted = |hook: &Made| id.is_none_or(|id| hook.id == id);
        let removed = self.made.iter().filter(|hook| is_wanted(hook));
        let removed = removed.map(|hook| hook.id).collect();
        self.changed |= self.made.iter().any(|hook| hook.way == Way::Traced);
        self.made.retain(|hook| !is_wanted(hook));
        removed
    }

    /// What a hook has printed, from `offset` on; a negative one counts from the end.
    pub fn read(&self, id: u32, offset: i64, most: usize) -> Option<HookOutput> {
        let hook = self.made.iter().find(|hook| hook.id == id)?;
        let bytes = hook.gone + hook.text.len() as u64;
        let offset = match u64::try_from(offset) {
            Ok(offset) => offset.min(bytes),
            Err(_) => bytes.saturating_sub(offset.unsigned_abs()),
        };
        let offset = offset.max(hook.gone);
        let skipped = usize::try_from(offset - hook.gone).unwrap_or(usize::MAX);
        let part: Vec<u8> = hook.text.iter().skip(skipped).take(most).copied().collect();
        Some(HookOutput {
            text: String::from_utf8_lossy(&part).into_owned(),
            offset,
            next_offset: offset + part.len() as u64,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn hooks() -> Hooks {
        let mut hooks = Hooks::default();
        let options = HookOptions {
            kind: "syscall".into(),
            target: "sys_openat".into(),
            action: "print %fd, %s".into(),
            process: Some("httpd".into()),
        };
        let hooking = Hooking::read(&options).unwrap();
        let added = hooks.add(options, hooking, ("openat", 257), Way::Notified);
        assert_eq!(added, Some(1));
        hooks
    }

    #[test]
    fn a_process_is_traced_while_a_hook_wants_one_of_its_name() {
        let mut hooks = hooks();
        hooks.named(7, "httpd");
        assert_eq!(hooks.take_orders(), None);
        let options = HookOptions {
            target: "sys_read".into(),
            action: "print %fd = %d".into(),
            process: Some("httpd".into()),
            kind: "syscall".into(),
        };
        let hooking = Hooking::read(&options).unwrap();
        hooks.add(options, hooking, ("read", 0), Way::Traced);
        hooks.named(7, "httpd");
        hooks.named(8, "sh");
        let numbers = HashSet::from([0]);
        let watch = Order::Watch {
            entries: numbers.clone(),
            results: numbers,
        };
        let orders = vec![watch, Order::Follow(7), Order::Leave(8)];
        assert_eq!(hooks.take_orders(), Some(orders));
        assert_eq!(hooks.take_orders(), None);
        assert!(!hooks.watches(0) && hooks.of(0, "httpd", Way::Notified).is_empty());
        let begun = Begun::new(2, "read(3)".into(), "%d".into());
        assert_eq!(begun.with("7"), (2, "read(3) = 7\n".to_owned()));
        hooks.begin(70, vec![begun.clone()]);
        assert_eq!(
            (hooks.returned(70), hooks.returned(70)),
            (vec![begun], vec![])
        );
        hooks.remove(Some(2));
        assert_eq!(hooks.take_orders(), Some(Vec::new()));
    }

    #[test]
    fn a_hook_prints_calls_of_its_process_only() {
        let hooks = hooks();
        assert!(hooks.watches(257) && !hooks.watches(0));
        assert_eq!(hooks.of(257, "httpd", Way::Notified).len(), 1);
        let none = |number, process| hooks.of(number, process, Way::Notified).is_empty();
        assert!(none(257, "sh") && none(0, "httpd"));
    }

    #[test]
    fn what_is_printed_is_read_in_parts_and_kept_within_its_bound() {
        let mut hooks = hooks();
        hooks.print(1, "one\n");
        hooks.print(1, "two\n");
        let read = |hooks: &Hooks, offset, most| hooks.read(1, offset, most).unwrap();
        assert_eq!(read(&hooks, 0, 5).text, "one\nt");
        assert_eq!(read(&hooks, 5, 100).text, "wo\n");
        assert_eq!(read(&hooks, -4, 100).text, "two\n");
        assert_eq!(read(&hooks, 99, 100).text, "");
        for _ in 0..400 {
            hooks.print(1, &format!("{}\n", "x".repeat(4000)));
        }
        let all = read(&hooks, 0, KEPT * 2);
        assert!(
            all.text.len() <= KEPT && all.offset > 0,
            "{}",
            all.text.len()
        );
        assert_eq!(all.bytes, 8 + 400 * 4001);
        assert!(all.text.starts_with('x'));
        assert_eq!(hooks.remove(None), [1]);
        assert!(hooks.read(1, 0, 1).is_none() && !hooks.watches(257));
    }
}
