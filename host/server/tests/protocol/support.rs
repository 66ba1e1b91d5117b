//! A client on in-memory pipes, which says what it wants byte by byte.

use std::time::Duration;

use rookery_server::{LoadError, Loaded, ServeError};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::tools;

/// Nothing takes this long unless it hangs.
pub const LONG: Duration = Duration::from_secs(10);

pub struct Client {
    input: Option<DuplexStream>,
    output: Lines<BufReader<DuplexStream>>,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Client {
    /// A server that has seen nothing yet.
    pub fn new() -> Self {
        Self::with_tools(|| Ok(tools::Fixtures::new().into()))
    }

    /// A server whose tools are what `load` gives.
    pub fn with_tools(
        load: impl FnOnce() -> Result<Loaded<tools::Fixtures>, LoadError> + Send + 'static,
    ) -> Self {
        let (input, server_input) = tokio::io::duplex(1 << 16);
        let (server_output, output) = tokio::io::duplex(1 << 16);
        let server = tokio::spawn(rookery_server::serve(
            load,
            "0.0.0",
            server_input,
            server_output,
            std::future::pending(),
        ));
        Self {
            input: Some(input),
            output: BufReader::new(output).lines(),
            server,
        }
    }

    /// A server after the handshake of `version`.
    pub async fn initialized(version: &str) -> Self {
        let mut client = Self::new();
        let reply = client
            .request(json!(0), "initialize", initialize(version))
            .await;
        assert_eq!(reply["result"]["protocolVersion"], version);
        client.end_handshake().await;
        client
    }

    /// Say that the answer to `initialize` was read.
    pub async fn end_handshake(&mut self) {
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
            .await;
    }

    /// Send a line.
    pub async fn send(&mut self, line: impl AsRef<[u8]>) {
        self.send_raw(line.as_ref()).await;
        self.send_raw(b"\n").await;
    }

    /// Send bytes.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input is open");
        timeout(LONG, input.write_all(bytes))
            .await
            .expect("the server reads")
            .expect("the server is there");
    }

    /// The next message.
    pub async fn receive(&mut self) -> Value {
        let line = timeout(LONG, self.output.next_line())
            .await
            .expect("the server answers")
            .expect("the output is readable");
        serde_json::from_str(&line.expect("the server is there")).expect("stdout carries JSON only")
    }

    /// The ids of the next messages, which come in any order, sorted.
    pub async fn receive_ids(&mut self, count: usize) -> Vec<u64> {
        let mut ids = Vec::with_capacity(count);
        for _ in 0..count {
            ids.push(self.receive().await["id"].as_u64().expect("an id"));
        }
        ids.sort_unstable();
        ids
    }

    /// Whether the server says nothing for a while.
    pub async fn hears_nothing(&mut self) -> bool {
        timeout(Duration::from_millis(300), self.output.next_line())
            .await
            .is_err()
    }

    /// Send a request and receive one message.
    pub async fn request(&mut self, id: Value, method: &str, params: Value) -> Value {
        self.send(
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string(),
        )
        .await;
        self.receive().await
    }

    /// Call a tool and receive one message.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.request(
            json!("call"),
            "tools/call",
            json!({"name": tool, "arguments": arguments}),
        )
        .await
    }

    /// Close the input and leave the output open.
    pub fn close_input(&mut self) {
        drop(self.input.take());
    }

    /// How the server ended.
    pub async fn ended(self) -> Result<(), ServeError> {
        timeout(LONG, self.server)
            .await
            .expect("it ends")
            .expect("no panic")
    }

    /// Close the input, and give what the server still says until it ends.
    pub async fn close(mut self) -> Vec<Value> {
        drop(self.input.take());
        timeout(Duration::from_secs(2), self.server)
            .await
            .expect("it ends soon")
            .expect("no panic")
            .expect("no error");
        let mut rest = Vec::new();
        while let Ok(Ok(Some(line))) =
            timeout(Duration::from_millis(200), self.output.next_line()).await
        {
            rest.push(serde_json::from_str(&line).expect("stdout carries JSON only"));
        }
        rest
    }
}

pub fn initialize(version: &str) -> Value {
    json!({
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"}
    })
}

/// What every request carries in the era without a handshake.
pub fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}
    })
}
