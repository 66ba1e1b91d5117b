//! A client that speaks the protocol by hand, for what a well-behaved client never does: leave a
//! pipe unread, send signals.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

/// Far beyond what a busy machine needs: whoever waits so long waits for ever.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server and the client's ends of its pipes.
pub struct Wire {
    /// The process that was started.
    pub child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    id: u64,
}

impl Wire {
    /// Start `command` with pipes for stdin and stdout, and read what it answers.
    pub fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("stdout is piped")?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            stdin,
            lines,
            id: 0,
        })
    }

    /// The handshake.
    pub fn greet(&mut self) -> Result<()> {
        let client = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "wire", "version": "0"}
        });
        self.request("initialize", &client)?;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))
    }

    /// Send a message.
    pub fn send(&mut self, message: &Value) -> Result<()> {
        let stdin = self.stdin.as_mut().context("stdin was closed")?;
        writeln!(stdin, "{message}").context("the server has closed its stdin")
    }

    /// Send a request and wait for its result.
    pub fn request(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.id += 1;
        let id = self.id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .map_err(|error| anyhow!("no answer to {method}: {error}"))?;
            let mut answer: Value = serde_json::from_str(&line)?;
            if answer["id"] == id {
                ensure!(answer["error"].is_null(), "{method}: {answer}");
                return Ok(answer["result"].take());
            }
        }
    }

    /// Call a tool that must succeed, and give its structured result.
    pub fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        let params = json!({"name": tool, "arguments": arguments});
        let mut result = self.request("tools/call", &params)?;
        ensure!(result["isError"] != true, "{tool}: {result}");
        Ok(result["structuredContent"].take())
    }

    /// Close the server's stdin.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Send the started process a signal, by its name.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(self.child.id(), name)
    }

    /// How the started process ended, which must happen within `patience`.
    pub fn ended(&mut self, patience: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(
                Instant::now() < deadline,
                "it has not ended within {patience:?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Send a process a signal, by its name.
pub fn signal(process: u32, name: &str) -> Result<()> {
    let status = Command::new("kill")
        .args(["-s", name, &process.to_string()])
        .status()?;
    ensure!(status.success(), "kill -s {name} {process}");
    Ok(())
}
