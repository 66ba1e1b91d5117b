//! QEMU's own protocol, where Penguin's plugin qmp opens it: asked only how the machine does, to
//! say why its guest is silent. A line is a JSON object; events come between the answers.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::files::RunFiles;

const SOCKET: &str = "qmp.sock";
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
const LONGEST_LINE: u64 = 64 << 10;
/// Lines that are not the answer.
const MOST_LINES: usize = 100;

/// What QEMU says of the machine, to follow on what a guest did not do; empty where it is not
/// asked.
pub(super) fn state(files: &RunFiles) -> String {
    match ask(files) {
        Some((_, true)) => "; QEMU says that the machine runs".to_owned(),
        Some((status, false)) => format!("; QEMU says that the machine does not run: {status}"),
        None => String::new(),
    }
}

/// The machine's status in QEMU's word, and whether it runs.
fn ask(files: &RunFiles) -> Option<(String, bool)> {
    let stream = files.connect(SOCKET).ok()?;
    let mut peer = Peer::new(stream)?;
    // It greets, and takes nothing but this at first.
    peer.find(|line| line.get("QMP").is_some())?;
    peer.execute("qmp_capabilities")?;
    let status = peer.execute("query-status")?;
    let word = status["status"].as_str()?;
    let known = |c: char| c.is_ascii_lowercase() || c == '-';
    (word.len() <= 40 && word.chars().all(known)).then_some(())?;
    Some((word.to_owned(), status["running"] == true))
}

struct Peer {
    reader: BufReader<UnixStream>,
    deadline: Instant,
}

impl Peer {
    fn new(stream: UnixStream) -> Option<Self> {
        stream.set_write_timeout(Some(ANSWERS_WITHIN)).ok()?;
        Some(Self {
            reader: BufReader::new(stream),
            deadline: Instant::now() + ANSWERS_WITHIN,
        })
    }

    fn execute(&mut self, command: &str) -> Option<Value> {
        let request = format!("{}\n", json!({ "execute": command }));
        let stream = self.reader.get_mut();
        stream.write_all(request.as_bytes()).ok()?;
        let answer = self.find(|line| line.get("return").or(line.get("error")).is_some())?;
        answer.get("return").cloned()
    }

    /// The first line that is wanted.
    fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        for _ in 0..MOST_LINES {
            let left = self.deadline.checked_duration_since(Instant::now())?;
            let left = left.max(Duration::from_millis(1));
            self.reader.get_mut().set_read_timeout(Some(left)).ok()?;
            let mut line = Vec::new();
            let mut bounded = (&mut self.reader).take(LONGEST_LINE);
            bounded.read_until(b'\n', &mut line).ok()?;
            let line: Value = serde_json::from_slice(&line).ok()?;
            if wanted(&line) {
                return Some(line);
            }
        }
        None
    }
}
