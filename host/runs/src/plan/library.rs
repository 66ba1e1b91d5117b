//! `lib_inject`: the library that programs load before their own. Whether it has a function, only
//! the library itself knows.

use serde_json::{Map, Value};

use crate::plan::Library;
use crate::plan::notes::Notes;

/// What of the section can be honoured.
pub fn of(section: &Map<String, Value>, notes: &mut Notes) -> Library {
    let keys = |name: &str| {
        section
            .get(name)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    };
    let mut names: Vec<_> = keys("aliases")
        .filter_map(|(name, function)| Some((name.clone(), function.as_str()?.to_owned())))
        .collect();
    // Whichever library has the function: who loads the injected one first finds its own.
    let stubs = keys("stubs")
        .filter_map(|(_, stubs)| stubs.as_object())
        .flatten();
    for (symbol, stub) in stubs {
        match stands_for(symbol, stub) {
            Some(function) => names.push((symbol.clone(), function.to_owned())),
            None => notes.about(
                "lib_inject.stubs that are not honoured, because only a function by its name that \
                 returns 0 or 1 can be replaced",
                symbol.clone(),
            ),
        }
    }
    Library {
        disabled: section.get("enabled") == Some(&Value::Bool(false)),
        names,
    }
}

/// The library's function that does what a stub does.
fn stands_for(symbol: &str, stub: &Value) -> Option<&'static str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.$".contains(c);
    let plain = symbol.chars().all(is_name)
        && stub.get("body").is_none()
        && stub.get("guard_null_args").is_none();
    match stub.get("return")?.as_i64()? {
        0 if plain => Some("libinject_ret_0"),
        1 if plain => Some("libinject_ret_1"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn library(section: &Value) -> (Library, Vec<String>) {
        let mut notes = Notes::default();
        let library = of(section.as_object().unwrap(), &mut notes);
        (library, notes.into_vec())
    }

    #[test]
    fn an_alias_and_a_stub_that_returns_a_constant_are_names_of_functions() {
        let (library, notes) = library(&json!({
            "aliases": { "my_get": "libinject_nvram_get" },
            "stubs": { "libboard.so": {
                "check_board": { "return": 1 },
                "detect_board": { "return": 0, "type": "int" }
            } }
        }));
        let names: Vec<_> = library.names.iter().map(|(a, b)| (&**a, &**b)).collect();
        assert_eq!(
            names,
            [
                ("my_get", "libinject_nvram_get"),
                ("check_board", "libinject_ret_1"),
                ("detect_board", "libinject_ret_0"),
            ]
        );
        assert!(notes.is_empty() && !library.disabled);
    }

    #[test]
    fn a_stub_that_needs_a_patch_is_said_by_name() {
        for (symbol, stub) in [
            ("check_*", json!({ "return": 0 })),
            ("send@16", json!({ "body": "nop" })),
            ("count", json!({ "return": 7 })),
            ("copy", json!({ "guard_null_args": [0], "return": 0 })),
        ] {
            let stubs = json!({ "libboard.so": { symbol: stub } });
            let (library, notes) = library(&json!({ "enabled": false, "stubs": stubs }));
            assert!(library.disabled && library.names.is_empty());
            assert!(notes[0].ends_with(symbol), "{notes:?}");
        }
    }
}
