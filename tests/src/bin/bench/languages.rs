//! What a call costs in each language that tools are written in: of the components that are there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use rookery_tests::places;
use serde_json::{Value, json};

use crate::client::Client;
use crate::{Row, median, time};

const CALLS: usize = 300;

/// The tool that `rookery plugins new` writes, which asks the host for two files of a run, in each
/// language: those that were built once, and what `scripts/try-new-tools` has left.
pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    let project = folder.join("languages/router");
    let results = project.join("results/0");
    std::fs::create_dir_all(&results)?;
    std::fs::write(project.join("config.yaml"), "core: {}\n")?;
    std::fs::write(results.join("console.log"), "httpd: board not found\n")?;
    let once = places::workspace().join("tests/components");
    let tried = places::dist().join("examples");
    let languages = [
        ("Rust", once.join("once_rust-0.1.1.wasm")),
        ("C", once.join("once_c-0.1.1.wasm")),
        ("Go", once.join("once_go-0.1.1.wasm")),
        ("JavaScript", tried.join("javascript.wasm")),
        ("Python", tried.join("python.wasm")),
    ];
    let mut rows = Vec::new();
    let mut yardstick = None;
    for (language, file) in languages {
        if !file.is_file() {
            rows.push(missing(language));
            continue;
        }
        let took = call(&folder.join("languages"), language, &file)?;
        let rust = *yardstick.get_or_insert(took);
        let size = std::fs::metadata(&file)?.len();
        rows.push(Row {
            what: format!("call of a new tool in {language}, p50"),
            measured: format!("{took:.1?}"),
            yardstick: format!("{rust:.1?} Rust"),
            verdict: format!(
                "{:.1} ×, {} KiB",
                took.as_secs_f64() / rust.as_secs_f64(),
                size >> 10
            ),
            aim: String::new(),
        });
    }
    Ok(rows)
}

fn missing(language: &str) -> Row {
    Row {
        what: format!("call of a new tool in {language}, p50"),
        measured: "not built here".to_owned(),
        yardstick: String::new(),
        verdict: "run scripts/try-new-tools".to_owned(),
        aim: String::new(),
    }
}

fn call(root: &Path, language: &str, file: &PathBuf) -> Result<Duration> {
    let plugins = root.join(format!("plugins-{language}"));
    std::fs::create_dir_all(&plugins)?;
    std::fs::copy(file, plugins.join("tool.wasm"))?;
    let at = |command: &mut Command| {
        command
            .arg("--plugins")
            .arg(&plugins)
            .arg("--cache-dir")
            .arg(root.join("cache"))
            .arg("--state-dir")
            .arg(root.join("state"));
    };
    let mut check = Command::new(places::dist().join("rookery"));
    check.args(["plugins", "list", "--json"]);
    at(&mut check);
    let listed: Value = serde_json::from_slice(&check.output()?.stdout)?;
    let name = listed["plugins"][0]["tools"][0].as_str();
    let name = name.context("the component is admitted")?;

    let mut serve = Command::new(places::dist().join("rookery"));
    serve.arg("serve").arg("--root").arg(root);
    at(&mut serve);
    let mut client = Client::start(&mut serve)?;
    let arguments = json!({"project_dir": "router"});
    let mut times = Vec::with_capacity(CALLS);
    for n in 0..CALLS + 50 {
        let took = time(&mut || client.call(name, &arguments).map(drop))?;
        // The first ones load the code.
        if n >= 50 {
            times.push(took);
        }
    }
    Ok(median(times))
}
