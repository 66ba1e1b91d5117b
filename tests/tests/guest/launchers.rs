//! Whoever starts the server, and however: it serves, it ends when it is told to, and a stream that
//! nobody reads holds nothing up.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rookery_tests::session::Options;
use rookery_tests::wire::Wire;
use rookery_tests::{doctor, places, processes};
use serde_json::json;

/// A server in order ends within a second or two; the rest is for a busy machine.
const END: Duration = Duration::from_secs(15);

/// How long a server needs to compile its tools for the first time is not what is tried here.
static COMPILED: Once = Once::new();

fn server(root: &Path) -> Command {
    let options = Options::new(root).with_test_plugins();
    COMPILED.call_once(|| options.compile().expect("the tools can be compiled"));
    options.command().into_std()
}

/// The server's command line behind that of a program that starts it.
fn behind(launcher: &[&str], root: &Path) -> Command {
    let server = server(root);
    let mut command = Command::new(launcher[0]);
    command
        .args(&launcher[1..])
        .arg(server.get_program())
        .args(server.get_args());
    command
}

/// It answers, and a tool of it works.
fn serves(wire: &mut Wire) -> Result<()> {
    wire.greet()?;
    let tools = wire.request("tools/list", &json!({}))?;
    ensure!(
        tools["tools"].as_array().is_some_and(|all| all.len() > 20),
        "{tools}"
    );
    let said = wire.call("echo", &json!({"message": "hello"}))?;
    ensure!(said.to_string().contains("hello"), "{said}");
    Ok(())
}

fn standard_error_that_nobody_reads_holds_nothing_up_and_what_is_lost_is_counted() -> Result<()> {
    let root = tempfile::tempdir()?;
    let mut command = server(root.path());
    command.env("ROOKERY_LOG", "trace").stderr(Stdio::piped());
    let mut wire = Wire::start(command)?;
    wire.greet()?;
    // Far more than the pipe and the queue hold.
    let message = "x".repeat(50_000);
    for _ in 0..60 {
        wire.call("echo", &json!({"message": message}))?;
    }
    let mut stderr = wire.child.stderr.take().context("stderr is piped")?;
    let reader = std::thread::spawn(move || {
        let mut log = String::new();
        let mut chunk = vec![0; 1 << 16];
        while !log.contains("lines of the log were dropped") {
            match stderr.read(&mut chunk) {
                Ok(count @ 1..) => log.push_str(&String::from_utf8_lossy(&chunk[..count])),
                _ => break,
            }
        }
        log
    });
    wire.call("echo", &json!({"message": "still there"}))?;
    let log = reader.join().expect("the reader does not panic");
    ensure!(
        log.contains("lines of the log were dropped"),
        "nothing was said of what was lost"
    );
    Ok(())
}

fn a_server_ends_though_nobody_reads_its_standard_error() -> Result<()> {
    let root = tempfile::tempdir()?;
    for by_signal in [true, false] {
        let mut command = server(root.path());
        command.env("ROOKERY_LOG", "trace").stderr(Stdio::piped());
        let mut wire = Wire::start(command)?;
        wire.greet()?;
        for _ in 0..10 {
            wire.call("echo", &json!({"message": "x".repeat(50_000)}))?;
        }
        if by_signal {
            wire.signal("TERM")?;
        } else {
            wire.hang_up();
        }
        ensure!(wire.ended(END)?.success(), "by signal: {by_signal}");
    }
    Ok(())
}

fn an_error_of_the_command_line_ends_it_though_standard_error_is_full() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (reader, mut writer) = std::io::pipe()?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false)?;
    let mut command = Command::new(places::dist().join("rookery"));
    command
        .args(["run", "nothing-here", "--state-dir"])
        .arg(root.path())
        .stderr(writer);
    let mut wire = Wire::start(command)?;
    ensure!(wire.ended(END)?.code() == Some(1));
    drop(reader);
    Ok(())
}

fn standard_error_that_is_closed_or_on_a_full_disk_harms_nothing() -> Result<()> {
    let root = tempfile::tempdir()?;
    for redirection in ["2>&-", "2>/dev/full"] {
        let start = format!("exec \"$@\" {redirection}");
        let mut command = behind(&["sh", "-c", &start, "sh"], root.path());
        command.env("ROOKERY_LOG", "trace");
        let mut wire = Wire::start(command)?;
        serves(&mut wire).context(redirection)?;
        wire.hang_up();
        ensure!(wire.ended(END)?.success(), "{redirection}");
    }
    Ok(())
}

fn a_signal_ends_a_server_whose_answers_nobody_reads() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (reader, writer) = std::io::pipe()?;
    let mut command = server(root.path());
    let (requests, mut client) = std::io::pipe()?;
    let mut child = command
        .stdin(requests)
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()?;
    drop(command);
    let greeting = json!({
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "deaf", "version": "0"}
        }
    });
    writeln!(client, "{greeting}")?;
    writeln!(
        client,
        r#"{{"jsonrpc":"2.0","method":"notifications/initialized"}}"#
    )?;
    for id in 1..40 {
        writeln!(
            client,
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#
        )?;
    }
    // Once the pipe is full, nothing moves any more.
    let full = processes::eventually(END, || {
        rustix::io::ioctl_fionread(&reader).is_ok_and(|bytes| bytes >= 60_000)
    });
    ensure!(full, "the server has not filled its stdout");
    rookery_tests::wire::signal(child.id(), "TERM")?;
    let mut status = None;
    processes::eventually(END, || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    let _ = child.kill();
    ensure!(
        status.is_some_and(|status| status.success()),
        "it has not ended: {status:?}"
    );
    Ok(())
}

fn each_signal_that_asks_for_the_end_ends_it_in_order() -> Result<()> {
    let root = tempfile::tempdir()?;
    // Who runs the tests may have ignored them, as nohup does.
    let usual = ["env", "--default-signal=TERM,INT,HUP"];
    for signal in ["TERM", "INT", "HUP"] {
        let mut wire = Wire::start(behind(&usual, root.path()))?;
        serves(&mut wire)?;
        // A call under way does not hold it up.
        wire.send(&json!({
            "jsonrpc": "2.0",
            "id": 99,
            "method": "tools/call",
            "params": {"name": "slow", "arguments": {"steps": 300, "step_ms": 100}}
        }))?;
        wire.signal(signal)?;
        let status = wire.ended(END).context(signal)?;
        ensure!(status.code() == Some(0), "{signal}: {status}");
    }
    Ok(())
}

/// A launcher that leaves signals blocked and ignored.
const CARELESS: [&str; 3] = [
    "env",
    "--block-signal=TERM,INT,CHLD,PIPE",
    "--ignore-signal=TERM,CHLD,PIPE",
];

fn a_run_ends_in_order_though_the_launcher_ignored_the_end_of_children() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let mut wire = Wire::start(behind(&CARELESS, root.path()))?;
    wire.greet()?;
    fs::copy(places::demo_rootfs(), root.path().join("rootfs.tar.gz"))?;
    wire.call(
        "init_project",
        &json!({"rootfs": "rootfs.tar.gz", "output": "left-over-signals"}),
    )?;
    let run = wire.call(
        "run",
        &json!({"project_dir": "left-over-signals", "timeout": 4}),
    )?;
    ensure!(run["status"] == "finished", "{run}");
    wire.signal("TERM")?;
    ensure!(wire.ended(END)?.success());
    Ok(())
}

fn signals_that_the_launcher_blocked_or_ignored_are_as_usual() -> Result<()> {
    let root = tempfile::tempdir()?;
    let mut wire = Wire::start(behind(&CARELESS, root.path()))?;
    serves(&mut wire)?;
    wire.signal("TERM")?;
    ensure!(wire.ended(END)?.success());
    // Under nohup a closed terminal ends nothing.
    let mut wire = Wire::start(behind(&["env", "--ignore-signal=HUP"], root.path()))?;
    wire.greet()?;
    wire.signal("HUP")?;
    let said = wire.call("echo", &json!({"message": "hello"}))?;
    ensure!(said.to_string().contains("hello"), "{said}");
    Ok(())
}

fn it_serves_in_any_environment() -> Result<()> {
    let root = tempfile::tempdir()?;
    let gone = root.path().join("gone");
    let in_gone = format!(
        "mkdir {0} && cd {0} && rmdir {0} && exec \"$@\"",
        gone.display()
    );
    let crowded = "i=0; while [ $i -lt 500 ]; do export V$i=$(printf %01000d $i); i=$((i+1)); \
        done; exec \"$@\"";
    let launchers: &[&[&str]] = &[
        &["env", "-i"],
        &["env", "HOME=/nonexistent", "PATH="],
        &["env", "HOME=relative", "XDG_CACHE_HOME=relative"],
        &["env", "LC_ALL=nowhere.UTF-7", "LANG="],
        &["sh", "-c", &in_gone, "sh"],
        &["sh", "-c", crowded, "sh"],
        &["sh", "-c", "umask 077; exec \"$@\"", "sh"],
        &["sh", "-c", "umask 000; exec \"$@\"", "sh"],
        &["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"],
        &["sh", "-c", "ulimit -c 0; trap '' PIPE; exec \"$@\"", "sh"],
    ];
    for launcher in launchers {
        let mut command = behind(launcher, root.path());
        command.stderr(Stdio::null());
        let mut wire = Wire::start(command)?;
        serves(&mut wire).with_context(|| format!("behind {launcher:?}"))?;
        wire.hang_up();
        ensure!(
            wire.ended(END)
                .with_context(|| format!("behind {launcher:?}"))?
                .success(),
            "behind {launcher:?}"
        );
    }
    Ok(())
}

fn requests_may_come_from_a_file_and_a_closed_standard_input_is_its_end() -> Result<()> {
    let root = tempfile::tempdir()?;
    let requests = root.path().join("requests");
    fs::write(
        &requests,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{},\"clientInfo\":{\"name\":\"file\",\"version\":\"0\"}}}\n\
         {\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n\
         {\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\"}\n",
    )?;
    let output = server(root.path())
        .stdin(fs::File::open(&requests)?)
        .output()?;
    ensure!(output.status.success());
    let answers = String::from_utf8(output.stdout)?;
    ensure!(
        answers.contains("\"id\":2") && answers.contains("\"run_wait\""),
        "{answers}"
    );

    let closed = behind(&["sh", "-c", "exec \"$@\" <&-", "sh"], root.path()).output()?;
    ensure!(closed.status.success() && closed.stdout.is_empty());
    Ok(())
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        standard_error_that_nobody_reads_holds_nothing_up_and_what_is_lost_is_counted,
        a_server_ends_though_nobody_reads_its_standard_error,
        an_error_of_the_command_line_ends_it_though_standard_error_is_full,
        standard_error_that_is_closed_or_on_a_full_disk_harms_nothing,
        a_signal_ends_a_server_whose_answers_nobody_reads,
        each_signal_that_asks_for_the_end_ends_it_in_order,
        a_run_ends_in_order_though_the_launcher_ignored_the_end_of_children,
        signals_that_the_launcher_blocked_or_ignored_are_as_usual,
        it_serves_in_any_environment,
        requests_may_come_from_a_file_and_a_closed_standard_input_is_its_end,
    ]
}
