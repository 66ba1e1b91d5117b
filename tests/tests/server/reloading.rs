//! A server that watches its plugins: a changed file takes the old one's place while calls run.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rookery_tests::session::Options;
use rookery_tests::{Session, places};
use serde_json::json;

/// Longer than any reload takes on a busy machine.
const LONG: Duration = Duration::from_mins(1);

fn test_plugin(name: &str) -> PathBuf {
    places::dist().join(format!("test-plugins/{name}.wasm"))
}

/// A watching server whose only plugin is `tool.wasm` in a folder of its own.
struct Watched {
    root: tempfile::TempDir,
    file: PathBuf,
    options: Options,
}

impl Watched {
    fn with(plugin: &str) -> Result<Self> {
        let root = tempfile::tempdir()?;
        let folder = root.path().join("plugins");
        std::fs::create_dir(&folder)?;
        let file = folder.join("tool.wasm");
        std::fs::copy(test_plugin(plugin), &file)?;
        let mut options = Options::new(root.path());
        options.plugins = vec![folder];
        options.arguments = vec!["--watch".to_owned()];
        Ok(Self {
            root,
            file,
            options,
        })
    }

    /// As an installer does it: the file is whole at every moment.
    fn exchange(&self, bytes: &[u8]) -> Result<()> {
        let new = self.root.path().join("new");
        std::fs::write(&new, bytes)?;
        Ok(std::fs::rename(new, &self.file)?)
    }
}

/// The component with a section that says nothing: another file that does the same.
fn version(component: &[u8], n: u8) -> Vec<u8> {
    [component, &[0, 3, 1, b'v', n]].concat()
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !is_so().await? {
        ensure!(begun.elapsed() < LONG, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_plugin_is_served_and_told_of_while_running_calls_end_on_the_old_one()
-> Result<()> {
    let watched = Watched::with("slow")?;
    let client = Session::with(&watched.options).await?;
    assert_eq!(client.tools().await?, ["slow"]);

    let slow = client.ok("slow", json!({"steps": 100, "step_ms": 100}));
    let exchanged = async {
        until("the call's start", async || {
            Ok(!client.progress().is_empty())
        })
        .await?;
        watched.exchange(&std::fs::read(test_plugin("echo"))?)?;
        until("a notification", async || Ok(client.list_changes() > 0)).await?;
        assert_eq!(client.tools().await?, ["echo"]);
        client.ok("echo", json!({"message": "new"})).await
    };
    let (slow, echoed) = tokio::join!(slow, exchanged);
    assert_eq!(slow?["steps"], 100, "a running call ends on the old one");
    assert_eq!(echoed?["message"], "new");

    std::fs::remove_file(&watched.file)?;
    until("the end of the tool", async || {
        Ok(client.tools().await?.is_empty())
    })
    .await?;
    client.logs("its file is not there any more").await?;

    // A file that appears is served, too.
    let other = watched.file.with_file_name("other.wasm");
    std::fs::copy(test_plugin("echo"), other)?;
    until("another tool", async || {
        Ok(client.tools().await? == ["echo"])
    })
    .await?;
    client.close().await
}

#[tokio::test]
async fn a_directory_that_appears_after_the_start_is_watched() -> Result<()> {
    let root = tempfile::tempdir()?;
    let folder = root.path().join("later/plugins");
    let mut options = Options::new(root.path());
    options.plugins.push(folder.clone());
    options.arguments = vec!["--watch".to_owned()];
    let client = Session::with(&options).await?;
    assert!(!client.tools().await?.contains(&"echo".to_owned()));
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(test_plugin("echo"), folder.join("tool.wasm"))?;
    until("the tool", async || {
        Ok(client.tools().await?.contains(&"echo".to_owned()))
    })
    .await?;
    client.ok("echo", json!({"message": "there"})).await?;
    client.close().await?;

    // Without a watch, a directory that is not there is a mistake.
    std::fs::remove_dir_all(&folder)?;
    let refused = std::process::Command::new(places::dist().join("rookery"))
        .args(["serve", "--root"])
        .arg(root.path())
        .arg("--plugins")
        .arg(&folder)
        .output()?;
    assert!(!refused.status.success());
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_would_be_refused_changes_nothing_and_the_log_says_why() -> Result<()> {
    let watched = Watched::with("echo")?;
    let client = Session::with(&watched.options).await?;
    assert_eq!(client.tools().await?, ["echo"]);
    watched.exchange(b"not a component")?;
    client.logs("kept what").await?;
    client.logs("tool.wasm was before").await?;
    client.ok("echo", json!({"message": "old"})).await?;
    assert_eq!(client.list_changes(), 0);
    client.close().await?;

    // With a lock, a sound one is refused too.
    watched.exchange(&std::fs::read(test_plugin("echo"))?)?;
    let desk = tempfile::tempdir()?;
    let folder = desk.path().join("plugins");
    std::fs::rename(watched.file.parent().unwrap_or(Path::new("/")), &folder)?;
    let lock = desk.path().join("lock").to_string_lossy().into_owned();
    let locked = std::process::Command::new(places::dist().join("rookery"))
        .args(["plugins", "lock", "--lock", &lock, "--plugins"])
        .arg(&folder)
        .arg("--cache-dir")
        .arg(&watched.options.cache)
        .output()?;
    ensure!(locked.status.success(), "{locked:?}");
    let mut options = watched.options.clone();
    options.plugins = vec![folder.clone()];
    options.arguments = ["--watch", "--locked", "--lock", &lock]
        .map(str::to_owned)
        .into();
    let client = Session::with(&options).await?;
    assert_eq!(client.tools().await?, ["echo"]);
    std::fs::copy(test_plugin("slow"), folder.join("tool.wasm"))?;
    client.logs("kept what").await?;
    client.logs("`rookery plugins lock`").await?;
    client.ok("echo", json!({"message": "old"})).await?;
    client.close().await
}

#[tokio::test]
async fn no_call_fails_while_its_plugin_is_replaced_ten_times_a_second() -> Result<()> {
    let mut watched = Watched::with("echo")?;
    // What is compiled here is of no use to other tests.
    watched.options.cache = watched.root.path().join("cache");
    watched.options.fill_cache()?;
    let client = Session::with(&watched.options).await?;
    assert_eq!(client.tools().await?, ["echo"]);
    let echo = std::fs::read(test_plugin("echo"))?;
    let done = AtomicBool::new(false);

    let replacing = async {
        for n in 0..80_u8 {
            let bytes = version(&echo, n);
            // Each third one as `cp` does it: for a moment, half of it is there.
            if n.is_multiple_of(3) {
                let (first, rest) = bytes.split_at(bytes.len() / 2);
                std::fs::write(&watched.file, first)?;
                tokio::time::sleep(Duration::from_millis(30)).await;
                let mut file = std::fs::File::options().append(true).open(&watched.file)?;
                file.write_all(rest)?;
            } else {
                watched.exchange(&bytes)?;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        done.store(true, Ordering::Relaxed);
        anyhow::Ok(())
    };
    let calling = async {
        let mut calls = 0;
        while !done.load(Ordering::Relaxed) {
            let message = json!({"message": "x"});
            let (a, b, c) = tokio::join!(
                client.ok("echo", message.clone()),
                client.ok("echo", message.clone()),
                client.ok("echo", message.clone())
            );
            for answer in [a?, b?, c?] {
                assert_eq!(answer["message"], "x");
            }
            calls += 3;
        }
        anyhow::Ok(calls)
    };
    let (replaced, calls) = tokio::join!(replacing, calling);
    replaced?;
    assert!(calls? > 100);
    // The last one is served in the end, and others were before it.
    let last = watched.file.clone();
    until("the last version", async || {
        let listed = client.definitions().await?;
        let digest = sha256(&last)?;
        Ok(listed["echo"].to_string().contains(&digest[..12]))
    })
    .await?;
    let reloads = client.log().matches("reloaded ").count();
    assert!(reloads > 2, "{reloads} reloads: {}", client.log());
    client.close().await
}

/// As `rookery plugins check` tells it.
fn sha256(file: &Path) -> Result<String> {
    let output = std::process::Command::new("sha256sum").arg(file).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
