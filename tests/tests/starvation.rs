//! A plugin delays or starves nobody: whatever it makes the host do, pings and built-in tools are
//! answered meanwhile.
//!
//! Times are generous, since the machine may be busy; `make bench` measures them. A program of its
//! own, because it keeps the machine busy itself.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rookery_tests::session::{Answer, Options};
use rookery_tests::{Session, places};
use serde_json::{Value, json};

/// Nobody waits so long for a ping or a built-in tool.
const LONG: Duration = Duration::from_secs(2);
/// The server's memory, in megabytes.
const MEMORY: u64 = 300;

/// A plugin of `tests/plugins`.
fn plugin(name: &str) -> PathBuf {
    places::dist().join(format!("test-plugins/{name}.wasm"))
}

/// A folder with these files, for `--plugins`.
fn folder(root: &Path, files: &[(String, Vec<u8>)]) -> Result<PathBuf> {
    let folder = root.join("odd");
    std::fs::create_dir(&folder)?;
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes)?;
    }
    Ok(folder)
}

/// `component`, and a part of it that means nothing, so that nobody knows it yet.
fn new_version(mut component: Vec<u8>, mark: u64) -> Vec<u8> {
    let name = format!("mark {mark} {:?}", Instant::now());
    let content = [&[u8::try_from(name.len()).unwrap_or(0)], name.as_bytes()].concat();
    component.extend([0, u8::try_from(content.len()).unwrap_or(0)]);
    component.extend(content);
    component
}

/// A session of the built-in tools and these test plugins only.
async fn session(root: &Path, names: &[&str]) -> Result<Session> {
    let files: Result<Vec<_>> = names
        .iter()
        .map(|name| Ok((format!("{name}.wasm"), std::fs::read(plugin(name))?)))
        .collect();
    let mut options = Options::new(root);
    options.plugins.push(folder(root, &files?)?);
    // Long enough to be in the way, and short enough for a test.
    let policy = root.join("policy.toml");
    std::fs::write(&policy, "[default]\ncpu_ms = 2000")?;
    options.arguments = vec!["--policy".into(), policy.to_string_lossy().into()];
    Session::with(&options).await
}

/// Call `tool` so often at once, and until all have ended ping and call a built-in tool; the
/// answers, and the longest wait.
async fn beside(
    client: &Session,
    tool: &str,
    arguments: &Value,
    times: usize,
) -> Result<(Vec<Answer>, Duration)> {
    let calls: Vec<_> = (0..times)
        .map(|_| client.call(tool, arguments.clone()))
        .collect();
    let calls = futures_util::future::try_join_all(calls);
    tokio::pin!(calls);
    let mut longest = Duration::ZERO;
    loop {
        let others = async {
            let ping = client.ping().await?;
            let begun = Instant::now();
            client
                .call("health", json!({"project_dir": "none"}))
                .await?;
            Ok::<_, anyhow::Error>(ping.max(begun.elapsed()))
        };
        tokio::select! {
            biased;
            waited = others => longest = longest.max(waited?),
            answers = &mut calls => return Ok((answers?, longest)),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_result_that_is_much_work_to_check_ends_as_one_error() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = session(root.path(), &["schemas"]).await?;
    for (tool, words) in [
        ("any_of_result", "would take more than a second"),
        ("pattern_result", "would take more than a second"),
        (
            "enum_result",
            "which fits none of the forms that are allowed there",
        ),
    ] {
        let (answers, longest) = beside(&client, tool, &json!({}), 2).await?;
        for answer in answers {
            ensure!(
                answer.is_error && answer.text.contains(words),
                "{tool}: {}",
                answer.text
            );
            ensure!(
                answer.text.len() < 8192,
                "{tool}: {} bytes",
                answer.text.len()
            );
        }
        ensure!(longest < LONG, "{tool}: {longest:?}");
    }
    for tool in ["unique_result", "large_result"] {
        let (answers, longest) = beside(&client, tool, &json!({}), 4).await?;
        for answer in answers {
            ensure!(!answer.is_error, "{tool}: {}", answer.text);
        }
        ensure!(longest < LONG, "{tool}: {longest:?}");
    }
    ensure!(client.memory_mb()? < MEMORY, "{} MB", client.memory_mb()?);
    client.close().await
}

#[tokio::test]
async fn arguments_that_are_much_work_to_check_end_as_one_error() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = session(root.path(), &["schemas"]).await?;
    for (items, words) in [
        (5_000, "which fits none of the forms that are allowed there"),
        (200_000, "would take more than a second"),
    ] {
        let arguments = json!({"x": vec![1; items]});
        let (answers, longest) = beside(&client, "any_of_arguments", &arguments, 2).await?;
        for answer in answers {
            ensure!(
                answer.is_error && answer.text.contains(words),
                "{items}: {}",
                answer.text
            );
        }
        ensure!(longest < LONG, "{items}: {longest:?}");
    }
    ensure!(client.memory_mb()? < MEMORY, "{} MB", client.memory_mb()?);
    client.close().await
}

#[test]
fn alternatives_that_multiply_are_not_admitted() -> Result<()> {
    let root = tempfile::tempdir()?;
    let mut component = std::fs::read(plugin("schemas"))?;
    let word = b"any-of-depth:7";
    let at = component
        .windows(word.len())
        .position(|window| window == word)
        .context("the plugin holds its depth")?;
    component[at + word.len() - 1] = b'8';
    let file = root.path().join("schemas.wasm");
    std::fs::write(&file, component)?;
    let output = std::process::Command::new(places::dist().join("rookery"))
        .args(["plugins", "check", "--json", "--cache-dir"])
        .arg(places::dist().join("cache"))
        .arg(&file)
        .output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    let reason = report["rejected"][0]["reason"].as_str().unwrap_or_default();
    ensure!(
        reason.contains("256 alternatives") && reason.contains("/properties/x/items/anyOf"),
        "{report}"
    );
    Ok(())
}

#[tokio::test]
async fn instructions_that_cannot_be_interrupted_hold_up_nobody() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = session(root.path(), &["bulk"]).await?;
    for tool in ["bulk_fill", "bulk_copy"] {
        let (answers, longest) = beside(&client, tool, &json!({}), 4).await?;
        for answer in answers {
            ensure!(answer.is_error, "{tool}: {}", answer.text);
        }
        ensure!(longest < LONG, "{tool}: {longest:?}");
    }
    ensure!(client.memory_mb()? < MEMORY, "{} MB", client.memory_mb()?);
    client.close().await
}

#[tokio::test]
async fn plugins_that_take_all_seats_leave_the_built_in_tools_theirs() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = session(root.path(), &["loops", "bulk"]).await?;
    let sleeps = (0..40).map(|_| client.call("sleeps", json!({})));
    let fills = (0..40).map(|_| client.call("bulk_fill", json!({})));
    let hogs = futures_util::future::join_all(sleeps.chain(fills));
    let others = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut longest = Duration::ZERO;
        for _ in 0..20 {
            let begun = Instant::now();
            client
                .call("health", json!({"project_dir": "none"}))
                .await?;
            longest = longest.max(begun.elapsed());
        }
        Ok::<_, anyhow::Error>(longest)
    };
    let longest = tokio::select! {
        _ = hogs => anyhow::bail!("the hogs ended first"),
        longest = others => longest?,
    };
    ensure!(longest < LONG, "{longest:?}");
    client.close().await
}

#[tokio::test]
async fn a_component_that_is_much_work_to_compile_delays_no_list_and_is_remembered() -> Result<()> {
    let root = tempfile::tempdir()?;
    let echo = std::fs::read(plugin("echo"))?;
    let bombs = [
        (
            "a_bomb.wasm".to_owned(),
            new_version([echo.clone(), bomb(1000, 190)].concat(), 1),
        ),
        ("echo.wasm".to_owned(), new_version(echo, 2)),
    ];
    let mut options = Options::new(root.path());
    options.plugins.push(folder(root.path(), &bombs)?);
    let client = Session::with(&options).await?;
    let begun = Instant::now();
    let tools = client.tools().await?;
    ensure!(tools.contains(&"health".to_owned()), "{tools:?}");
    ensure!(
        begun.elapsed() < LONG + Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    // The sound one beside it is compiled, and comes. The change of the list is told beside the
    // answers, not before them.
    client.ok("echo", json!({"message": "here"})).await?;
    if !tools.contains(&"echo".to_owned()) {
        wait_until("the list changes", || client.list_changes() > 0).await?;
    }
    wait_for(&client, "a_bomb.wasm: compiling it needs more than").await?;
    client.close().await?;
    let client = Session::with(&options).await?;
    let tools = client.tools().await?;
    ensure!(tools.contains(&"echo".to_owned()), "{tools:?}");
    wait_for(&client, "found at an earlier start").await?;
    client.close().await
}

#[tokio::test]
async fn components_that_never_say_what_they_are_delay_nobody_and_are_remembered() -> Result<()> {
    let root = tempfile::tempdir()?;
    let asleep = std::fs::read(plugin("asleep"))?;
    let files: Vec<_> = (0..6)
        .map(|n| (format!("asleep_{n}.wasm"), new_version(asleep.clone(), n)))
        .collect();
    let mut options = Options::new(root.path());
    options.plugins.push(folder(root.path(), &files)?);
    let client = Session::with(&options).await?;
    let begun = Instant::now();
    let tools = client.tools().await?;
    ensure!(tools.contains(&"health".to_owned()), "{tools:?}");
    ensure!(
        begun.elapsed() < LONG + Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    for n in 0..6 {
        wait_for(&client, &format!("asleep_{n}.wasm: it could not be asked")).await?;
    }
    client.close().await?;
    let client = Session::with(&options).await?;
    client.tools().await?;
    for n in 0..6 {
        wait_for(&client, &format!("asleep_{n}.wasm: it could not be asked")).await?;
    }
    let log = client.log();
    ensure!(
        log.matches("found at an earlier start").count() == 6,
        "{log}"
    );
    client.close().await
}

/// Wait until the server's log holds `words`.
async fn wait_for(client: &Session, words: &str) -> Result<()> {
    wait_until(words, || client.log().contains(words))
        .await
        .with_context(|| format!("the log: {}", client.log()))
}

/// Wait until something is so, for two minutes at most.
async fn wait_until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    for _ in 0..1200 {
        if is_so() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("{what}: this did not happen")
}

/// A part of a component that is never used: a module whose functions have so many local variables
/// in so many nested loops.
fn bomb(locals: usize, loops: usize) -> Vec<u8> {
    let mut code = [&[1][..], &leb(locals), &[0x7f]].concat();
    for _ in 0..10 {
        code.extend([0x03, 0x40].repeat(loops));
        for local in 1..=locals {
            // local.get, local.get, i32.add, local.set
            code.push(0x20);
            code.extend(leb(local));
            code.push(0x20);
            code.extend(leb(local * 7 % locals + 1));
            code.extend([0x6a, 0x21]);
            code.extend(leb(local * 3 % locals + 1));
        }
        // local.get, br_if, end
        code.extend([0x20, 1, 0x0d, 0, 0x0b].repeat(loops));
    }
    code.push(0x0b);
    let function = [leb(code.len()), code].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 1, 0x7f, 0]),
        section(3, &[4, 0, 0, 0, 0]),
        section(10, &[[4].as_slice(), &function.repeat(4)].concat()),
    ]
    .concat();
    section(1, &module)
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], leb(content.len()).as_slice(), content].concat()
}

fn leb(mut n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(n & 127).unwrap_or(0);
        n >>= 7;
        if n == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 128);
    }
}
