//! What grows with use, at its beginning and after: plugins, a log, the keys of a patch, the runs
//! of a project. The yardstick of each row is the same call before it grew.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use rookery_tests::places;
use serde_json::json;

use crate::client::Client;
use crate::{Row, median, ratio, server, side_by_side, time};

const ROUNDS: usize = 7;
/// A file that was just written may change again unseen, so that nothing is remembered of it.
const SETTLES: Duration = Duration::from_secs(5);

pub fn measure(folder: &Path) -> Result<Vec<Row>> {
    let root = folder.join("growth");
    fs::create_dir_all(&root)?;
    for lines in [10_000, 16_000_000] {
        log(&root.join(format!("log-{lines}")), lines)?;
    }
    for runs in [1, 10_000] {
        for run in 0..runs {
            finished(&root.join(format!("runs-{runs}")), run)?;
        }
    }
    fs::copy(places::demo_rootfs(), root.join("demo.tar.gz"))?;
    let mut client = Client::start(&mut server(&root, &folder.join("cache")))?;
    for keys in [1, 2000] {
        let project = format!("keys-{keys}");
        client.call(
            "init_project",
            &json!({"rootfs": "demo.tar.gz", "output": project}),
        )?;
        let values: serde_json::Map<_, _> = (0..keys)
            .map(|key| (format!("key_{key}"), json!(format!("value {key}"))))
            .collect();
        let arguments = json!({"project_dir": project, "path": "nvram", "value": values});
        client.call("set_config", &arguments)?;
    }
    std::thread::sleep(SETTLES);
    let mut rows = Vec::new();
    for (tool, aim) in [("console", 2.0), ("health", 4.0)] {
        let what = format!("{tool}, 600 kB of log and 1 GB");
        let of = |lines: u32| json!({"project_dir": format!("log-{lines}")});
        rows.push(compared(
            &mut client,
            &what,
            tool,
            [of(16_000_000), of(10_000)],
            aim,
        )?);
    }
    let of = |runs: u32| json!({"project_dir": format!("runs-{runs}")});
    let what = "health, 1 run and 10,000";
    rows.push(compared(
        &mut client,
        what,
        "health",
        [of(10_000), of(1)],
        1.5,
    )?);
    let of = |keys: u32| {
        let project = format!("keys-{keys}");
        json!({"project_dir": project, "key": "new", "value": "1", "dry_run": true})
    };
    let what = "set_nvram without writing, 1 key and 2,000";
    rows.push(compared(
        &mut client,
        what,
        "set_nvram",
        [of(2000), of(1)],
        2.0,
    )?);
    rows.push(plugins(folder)?);
    Ok(rows)
}

/// A call of a tool with what has grown, beside one with what has not.
fn compared(
    client: &mut Client,
    what: &str,
    tool: &str,
    [grown, small]: [serde_json::Value; 2],
    aim: f64,
) -> Result<Row> {
    let client = std::cell::RefCell::new(client);
    let call = |arguments: &serde_json::Value| client.borrow_mut().call(tool, arguments).map(drop);
    let (ours, theirs) = side_by_side(ROUNDS, || call(&grown), || call(&small))?;
    Ok(ratio(what, ours, ("before it grew", theirs), aim))
}

fn finished(project: &Path, run: u32) -> Result<()> {
    let results = project.join("results").join(run.to_string());
    fs::create_dir_all(&results)?;
    fs::write(
        project.join("config.yaml"),
        "core: {version: 2, arch: armel}\n",
    )?;
    fs::write(results.join(".ran"), "")?;
    fs::write(results.join("score.txt"), "1\n")?;
    Ok(())
}

fn log(project: &Path, lines: u32) -> Result<()> {
    finished(project, 0)?;
    let file = fs::File::create(project.join("results/0/console.log"))?;
    let mut out = std::io::BufWriter::new(file);
    for line in 0..lines {
        writeln!(
            out,
            "[{line:>12}] httpd[{}]: request served, all well",
            line % 900
        )?;
    }
    out.flush()?;
    Ok(())
}

/// From the start to the list of tools with 256 files of plugins, beside one.
fn plugins(folder: &Path) -> Result<Row> {
    let file = places::dist().join("test-plugins/echo.wasm");
    let all = [256, 1].map(|count| (folder.join(format!("plugins-{count}")), count));
    for (plugins, count) in &all {
        fs::create_dir_all(plugins)?;
        for number in 0..*count {
            fs::copy(&file, plugins.join(format!("echo{number}.wasm")))?;
        }
    }
    std::thread::sleep(SETTLES);
    let listed = |plugins: &Path| {
        let mut command = std::process::Command::new(places::dist().join("rookery"));
        command
            .arg("serve")
            .arg("--root")
            .arg(folder)
            .arg("--plugins")
            .arg(plugins);
        command.arg("--cache-dir").arg(folder.join("cache"));
        command.arg("--state-dir").arg(folder.join("state"));
        let mut client = Client::start(&mut command)?;
        let tools = client.request("tools/list", &json!({}))?;
        ensure!(tools.to_string().contains("\"echo\""), "{tools}");
        Ok(())
    };
    let [many, one] = all.map(|(plugins, _)| {
        // Remembers what the files hold: a server that is killed soon after its start may not.
        let mut list = std::process::Command::new(places::dist().join("rookery"));
        list.args(["plugins", "list", "--json", "--plugins"])
            .arg(&plugins);
        list.arg("--cache-dir").arg(folder.join("cache")).output()?;
        let times: Result<Vec<_>> = (0..ROUNDS)
            .map(|_| time(&mut || listed(&plugins)))
            .collect();
        anyhow::Ok(median(times?))
    });
    Ok(ratio(
        "start to the list, 1 plugin and 256 (≤ 60 ms)",
        many?,
        ("with one", one?),
        6.0,
    ))
}
