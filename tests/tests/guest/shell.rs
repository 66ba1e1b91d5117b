//! The shell as a person uses it: runs are listed, watched and stopped, tools are called, and each
//! command says what comes next.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rookery_tests::{doctor, places};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

struct Shell<'a> {
    home: &'a Path,
}

impl Shell<'_> {
    fn command(&self, args: &[&str]) -> Command {
        self.program(places::dist().join("rookery"), args)
    }

    fn program(&self, program: impl AsRef<OsStr>, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.home)
            .env("HOME", self.home)
            .env("ROOKERY_STATE_DIR", self.home.join("state"))
            .env("ROOKERY_CACHE_DIR", places::dist().join("cache"))
            .stdin(Stdio::null());
        command
    }

    fn output(&self, args: &[&str]) -> Result<Output> {
        Ok(self.command(args).output()?)
    }

    fn done(&self, args: &[&str]) -> Result<String> {
        let output = self.output(args)?;
        ensure!(output.status.success(), "{args:?}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    fn fails(&self, args: &[&str]) -> Result<String> {
        let output = self.output(args)?;
        ensure!(output.status.code() == Some(1), "{args:?}: {output:?}");
        Ok(String::from_utf8(output.stderr)?)
    }

    /// The demo's firmware, which prints a line and goes on.
    fn project(&self) -> Result<()> {
        std::fs::copy(places::demo_rootfs(), self.home.join("router.tar.gz"))?;
        self.done(&["init", "router.tar.gz"]).map(drop)
    }

    /// A run under way that has printed something, and who waits for it.
    fn start(&self) -> Result<Child> {
        let mut command = self.command(&["run", "router", "--timeout", "100"]);
        let run = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let end = Instant::now() + Duration::from_mins(1);
        while Instant::now() < end {
            let logs = self.output(&["logs", "router"])?;
            if String::from_utf8_lossy(&logs.stdout).contains("hardware is not complete") {
                return Ok(run);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        anyhow::bail!("the run has not printed anything")
    }
}

fn interrupt(child: &Child) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(child.id())?).context("a pid")?;
    Ok(kill_process(pid, Signal::INT)?)
}

fn a_run_is_listed_watched_and_stopped_from_another_terminal() -> Result<()> {
    doctor::needs_emulator()?;
    let home = tempfile::tempdir()?;
    let shell = Shell { home: home.path() };
    let none = shell.done(&["ps"])?;
    ensure!(
        none.contains("no run is under way\nnext: rookery run"),
        "{none}"
    );
    shell.project()?;
    let run = shell.start()?;
    let listed: Value = serde_json::from_str(&shell.done(&["ps", "--json"])?)?;
    let id = listed["runs"][0]["run_id"].as_str().context("a run")?;
    let table = shell.done(&["ps"])?;
    ensure!(table.contains(id) && table.contains("of 100 s"), "{table}");
    ensure!(
        table.ends_with(&format!("next: rookery attach {id}\n")),
        "{table}"
    );

    // Ctrl-c ends the watching, and leaves the run alive.
    let random = id.rsplit('-').next().context("an id")?;
    let mut attach = shell.command(&["attach", random]);
    let mut attach = attach
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut first = String::new();
    BufReader::new(attach.stdout.take().context("its output")?).read_line(&mut first)?;
    ensure!(first.starts_with("rcS: "), "{first:?}");
    interrupt(&attach)?;
    let attached = attach.wait_with_output()?;
    ensure!(attached.status.success(), "{attached:?}");
    let said = String::from_utf8(attached.stderr)?;
    ensure!(said.contains(&format!("next: rookery stop {id}")), "{said}");
    ensure!(shell.done(&["ps"])?.contains(id), "the run goes on");

    // Who follows its console sees the end.
    let follows = shell
        .command(&["logs", "router", "--follow"])
        .stdout(Stdio::piped())
        .spawn()?;
    let stopped = shell.done(&["stop", "router"])?;
    ensure!(stopped.contains("stopped: "), "{stopped}");
    ensure!(stopped.contains("next: rookery report "), "{stopped}");
    let followed = String::from_utf8(follows.wait_with_output()?.stdout)?;
    ensure!(
        followed.contains("the front panel does not answer"),
        "{followed}"
    );
    let ended = String::from_utf8(run.wait_with_output()?.stdout)?;
    ensure!(ended.contains("results/0/report.html"), "{ended}");
    ensure!(ended.contains("\nnext: rookery "), "{ended}");
    ensure!(
        shell
            .done(&["stop", "--all"])?
            .contains("no run is under way")
    );
    ensure!(shell.done(&["ps", "--all"])?.contains("stopped"));
    Ok(())
}

fn on_a_terminal_the_console_is_shown_while_the_guest_boots() -> Result<()> {
    doctor::needs_emulator()?;
    let home = tempfile::tempdir()?;
    let shell = Shell { home: home.path() };
    shell.project()?;
    let run = format!(
        "{} run router --timeout 3",
        places::dist().join("rookery").display()
    );
    // It gives a command a terminal.
    let mut script = shell.program("script", &["-qec", &run, "/dev/null"]);
    let shown = script
        .env("TERM", "xterm")
        .output()
        .context("bsdutils has `script`")?;
    ensure!(shown.status.success(), "{shown:?}");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let (console, summary) = (
        shown.find("the front panel does not"),
        shown.find("no service listened"),
    );
    ensure!(console.is_some() && console < summary, "{shown}");
    ensure!(shown.contains("\u{1b}[1m"), "there is colour: {shown}");
    Ok(())
}

fn tools_are_called_with_words_an_object_or_stdin() -> Result<()> {
    let home = tempfile::tempdir()?;
    let shell = Shell { home: home.path() };
    shell.project()?;
    let set = [
        "call",
        "set_env",
        "project_dir=router",
        "key=board_id",
        "value=7",
    ];
    let set = shell.done(&set)?;
    ensure!(set.contains("path: env.board_id"), "{set}");
    ensure!(set.contains("\nnext: rookery run "), "{set}");
    let object = r#"{"project_dir": "router", "key": "a", "value": "b"}"#;
    let set: Value = serde_json::from_str(&shell.done(&["call", "set_env", object, "--json"])?)?;
    ensure!(
        set["next"]["tool"] == "run",
        "scripts get the call as it is: {set}"
    );
    let file = home.path().join("arguments.json");
    std::fs::write(&file, r#"{"project_dir": "router"}"#)?;
    let mut show = shell.command(&["call", "show_patch", "-"]);
    let shown = show.stdin(std::fs::File::open(file)?).output()?;
    let shown = String::from_utf8(shown.stdout)?;
    ensure!(shown.contains("board_id"), "{shown}");
    let shown = shell.done(&["call", "show_patch", "router"])?;
    ensure!(
        shown.contains("board_id"),
        "the project may stand alone: {shown}"
    );
    let listed = shell.done(&["call"])?;
    ensure!(
        listed.contains("\nhealth  ") || listed.contains("\nhealth "),
        "{listed}"
    );
    Ok(())
}

fn a_wrong_call_says_what_is_right() -> Result<()> {
    let home = tempfile::tempdir()?;
    let shell = Shell { home: home.path() };
    let unknown = shell.fails(&["call", "helth"])?;
    ensure!(
        unknown.contains("Did you mean `rookery call health`?"),
        "{unknown}"
    );
    let wrong = shell.fails(&["call", "set_env", "key=a"])?;
    ensure!(wrong.contains("- project_dir (required)"), "{wrong}");
    ensure!(
        wrong.contains("Example: rookery call set_env '{"),
        "{wrong}"
    );
    let missing = shell.fails(&["call", "show_patch", "project_dir=nowhere"])?;
    ensure!(missing.matches("nowhere").count() <= 2, "{missing}");
    for text in [unknown, wrong, missing] {
        ensure!(text.matches("error:").count() == 1, "{text}");
        ensure!(!text.contains("WARN"), "one message for one cause: {text}");
    }
    Ok(())
}

fn the_operators_policy_counts_in_the_shell_too() -> Result<()> {
    let home = tempfile::tempdir()?;
    let shell = Shell { home: home.path() };
    shell.project()?;
    std::fs::write(
        home.path().join("policy.toml"),
        "[serve]\nread_only = true\n",
    )?;
    let set = ["call", "set_env", "project_dir=router", "key=a", "value=b"];
    let refused = shell.fails(&[&set[..], &["--policy", "policy.toml"]].concat())?;
    ensure!(refused.contains("is not served"), "{refused}");
    let other = tempfile::tempdir()?;
    let root = other.path().to_str().context("a path")?;
    let outside = shell.fails(&[&set[..], &["--root", root]].concat())?;
    ensure!(
        outside.contains("no project directory") || outside.contains("outside"),
        "{outside}"
    );
    Ok(())
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        on_a_terminal_the_console_is_shown_while_the_guest_boots,
        a_run_is_listed_watched_and_stopped_from_another_terminal,
        tools_are_called_with_words_an_object_or_stdin,
        a_wrong_call_says_what_is_right,
        the_operators_policy_counts_in_the_shell_too,
    ]
}
