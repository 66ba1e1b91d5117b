//! What the operator decides: what a plugin from elsewhere may do, and whether calls are recorded.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use rookery_tests::session::Options;
use rookery_tests::{Session, places};
use serde_json::{Value, json};

/// A server whose only plugins are these built-in ones, copied to a directory of the operator's.
fn elsewhere(root: &Path, plugins: &[&str]) -> Result<Options> {
    let folder = root.join("elsewhere");
    std::fs::create_dir(&folder)?;
    for plugin in plugins {
        let file = format!("{plugin}.wasm");
        std::fs::copy(
            places::dist().join("plugins").join(&file),
            folder.join(&file),
        )?;
    }
    let mut options = Options::new(root);
    options.plugins = vec![folder];
    Ok(options)
}

#[tokio::test]
async fn a_plugin_from_elsewhere_only_reads_until_the_policy_grants_it_more() -> Result<()> {
    let root = tempfile::tempdir()?;
    let mut options = elsewhere(root.path(), &["missing_env", "set_env"])?;
    let client = Session::with(&options).await?;
    assert_eq!(client.tools().await?, ["missing_env"]);
    let line = "put under [plugin.\"set_env\"]: grant = [\"config-mutation\"]";
    client.logs(line).await?;
    client.close().await?;

    let policy = root.path().join("policy.toml");
    std::fs::write(
        &policy,
        "[plugin.\"set_env\"]\ngrant = [\"config-mutation\"]\n[plugin.mising_env]\n",
    )?;
    options.arguments = vec!["--policy".to_owned(), policy.to_string_lossy().into_owned()];
    let client = Session::with(&options).await?;
    assert_eq!(client.tools().await?, ["missing_env", "set_env"]);
    client
        .logs("did you mean [plugin.\"missing_env\"]?")
        .await?;
    client.close().await
}

#[tokio::test]
async fn every_call_is_recorded_where_the_operator_asks_for_it() -> Result<()> {
    let root = tempfile::tempdir()?;
    let file = root.path().join("audit.jsonl");
    let mut options = Options::new(root.path()).with_test_plugins();
    options.arguments = vec!["--audit".to_owned(), file.to_string_lossy().into_owned()];
    for _ in 0..2 {
        let client = Session::with(&options).await?;
        client.ok("echo", json!({"message": "secret"})).await?;
        client.error("panics", json!({})).await?;
        client.close().await?;
    }
    let text = std::fs::read_to_string(&file)?;
    assert!(
        !text.contains("secret"),
        "arguments are recorded by their digest"
    );
    let lines: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let calls: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "call")
        .map(|line| {
            (
                line["tool"].as_str().unwrap_or(""),
                line["outcome"].as_str().unwrap_or(""),
            )
        })
        .collect();
    let (echo, panics) = (("echo", "ok"), ("panics", "trap"));
    assert_eq!(calls, [echo, panics, echo, panics]);
    assert_eq!(std::fs::metadata(&file)?.mode() & 0o777, 0o600);
    Ok(())
}
