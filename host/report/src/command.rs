//! A call of a tool in words of the command line.

use rookery_contract::Next;
use serde_json::{Map, Value};

/// `rookery call set_env '{"project_dir":"fw"}'`, as a POSIX shell reads it; a shorter command
/// where there is one that says the same.
pub fn command(next: &Next) -> String {
    let short = next.arguments.as_object().and_then(|all| {
        let words = short(&next.tool, all)?;
        Some(format!("rookery {}", words.join(" ")))
    });
    short.unwrap_or_else(|| {
        let arguments = next.arguments.to_string();
        format!("rookery call {} {}", next.tool, quoted(&arguments))
    })
}

/// The words of the command that has a tool's place. None where it cannot say all of `arguments`.
fn short(tool: &str, arguments: &Map<String, Value>) -> Option<Vec<String>> {
    let text = |name: &str| arguments.get(name)?.as_str().map(word);
    let says_all = |names: &[&str]| arguments.keys().all(|name| names.contains(&name.as_str()));
    let of = |command: &str, name: &str| Some(vec![command.to_owned(), text(name)?]);
    match tool {
        "run" if says_all(&["project_dir", "timeout"]) => {
            let mut words = of("run", "project_dir")?;
            if let Some(timeout) = arguments.get("timeout") {
                words.extend(["--timeout".to_owned(), timeout.to_string()]);
            }
            Some(words)
        }
        "rehost" if says_all(&["project_dir", "goal", "sure", "backend"]) => {
            let mut words = of("rehost", "project_dir")?;
            if let Some(port) = arguments.get("goal").and_then(|goal| goal.get("port")) {
                words.extend(["--port".to_owned(), port.to_string()]);
            }
            if let Some(sure) = text("sure") {
                words.extend(["--sure".to_owned(), sure]);
            }
            if let Some(backend) = text("backend") {
                words.extend(["--backend".to_owned(), backend]);
            }
            Some(words)
        }
        "run_wait" if says_all(&["run_id", "wait_s"]) => of("attach", "run_id"),
        "run_stop" if says_all(&["run_id"]) => of("stop", "run_id"),
        "init_project" if says_all(&["rootfs", "output"]) => {
            let mut words = of("init", "rootfs")?;
            words.extend(["-o".to_owned(), text("output")?]);
            Some(words)
        }
        _ => None,
    }
}

/// One word of a shell.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=,".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_shell_reads_the_arguments_as_they_are() {
        let next = Next::call("set_env", json!({"key": "it's; rm -rf $HOME `x` \\"}));
        let line = command(&next).replacen("rookery call", "printf '%s\\n'", 1);
        let output = std::process::Command::new("sh")
            .args(["-c", &line])
            .output();
        let printed = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(printed, format!("set_env\n{}\n", next.arguments));
    }

    #[test]
    fn a_call_that_has_a_command_of_its_own_is_told_as_that() {
        for (tool, arguments, line) in [
            ("run", json!({"project_dir": "fw"}), "rookery run fw"),
            (
                "run",
                json!({"project_dir": "a b", "timeout": 9}),
                "rookery run 'a b' --timeout 9",
            ),
            (
                "run",
                json!({"project_dir": "fw", "backend": "user"}),
                r#"rookery call run '{"project_dir":"fw","backend":"user"}'"#,
            ),
            ("run_stop", json!({"run_id": "r"}), "rookery stop r"),
            (
                "rehost",
                json!({"project_dir": "fw", "goal": {"port": 80}, "sure": "low",
                       "backend": "penguin"}),
                "rookery rehost fw --port 80 --sure low --backend penguin",
            ),
        ] {
            assert_eq!(command(&Next::call(tool, arguments)), line);
        }
    }
}
