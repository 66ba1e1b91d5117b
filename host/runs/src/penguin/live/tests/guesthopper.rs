//! A stand-in for `vhost-device-vsock` with guesthopper behind it, whose guest is this machine's
//! shell: it reads a command once, gives up after its time with an empty answer, waits for the
//! command before it reads what that prints, and has no answer for what is not UTF-8.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(super) struct Guesthopper {
    pub(super) socket: PathBuf,
    pub(super) asked: Arc<AtomicUsize>,
}

/// What it does wrong beside what it always does.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Fault {
    #[default]
    None,
    /// The first command is executed, and its answer is lost.
    LosesTheFirst,
    /// No command is answered, nor the connection closed.
    Hangs,
    /// Nobody listens at the guest's port.
    Absent,
}

impl Guesthopper {
    pub(super) fn start(directory: &Path, shell: &str, limit: Duration, fault: Fault) -> Self {
        let socket = directory.join("vsocket");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, shell) = (Arc::clone(&asked), shell.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (count, shell) = (Arc::clone(&count), shell.clone());
                std::thread::spawn(move || serve(&stream.unwrap(), &shell, limit, fault, &count));
            }
        });
        Self { socket, asked }
    }

    pub(super) fn runtime(&self) -> String {
        let socket = self.socket.display();
        format!("guest_cmd: true\nvpn_enabled: true\nvsock_uds_path: {socket}\n")
    }
}

fn serve(stream: &UnixStream, shell: &str, limit: Duration, fault: Fault, count: &AtomicUsize) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    if line != "CONNECT 12341234\n" || fault == Fault::Absent {
        return;
    }
    (&*stream).write_all(b"OK 12341234\n").unwrap();
    let mut command = vec![0; 64 << 10];
    let Ok(length @ 1..) = reader.read(&mut command) else {
        return;
    };
    command.truncate(length);
    if fault == Fault::Hangs {
        std::thread::sleep(Duration::from_mins(1));
    }
    let first = count.fetch_add(1, Ordering::SeqCst) == 0;
    let answer = execute(shell, &command, limit);
    if let Some(answer) = answer
        && !(first && fault == Fault::LosesTheFirst)
    {
        let _ = (&*stream).write_all(answer.as_bytes());
    }
}

/// The answer to a command; none where guesthopper's task panics.
fn execute(shell: &str, command: &[u8], limit: Duration) -> Option<String> {
    let mut words = shell.split(' ');
    let mut child = Command::new(words.next().unwrap())
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let _ = input.write_all(command);
    let _ = input.write_all(b"\nexit $?\n");
    drop(input);
    let deadline = Instant::now() + limit;
    // What is printed is read only after the end.
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            return Some(r#"{"stdout": "", "stderr": "", "exit_code": 0}"#.to_owned());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    child.stdout.take().unwrap().read_to_end(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut err).unwrap();
    let (out, err) = (String::from_utf8(out).ok()?, String::from_utf8(err).ok()?);
    let answer = serde_json::json!({ "stdout": out, "stderr": err, "exit_code": status.code()? });
    Some(answer.to_string())
}
