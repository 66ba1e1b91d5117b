//! Components that were built once keep loading: the contract only grows.

use std::process::Command;

use anyhow::{Result, ensure};
use rookery_tests::session::Options;
use rookery_tests::{Session, places};
use serde_json::{Value, json};

/// The tools of `tests/components`, each with its file and the digest of that: they are never built
/// again.
const ONCE: &[(&str, &str, &str)] = &[
    (
        "trouble_c",
        "trouble_c-0.1.0.wasm",
        "873af2adc9277ec9ecd3131be8a5a38a0bd273cd16b03b892b4e8fa046b5fe47",
    ),
    (
        "once_c",
        "once_c-0.1.1.wasm",
        "d7b3bc35ac0e05811cfe3d829a391b77c1968900dff495e98658df7ee75b0544",
    ),
    (
        "once_go",
        "once_go-0.1.1.wasm",
        "986845b173636a0e11011ffdba3d150cc2fa1a5996366e5d85446007e1205178",
    ),
    (
        "once_rust",
        "once_rust-0.1.1.wasm",
        "f27d755452873578ceaa1e2d9a243390ec2451cd9d81a2f27f214e5125034ad6",
    ),
];

#[tokio::test]
async fn a_component_of_an_earlier_contract_is_admitted_and_answers() -> Result<()> {
    let folder = places::workspace().join("tests/components");
    let mut check = Command::new(places::dist().join("rookery"));
    check.args(["plugins", "check", "--json"]);
    check.env("ROOKERY_CACHE_DIR", places::dist().join("cache"));
    for (_, file, _) in ONCE {
        check.arg(folder.join(file));
    }
    let output = check.output()?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(report["rejected"], json!([]), "{report}");
    let plugins = report["plugins"].as_array().cloned().unwrap_or_default();
    for (tool, _, digest) in ONCE {
        let is_same = |plugin: &&Value| plugin["tools"][0] == *tool && plugin["digest"] == *digest;
        ensure!(
            plugins.iter().any(|plugin| is_same(&plugin)),
            "{tool}: {report}"
        );
    }

    let root = tempfile::tempdir()?;
    let results = root.path().join("router/results/0");
    std::fs::create_dir_all(&results)?;
    std::fs::write(root.path().join("router/config.yaml"), "core: {}\n")?;
    std::fs::write(results.join("console.log"), "httpd: board not found\n")?;
    let mut options = Options::new(root.path());
    options.plugins = vec![folder];
    options.fill_cache()?;
    let client = Session::with(&options).await?;
    for (tool, ..) in ONCE {
        let found = client.ok(tool, json!({"project_dir": "router"})).await?;
        ensure!(
            found.to_string().contains("httpd: board not found"),
            "{tool}: {found}"
        );
    }
    client.close().await
}
