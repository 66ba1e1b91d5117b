//! `guest_hook`

use rookery_plugin::shapes::{Hook, HookWay};
use rookery_plugin::text::{escape, escape_lines};
use rookery_plugin::{
    HookOptions, HookOutputOptions, Live, Result, UnhookOptions, invalid, plugin, tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// From `run`
    run_id: String,
    /// `list` also says what can be hooked, and what it costs
    op: Op,
    /// `sys_openat`, or `/file:symbol`
    at: Option<String>,
    /// What to print: each argument as %s, %d, %x, %fd
    action: Option<String>,
    /// Only its calls
    process: Option<String>,
    /// From `add`, to read or remove
    hook_id: Option<u32>,
    /// Negative: from the end
    offset: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Op {
    Add,
    List,
    Remove,
    Read,
}

#[derive(Default, Serialize, JsonSchema)]
struct Answered {
    run_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hook_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hooks: Option<Vec<Hook>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ways: Vec<HookWay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<Vec<u32>>,
    /// The guest's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u64>,
    /// That the hook has printed.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Of one answer.
const READ: u32 = 8192;

/// Log calls of a function or syscall in a running guest: add, then read.
#[tool(
    destructive,
    title = "Watch the guest",
    needs = "hook",
    example(
        run_id = "run-7",
        op = "add",
        at = "sys_openat",
        action = "print %fd, %s"
    ),
    example(
        run_id = "run-7",
        op = "add",
        at = "/lib/libc.so.0:strlen",
        action = "print %s = %d",
        process = "httpd"
    ),
    example(run_id = "run-7", op = "read", hook_id = 1)
)]
fn guest_hook(host: &impl Live, args: Args) -> Result<Answered> {
    let run_id = args.run_id.clone();
    let mut answer = match args.op {
        Op::Add => add(host, &run_id, &args)?,
        Op::List => {
            let listed = host.hooks(&run_id)?;
            Answered {
                hooks: Some(listed.hooks.into_iter().map(shown).collect()),
                ways: listed.ways,
                ..Answered::default()
            }
        }
        Op::Remove => {
            let options = UnhookOptions {
                hook_id: args.hook_id,
            };
            Answered {
                removed: Some(host.unhook(&run_id, &options)?.removed),
                ..Answered::default()
            }
        }
        Op::Read => read(host, &run_id, &args)?,
    };
    answer.run_id = run_id;
    Ok(answer)
}

fn add(host: &impl Live, run_id: &str, args: &Args) -> Result<Answered> {
    let (Some(target), Some(action)) = (args.at.clone(), args.action.clone()) else {
        return Err(invalid(
            "add takes at, what is hooked, and action, for example \"print %fd, %s\"",
        ));
    };
    let is_function = target.starts_with('/');
    let kind = if is_function { "function" } else { "syscall" };
    let request = HookOptions {
        kind: kind.to_owned(),
        target,
        action,
        process: args.process.clone(),
    };
    let hooked = host.hook(run_id, &request)?;
    Ok(Answered {
        hook_id: Some(hooked.hook_id),
        note: hooked.note,
        ..Answered::default()
    })
}

fn read(host: &impl Live, run_id: &str, args: &Args) -> Result<Answered> {
    let hook_id = args
        .hook_id
        .ok_or_else(|| invalid("read takes hook_id, which add has given"))?;
    let options = HookOutputOptions {
        hook_id,
        offset: args.offset.unwrap_or(0),
        max_bytes: Some(READ),
    };
    let output = host.hook_output(run_id, &options)?;
    Ok(Answered {
        hook_id: Some(hook_id),
        text: Some(escape_lines(output.text.as_bytes())),
        next_offset: Some(output.next_offset),
        bytes: Some(output.bytes),
        ..Answered::default()
    })
}

/// What another client has hooked is text of the run's.
fn shown(hook: Hook) -> Hook {
    let clean = |text: String| escape(text.as_bytes());
    Hook {
        kind: clean(hook.kind),
        target: clean(hook.target),
        action: clean(hook.action),
        process: hook.process.map(clean),
        ..hook
    }
}

plugin!(guest_hook);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check, definition};
    use serde_json::json;

    use super::*;

    #[test]
    fn its_definition_is_sound_and_says_what_it_needs() {
        check::<guest_hook>();
        let definition = definition::<guest_hook>();
        assert_eq!(definition["_meta"]["rookery/needs"], "hook");
        assert_eq!(definition["annotations"]["readOnlyHint"], false);
    }

    #[test]
    fn a_hook_is_added_read_and_removed() {
        let host = FakeHost::new()
            .answer("live.hook", json!({ "hook_id": 3, "note": "slow" }))
            .answer(
                "live.hook-output",
                json!({ "text": "a\u{1b}b\n", "offset": 0, "next_offset": 4, "bytes": 4 }),
            )
            .answer("live.unhook", json!({ "removed": [3] }));
        let arguments = json!({
            "run_id": "r7", "op": "add", "at": "/lib/libc.so:strlen", "action": "print %s"
        });
        let answer = call::<guest_hook>(&host, arguments).unwrap();
        assert_eq!(
            answer,
            json!({ "run_id": "r7", "hook_id": 3, "note": "slow" })
        );
        let asked = &host.calls("live.hook")[0];
        assert_eq!(asked["request"]["kind"], "function");
        let arguments = json!({ "run_id": "r7", "op": "read", "hook_id": 3, "offset": -100 });
        let answer = call::<guest_hook>(&host, arguments).unwrap();
        assert_eq!(answer["text"], "a\\u{1b}b\n");
        assert_eq!(host.calls("live.hook-output")[0]["options"]["offset"], -100);
        let arguments = json!({ "run_id": "r7", "op": "remove", "hook_id": 3 });
        let answer = call::<guest_hook>(&host, arguments).unwrap();
        assert_eq!(answer["removed"], json!([3]));
    }

    #[test]
    fn what_is_missing_is_said_before_the_host_is_asked() {
        let host = FakeHost::new();
        for arguments in [
            json!({ "run_id": "r", "op": "add", "at": "sys_openat" }),
            json!({ "run_id": "r", "op": "add", "action": "print %s" }),
            json!({ "run_id": "r", "op": "read" }),
        ] {
            let answer = call::<guest_hook>(&host, arguments);
            assert!(
                matches!(answer, Err(Error::InvalidArgument(_))),
                "{answer:?}"
            );
        }
    }

    #[test]
    fn an_empty_list_is_a_list_and_says_what_there_could_be() {
        let ways = json!([{ "kind": "function", "offered": false, "how": "no kernel" }]);
        let host = FakeHost::new().answer("live.hooks", json!({ "hooks": [], "ways": ways }));
        let answer = call::<guest_hook>(&host, json!({ "run_id": "r", "op": "list" })).unwrap();
        assert_eq!(answer, json!({ "run_id": "r", "hooks": [], "ways": ways }));
    }
}
