//! Boot arguments that a firmware looked for and nobody set. Their values are looked for as Penguin
//! looks for them: with a placeholder, the run records what a program compares it with
//! (`env_cmp.txt`). Only where the caller takes what is hardly certain, a usual value is tried.

use rookery_diagnosis::Sure;
use rookery_plugin::args::RunSelector;
use rookery_plugin::{Next, Results, RunResults, fragment};
use serde_json::{Value, json};

use crate::args::AtLeast;
use crate::ledger::{Hypothesis, Ledger};

/// Stands for a value that is looked for.
const PLACEHOLDER: &str = "DYNVALDYNVALDYNVAL";
/// What most programs take for "yes".
const USUAL: &str = "1";
/// Names that are tried.
const NAMES: usize = 3;
/// Values of one name that are tried.
const VALUES: usize = 3;
/// Bytes read of what a placeholder was compared with.
const COMPARED: u32 = 4096;
/// Bytes of the longest name or value that is tried.
const LONGEST: usize = 64;

/// The names that a run looked for, where a call can hold them.
pub fn missing(run: &impl RunResults) -> Vec<String> {
    let list = run.read_yaml("env_missing.yaml").unwrap_or_default();
    let names = list.as_array().into_iter().flatten();
    let names = names
        .filter_map(Value::as_str)
        .filter(|name| is_plain(name));
    names.take(NAMES).map(str::to_owned).collect()
}

/// What may be tried for each, the most certain first.
pub fn hypotheses(
    host: &impl Results,
    names: &[String],
    ledger: &Ledger,
    project: &str,
    at_least: AtLeast,
) -> Vec<Hypothesis> {
    let mut found = Vec::new();
    for name in names {
        let set = |value: &str, why: String| {
            let arguments = json!({ "project_dir": project, "key": name, "value": value });
            let call = Next::call("set_env", arguments);
            let key = format!("argument {name}={value}");
            Hypothesis::new(key, why, Some(call), fragment::env(name, value))
        };
        let probe = set(
            PLACEHOLDER,
            format!("the boot argument {name} is missing: what is it compared with?"),
        );
        let asked = ledger
            .tried
            .iter()
            .rev()
            .find(|tried| tried.hypothesis.key == probe.key);
        let compared = asked.and_then(|asked| compared_with(host, &asked.results_dir));
        // Where the placeholder helped, any value does.
        let usual = match asked {
            Some(asked) if asked.effect.helps() => Sure::Medium,
            _ => Sure::Low,
        };
        let why = |value: &str| format!("the boot argument {name} is compared with {value}");
        if at_least.takes(Sure::High) {
            let values = compared.into_iter().flatten();
            found.extend(values.map(|value| set(&value, why(&value))));
        }
        if at_least.takes(Sure::Medium) {
            found.push(probe.only_asks());
        }
        if at_least.takes(usual) {
            found.push(set(USUAL, format!("the boot argument {name} is missing")));
        }
    }
    found
}

/// The values that a placeholder was compared with in a run: the guest's text.
fn compared_with(host: &impl Results, results_dir: &str) -> Option<Vec<String>> {
    let which = RunSelector {
        project_dir: None,
        results_dir: Some(results_dir.to_owned()),
    };
    let run = host.open_results(&which).ok()?;
    let text = run.read_text("env_cmp.txt", 0, COMPARED).ok()?.text;
    let values = text
        .lines()
        .filter(|value| is_plain(value) && *value != PLACEHOLDER);
    Some(values.take(VALUES).map(str::to_owned).collect())
}

/// Whether it is a name or a value of harmless characters.
fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-:".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)
}
