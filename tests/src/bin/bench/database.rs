//! `missing_files` and `db_query` on a million rows against the sqlite3 shell.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::client::Client;
use crate::{Row, data, ratio, server, side_by_side};

/// What a person would type for the missing files of a run.
const MISSING: &str = "SELECT substr(arg1_repr, instr(arg1_repr, '(\"') + 2, length(arg1_repr) - \
    instr(arg1_repr, '(\"') - 3) AS path, count(*) AS n
    FROM syscall WHERE retno = -2 GROUP BY path ORDER BY n DESC, path LIMIT 30";
const BY_PROCESS: &str = "SELECT e.procname, s.name, count(*) AS n, sum(s.retno < 0) AS failed \
    FROM event e JOIN syscall s USING (id) GROUP BY 1, 2 ORDER BY n DESC";

pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    let database = data::database(&data::results(folder)?)?;
    if Command::new("sqlite3").arg("--version").output().is_err() {
        eprintln!("SKIPPED: sqlite3 is not installed");
        return Ok(Vec::new());
    }
    let mut client = Client::start(&mut server(folder, &folder.join("cache")))?;
    let shell = |sql: &str| -> Result<()> {
        let status = Command::new("sqlite3")
            .arg("-json")
            .arg(&database)
            .arg(sql)
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "sqlite3 failed");
        Ok(())
    };
    let mut ask = |tool: &str, arguments: serde_json::Value| -> Result<()> {
        let answer = client.call(tool, &arguments)?;
        ensure!(
            answer["total"].as_u64() > Some(0)
                || answer["rows"]
                    .as_array()
                    .is_some_and(|rows| !rows.is_empty()),
            "{answer}"
        );
        Ok(())
    };
    let (ours, theirs) = side_by_side(
        7,
        || ask("missing_files", json!({"project_dir": "big"})),
        || shell(MISSING),
    )?;
    let missing = ratio("missing_files, 1 M rows", ours, ("sqlite3", theirs), 1.2);
    let (ours, theirs) = side_by_side(
        7,
        || ask("db_query", json!({"project_dir": "big", "sql": BY_PROCESS})),
        || shell(BY_PROCESS),
    )?;
    Ok(vec![
        missing,
        ratio("db_query, 1 M rows", ours, ("sqlite3", theirs), 1.2),
    ])
}
