//! A guest of the demo firmware that runs while a test reaches into it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rookery_tests::{Session, doctor, places};
use serde_json::{Value, json};

/// Longer than the slowest machine needs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// It, of the project `router`, and a client of the server that runs it.
pub struct DemoGuest {
    pub client: Session,
    pub run_id: String,
    root: tempfile::TempDir,
}

impl DemoGuest {
    pub async fn start() -> Result<Self> {
        doctor::needs_emulator()?;
        let root = tempfile::tempdir()?;
        fs::copy(places::demo_rootfs(), root.path().join("rootfs.tar.gz"))?;
        let client = Session::new(root.path()).await?;
        let make = json!({"rootfs": "rootfs.tar.gz", "output": "router"});
        client.ok("init_project", make).await?;
        let run = json!({"project_dir": "router", "timeout": 120, "wait_s": 1});
        let run = client.ok("run", run).await?;
        Ok(Self {
            run_id: run["run_id"].as_str().context("a run id")?.to_owned(),
            client,
            root,
        })
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Arguments about this run.
    pub fn arguments(&self, more: Value) -> Value {
        let mut arguments = json!({"run_id": self.run_id});
        if let (Value::Object(all), Value::Object(more)) = (&mut arguments, more) {
            all.extend(more);
        }
        arguments
    }

    /// Run a line of shell in it.
    pub async fn command(&self, line: &str) -> Result<Value> {
        let command = self.arguments(json!({"command": line}));
        self.client.ok("guest_cmd", command).await
    }

    pub async fn stop(&self) -> Result<()> {
        let stop = self.arguments(json!({}));
        self.client.ok("run_stop", stop).await.map(drop)
    }
}
