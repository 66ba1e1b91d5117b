//! Hooks of supervised calls: where they are, and the text that they have printed, which is kept
//! here within a bound.

use rookery_contract::options::HookOptions;
use rookery_contract::shapes::{Hook, HookOutput};
use rookery_runs::live::Hooking;

/// Of all hooks of a run at the same time.
pub const MOST: usize = 16;
/// What one hook keeps; of what is more, the older half goes.
const KEPT: usize = 1 << 20;

/// All hooks of a run.
#[derive(Debug, Default)]
pub struct Hooks {
    made: Vec<Made>,
    last: u32,
}

#[derive(Debug)]
struct Made {
    id: u32,
    options: HookOptions,
    /// The call's number and name.
    number: i64,
    name: &'static str,
    hooking: Hooking,
    text: Vec<u8>,
    /// How much came before `text`.
    gone: u64,
}

impl Hooks {
    /// Whether any hook is at this call. Asked at every call of the guest.
    pub fn watches(&self, number: i64) -> bool {
        self.made.iter().any(|hook| hook.number == number)
    }

    /// Make one; its number.
    pub fn add(
        &mut self,
        options: HookOptions,
        hooking: Hooking,
        (name, number): (&'static str, i64),
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
            text: Vec::new(),
            gone: 0,
        });
        Some(self.last)
    }

    /// Those that print a call of `process`: their numbers, the call's name, and how each argument
    /// is printed.
    pub fn of(&self, number: i64, process: &str) -> Vec<(u32, &'static str, Vec<String>)> {
        let here = self.made.iter().filter(|hook| {
            let wanted = hook.hooking.process.as_deref();
            hook.number == number && wanted.is_none_or(|wanted| wanted == process)
        });
        here.map(|hook| (hook.id, hook.name, hook.hooking.action.arguments.clone()))
            .collect()
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
        assert_eq!(hooks.add(options, hooking, ("openat", 257)), Some(1));
        hooks
    }

    #[test]
    fn a_hook_prints_calls_of_its_process_only() {
        let hooks = hooks();
        assert!(hooks.watches(257) && !hooks.watches(0));
        assert_eq!(hooks.of(257, "httpd").len(), 1);
        assert!(hooks.of(257, "sh").is_empty() && hooks.of(0, "httpd").is_empty());
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
