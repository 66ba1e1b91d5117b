//! Boot arguments that a firmware looked for and nobody set, and the keys of the NVRAM for want of
//! which a program ended. Their values are looked for as Penguin looks for them: with a
//! placeholder, the run records what a program compares it with (`env_cmp.txt`). Only where the
//! caller takes what is hardly certain, a usual value is tried.

use rookery_diagnosis::{Blocker, Sure};
use rookery_plugin::args::RunSelector;
use rookery_plugin::fragment::{self, Fragment};
use rookery_plugin::guest::is_setting;
use rookery_plugin::{Next, Results, RunResults};
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
/// Names that put a firmware into another mode than the one it is to come up in, or make it forget
/// its configuration, also with `mode` behind them.
const MODES: [&str; 16] = [
    "debug",
    "emergency",
    "factory",
    "factoryreset",
    "failsafe",
    "firstboot",
    "maintenance",
    "mfg",
    "recovery",
    "rescue",
    "reset",
    "restoredefaults",
    "safe",
    "single",
    "test",
    "upgrade",
];
/// Bytes read of what a placeholder was compared with.
const COMPARED: u32 = 4096;

/// Where a setting is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Argument,
    Nvram,
}

/// A setting that nobody set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub kind: Kind,
    pub name: String,
}

impl Setting {
    pub fn words(&self) -> String {
        match self.kind {
            Kind::Argument => format!("the boot argument {}", self.name),
            Kind::Nvram => format!("the NVRAM key {}", self.name),
        }
    }

    /// What all that is tried for it begins with, in the ledger.
    pub fn about(&self) -> String {
        match self.kind {
            Kind::Argument => format!("argument {}=", self.name),
            Kind::Nvram => format!("nvram {}=", self.name),
        }
    }

    /// Whether a person has to choose: with whatever value, the firmware may come up as another
    /// system than was meant.
    pub fn chooses_a_mode(&self) -> bool {
        let letters = self.name.chars().filter(char::is_ascii_alphanumeric);
        let plain = letters.collect::<String>().to_ascii_lowercase();
        MODES.contains(&plain.strip_suffix("mode").unwrap_or(&plain))
    }

    /// The tool that gives it a value, and the change.
    fn set(&self, value: &str) -> (&'static str, Fragment) {
        match self.kind {
            Kind::Argument => ("set_env", fragment::env(&self.name, value)),
            Kind::Nvram => ("set_nvram", fragment::nvram(&self.name, value)),
        }
    }
}

/// What a run missed, where a call can hold its name.
pub fn missing(run: &impl RunResults, blockers: &[Blocker]) -> Vec<Setting> {
    let list = run.read_yaml("env_missing.yaml").unwrap_or_default();
    let names = list.as_array().into_iter().flatten();
    let names = names
        .filter_map(Value::as_str)
        .filter(|name| is_setting(name));
    let arguments = names.take(NAMES).map(|name| (Kind::Argument, name));
    // Programs miss many keys that they can do without.
    let keys = blockers.iter().filter_map(Blocker::nvram_key).take(NAMES);
    arguments
        .chain(keys.map(|key| (Kind::Nvram, key)))
        .map(|(kind, name)| Setting {
            kind,
            name: name.to_owned(),
        })
        .collect()
}

/// What may be tried for each, the most certain first.
pub fn hypotheses(
    host: &impl Results,
    settings: &[Setting],
    ledger: &Ledger,
    project: &str,
    at_least: AtLeast,
) -> Vec<Hypothesis> {
    let mut found = Vec::new();
    for setting in settings.iter().filter(|one| !one.chooses_a_mode()) {
        let words = setting.words();
        let set = |value: &str, why: String| {
            let arguments = json!({ "project_dir": project, "key": setting.name, "value": value });
            let (tool, change) = setting.set(value);
            let key = format!("{}{value}", setting.about());
            Hypothesis::new(key, why, Some(Next::call(tool, arguments)), change)
        };
        let probe = set(
            PLACEHOLDER,
            format!("{words} is missing: what is it compared with?"),
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
        let why = |value: &str| format!("{words} is compared with {value}");
        if at_least.takes(Sure::High) {
            let values = compared.into_iter().flatten();
            found.extend(values.map(|value| set(&value, why(&value))));
        }
        if at_least.takes(Sure::Medium) {
            found.push(probe.only_asks());
        }
        if at_least.takes(usual) {
            found.push(set(USUAL, format!("{words} is missing")));
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
        .filter(|value| is_setting(value) && *value != PLACEHOLDER);
    Some(values.take(VALUES).map(str::to_owned).collect())
}
