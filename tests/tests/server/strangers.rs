//! What an agent reads of a plugin that did not come with the program: whose it is, and nothing
//! that passes for a built-in tool.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use rookery_tests::session::Options;
use rookery_tests::{Session, liar, places};
use serde_json::{Value, json};

/// `rookery plugins check` on one file.
fn check(file: &Path, more: &[&str]) -> Result<String> {
    let output = Command::new(places::dist().join("rookery"))
        .args(["plugins", "check", "--cache-dir"])
        .arg(places::dist().join("cache"))
        .args(more)
        .arg(file)
        .output()?;
    Ok(String::from_utf8(output.stdout)?)
}

fn folder(root: &Path, name: &str) -> Result<PathBuf> {
    let folder = root.join(name);
    std::fs::create_dir(&folder)?;
    Ok(folder)
}

fn test_plugin(name: &str) -> PathBuf {
    places::dist().join("test-plugins").join(name)
}

/// A server with these folders of plugins, under this policy.
async fn session(root: &Path, plugins: &[PathBuf], policy: &str) -> Result<Session> {
    let mut options = Options::new(root);
    options.plugins = plugins.to_vec();
    let file = root.join("policy.toml");
    std::fs::write(&file, policy)?;
    options.arguments = vec!["--policy".to_owned(), file.to_string_lossy().into_owned()];
    options.fill_cache()?;
    Session::with(&options).await
}

#[tokio::test]
async fn a_strangers_tool_says_whose_it_is_and_a_built_in_one_does_not() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = Session::with(&Options::new(root.path()).with_test_plugins()).await?;
    let tools = client.definitions().await?;
    assert_eq!(tools["echo"]["title"], "Echo (plugin echo)");
    let report: Value = serde_json::from_str(&check(&test_plugin("echo.wasm"), &["--json"])?)?;
    let digest = &report["plugins"][0]["digest"];
    assert_eq!(
        tools["echo"]["_meta"]["rookery/plugin"],
        json!({"name": "echo", "sha256": digest})
    );
    assert_eq!(tools["health"]["title"], "How the run went");
    assert!(tools["health"].get("_meta").is_none());
    client.close().await
}

#[tokio::test]
async fn no_order_of_folders_gives_a_stranger_the_name_of_a_built_in_tool() -> Result<()> {
    let root = tempfile::tempdir()?;
    let odd = folder(root.path(), "odd")?;
    liar::write(b'a', &odd.join("a.wasm"))?; // its tool is called `run`
    let built_in = places::dist().join("plugins");
    for plugins in [
        vec![odd.clone(), built_in.clone()],
        vec![built_in, odd.clone()],
    ] {
        let client = session(root.path(), &plugins, "").await?;
        let tools = client.definitions().await?;
        assert_eq!(tools["run"]["title"], "Run the firmware");
        client
            .logs("no plugin can take the name of a built-in tool")
            .await?;
        client.close().await?;
    }
    // Nor where the built-in tool is not served.
    let client = session(root.path(), &[odd], "").await?;
    assert!(client.tools().await?.is_empty());
    client.close().await
}

#[tokio::test]
async fn a_name_or_a_text_that_misleads_is_admitted_by_the_line_that_the_refusal_names()
-> Result<()> {
    let root = tempfile::tempdir()?;
    let odd = folder(root.path(), "odd")?;
    for (lie, tool, line) in [
        (b'm', "health_v2", "lookalikes = [\"health_v2\"]"),
        (b'n', "set_env_", "lookalikes = [\"set_env_\"]"),
        (b'o', "liar", "steering = true"),
        (b'p', "liar", "steering = true"),
    ] {
        liar::write(lie, &odd.join("mine.wasm"))?;
        let plugins = [places::dist().join("plugins"), odd.clone()];
        let client = session(root.path(), &plugins, "").await?;
        assert!(!client.tools().await?.contains(&tool.to_owned()), "{tool}");
        client
            .logs(&format!("under [plugin.\"mine\"]: {line}"))
            .await?;
        client.close().await?;
        let client = session(
            root.path(),
            &plugins,
            &format!("[plugin.\"mine\"]\n{line}\n"),
        )
        .await?;
        assert!(
            client.tools().await?.contains(&tool.to_owned()),
            "{tool}: {}",
            client.log()
        );
        client.close().await?;
    }
    Ok(())
}

#[tokio::test]
async fn of_two_strangers_the_first_by_folder_and_file_name_has_the_tool() -> Result<()> {
    let root = tempfile::tempdir()?;
    let (first, second) = (
        folder(root.path(), "first")?,
        folder(root.path(), "second")?,
    );
    for file in [
        first.join("y.wasm"),
        first.join("z.wasm"),
        second.join("a.wasm"),
    ] {
        std::fs::copy(test_plugin("echo.wasm"), file)?;
    }
    let client = session(root.path(), &[first, second], "").await?;
    assert_eq!(
        client.definitions().await?["echo"]["title"],
        "Echo (plugin y)"
    );
    for refused in ["z.wasm", "a.wasm", "y.wasm, which comes first"] {
        client.logs(refused).await?;
    }
    client.close().await
}

#[tokio::test]
async fn annotations_claim_nothing_that_the_imports_disprove() -> Result<()> {
    let root = tempfile::tempdir()?;
    let odd = folder(root.path(), "odd")?;
    std::fs::copy(test_plugin("probe.wasm"), odd.join("probe.wasm"))?;
    let grant = "[plugin.probe]\ngrant = ['config-mutation', 'creation', 'emulation', 'live']\n";
    let client = session(root.path(), &[places::dist().join("plugins"), odd], grant).await?;
    let tools = client.definitions().await?;
    let told = |tool: &str| {
        [
            "readOnlyHint",
            "destructiveHint",
            "idempotentHint",
            "openWorldHint",
        ]
        .map(|hint| tools[tool]["annotations"][hint] == true)
    };
    assert_eq!(told("probe"), [false, true, false, true]);
    // Of `emulation` it imports what only looks.
    assert_eq!(told("run_wait"), [true, false, true, false]);
    for (tool, definition) in &tools {
        let hints = &definition["annotations"];
        assert!(
            hints["readOnlyHint"] != true || hints["destructiveHint"] == false,
            "{tool}: {hints}"
        );
    }
    client.close().await
}

#[test]
fn plugins_check_prints_all_that_an_agent_would_read() -> Result<()> {
    let text = check(&test_plugin("echo.wasm"), &[])?;
    for (place, words) in [
        ("/name", "\"echo\""),
        ("/title", "\"Echo (plugin echo)\""),
        ("/description", "\""),
        ("/inputSchema/properties/message/description", "\""),
        ("/outputSchema/type", "\"object\""),
        ("/annotations/readOnlyHint", "true"),
        ("/_meta/rookery~1plugin/sha256", "\""),
    ] {
        assert!(
            text.contains(&format!("\n  {place}  {words}")),
            "{place}: {text}"
        );
    }
    let value: Value = serde_json::from_str(&check(&test_plugin("echo.wasm"), &["--json"])?)?;
    assert_eq!(value["read_by_agents"]["echo"]["name"], "echo");
    Ok(())
}

#[tokio::test]
async fn a_failed_call_is_in_the_log_at_the_usual_level() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = Session::with(&Options::new(root.path()).with_test_plugins()).await?;
    client.error("panics", json!({})).await?;
    client.ok("echo", json!({"message": "x"})).await?;
    client.logs("a call failed: `panics` crashed").await?;
    client.logs("trap").await?;
    client.close().await
}

#[tokio::test]
async fn a_tool_that_only_reaches_into_runs_needs_no_right_to_start_any() -> Result<()> {
    let root = tempfile::tempdir()?;
    let plugins = folder(root.path(), "more")?;
    std::fs::copy(test_plugin("reaches.wasm"), plugins.join("reaches.wasm"))?;
    let built_in = places::dist().join("plugins");
    let grant = "[plugin.reaches]\ngrant = ['live']\n";
    let client = session(root.path(), &[built_in, plugins], grant).await?;
    let refused = client.error("reaches", json!({"run_id": "run-x"})).await?;
    assert!(refused.contains("run-x"), "{refused}");
    client.close().await
}
