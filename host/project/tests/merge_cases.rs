//! The merge cases that were recorded from Penguin's own loader.

mod support;

use std::fs;

use rookery_project::config::{Kind, Patch, load};
use serde_json::Value;
use support::{project, shared};

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

#[test]
fn every_recorded_case_merges_or_is_refused_as_penguin_did() {
    let Some(text) =
        shared("data/penguin/merge_cases.jsonl").map(|path| fs::read_to_string(path).unwrap())
    else {
        return;
    };
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
}
