//! `console` on a 100 MB log against grep and ripgrep.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::client::Client;
use crate::{Row, data, ratio, server, side_by_side};

const PATTERN: &str = "cannot open .*mtd|Kernel panic";

pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    let log = data::console(&data::results(folder)?)?;
    let mut client = Client::start(&mut server(folder, &folder.join("cache")))?;
    let mut rows = Vec::new();
    for tool in [["grep", "-nE"], ["rg", "-n"]] {
        if Command::new(tool[0]).arg("--version").output().is_err() {
            eprintln!("SKIPPED: {} is not installed", tool[0]);
            continue;
        }
        let (ours, theirs) = side_by_side(
            7,
            || {
                let answer = client.call(
                    "console",
                    &json!({"project_dir": "big", "pattern": PATTERN}),
                )?;
                ensure!(
                    answer["total"].as_u64().is_some_and(|total| total > 100),
                    "{answer}"
                );
                Ok(())
            },
            || {
                // Its output is read: into /dev/null grep would stop at the first match.
                let found = Command::new(tool[0])
                    .args([tool[1], PATTERN])
                    .arg(&log)
                    .output()?;
                ensure!(found.status.success(), "{} found nothing", tool[0]);
                Ok(())
            },
        )?;
        rows.push(ratio(
            "console, 100 MB log",
            ours,
            (&tool.join(" "), theirs),
            1.2,
        ));
    }
    Ok(rows)
}
