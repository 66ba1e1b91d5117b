//! Models of files that are changed while the guest runs, and kept once they helped.

use std::ops::Deref;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::demo_guest::{DemoGuest, PATIENCE};

/// A guest whose models are changed.
struct Guest(DemoGuest);

impl Deref for Guest {
    type Target = DemoGuest;

    fn deref(&self) -> &DemoGuest {
        &self.0
    }
}

impl Guest {
    async fn start() -> Result<Self> {
        let guest = DemoGuest::start().await?;
        let make = json!({"rootfs": "rootfs.tar.gz", "output": "other"});
        guest.client.ok("init_project", make).await?;
        Ok(Self(guest))
    }

    /// What a line of shell prints.
    async fn prints(&self, line: &str) -> Result<String> {
        let said = self.command(line).await?;
        Ok(said["stdout"].as_str().unwrap_or_default().to_owned())
    }

    async fn model(&self, read: &Value) -> Result<Value> {
        let file = json!({
            "project_dir": "router", "run_id": self.run_id, "path": "/dev/panel", "read": read,
        });
        self.client.ok("add_pseudofile", file).await
    }
}

async fn a_program_that_waits_for_a_device_goes_on_when_its_model_is_changed() -> Result<()> {
    let guest = Guest::start().await?;
    let waits = "(until [ \"$(cat /dev/panel 2>/dev/null)\" = ready ]; do sleep 0.1; done; \
                 echo up >/tmp/up) >/dev/null 2>&1 & ls /dev/panel; cat /dev/panel";
    assert_eq!(guest.prints(waits).await?, "");
    let busy = json!({"model": "const_buf", "val": "busy"});
    let told = guest.model(&busy).await?;
    let warnings = told["warnings"].to_string();
    assert!(warnings.contains("only the running guest"), "{told}");
    let seen = "ls /dev/panel; cat /dev/panel; cat < /dev/panel; cat /tmp/up";
    assert_eq!(guest.prints(seen).await?, "/dev/panel\nbusybusy");
    guest
        .model(&json!({"model": "const_buf", "val": "ready"}))
        .await?;
    let start = Instant::now();
    while guest.prints("cat /tmp/up").await? != "up\n" {
        ensure!(start.elapsed() < PATIENCE, "the program still waits");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What is not named stays.
    let file = json!({
        "project_dir": "router", "run_id": guest.run_id, "path": "/dev/panel", "write": "discard",
    });
    guest.client.ok("add_pseudofile", file).await?;
    assert_eq!(
        guest.prints("echo 1 > /dev/panel; cat /dev/panel").await?,
        "ready"
    );

    let patch = guest
        .client
        .ok("show_patch", json!({"project_dir": "router"}))
        .await?;
    assert!(!patch.to_string().contains("/dev/panel"), "{patch}");
    let kept = json!({
        "project_dir": "router", "path": "/dev/panel",
        "read": {"model": "const_buf", "val": "ready"},
    });
    guest.client.ok("add_pseudofile", kept).await?;
    let patch = guest
        .client
        .ok("show_patch", json!({"project_dir": "router"}))
        .await?;
    assert!(patch.to_string().contains("/dev/panel"), "{patch}");
    guest.0.client.close().await
}

async fn what_a_running_guest_cannot_follow_is_refused_and_changes_nothing() -> Result<()> {
    let guest = Guest::start().await?;
    let refused = async |more: Value, why: &str| {
        let mut file = json!({
            "project_dir": "router", "run_id": guest.run_id, "path": "/dev/panel", "read": "one",
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut file, more) {
            all.extend(more);
        }
        let said = guest.client.error("add_pseudofile", file).await?;
        ensure!(said.contains(why), "{said}");
        Ok(())
    };
    refused(json!({"project_dir": "other"}), "no run of").await?;
    refused(json!({"run_id": "run-none-1"}), "run-none-1").await?;
    refused(json!({"path": "/etc/passwd"}), "/dev").await?;
    refused(json!({"path": "/dev"}), "").await?;
    refused(json!({"read": {"model": "no such"}}), "no such").await?;
    let to_file = json!({"write": {"model": "to_file", "filename": "x"}});
    refused(to_file, "when a run begins").await?;
    assert_eq!(guest.prints("ls /dev/panel; cat /dev/panel").await?, "");
    let tried = json!({
        "project_dir": "router", "run_id": guest.run_id, "path": "/dev/panel", "read": "one",
        "dry_run": true,
    });
    let told = guest.client.ok("add_pseudofile", tried).await?;
    assert_eq!(told["dry_run"], true, "{told}");
    assert_eq!(guest.prints("cat /dev/panel").await?, "");
    guest.stop().await?;
    refused(json!({}), "has ended").await?;
    guest.0.client.close().await
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        a_program_that_waits_for_a_device_goes_on_when_its_model_is_changed,
        what_a_running_guest_cannot_follow_is_refused_and_changes_nothing,
    ]
}
