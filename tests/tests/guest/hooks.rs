//! Hooks of calls in a guest of the embedded emulator, which is real: of calls that the supervisor
//! is asked about, and of processes that are traced.

use std::fs;
use std::ops::Deref;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rookery_tests::processes;
use serde_json::{Value, json};

use crate::demo_guest::{DemoGuest, PATIENCE};

/// A guest whose calls are hooked.
struct Guest(DemoGuest);

impl Deref for Guest {
    type Target = DemoGuest;

    fn deref(&self) -> &DemoGuest {
        &self.0
    }
}

impl Guest {
    async fn start() -> Result<Self> {
        DemoGuest::start().await.map(Self)
    }

    async fn hook(&self, more: Value) -> Result<Value> {
        self.client.ok("guest_hook", self.arguments(more)).await
    }

    async fn add(&self, at: &str, action: &str, process: &str) -> Result<u64> {
        let add = json!({"op": "add", "at": at, "action": action, "process": process});
        self.hook(add).await?["hook_id"].as_u64().context("a hook")
    }

    async fn read(&self, hook: u64) -> Result<String> {
        let read = self
            .hook(json!({"op": "read", "hook_id": hook, "offset": -8000}))
            .await?;
        Ok(read["text"].as_str().unwrap_or_default().to_owned())
    }

    /// What a hook has printed, once that is `wanted`.
    async fn until(&self, hook: u64, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let start = std::time::Instant::now();
        loop {
            let text = self.read(hook).await?;
            if wanted(&text) {
                return Ok(text);
            }
            ensure!(start.elapsed() < PATIENCE, "the hook has printed: {text}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn end(self) -> Result<()> {
        self.stop().await?;
        self.0.client.close().await
    }
}

async fn calls_that_the_supervisor_sees_are_printed_and_functions_are_declined() -> Result<()> {
    let guest = Guest::start().await?;
    let hook = guest.add("sys_openat", "print %fd, %s, %x", "cat").await?;
    guest.command("cat /etc/passwd /no/such; ls /").await?;
    let text = guest.read(hook).await?;
    assert!(
        text.contains("sys_openat(-100(/), \"/no/such\", "),
        "{text}"
    );
    assert!(text.lines().all(|line| line.starts_with("cat:")), "{text}");

    let listed = guest.hook(json!({"op": "list"})).await?;
    assert_eq!(listed["hooks"][0]["target"], "sys_openat", "{listed}");
    let offered: Vec<_> = (0..3).map(|way| &listed["ways"][way]["offered"]).collect();
    assert_eq!(offered, [true, true, false], "{listed}");
    for (at, why) in [
        ("sys_mprotect", "name the processes to trace"),
        ("sys_mmap2", "sys_mmap here"),
        ("/lib/libc.so.0:strlen", "uprobe"),
    ] {
        let add = guest.arguments(json!({"op": "add", "at": at, "action": "print %d"}));
        let refused = guest.client.error("guest_hook", add).await?;
        assert!(refused.contains(why), "{at}: {refused}");
    }
    let removed = guest.hook(json!({"op": "remove", "hook_id": hook})).await?;
    assert_eq!(removed["removed"], json!([hook]));
    guest.end().await
}

async fn a_process_is_traced_from_its_first_call_on_with_results() -> Result<()> {
    let guest = Guest::start().await?;
    guest.command("echo sieben > /etc/seven").await?;
    let read = guest
        .add("sys_read", "print %fd, %p, %u = %d", "wc")
        .await?;
    let opened = guest.add("sys_openat", "print %fd, %s = %d", "wc").await?;
    let ended = guest.add("sys_exit_group", "print %d", "wc").await?;
    let said = guest.command("wc -c /etc/seven; wc -c /no/such").await?;
    let text = guest
        .until(read, |text| text.contains("(/etc/seven)"))
        .await?;
    let of_file = |line: &&str| line.contains("(/etc/seven)");
    let results: Vec<_> = text
        .lines()
        .filter(of_file)
        .filter_map(|line| line.rsplit_once(" = "))
        .map(|(_, result)| result)
        .collect();
    assert_eq!(results, ["7", "0"], "{said}\n{text}");
    let text = guest
        .until(opened, |text| text.contains("/no/such"))
        .await?;
    assert!(text.contains("\"/no/such\") = -2\n"), "{text}");
    let text = guest.until(ended, |text| text.contains("(1)")).await?;
    assert!(text.contains("sys_exit_group(0)\n"), "{text}");
    // Others are left alone.
    guest
        .command("ls /etc; cat /etc/seven; wc -c /etc/seven")
        .await?;
    assert!(
        guest
            .read(read)
            .await?
            .lines()
            .all(|line| line.starts_with("wc:"))
    );
    let file = format!("router/results/latest/rookery_hook_{opened}.log");
    let file = guest.root().join(file);
    let logged = processes::eventually(PATIENCE, || {
        fs::read_to_string(&file).is_ok_and(|log| log.contains("\"/no/such\") = -2\n"))
    });
    assert!(logged, "{} lacks it", file.display());
    guest.end().await
}

async fn a_process_that_runs_is_traced_and_left_as_it_was() -> Result<()> {
    let guest = Guest::start().await?;
    let said = guest
        .command("ln -s /bin/busybox /tmp/yes; (exec /tmp/yes >/dev/null) & echo $!")
        .await?;
    let pid = said["stdout"]
        .as_str()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let hook = guest
        .add("sys_write", "print %fd, %s, %d = %d", "yes")
        .await?;
    let is_output = |line: &str| line.contains("sys_write(1(/dev/null), \"y");
    guest
        .until(hook, |text| text.lines().any(is_output))
        .await?;
    // Signals and job control reach it as ever.
    let status = format!("kill -STOP {pid}; sleep 1; grep State: /proc/{pid}/status");
    let said = guest.command(&status).await?;
    let state = said["stdout"].as_str().unwrap_or_default();
    assert!(
        state.contains("stopped") || state.contains("tracing stop"),
        "{said}"
    );
    let printed = async || {
        let listed = guest.hook(json!({"op": "list"})).await?;
        anyhow::Ok(listed["hooks"][0]["bytes"].as_u64().unwrap_or(0))
    };
    let before = printed().await?;
    guest.command("sleep 1").await?;
    assert_eq!(printed().await?, before, "it wrote while it was stopped");
    guest.command(&format!("kill -CONT {pid}")).await?;
    let start = std::time::Instant::now();
    while printed().await? == before {
        ensure!(start.elapsed() < PATIENCE, "it did not go on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    guest.hook(json!({"op": "remove"})).await?;
    let said = guest
        .command(&format!("kill {pid}; sleep 1; kill -0 {pid}"))
        .await?;
    assert_ne!(said["exit_code"], 0, "{said}");
    guest.end().await
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        calls_that_the_supervisor_sees_are_printed_and_functions_are_declined,
        a_process_is_traced_from_its_first_call_on_with_results,
        a_process_that_runs_is_traced_and_left_as_it_was,
    ]
}
