//! A client session with a server of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rmcp::model::{CallToolRequestParams, ClientRequest, PingRequest, ProgressNotificationParam};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::transport::TokioChildProcess;
use rmcp::{ClientHandler, RoleClient, ServiceExt};
use serde_json::Value;

use rookery_harness::places;

/// How to start the server of a session.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--root`
    pub root: PathBuf,
    /// `--plugins`, in order.
    pub plugins: Vec<PathBuf>,
    /// `--state-dir` lies in here.
    pub home: PathBuf,
    /// `--cache-dir`
    pub cache: PathBuf,
    /// What serves: `serve`, or another command that does.
    pub command: Vec<String>,
    /// More arguments of it.
    pub arguments: Vec<String>,
}

impl Options {
    /// Compile what is new, as an operator does who wants every tool in a client's first list,
    /// which waits a second for it: too short for what comes out of Python's tools, and for any on
    /// a busy machine.
    pub fn fill_cache(&self) -> Result<()> {
        let mut list = std::process::Command::new(places::dist().join("rookery"));
        list.args(["plugins", "list", "--cache-dir"])
            .arg(&self.cache)
            .args(&self.arguments);
        for folder in &self.plugins {
            list.arg("--plugins").arg(folder);
        }
        // That some are refused is no failure of this.
        let output = list.output()?;
        anyhow::ensure!(output.status.code().is_some(), "{output:?}");
        Ok(())
    }

    /// A server with the built-in tools for projects below `root`; its state lies in `root/.home`.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            plugins: vec![places::dist().join("plugins")],
            home: root.join(".home"),
            cache: places::dist().join("cache"),
            command: vec!["serve".to_owned()],
            arguments: Vec::new(),
        }
    }

    /// The same with the hostile and test-only tools.
    #[must_use]
    pub fn with_test_plugins(mut self) -> Self {
        self.plugins.push(places::dist().join("test-plugins"));
        self
    }

    /// The server's command line. Compiled code is shared by all tests: compiling it is most of a
    /// first start.
    pub fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(places::dist().join("rookery"));
        command.args(&self.command).arg("--root").arg(&self.root);
        command
            .arg("--state-dir")
            .arg(self.home.join("state"))
            .arg("--cache-dir")
            .arg(&self.cache);
        for folder in &self.plugins {
            command.arg("--plugins").arg(folder);
        }
        command.args(&self.arguments);
        command
    }

    /// Have the tools compiled, so that a server that is started afterwards finds them so.
    pub fn compile(&self) -> Result<()> {
        let mut command = std::process::Command::new(places::dist().join("rookery"));
        command.args(["plugins", "list", "--json", "--cache-dir"]);
        command.arg(places::dist().join("cache"));
        for folder in &self.plugins {
            command.arg("--plugins").arg(folder);
        }
        let listed = command.output()?;
        anyhow::ensure!(listed.status.success(), "plugins list failed");
        Ok(())
    }
}

/// A connected client.
pub struct Session {
    client: RunningService<RoleClient, Client>,
    /// The server's process id.
    pub server: u32,
    stderr: Arc<Mutex<String>>,
}

/// What a tool answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Whether the tool says that it failed.
    pub is_error: bool,
    /// The structured result; null for a failure.
    pub value: Value,
    /// The text: of a failure, what the agent reads.
    pub text: String,
}

/// Collects progress, and counts changes of the list of tools.
#[derive(Debug, Clone, Default)]
struct Client {
    progress: Arc<Mutex<Vec<String>>>,
    list_changes: Arc<AtomicUsize>,
}

impl ClientHandler for Client {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.list_changes.fetch_add(1, Ordering::Relaxed);
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        let text = format!(
            "{:.2} {}",
            progress.progress,
            progress.message.unwrap_or_default()
        );
        self.progress
            .lock()
            .expect("no panic while held")
            .push(text);
    }
}

impl Session {
    /// Start a server with the built-in tools and connect.
    pub async fn new(root: &Path) -> Result<Self> {
        Self::with(&Options::new(root)).await
    }

    /// Start a server and connect.
    pub async fn with(options: &Options) -> Result<Self> {
        let (transport, stderr) = TokioChildProcess::builder(options.command())
            .stderr(Stdio::piped())
            .spawn()
            .context("start the server")?;
        let server = transport.id().context("the server has ended at once")?;
        let stderr = collect(stderr.context("stderr is piped")?);
        let client = Client::default().serve(transport).await.map_err(|e| {
            anyhow!(
                "initialize: {e}\n{}",
                stderr.lock().expect("no panic while held")
            )
        })?;
        Ok(Self {
            client,
            server,
            stderr,
        })
    }

    /// The names of all tools.
    pub async fn tools(&self) -> Result<Vec<String>> {
        Ok(self
            .client
            .list_all_tools()
            .await?
            .into_iter()
            .map(|tool| tool.name.into_owned())
            .collect())
    }

    /// All tools as they are listed, by name.
    pub async fn definitions(&self) -> Result<BTreeMap<String, Value>> {
        let tools = self.client.list_all_tools().await?;
        tools
            .into_iter()
            .map(|tool| Ok((tool.name.to_string(), serde_json::to_value(tool)?)))
            .collect()
    }

    /// Call a tool. `arguments` is an object.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Answer> {
        let Value::Object(arguments) = arguments else {
            anyhow::bail!("arguments of {tool} are no object")
        };
        let result = self
            .client
            .call_tool(CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments))
            .await?;
        let text = result
            .content
            .iter()
            .filter_map(|block| block.as_text())
            .map(|text| text.text.as_str())
            .collect::<Vec<_>>()
            .join("\n");
        Ok(Answer {
            is_error: result.is_error.unwrap_or(false),
            value: result.structured_content.unwrap_or(Value::Null),
            text,
        })
    }

    /// Call a tool that must succeed, and give its structured result.
    pub async fn ok(&self, tool: &str, arguments: Value) -> Result<Value> {
        let answer = self.call(tool, arguments).await?;
        anyhow::ensure!(!answer.is_error, "{tool}: {}", answer.text);
        Ok(answer.value)
    }

    /// Call a tool that must fail, and give what the agent reads.
    pub async fn error(&self, tool: &str, arguments: Value) -> Result<String> {
        let answer = self.call(tool, arguments).await?;
        anyhow::ensure!(answer.is_error, "{tool} succeeded: {}", answer.value);
        Ok(answer.text)
    }

    /// How long the server takes to answer a ping.
    pub async fn ping(&self) -> Result<Duration> {
        let begun = Instant::now();
        let ping = ClientRequest::PingRequest(PingRequest::default());
        self.client.send_request(ping).await?;
        Ok(begun.elapsed())
    }

    /// How often the server said that its tools have changed.
    pub fn list_changes(&self) -> usize {
        self.client.service().list_changes.load(Ordering::Relaxed)
    }

    /// The most memory that the server had so far, in megabytes.
    pub fn memory_mb(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.context("the server has ended")?.trim();
        Ok(kib.trim_end_matches(" kB").parse::<u64>()? * 1024 / 1_000_000)
    }

    /// What the server wrote to its log so far.
    pub fn log(&self) -> String {
        self.stderr.lock().expect("no panic while held").clone()
    }

    /// Wait until the server has logged something that holds `text`: it logs by way of a thread of
    /// its own.
    pub async fn logs(&self, text: &str) -> Result<()> {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !self.log().contains(text) {
            if std::time::Instant::now() > end {
                return Err(anyhow!("{text:?} is not in the log:\n{}", self.log()));
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// The progress notifications so far.
    pub fn progress(&self) -> Vec<String> {
        self.client
            .service()
            .progress
            .lock()
            .expect("no panic while held")
            .clone()
    }

    /// Disconnect and let the server end.
    pub async fn close(self) -> Result<()> {
        self.client.cancel().await?;
        Ok(())
    }
}

fn collect(mut stderr: tokio::process::ChildStderr) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let writer = log.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = tokio::io::AsyncReadExt::read(&mut stderr, &mut buffer).await {
            writer
                .lock()
                .expect("no panic while held")
                .push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    });
    log
}
