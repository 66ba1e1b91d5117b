//! A result directory that Penguin wrote.

use std::path::Path;

use anyhow::Result;
use rookery_harness::{Trial, places, trials};
use rookery_project::Cancel;
use serde_json::{Value, json};

use crate::edge::{Results, Roots};

pub fn tests() -> Vec<Trial> {
    trials![penguins_own_results_are_read_as_they_are_meant]
}

#[allow(clippy::needless_pass_by_value, reason = "reads better at the calls")]
fn csv(results: &Results, file: &str, options: Value) -> Value {
    results
        .read_csv(file, &options, &Cancel::default())
        .unwrap()
}

fn penguins_own_results_are_read_as_they_are_meant() -> Result<()> {
    let roots = Roots::new([places::shared("data/penguin")?]).unwrap();
    let results = roots.results(Some("stride-sample"), None).unwrap();
    let status = results.status().unwrap();
    assert_eq!(
        (&status["run"], &status["state"]),
        (&json!(0), &json!("completed"))
    );
    assert!(
        status["files"]
            .as_array()
            .unwrap()
            .contains(&json!({"name": "console.log", "bytes": 622}))
    );

    assert_eq!(
        csv(
            &results,
            "netbinds.csv",
            json!({"where": {"state": ["listening"]}})
        )["total"],
        6
    );
    assert_eq!(
        csv(&results, "nvram.csv", Value::Null)["rows"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()["key"],
        "tmp_key"
    );
    assert_eq!(
        csv(&results, "iface_ioctl.log", Value::Null)["rows"][1]["iface"],
        "vlan7"
    );
    assert_eq!(csv(&results, "scores.txt", Value::Null)["total"], 10);
    assert_eq!(
        csv(&results, "shell_env.csv", Value::Null)["rows"][0]["envs"],
        "[('SXID', None)]"
    );
    assert_eq!(results.read_yaml("health_final.yaml").unwrap()["nexecs"], 9);
    assert_eq!(results.read_yaml("summary.json").unwrap()["score"], 24.0);
    let failures = results.read_yaml("pseudofiles_failures.yaml").unwrap();
    assert_eq!(
        failures["/dev/watchdog"]["events"]["ioctl"]["1074029569"]["count"],
        3
    );
    assert_eq!(
        results
            .read_yaml("env_missing.yaml")
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        6
    );
    let cancel = Cancel::default();
    let found = results.search("console.log", "ioctl", &Value::Null, &cancel);
    let found = found.unwrap();
    assert_eq!(found["matches"][0]["text"], "dsad: ioctl()-error -1");
    for file in status["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap();
        if Path::new(name).extension().is_some_and(|e| e == "yaml") {
            assert!(results.read_yaml(name).is_ok(), "{name}");
        }
    }
    let missing = results
        .query(
            "SELECT guest_path(arg0_repr, arg1_repr) AS path, count(*) AS n FROM syscall
             WHERE retno = -2 GROUP BY path ORDER BY n DESC, path",
            &Value::Null,
            &Value::Null,
            &Cancel::default(),
        )
        .unwrap();
    let paths: Vec<_> = missing["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap())
        .collect();
    assert!(paths.contains(&"/dev/dsa"), "{missing}");
    Ok(())
}
