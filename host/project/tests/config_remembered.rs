//! What is remembered of a project between changes changes no answer: the same steps are taken in
//! one directory, of which all is remembered, and each of them in a directory that is new.

mod edge;
mod support;

use std::fs;
use std::path::Path;

use edge::Project;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{CONFIG, PATCH, project};

/// One step: of an agent, or of a person with an editor.
#[derive(Debug, Clone)]
enum Step {
    Apply(Value, bool),
    Set(&'static str, Value),
    Remove(&'static str),
    Reset(Option<u64>),
    Write(&'static str, &'static str),
    Delete(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    let fragments = prop::sample::select(vec![
        json!({"env": {"A": "1"}}),
        json!({"env": {"A": "{{ 2 }}", "B": "x"}}),
        json!({"nvram": {"a": "1", "b": "two\nlines\n", "c": "\u{7f}"}}),
        json!({"nvram": {"a": "2"}}),
        json!({"nvram": {"a": 3}}),
        json!({"netdevs": ["eth0", "eth1"]}),
        json!({"pseudofiles": {"/dev/x": {"read": {"model": "zero"}}}}),
        json!({"pseudofiles": {"/dev/x": {"ioctl": {"0x10": {"model": "zero"}}}}}),
        json!({"pseudofiles": {"/dev/x": {"read": {"model": "nothing"}}}}),
        json!({"core": {"startup_script": "echo"}}),
        json!({"plugins": {"mine": {"enabled": true}}}),
        json!({"static_files": {"/a": {"type": "dir", "mode": 493}}}),
    ]);
    let paths = || prop::sample::select(vec!["nvram.a", "env.A", "env", "pseudofiles./dev/x"]);
    let written = prop::sample::select(vec![
        ("patch_10_mine.yaml", "env: {A: \"0\"}\n"),
        ("patch_10_mine.yaml", "nvram: {a: lower}\nnetdevs: [eth0]\n"),
        ("patch_95_last.yaml", "env: {A: \"9\"}\n"),
        ("patch_95_last.yaml", "env: [broken\n"),
        ("plugins.d/mine.py", ""),
        ("plugins.d/mine.yaml", "level: 1\n"),
        ("init.d/10_start", ""),
        ("base/fs.tar.gz", ""),
        (PATCH, "# by hand\nenv: {A: 'quoted'}\n"),
        (PATCH, "nvram:\n  a: \"1\"\n  b: !!binary aGk=\n"),
        (PATCH, "nvram: {a: 1, a: 2}\n"),
        ("config.yaml", "core: {version: 2}\n"),
        ("config.yaml", CONFIG),
    ]);
    let deleted = vec![
        "patch_10_mine.yaml",
        "patch_95_last.yaml",
        "plugins.d/mine.py",
        PATCH,
    ];
    prop_oneof![
        6 => (fragments, any::<bool>()).prop_map(|(what, dry_run)| Step::Apply(what, dry_run)),
        2 => paths().prop_map(|path| Step::Set(path, json!("set"))),
        2 => paths().prop_map(Step::Remove),
        1 => proptest::option::of(0..5_u64).prop_map(Step::Reset),
        3 => written.prop_map(|(file, text)| Step::Write(file, text)),
        1 => prop::sample::select(deleted).prop_map(Step::Delete),
    ]
}

/// The answer or the refusal, and the patch after it, in words that name no directory.
fn taken(step: &Step, dir: &Path) -> (String, Option<String>) {
    let project = Project::at(dir).unwrap();
    let answer = match step {
        Step::Apply(what, dry_run) => project.apply(what.clone(), &json!({"dry_run": dry_run})),
        Step::Set(path, value) => project.set(path, value),
        Step::Remove(path) => project.remove(path, &json!({})),
        Step::Reset(None) => project.reset(&json!({})),
        Step::Reset(to) => project.reset(&json!({"to_revision": to})),
        Step::Write(file, text) => {
            let path = dir.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            Ok(Value::Null)
        }
        Step::Delete(file) => {
            let _ = fs::remove_file(dir.join(file));
            Ok(Value::Null)
        }
    };
    let answer = answer.map_or_else(|error| error.to_string(), |answer| answer.to_string());
    let dir = dir.canonicalize().unwrap();
    let answer = answer.replace(&*dir.to_string_lossy(), "DIR");
    (answer, fs::read_to_string(dir.join(PATCH)).ok())
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_is_remembered_changes_no_answer_and_no_patch(
        steps in proptest::collection::vec(step(), 1..14)
    ) {
        let known = project(&[("config.yaml", CONFIG)]);
        let mut fresh = project(&[("config.yaml", CONFIG)]);
        for step in &steps {
            let next = tempfile::tempdir().unwrap();
            copy(fresh.path(), next.path());
            fresh = next;
            let (one, other) = (taken(step, known.path()), taken(step, fresh.path()));
            prop_assert_eq!(one, other, "{:?}", step);
        }
    }
}
