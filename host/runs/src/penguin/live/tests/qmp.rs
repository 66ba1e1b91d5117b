use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::files;
use crate::penguin::live::qmp::state;

/// Lines as QEMU 7.2 sends them: a greeting, and events between the answers.
const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": ["oob"]}}"#;
const EVENT: &str = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}"#;
const PAUSED: &str = r#"{"return": {"status": "paused", "singlestep": false, "running": false}}"#;

const RUNNING: &str = r#"{"return": {"status": "running", "running": true}}"#;

/// A peer that sends the greeting, and answers each line with these.
fn said(answers: &'static [&'static str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path(), "");
    let listener = UnixListener::bind(files.results_dir.join("qmp.sock")).unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(&stream).lines();
        let _ = writeln!(&stream, "{GREETING}\r");
        for answer in answers {
            let _ = lines.next();
            let _ = writeln!(&stream, "{EVENT}\r\n{answer}\r");
        }
    });
    state(&files)
}

#[test]
fn why_a_guest_is_silent_is_asked_of_qemu() {
    assert!(said(&[r#"{"return": {}}"#, PAUSED]).contains("does not run: paused"));
    assert!(said(&[r#"{"return": {}}"#, RUNNING]).contains("the machine runs"));
    for nothing in [
        &[][..],
        &[r#"{"error": {"class": "CommandNotFound", "desc": "x"}}"#],
        &[
            r#"{"return": {}}"#,
            r#"{"return": {"status": "a b\u001b"}}"#,
        ],
        &["not JSON"],
    ] {
        assert_eq!(said(nothing), "", "{nothing:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(state(&files(directory.path(), "")), "", "no such socket");
}

#[test]
#[ignore = "needs Debian's qemu-system-mips"]
fn qemu_itself_is_understood() {
    let directory = tempfile::tempdir().unwrap();
    let files = files(directory.path(), "");
    let socket = files.results_dir.join("qmp.sock");
    let mut qemu = Command::new("qemu-system-mips")
        .args(["-M", "none", "-S", "-display", "none", "-qmp"])
        .arg(format!("unix:{},server=on,wait=off", socket.display()))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut said = String::new();
    while said.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
        said = state(&files);
    }
    let _ = qemu.kill();
    let _ = qemu.wait();
    assert!(said.contains("does not run: prelaunch"), "{said}");
}
