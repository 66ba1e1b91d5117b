//! A component that was built once keeps loading: the contract only grows.

use std::process::Command;

use anyhow::Result;
use rookery_tests::session::Options;
use rookery_tests::{Session, places};
use serde_json::{Value, json};

/// The example in C that is now a template, built against the contract as it was in 0.1.0; never
/// built again.
const DIGEST: &str = "873af2adc9277ec9ecd3131be8a5a38a0bd273cd16b03b892b4e8fa046b5fe47";

#[tokio::test]
async fn a_component_of_an_earlier_contract_is_admitted_and_answers() -> Result<()> {
    let folder = places::workspace().join("tests/components");
    let output = Command::new(places::dist().join("rookery"))
        .args(["plugins", "check", "--json"])
        .arg(folder.join("trouble_c-0.1.0.wasm"))
        .output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(report["plugins"][0]["digest"], DIGEST, "{report}");

    let root = tempfile::tempdir()?;
    let results = root.path().join("router/results/0");
    std::fs::create_dir_all(&results)?;
    std::fs::write(root.path().join("router/config.yaml"), "core: {}\n")?;
    std::fs::write(results.join("console.log"), "httpd: board not found\n")?;
    let mut options = Options::new(root.path());
    options.plugins = vec![folder];
    let client = Session::with(&options).await?;
    let found = client
        .ok("trouble_c", json!({"project_dir": "router"}))
        .await?;
    assert!(
        found.to_string().contains("httpd: board not found"),
        "{found}"
    );
    client.close().await
}
