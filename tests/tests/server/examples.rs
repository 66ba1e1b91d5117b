//! What `rookery plugins new` writes is admitted beside the built-in tools and answers, in every
//! language. The components are built by `scripts/try-new-tools`: JavaScript's by `.ci/run`, all by
//! `.ci/full`.

use anyhow::{Context, Result};
use rookery_tests::session::Options;
use rookery_tests::{Session, places};
use serde_json::{Value, json};

/// Each is a new tool, and its component's name.
const OTHERS: [&str; 5] = ["rust", "c", "typescript", "python", "go"];

/// The component of a new tool.
fn built(example: &str) -> Result<std::path::PathBuf> {
    let file = places::dist()
        .join("examples")
        .join(format!("{example}.wasm"));
    file.exists()
        .then_some(file)
        .with_context(|| format!("{example} is not built; run scripts/try-new-tools"))
}

/// A server with one example beside the built-in tools, and a project with a run that had trouble.
async fn beside_the_built_in_tools(root: &std::path::Path, example: &str) -> Result<Session> {
    let results = root.join("router/results/0");
    std::fs::create_dir_all(&results)?;
    std::fs::write(root.join("router/config.yaml"), "core: {}\n")?;
    std::fs::write(
        results.join("console.log"),
        "booting\nhttpd: board not found\n",
    )?;
    let folder = root.join("plugins");
    std::fs::create_dir(&folder)?;
    std::fs::copy(built(example)?, folder.join(format!("{example}.wasm")))?;
    let mut options = Options::new(root);
    options.plugins.push(folder);
    options.fill_cache()?;
    Session::with(&options).await
}

/// It is listed, finds the trouble, and passes on what the host says.
async fn is_admitted_and_finds_the_trouble(example: &str) -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = beside_the_built_in_tools(root.path(), example).await?;
    let tools = client.definitions().await?;
    let of_it = |definition: &Value| definition["_meta"]["rookery/plugin"]["name"] == example;
    let (tool, _) = tools
        .iter()
        .find(|(_, definition)| of_it(definition))
        .with_context(|| format!("{example} is not admitted: {}", client.log()))?;
    let found = client.ok(tool, json!({"project_dir": "router"})).await?;
    assert!(
        found.to_string().contains("httpd: board not found"),
        "{example}: {found}"
    );
    let refused = client
        .error(tool, json!({"project_dir": "nowhere"}))
        .await?;
    assert!(refused.contains("nowhere"), "{example}: {refused}");
    client.close().await
}

#[tokio::test]
#[ignore = "needs scripts/try-new-tools javascript"]
async fn a_new_tool_in_javascript_is_admitted_and_finds_the_trouble() -> Result<()> {
    is_admitted_and_finds_the_trouble("javascript").await
}

#[tokio::test]
#[ignore = "needs scripts/try-new-tools"]
async fn a_new_tool_in_each_other_language_is_admitted_and_finds_the_trouble() -> Result<()> {
    for example in OTHERS {
        is_admitted_and_finds_the_trouble(example).await?;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs scripts/try-new-tools"]
async fn what_python_says_of_a_defect_reaches_the_agent() -> Result<()> {
    let root = tempfile::tempdir()?;
    let client = beside_the_built_in_tools(root.path(), "python-defect").await?;
    let text = client
        .error("try_python", json!({"project_dir": "router"}))
        .await?;
    for words in [
        "Traceback (most recent call last)",
        "in call",
        "KeyError: 'a defect'",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    client.close().await
}
