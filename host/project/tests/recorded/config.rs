//! The merge cases that were recorded from Penguin's own loader, the recorded sample project, and
//! Penguin's schema.

use std::fs;
use std::path::Path;

use anyhow::Result;
use rookery_harness::{Trial, places, trials};
use rookery_project::config::{Kind, Loaded, Patch, load};
use rookery_project::yaml;
use serde_json::Value;

use crate::creating::create;
use crate::edge::Project;
use crate::images::small_root;
use crate::support::project;

pub fn tests() -> Vec<Trial> {
    trials![
        every_recorded_case_merges_or_is_refused_as_penguin_did,
        the_sample_loads_as_penguin_realised_it,
        what_is_written_fits_penguins_schema,
    ]
}

/// The kinds of refusal that stand for an exception of Penguin.
fn kinds(exception: &str) -> &'static [Kind] {
    match exception {
        "ParserError" | "ScannerError" | "ComposerError" | "ConstructorError" | "ReaderError"
        | "UnicodeDecodeError" => &[Kind::Yaml],
        "ValidationError" | "ValueError" => &[Kind::Structure],
        "TypeError" | "AttributeError" => &[Kind::Structure, Kind::Merge],
        _ => &[Kind::Structure, Kind::Rule, Kind::Template],
    }
}

/// Penguin refused a key because it does not know it.
fn is_of_unknown_key(case: &Value) -> bool {
    let error = case["error"].as_str().unwrap_or_default();
    error.contains("Extra inputs are not permitted") || error.contains("Unknown argument(s)")
}

fn warns_of_a_key(loaded: &Loaded) -> bool {
    let told = |warning: &String| {
        warning.contains("unknown option") || warning.contains("has no argument")
    };
    loaded.warnings.iter().any(told)
}

fn every_recorded_case_merges_or_is_refused_as_penguin_did() -> Result<()> {
    let text = fs::read_to_string(places::shared("data/penguin/merge_cases.jsonl")?)?;
    let mut failures = Vec::new();
    let mut count = 0;
    for line in text.lines().filter(|line| !line.is_empty()) {
        count += 1;
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["name"].as_str().unwrap();
        let mut files = vec![(
            "config.yaml".to_owned(),
            case["config.yaml"].as_str().unwrap().to_owned(),
        )];
        files.extend(
            case["files"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(path, text)| (path.clone(), text.as_str().unwrap().to_owned())),
        );
        let project = project(&files);
        let outcome = load(project.path(), Patch::OnDisk);
        match (case["ok"].as_bool().unwrap(), outcome) {
            (true, Ok(loaded)) => {
                let text = loaded
                    .config
                    .to_json()
                    .to_string()
                    .replace(project.path().to_str().unwrap(), "<proj>");
                let config: Value = serde_json::from_str(&text).unwrap();
                if config != case["config"] {
                    failures.push(format!(
                        "{name}: differs\n   is {config}\n  not {}",
                        case["config"]
                    ));
                }
            }
            (false, Err(refusal)) => {
                if !kinds(case["kind"].as_str().unwrap()).contains(&refusal.kind) {
                    failures.push(format!(
                        "{name}: refused for another reason: {refusal:?}, not {}",
                        case["error"]
                    ));
                }
            }
            (true, Err(refusal)) => failures.push(format!("{name}: refused: {refusal}")),
            // A newer Penguin may know the key: it is kept, with a warning.
            (false, Ok(loaded)) if is_of_unknown_key(&case) && warns_of_a_key(&loaded) => {}
            (false, Ok(_)) => failures.push(format!(
                "{name}: accepted, but Penguin said {}",
                case["error"]
            )),
        }
    }
    assert!(count >= 100, "only {count} cases");
    assert!(
        failures.is_empty(),
        "{} of {count}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    Ok(())
}

fn the_sample_loads_as_penguin_realised_it() -> Result<()> {
    let dir = places::shared("data/penguin/stride-sample")?;
    let project = Project::at(&dir).unwrap();
    let effective = project.effective().unwrap();
    let realised = std::fs::read_to_string(dir.join("results/0/core_config.yaml")).unwrap();
    let realised = yaml::parse(&realised).unwrap().to_json();
    // What the run itself adds to the realised configuration is not compared.
    for section in [
        "core",
        "pseudofiles",
        "netdevs",
        "blocked_signals",
        "plugins",
        "init_plugins",
    ] {
        assert_eq!(effective["config"][section], realised[section], "{section}");
    }
    for (path, entry) in effective["config"]["static_files"].as_object().unwrap() {
        assert_eq!(entry, &realised["static_files"][path], "{path}");
    }
    assert_eq!(effective["layers"][0], "config.yaml");
    assert_eq!(effective["layers"][12], "patch_90_mcp.yaml");

    let init = project.lookup("env.igloo_init").unwrap();
    assert_eq!(init["set_by"], "static_patches/base.yaml");
    let ioctl = project
        .lookup("pseudofiles./dev/stride_wd.ioctl.2147768069")
        .unwrap();
    assert_eq!(ioctl["value"]["model"], "return_const");
    Ok(())
}

fn read_yaml(path: &Path) -> Value {
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn what_is_written_fits_penguins_schema() -> Result<()> {
    let recorded = places::shared("data/penguin")?;
    let schema = |name: &str| {
        let text = fs::read_to_string(recorded.join(name)).unwrap();
        jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("fw.tar"), small_root("").tar()).unwrap();
    create(dir.path(), "fw.tar", "p").unwrap();
    let project = dir.path().join("p");
    let config = read_yaml(&project.join("config.yaml"));
    let patch_schema = schema("schema_patch.json");
    for patch in config["patches"].as_array().unwrap() {
        let value = read_yaml(&project.join(patch.as_str().unwrap()));
        let errors: Vec<_> = patch_schema
            .iter_errors(&value)
            .map(|e| e.to_string())
            .collect();
        assert!(errors.is_empty(), "{patch}: {errors:?}");
    }
    let errors: Vec<_> = schema("schema.json")
        .iter_errors(&config)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "config.yaml: {errors:?}");
    Ok(())
}
