//! What a change answers, its history, and writers that meet or die.

mod edge;
mod support;

use std::path::Path;
use std::{fs, thread};

use edge::Project;
use rookery_project::Error;
use serde_json::json;
use support::{CONFIG, PATCH, fixture};

#[test]
fn a_hand_edited_patch_is_read_and_its_text_is_kept() {
    let by_hand = "# mine\nenv:\n  A: '{{ arch }}' # template\n";
    let fixture = fixture(&[(PATCH, by_hand)]);
    let answer = fixture.apply(json!({"env": {"B": "{{arch}}"}})).unwrap();
    assert_eq!(answer["revision"], 2);
    assert!(
        answer["warnings"].to_string().contains("comments"),
        "{answer}"
    );
    assert_eq!(
        (fixture.value("env.A"), fixture.value("env.B")),
        (json!("armel"), json!("{{arch}}"))
    );
    fixture.project.reset(&json!({"to_revision": 1})).unwrap();
    assert_eq!(fixture.text().as_deref(), Some(by_hand));
}

#[test]
fn a_project_that_was_broken_before_is_named() {
    let fixture = fixture(&[("patch_20_user.yaml", "envv: {A: x}\n")]);
    match fixture.apply(json!({"env": {"A": "1"}})) {
        Err(Error::Conflict(message)) => assert!(
            message.contains("patch_20_user.yaml") && message.contains("did you mean 'env'"),
            "{message}"
        ),
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.text(), None);
}

#[test]
fn what_overrides_the_patch_is_said() {
    let fixture = fixture(&[("patch_zz.yaml", "env: {A: zz}\n"), ("init.d/10_x", "echo")]);
    let answer = fixture
        .apply(json!({
            "env": {"A": "1", "B": "2"},
            "static_files": {"/igloo/init.d/10_x": {"type": "delete"}}
        }))
        .unwrap();
    assert_eq!(
        answer["effective"][0],
        json!({
            "path": "env.A", "old": "zz", "value": "zz", "overridden": true,
            "set_by": "patch_zz.yaml"
        })
    );
    assert_eq!(
        answer["effective"][1],
        json!({"path": "env.B", "value": "2", "overridden": false, "set_by": PATCH})
    );
    assert_eq!(answer["effective"][2]["set_by"], "init.d/10_x");
    assert_eq!(answer["effective"][2]["overridden"], true);
    assert!(
        answer["warnings"].to_string().contains("patch_zz.yaml"),
        "{answer}"
    );
    let off = CONFIG.replace("version: 2", "version: 2, auto_patching: false");
    let fixture = self::fixture(&[("config.yaml", &off)]);
    let answer = fixture.apply(json!({"env": {"A": "1"}})).unwrap();
    assert!(
        answer["warnings"].to_string().contains("auto_patching"),
        "{answer}"
    );
    assert_eq!(answer["effective"][0]["overridden"], true);
}

#[test]
fn a_dry_run_writes_nothing_and_a_reset_can_be_undone() {
    let fixture = fixture(&[]);
    let answer = fixture
        .project
        .apply(json!({"env": {"A": "1"}}), &json!({"dry_run": true}))
        .unwrap();
    assert_eq!(
        (answer["changed"].clone(), answer["patch"].clone()),
        (json!(true), json!({"env": {"A": "1"}}))
    );
    assert!(!fixture.dir.path().join(".rookery").exists() && fixture.text().is_none());
    fixture.apply(json!({"env": {"A": "1"}})).unwrap();
    assert_eq!(
        fixture.apply(json!({"env": {"A": "1"}})).unwrap()["changed"],
        false
    );
    let text = fixture.text();
    let reset = fixture.project.reset(&json!({})).unwrap();
    assert_eq!(
        (reset["revision"].clone(), fixture.text()),
        (json!(2), None)
    );
    fixture.project.reset(&json!({"to_revision": 1})).unwrap();
    assert_eq!(fixture.text(), text);
    fixture.project.reset(&json!({"to_revision": 0})).unwrap();
    assert_eq!(fixture.text(), None);
    assert!(matches!(
        fixture.project.reset(&json!({"to_revision": 9})),
        Err(Error::NotFound(_))
    ));
    let history = fixture.project.patch().unwrap()["history"].clone();
    let changes: Vec<_> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["change"].as_str().unwrap())
        .collect();
    assert_eq!(
        changes,
        [
            "reset to revision 0",
            "reset to revision 1",
            "reset",
            "set env.A"
        ]
    );
}

#[test]
fn what_is_not_held_cannot_be_removed_and_the_answer_says_what_is() {
    let fixture = fixture(&[]);
    fixture.apply(json!({"env": {"A.B": "1"}})).unwrap();
    match fixture.project.remove("env.igloo_init", &json!({})) {
        Err(Error::NotFound(message)) => assert!(message.contains("env.A.B"), "{message}"),
        other => panic!("{other:?}"),
    }
    let answer = fixture.project.remove("env.A.B", &json!({})).unwrap();
    assert_eq!(answer["patch"], json!({}));
}

#[test]
fn what_was_set_is_removed_by_the_name_it_was_set_by() {
    let fixture = fixture(&[]);
    let node = json!({"read": {"model": "zero"}, "ioctl": {"0x5401": {"model": "zero"}}});
    fixture
        .apply(json!({"pseudofiles": {"/dev/x": node}}))
        .unwrap();
    let unset = |path: &str| fixture.project.remove(path, &json!({})).unwrap();
    unset("pseudofiles./dev/x.ioctl.0x5401");
    let left = unset("pseudofiles./dev/x.read");
    assert_eq!(
        left["patch"],
        json!({"pseudofiles": {"/dev/x": {}}}),
        "the node exists"
    );
    unset("pseudofiles./dev/x");
    assert_eq!(fixture.text(), None);
}

#[test]
fn sixteen_writers_lose_nothing() {
    let fixture = fixture(&[]);
    let dir = fixture.dir.path();
    thread::scope(|scope| {
        for writer in 0..16 {
            scope.spawn(move || {
                let project = Project::at(dir).unwrap();
                for key in 0..8 {
                    project
                        .apply(
                            json!({"env": {format!("K{writer}_{key}"): "1"}}),
                            &json!({}),
                        )
                        .unwrap();
                }
            });
        }
    });
    let env = fixture.project.patch().unwrap()["patch"]["env"].clone();
    assert_eq!(env.as_object().unwrap().len(), 128);
    let history = fixture.project.patch().unwrap()["history"].clone();
    assert_eq!(history[0]["revision"], 128);
    assert!(leftovers(dir).is_empty(), "{:?}", leftovers(dir));
}

#[test]
fn a_killed_writer_leaves_a_project_that_loads() {
    let fixture = fixture(&[]);
    fixture.apply(json!({"env": {"A": "1"}})).unwrap();
    // What a kill can leave: a temporary file, and a history line cut short.
    fs::write(
        fixture.dir.path().join(".patch_90_mcp.yaml.tmp-abc"),
        "env: {",
    )
    .unwrap();
    let path = fixture.dir.path().join(".rookery/history.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{text}{{\"revision\": 2, \"ti")).unwrap();
    fixture.project.effective().unwrap();
    let answer = fixture.apply(json!({"env": {"B": "2"}})).unwrap();
    assert_eq!(answer["revision"], 2);
    assert!(leftovers(fixture.dir.path()).is_empty());
}

fn leftovers(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(".tmp-")).collect()
}

/// Not a test of its own: the process that
/// [`a_writer_killed_at_any_moment_leaves_a_project_that_loads`] kills.
#[test]
#[ignore = "started, and killed, by another test"]
fn writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os("ROOKERY_TEST_PROJECT") else {
        return;
    };
    let project = Project::at(dir).unwrap();
    for number in 0..10_000 {
        let fragment = json!({"env": {format!("K{}", number % 50): format!("{number}")}});
        project.apply(fragment, &json!({})).unwrap();
    }
}

#[test]
fn a_writer_killed_at_any_moment_leaves_a_project_that_loads() {
    let fixture = fixture(&[]);
    let writer = std::env::current_exe().unwrap();
    for round in 0..12 {
        let mut child = std::process::Command::new(&writer)
            .args(["--ignored", "--exact", "writes_until_it_is_killed"])
            .env("ROOKERY_TEST_PROJECT", fixture.dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(std::time::Duration::from_millis(40 + 7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        fixture.project.effective().unwrap();
        fixture
            .apply(json!({"env": {"SURVIVOR": format!("{round}")}}))
            .unwrap();
    }
    let patch = fixture.project.patch().unwrap();
    assert!(
        patch["patch"]["env"]["K0"].is_string(),
        "the writer wrote before it was killed: {patch}"
    );
    let revisions: Vec<_> = patch["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["revision"].as_u64().unwrap())
        .collect();
    assert!(
        revisions.windows(2).all(|pair| pair[0] > pair[1]),
        "{revisions:?}"
    );
}
