//! One key set by its dotted path.

mod edge;
mod support;

use rookery_project::Error;
use serde_json::{Value, json};
use support::{PATCH, fixture};

fn refused(path: &str, value: &Value) -> String {
    let fixture = fixture(&[]);
    let answer = fixture.project.set(path, value);
    assert_eq!(fixture.text(), None, "nothing is written");
    match answer {
        Err(Error::InvalidArgument(why)) => why,
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn a_key_of_any_section_is_set_in_its_type() {
    for (path, value, expected) in [
        ("core.root_shell", json!(true), json!(true)),
        ("core.root_shell", json!("true"), json!(true)),
        ("core.mem", json!("512M"), json!("512M")),
        ("core.timeout", json!("90"), json!(90)),
        ("env.a.b", json!(8), json!("8")),
        ("env.c", json!("08"), json!("08")),
        ("env.d", json!("true"), json!("true")),
        ("netdevs", json!(["eth7"]), json!(["eth7"])),
        ("netdevs", json!("[\"eth8\"]"), json!(["eth8"])),
        ("blocked_signals", json!(["9"]), json!([9])),
        ("plugins.db.enabled", json!(true), json!(true)),
        (
            "pseudofiles./dev/x.y.read.model",
            json!("zero"),
            json!("zero"),
        ),
        (
            "static_files./etc/a.b",
            json!({"type": "dir"}),
            json!("dir"),
        ),
    ] {
        let fixture = fixture(&[]);
        let answer = fixture.project.set(path, &value).unwrap();
        assert_eq!(answer["changed"], true, "{path}");
        let key = if path.starts_with("static_files") {
            format!("{path}.type")
        } else {
            path.to_owned()
        };
        assert_eq!(fixture.value(&key), expected, "{path}");
        fixture.project.remove(path, &Value::Null).unwrap();
        // That a plugin or a pseudofile is there stays said.
        let stays = path.starts_with("plugins") || path.starts_with("pseudofiles");
        assert_eq!(
            fixture.text().is_some(),
            stays,
            "`remove` is its pair: {path}"
        );
    }
}

#[test]
fn a_value_replaces_the_one_before_and_an_object_is_merged() {
    let fixture = fixture(&[]);
    fixture.project.set("netdevs", &json!(["eth5"])).unwrap();
    let answer = fixture.project.set("netdevs", &json!(["eth6"])).unwrap();
    assert_eq!(answer["patch"]["netdevs"], json!(["eth6"]));
    assert_eq!(
        (
            &answer["effective"][0]["old"],
            &answer["effective"][0]["value"]
        ),
        (&json!(["eth5"]), &json!(["eth6"]))
    );
    fixture.project.set("env", &json!({"A": "1"})).unwrap();
    let answer = fixture.project.set("env", &json!({"B": "2"})).unwrap();
    assert_eq!(answer["patch"]["env"], json!({"A": "1", "B": "2"}));
    assert_eq!(answer["patch_keys"], 3);
    assert_eq!(answer["effective"].as_array().unwrap().len(), 1);
    assert!(
        answer["effective"][0].get("old").is_none(),
        "it was not set"
    );
}

#[test]
fn what_the_structure_or_a_rule_forbids_is_refused_with_what_is_allowed() {
    for (path, value, said) in [
        ("core.root_shel", json!(true), "did you mean 'root_shell'"),
        ("cor.mem", json!("1G"), "did you mean 'core'"),
        ("core.root_shell", json!("maybe"), "true or false"),
        ("core.mem", json!(null), "unset"),
        ("nvram.a/b", json!("1"), "'/'"),
        ("blocked_signals", json!([99]), "not a signal number"),
        (
            "static_files./etc/x",
            json!({"type": "nothing"}),
            "unknown type",
        ),
        ("patches", json!(["x.yaml"]), "has no effect"),
    ] {
        let why = refused(path, &value);
        assert!(why.contains(said), "{path}: {why}");
    }
}

#[test]
fn a_change_says_what_was_there_before() {
    let fixture = fixture(&[("patch_20_user.yaml", "env: {A: old}\n")]);
    let answer = fixture.apply(json!({"env": {"A": "new"}})).unwrap();
    let row = json!({
        "path": "env.A", "old": "old", "value": "new", "overridden": false, "set_by": PATCH
    });
    assert_eq!(answer["effective"], json!([row]));
    let answer = fixture.project.reset(&json!({})).unwrap();
    assert_eq!(answer["effective"][0]["old"], "new");
    assert_eq!(
        (&answer["effective"][0]["value"], &answer["patch_keys"]),
        (&json!("old"), &json!(0))
    );
}
