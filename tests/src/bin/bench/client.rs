//! A client that costs little itself: lines over pipes, one request at a time.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// One server and its pipes. Killed when dropped.
pub struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next_id: u64,
}

impl Client {
    /// Start a server and shake hands.
    pub fn start(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let input = child.stdin.take().context("stdin is piped")?;
        let output = BufReader::new(child.stdout.take().context("stdout is piped")?);
        let mut client = Self {
            child,
            input,
            output,
            next_id: 0,
        };
        let hello = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "bench", "version": "1"}
        });
        client.request("initialize", &hello)?;
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(client)
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Send a request and wait for its answer.
    pub fn request(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.next_id += 1;
        let id = self.next_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        loop {
            let mut message: Value = serde_json::from_str(&self.line()?)?;
            if message["id"] == id {
                ensure!(
                    message.get("error").is_none(),
                    "{method}: {}",
                    message["error"]
                );
                return Ok(message["result"].take());
            }
        }
    }

    /// Call a tool that must succeed.
    pub fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value> {
        let mut result =
            self.request("tools/call", &json!({"name": tool, "arguments": arguments}))?;
        ensure!(result["isError"] != true, "{tool}: {}", result["content"]);
        Ok(result["structuredContent"].take())
    }

    /// Send a message and wait for nothing.
    pub fn send_only(&mut self, message: &Value) -> Result<()> {
        self.send(message)
    }

    /// The next line, whatever it says.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(
            self.output.read_line(&mut line)? > 0,
            "the server has ended"
        );
        Ok(line)
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let mut line = message.to_string();
        line.push('\n');
        Ok(self.input.write_all(line.as_bytes())?)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Best effort: the process may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
