//! Result files that are missing or damaged: which of the two, why, and what to do.

mod edge;
use std::collections::BTreeSet;
use std::fs;

use edge::{Results, Roots};
use rookery_project::penguin::result_files;
use rookery_project::{Cancel, Error, Unavailable};
use serde_json::{Value, json};

#[test]
fn the_way_to_get_a_file_names_the_project_and_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("results/0");
    fs::create_dir_all(&run).unwrap();
    fs::write(dir.path().join("config.yaml"), "{}").unwrap();
    fs::write(run.join("console.log"), "x").unwrap();
    fs::write(run.join("core_plugins.yaml"), "db: {}\n").unwrap();
    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    let results = roots.results(Some("."), None).unwrap();
    let project = json!(dir.path().canonicalize().unwrap());
    let run = json!(run.canonicalize().unwrap());
    assert_eq!(
        missing(&results, "env_missing.yaml").1,
        format!(
            "Call set_config {{\"preset\":\"diagnostics\",\"project_dir\":{project}}}, then run \
             {{\"project_dir\":{project}}}"
        )
    );
    let how = missing(&results, "summary.json").1;
    assert!(
        how.contains(&format!("console {{\"results_dir\":{run}}}")),
        "{how}"
    );
}

/// Whatever is missing and for whatever reason, what to do is a call that can be made.
#[test]
fn every_way_to_get_a_file_is_a_literal_call() {
    let (on, off) = (plugins(true), plugins(false));
    let states: [&[(&str, &str)]; 6] = [
        &[],
        &[("console.log", "x")],
        &[(".ran", ""), ("summary.json", "{}")],
        &[("core_plugins.yaml", &on), ("console.log", "x")],
        &[
            ("core_plugins.yaml", &on),
            (".ran", ""),
            ("summary.json", "{}"),
        ],
        &[
            ("core_plugins.yaml", &off),
            (".ran", ""),
            ("summary.json", "{}"),
        ],
    ];
    for files in states {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("results/0");
        fs::create_dir_all(&run).unwrap();
        fs::write(dir.path().join("config.yaml"), "{}").unwrap();
        for (name, content) in files {
            fs::write(run.join(name), content).unwrap();
        }
        let roots = Roots::new([dir.path().to_owned()]).unwrap();
        let results = roots.results(None, Some("results/0")).unwrap();
        for (file, _) in result_files::all() {
            if files.iter().any(|(name, _)| *name == file) {
                continue;
            }
            let how = missing(&results, file).1;
            let calls = [
                "set_config {\"",
                "run {\"",
                "health {\"",
                "console {\"",
                "run_wait {\"",
            ];
            assert!(
                calls.iter().any(|call| how.contains(call)),
                "{file} of {files:?}: {how}"
            );
        }
    }
}

fn results(files: &[(&str, &str)]) -> (tempfile::TempDir, Results) {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(dir.path().join(name), content).unwrap();
    }
    let results = Roots::new([dir.path().to_owned()])
        .unwrap()
        .results(None, Some("."))
        .unwrap();
    (dir, results)
}

/// Why a file is missing, and the way to get it.
fn missing(results: &Results, file: &str) -> (String, String) {
    match results.read_yaml(file) {
        Err(Error::Unavailable(Unavailable {
            why, how_to_enable, ..
        })) => (why, how_to_enable),
        other => panic!("{file}: {other:?}"),
    }
}

/// Every file that a plugin writes, with that plugin. The database needs more than one.
fn of_plugins() -> impl Iterator<Item = (&'static str, &'static str)> {
    let files = result_files::all().filter(|(name, _)| *name != result_files::DATABASE);
    files.filter_map(|(name, plugins)| Some((name, *plugins.first()?)))
}

/// A `core_plugins.yaml` with all of them.
fn plugins(enabled: bool) -> String {
    let plugins: BTreeSet<_> = of_plugins().map(|(_, plugin)| plugin).collect();
    let lines = plugins
        .iter()
        .map(|plugin| format!("{plugin}: {{enabled: {enabled}}}\n"));
    lines.collect()
}

#[test]
fn a_file_whose_plugin_was_off_says_so_and_how_to_switch_it_on() {
    let off = plugins(false);
    let (_dir, results) = results(&[("core_plugins.yaml", &off), ("console.log", "x")]);
    for (file, plugin) in of_plugins() {
        let (why, how) = missing(&results, file);
        assert!(why.contains(plugin) && why.contains("off"), "{file}: {why}");
        assert!(
            how.starts_with("Call set_config {") && how.ends_with(", then run {}"),
            "{file}: {how}"
        );
        let path = format!("\"path\":\"plugins.{plugin}.enabled\",\"value\":true");
        let preset = "\"preset\":\"diagnostics\"";
        assert!(how.contains(&path) || how.contains(preset), "{file}: {how}");
    }
}

#[test]
fn a_plugin_that_was_on_is_never_said_to_have_been_off() {
    let on = plugins(true);
    for ended in [&["console.log"][..], &[".ran", "summary.json"]] {
        let mut files = vec![("core_plugins.yaml", on.as_str())];
        files.extend(ended.iter().map(|name| (*name, "")));
        let (_dir, results) = results(&files);
        for (file, _) in of_plugins() {
            let (why, how) = missing(&results, file);
            assert!(
                !why.contains("off") && !how.contains("set_config"),
                "{file}: {why}. {how}"
            );
        }
    }
}

#[test]
fn without_a_list_of_plugins_both_reasons_are_given() {
    let (_dir, results) = results(&[("console.log", "x")]);
    let (why, how) = missing(&results, "env_missing.yaml");
    assert!(why.contains("died") && why.contains("env was off"), "{why}");
    assert_eq!(
        how,
        "Call set_config {\"preset\":\"diagnostics\"}, then run {}"
    );
    assert!(
        missing(&results, "summary.json")
            .1
            .contains("end of console.log")
    );
    assert!(
        missing(&results, "core_plugins.yaml")
            .0
            .contains("before it was written")
    );
    assert!(missing(&results, "nothing.yaml").1.contains("health"));
}

#[test]
fn the_database_needs_a_plugin_that_logs() {
    let ask = |plugins: &str| {
        let (_dir, results) = results(&[("core_plugins.yaml", plugins), ("console.log", "x")]);
        results
            .query("SELECT 1", &Value::Null, &Value::Null, &Cancel::default())
            .unwrap_err()
            .to_string()
    };
    let none = ask("core: {}\n");
    assert!(
        none.contains("plugin db was off")
            && none.contains("set_config {\"preset\":\"diagnostics\"}"),
        "{none}"
    );
    let silent = ask("db: {}\n");
    assert!(
        silent.contains("no plugin that logs") && silent.contains("diagnostics"),
        "{silent}"
    );
    let quiet = ask("db: {}\nexec_logger: {}\n");
    assert!(quiet.contains("no event was recorded"), "{quiet}");
}

#[test]
fn a_damaged_file_is_missing_data_and_names_itself() {
    let (dir, results) = results(&[
        ("crashes.yaml", "a: [1\n\x1b]0;evil\x07"),
        ("summary.json", "{\"score\": 1"),
        ("health_final.yaml", "  nproc: 0\n  nfil"),
    ]);
    fs::create_dir(dir.path().join("env_missing.yaml")).unwrap();
    for file in [
        "crashes.yaml",
        "summary.json",
        "health_final.yaml",
        "env_missing.yaml",
    ] {
        let (why, _) = missing(&results, file);
        assert!(
            why.starts_with("damaged: ") && !why.contains('\x1b'),
            "{file}: {why:?}"
        );
    }
}

#[test]
fn what_python_writes_for_no_number_is_null() {
    let (_dir, results) = results(&[("summary.json", "\u{feff}{\"score\": NaN, \"panic\": true}")]);
    assert_eq!(
        results.read_yaml("summary.json").unwrap(),
        json!({"score": null, "panic": true})
    );
}
