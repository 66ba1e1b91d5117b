//! `guest_cmd`

use rookery_plugin::args::GuestTarget;
use rookery_plugin::shapes::CommandOutput;
use rookery_plugin::text::escape_lines;
use rookery_plugin::{CommandOptions, Live, Result, invalid, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a shell says of a program that cannot be run.
const NOT_EXECUTED: [i32; 2] = [126, 127];
const SHELL: &str = "/bin/sh";

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    target: GuestTarget,
    /// Line for the guest's /bin/sh -c
    #[schemars(length(min = 1))]
    command: Option<String>,
    /// Or a program and its arguments, without a shell
    #[serde(default)]
    #[schemars(length(min = 1))]
    argv: Vec<String>,
    /// Seconds until it is killed
    #[serde(default = "usual_timeout")]
    #[schemars(range(min = 1, max = 25))]
    timeout_s: u32,
    /// Of stdout and of stderr
    #[serde(default = "usual_bytes")]
    #[schemars(range(min = 1, max = 32768))]
    max_bytes: u32,
}

fn usual_timeout() -> u32 {
    10
}

fn usual_bytes() -> u32 {
    4096
}

#[derive(Serialize, JsonSchema)]
struct Ran {
    run_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// That ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    timed_out: bool,
    /// The guest's text.
    stdout: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    stderr: String,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

/// Run a program inside the running guest as its root: `ps`, `cat`, or a daemon by hand to see why
/// it ends. It can damage this run, not the firmware. `stdout` and `stderr` are the guest's text.
#[tool(
    destructive,
    open_world,
    title = "Run a command in the guest",
    example(project_dir = "fw", command = "ps; cat /proc/mounts"),
    example(run_id = "run-7f3a", argv = ["/usr/sbin/httpd", "-f"], timeout_s = 5)
)]
fn guest_cmd(host: &impl Live, args: Args) -> Result<Ran> {
    let by_shell = args.command.is_some();
    let command = match (args.command, args.argv) {
        (Some(line), given) if given.is_empty() => vec![SHELL.to_owned(), "-c".to_owned(), line],
        (None, given) if !given.is_empty() => given,
        _ => {
            return Err(invalid(
                "give one of command, a line for the guest's /bin/sh, and argv, a program and its \
                 arguments",
            ));
        }
    };
    let run_id = args.target.find(host)?;
    let options = CommandOptions {
        timeout_ms: Some(args.timeout_s * 1000),
        max_bytes: Some(args.max_bytes),
    };
    let output = host.command(&run_id, &command, &options)?;
    Ok(ran(run_id, &output, by_shell, args.max_bytes))
}

fn ran(run_id: String, output: &CommandOutput, by_shell: bool, max_bytes: u32) -> Ran {
    let not_executed = output
        .exit_code
        .is_some_and(|code| NOT_EXECUTED.contains(&code));
    let no_shell = by_shell && not_executed && output.stderr.starts_with("/bin/sh: ");
    let note = if no_shell && output.stdout.is_empty() {
        Some("the guest has no /bin/sh that can be run: give argv, a program and its arguments")
    } else if output.timed_out {
        Some("killed at timeout_s; what is to go on belongs into the background: command \"… &\"")
    } else {
        None
    };
    let (stdout, cut_out) = shown(&output.stdout, max_bytes);
    let (stderr, cut_err) = shown(&output.stderr, max_bytes);
    Ran {
        run_id,
        exit_code: output.exit_code,
        signal: output.signal,
        timed_out: output.timed_out,
        truncated: output.truncated || cut_out || cut_err,
        stdout,
        stderr,
        note,
    }
}

/// The guest's text, escaped, which makes it longer, and whether it had to be cut for that.
fn shown(text: &str, max_bytes: u32) -> (String, bool) {
    let mut shown = escape_lines(text.as_bytes());
    let most = usize::try_from(max_bytes).unwrap_or(usize::MAX);
    let cut = shown.len() > most;
    shown.truncate(shown.floor_char_boundary(most));
    (shown, cut)
}

plugin!(guest_cmd);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check, definition};
    use serde_json::{Value, json};

    use super::*;

    fn host(output: Value) -> FakeHost {
        FakeHost::new()
            .answer("live.running", json!("r7"))
            .answer("live.command", output)
    }

    #[test]
    fn its_definition_is_sound_and_claims_nothing_good_of_what_a_command_does() {
        check::<guest_cmd>();
        let annotations = &definition::<guest_cmd>()["annotations"];
        assert_eq!(annotations["readOnlyHint"], false);
        assert_eq!(annotations["destructiveHint"], true);
        assert_eq!(annotations["idempotentHint"], false);
        assert_eq!(annotations["openWorldHint"], true);
    }

    #[test]
    fn a_line_goes_to_the_guest_s_shell_and_argv_to_none() {
        let host = host(json!({ "exit_code": 3, "signal": null, "stdout": "a\n", "stderr": "b" }));
        let answer = call::<guest_cmd>(
            &host,
            json!({ "project_dir": "p", "command": "ps | wc -l", "timeout_s": 2 }),
        )
        .unwrap();
        let expected = json!({
            "run_id": "r7", "exit_code": 3, "timed_out": false, "stdout": "a\n", "stderr": "b",
            "truncated": false
        });
        assert_eq!(answer, expected);
        call::<guest_cmd>(&host, json!({ "run_id": "r8", "argv": ["ps", "-w"] })).unwrap();
        let asked = host.calls("live.command");
        assert_eq!(asked[0]["run"], "r7");
        assert_eq!(asked[0]["argv"], json!(["/bin/sh", "-c", "ps | wc -l"]));
        assert_eq!(asked[0]["options"]["timeout_ms"], 2000);
        assert_eq!(
            (&asked[1]["run"], &asked[1]["argv"]),
            (&json!("r8"), &json!(["ps", "-w"]))
        );
        assert_eq!(host.calls("live.running"), [json!({ "project": "p" })]);
    }

    #[test]
    fn one_of_both_is_needed() {
        let host = host(json!({}));
        for arguments in [
            json!({ "project_dir": "p" }),
            json!({ "project_dir": "p", "command": "ps", "argv": ["ps"] }),
        ] {
            assert!(matches!(
                call::<guest_cmd>(&host, arguments),
                Err(Error::InvalidArgument(_))
            ));
        }
        assert!(host.calls("live.command").is_empty());
    }

    #[test]
    fn a_guest_without_a_shell_and_a_program_that_does_not_end_have_a_next_step() {
        let none = json!({ "exit_code": 127, "stderr": "/bin/sh: No such file or directory\n" });
        let arguments = json!({ "project_dir": "p", "command": "ps" });
        let answer = call::<guest_cmd>(&host(none), arguments.clone()).unwrap();
        assert!(answer["note"].as_str().unwrap().contains("give argv"));
        let late = json!({ "timed_out": true, "stdout": "…" });
        let answer = call::<guest_cmd>(&host(late), arguments).unwrap();
        assert!(answer["note"].as_str().unwrap().contains("background"));
        assert!(answer.get("exit_code").is_none());
    }

    #[test]
    fn hostile_output_is_escaped_and_does_not_grow_beyond_what_was_asked_for() {
        let output = json!({ "exit_code": 0, "stdout": "\u{1b}[2J\u{202e}".repeat(1000) });
        let answer = call::<guest_cmd>(
            &host(output),
            json!({ "project_dir": "p", "command": "x", "max_bytes": 500 }),
        )
        .unwrap();
        let stdout = answer["stdout"].as_str().unwrap();
        assert!(stdout.starts_with("\\u{1b}[2J\\u{202e}") && stdout.len() <= 500);
        assert_eq!(answer["truncated"], true);
    }

    #[test]
    fn no_running_run_is_the_host_s_error_with_the_way_to_start_one() {
        let missing = Error::unavailable("a running guest", "no run", "Call run {}");
        let host = FakeHost::new().fail("live.running", missing.clone());
        let refused = call::<guest_cmd>(&host, json!({ "project_dir": "p", "command": "ps" }));
        assert_eq!(refused, Err(missing));
    }
}
