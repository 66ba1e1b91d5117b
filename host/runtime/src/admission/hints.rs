//! The four annotations of a tool: what it claims, less what its imports disprove.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::component::Function;
use crate::interface::Interface;

const ANNOTATIONS: [&str; 4] = [
    "readOnlyHint",
    "destructiveHint",
    "idempotentHint",
    "openWorldHint",
];

/// What a component that imports a host function can do with it, as far as the annotations have
/// words for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // they answer to four annotations
pub(crate) struct Effect {
    /// It changes something, or starts it.
    changes: bool,
    /// It can overwrite, remove or end something.
    destroys: bool,
    /// A second call with the same arguments does something again.
    repeats: bool,
    /// It reaches a program that this host does not control.
    reaches_out: bool,
}

/// What every host function can do, by its name in a component. A test compares it with `wit/`.
const FUNCTIONS: &[(Interface, &[&str], Effect)] = &[
    (Interface::Log, &["write", "progress"], Effect::NONE),
    (
        Interface::Config,
        &["effective", "lookup", "patch"],
        Effect::NONE,
    ),
    (
        Interface::ConfigMutation,
        &["apply", "set", "remove", "reset"],
        Effect {
            destroys: true,
            ..Effect::CHANGES
        },
    ),
    // It writes only where nothing is.
    (Interface::Creation, &["init-project"], Effect::CHANGES),
    (
        Interface::Results,
        &[
            "open",
            "runs",
            "[method]run-results.status",
            "[method]run-results.read-yaml",
            "[method]run-results.read-csv",
            "[method]run-results.search",
            "[method]run-results.read-text",
            "[method]run-results.query",
        ],
        Effect::NONE,
    ),
    (
        Interface::Firmware,
        &[
            "open",
            "[method]root-filesystem.list-directory",
            "[method]root-filesystem.stat",
            "[method]root-filesystem.read",
            "[method]root-filesystem.search",
            "[method]root-filesystem.init-candidates",
        ],
        Effect::NONE,
    ),
    (Interface::Binaries, &["symbols", "strings"], Effect::NONE),
    (Interface::Notes, &["read"], Effect::NONE),
    // A note is replaced; nothing else reads it.
    (Interface::Notes, &["write"], Effect::CHANGES),
    (
        Interface::Emulation,
        &["start"],
        Effect {
            repeats: true,
            ..Effect::CHANGES
        },
    ),
    (
        Interface::Emulation,
        &["status", "wait", "wait-until"],
        Effect::NONE,
    ),
    // A run that is stopped keeps its results.
    (Interface::Emulation, &["stop"], Effect::CHANGES),
    (
        Interface::Live,
        &[
            "running",
            "capabilities",
            "hooks",
            "hook-output",
            "snapshots",
        ],
        Effect::NONE,
    ),
    (Interface::Live, &["unhook"], Effect::CHANGES),
    (
        Interface::Live,
        &["command", "reach", "hook", "control-plugin", "snapshot"],
        Effect::WORST,
    ),
    // What a request does is the service's to say.
    (Interface::Http, &["request"], Effect::WORST),
    // What the called tools can do depends on what the caller is granted: [`Effect::of_grants`].
    (Interface::Toolbox, &["call"], Effect::NONE),
];

impl Effect {
    const NONE: Self = Self {
        changes: false,
        destroys: false,
        repeats: false,
        reaches_out: false,
    };
    const CHANGES: Self = Self {
        changes: true,
        ..Self::NONE
    };
    const WORST: Self = Self {
        changes: true,
        destroys: true,
        repeats: true,
        reaches_out: true,
    };

    /// Of all functions that a component imports. Each of its tools can use all of them.
    pub(super) fn of_all(functions: &BTreeSet<Function>) -> Self {
        functions
            .iter()
            .map(Self::of)
            .fold(Self::default(), Self::and)
    }

    /// Of all functions of these interfaces: what tools can do that are called by one which was
    /// granted them.
    pub(super) fn of_grants(grants: &BTreeSet<Interface>) -> Self {
        let granted = FUNCTIONS.iter().filter(|(of, ..)| grants.contains(of));
        granted
            .map(|(.., effect)| *effect)
            .fold(Self::NONE, Self::and)
    }

    /// Whether it changes or starts something.
    pub(crate) fn changes(self) -> bool {
        self.changes
    }

    /// What is not in [`FUNCTIONS`] is taken for the worst.
    fn of(function: &Function) -> Self {
        let named = |(interface, names, _): &&(Interface, &[&str], Self)| {
            *interface == function.interface && names.contains(&function.name.as_str())
        };
        let row = FUNCTIONS.iter().find(named);
        row.map_or(Self::WORST, |(.., effect)| *effect)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            changes: self.changes || other.changes,
            destroys: self.destroys || other.destroys,
            repeats: self.repeats || other.repeats,
            reaches_out: self.reaches_out || other.reaches_out,
        }
    }
}

/// All four claims, and nothing else.
pub(super) fn claims(annotations: &Value) -> Result<Value, String> {
    let mut claims = Map::new();
    for hint in ANNOTATIONS {
        let claim = annotations
            .get(hint)
            .and_then(Value::as_bool)
            .ok_or_else(|| {
                format!(
                    "its `annotations` must hold all of {}, each true or false; \
                     `/annotations/{hint}` is missing",
                    ANNOTATIONS.join(", ")
                )
            })?;
        claims.insert(hint.to_owned(), Value::Bool(claim));
    }
    Ok(Value::Object(claims))
}

/// Correct what the imports disprove in the claims of the tool `name`.
///
/// That a tool which can change something only reads is believed of nobody. How it changes things
/// is believed of a built-in tool; of another, what clients are told is the worst that its imports
/// allow.
pub(super) fn correct(name: &str, claims: &mut Value, effect: Effect, built_in: bool) {
    let corrections = [
        ("readOnlyHint", effect.changes, false),
        ("destructiveHint", effect.destroys && !built_in, true),
        ("idempotentHint", effect.repeats && !built_in, false),
        ("openWorldHint", effect.reaches_out && !built_in, true),
    ];
    for (hint, disproved, instead) in corrections {
        if disproved && claims[hint] != instead {
            tracing::warn!(
                tool = name,
                "it claims {hint} = {}, but its imports let it do more; clients are told {instead}",
                !instead
            );
            claims[hint] = Value::Bool(instead);
        }
    }
    if claims["readOnlyHint"] == true {
        claims["destructiveHint"] = Value::Bool(false);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What clients are told of a tool that claims the best of itself.
    fn told(functions: &[(Interface, &str)], built_in: bool) -> [bool; 4] {
        let functions = functions.iter().map(|(interface, name)| Function {
            interface: *interface,
            name: (*name).to_owned(),
        });
        let mut claims = claims(&json!({
            "readOnlyHint": true,
            "destructiveHint": false,
            "idempotentHint": true,
            "openWorldHint": false,
            "title": "x"
        }))
        .unwrap();
        correct(
            "t",
            &mut claims,
            Effect::of_all(&functions.collect()),
            built_in,
        );
        assert_eq!(claims.as_object().unwrap().len(), 4);
        ANNOTATIONS.map(|hint| claims[hint] == true)
    }

    #[test]
    fn no_claim_stands_that_the_imports_disprove() {
        use Interface::{
            Config, ConfigMutation, Creation, Emulation, Firmware, Http, Live, Results,
        };
        let best = [true, false, true, false];
        for reading in [
            &[][..],
            &[(Config, "effective"), (Results, "open"), (Firmware, "open")],
            &[
                (Emulation, "status"),
                (Emulation, "wait"),
                (Live, "capabilities"),
                (Live, "running"),
                (Results, "runs"),
            ],
        ] {
            assert_eq!(told(reading, false), best, "{reading:?}");
        }
        for (function, stranger) in [
            ((ConfigMutation, "apply"), [false, true, true, false]),
            ((ConfigMutation, "set"), [false, true, true, false]),
            ((Creation, "init-project"), [false, false, true, false]),
            ((Emulation, "start"), [false, false, false, false]),
            ((Emulation, "stop"), [false, false, true, false]),
            ((Live, "command"), [false, true, false, true]),
            ((Live, "reach"), [false, true, false, true]),
            ((Http, "request"), [false, true, false, true]),
            ((ConfigMutation, "anything-new"), [false, true, false, true]),
            ((Emulation, "anything-new"), [false, true, false, true]),
            ((Config, "anything-new"), [false, true, false, true]),
            ((Results, "anything-new"), [false, true, false, true]),
            ((Firmware, "anything-new"), [false, true, false, true]),
        ] {
            assert_eq!(told(&[function], false), stranger, "{function:?}");
            assert_eq!(
                told(&[function], true),
                [false, false, true, false],
                "{function:?}"
            );
            assert_eq!(told(&[(Config, "lookup"), function], false), stranger);
        }
    }

    /// The functions that the files of the contract declare, by their names in a component.
    fn declared() -> BTreeSet<(String, String)> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut declared = BTreeSet::new();
        for file in files.filter(|file| file.extension().is_some_and(|end| end == "wit")) {
            let (mut interface, mut resource) = (String::new(), String::new());
            for line in std::fs::read_to_string(file).unwrap().lines() {
                let code = line.trim();
                if let Some(name) = line.strip_prefix("interface ") {
                    interface = name.trim_end_matches(" {").to_owned();
                } else if let Some(name) = code.strip_prefix("resource ") {
                    resource = name.trim_end_matches(" {").to_owned();
                } else if line == "    }" {
                    resource.clear();
                }
                let name = match code.split_once(": ") {
                    _ if code.starts_with("///") => continue,
                    _ if code.starts_with("constructor(") => format!("[constructor]{resource}"),
                    Some((name, rest)) if rest.starts_with("static func(") => {
                        format!("[static]{resource}.{name}")
                    }
                    Some((name, rest)) if rest.starts_with("func(") && resource.is_empty() => {
                        name.to_owned()
                    }
                    Some((name, rest)) if rest.starts_with("func(") => {
                        format!("[method]{resource}.{name}")
                    }
                    _ => continue,
                };
                declared.insert((interface.clone(), name));
            }
        }
        // What components export.
        declared.retain(|(interface, _)| interface != "tools");
        declared
    }

    #[test]
    fn every_function_of_the_contract_has_a_row_and_every_row_a_function() {
        let rows = FUNCTIONS.iter().flat_map(|(interface, names, _)| {
            let named = |name: &&str| (interface.name().to_owned(), (*name).to_owned());
            names.iter().map(named)
        });
        let rows: Vec<_> = rows.collect();
        assert_eq!(rows.len(), rows.iter().collect::<BTreeSet<_>>().len());
        assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), declared());
    }

    #[test]
    fn whoever_calls_other_tools_is_told_by_what_it_was_granted() {
        let of = |grants: &[Interface]| Effect::of_grants(&grants.iter().copied().collect());
        assert_eq!(of(&[Interface::Results, Interface::Toolbox]), Effect::NONE);
        assert!(of(&[Interface::Toolbox, Interface::ConfigMutation]).changes());
        assert_eq!(of(&Interface::ALL), Effect::WORST);
    }

    #[test]
    fn a_tool_that_only_reads_destroys_nothing() {
        let mut both = json!({
            "readOnlyHint": true,
            "destructiveHint": true,
            "idempotentHint": true,
            "openWorldHint": false
        });
        correct("t", &mut both, Effect::default(), false);
        assert_eq!(both["destructiveHint"], false);
    }
}
