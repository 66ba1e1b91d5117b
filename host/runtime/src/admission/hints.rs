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

impl Effect {
    /// Of all functions that a component imports. Each of its tools can use all of them.
    pub(super) fn of_all(functions: &BTreeSet<Function>) -> Self {
        functions
            .iter()
            .map(Self::of)
            .fold(Self::default(), Self::and)
    }

    /// One row for each function; what is not known is taken for the worst.
    fn of(function: &Function) -> Self {
        let none = Self::default();
        let changes = Self {
            changes: true,
            ..none
        };
        let worst = Self {
            changes: true,
            destroys: true,
            repeats: true,
            reaches_out: true,
        };
        match (function.interface, function.name.as_str()) {
            (
                Interface::Types
                | Interface::Log
                | Interface::Config
                | Interface::Results
                | Interface::Firmware,
                _,
            )
            | (Interface::Emulation, "status" | "wait")
            | (Interface::Live, "capabilities") => none,
            // It writes only where nothing is; a run that is stopped keeps its results.
            (Interface::Creation, "init-project") | (Interface::Emulation, "stop") => changes,
            (Interface::ConfigMutation, _) => Self {
                destroys: true,
                ..changes
            },
            (Interface::Emulation, "start") => Self {
                repeats: true,
                ..changes
            },
            (Interface::Creation | Interface::Emulation | Interface::Live, _) => worst,
        }
    }

    fn and(self, other: Self) -> Self {
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
        use Interface::{Config, ConfigMutation, Creation, Emulation, Firmware, Live, Results};
        let best = [true, false, true, false];
        for reading in [
            &[][..],
            &[(Config, "effective"), (Results, "open"), (Firmware, "open")],
            &[
                (Emulation, "status"),
                (Emulation, "wait"),
                (Live, "capabilities"),
            ],
        ] {
            assert_eq!(told(reading, false), best, "{reading:?}");
        }
        for (function, stranger) in [
            ((ConfigMutation, "apply"), [false, true, true, false]),
            ((ConfigMutation, "anything-new"), [false, true, true, false]),
            ((Creation, "init-project"), [false, false, true, false]),
            ((Emulation, "start"), [false, false, false, false]),
            ((Emulation, "stop"), [false, false, true, false]),
            ((Live, "command"), [false, true, false, true]),
            ((Live, "reach"), [false, true, false, true]),
            ((Emulation, "anything-new"), [false, true, false, true]),
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
