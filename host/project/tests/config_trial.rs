//! A change for one run: Penguin, which reads files, sees the project as if the change were made.

mod edge;
mod support;

use std::fs;

use rookery_project::config::{Patch, load};
use serde_json::{Value, json};
use support::{CONFIG, PATCH, fixture, project};

/// Where the files of a run lie.
const PLACE: &str = "results/.trial-3";

/// What Penguin would load by these files, without what says which files it loads.
fn loaded(files: &[(&str, String)]) -> Value {
    let dir = project(files);
    let mut config = load(dir.path(), Patch::OnDisk).unwrap().config.to_json();
    config.as_object_mut().unwrap().remove("patches");
    config["core"]
        .as_object_mut()
        .unwrap()
        .remove("auto_patching");
    config
}

#[test]
fn the_files_of_a_trial_load_as_the_project_would_with_the_change() {
    let main = format!("{CONFIG}patches: [static_patches/base.yaml]\nvars: {{port: 80}}\n");
    let own = [
        ("config.yaml", main.as_str()),
        (
            "static_patches/base.yaml",
            "env: {below: base, mine: base}\nnetdevs: [eth0]\n",
        ),
        (
            "patch_10_user.yaml",
            "env: {user: '{{ port }}', mine: user}\n",
        ),
        (PATCH, "env: {mine: '1', goes: 'x'}\nnetdevs: [br0]\n"),
        ("patch_zz.yaml", "env: {above: zz}\n"),
        ("patches/last.yaml", "env: {last: '1'}\n"),
    ];
    let fragment = json!({ "env": { "tried": "{{port}}", "above": "no" }, "netdevs": ["br1"] });
    let without: Vec<_> = own
        .iter()
        .copied()
        .filter(|(name, _)| *name != PATCH)
        .collect();
    for own in [&own[..], &without[..]] {
        let made = fixture(own);
        let before = made.text();
        let replace = ["env.goes".to_owned()];
        let (config, trial) = made.project.tried_by_penguin(&fragment, &replace).unwrap();
        assert_eq!(made.text(), before, "nothing is written");
        assert_eq!(config["env"]["tried"], "{{port}}");
        assert_eq!(
            config["env"]["above"], "zz",
            "what is above the patch stays so"
        );
        let trial = trial.files(PLACE);
        let of_trial = |name: &str| {
            let found = trial.iter().find(|(file, _)| *file == name);
            found.map(|(_, text)| text.clone()).unwrap()
        };
        let mut files: Vec<_> = own
            .iter()
            .filter(|(name, _)| *name != "config.yaml")
            .map(|(name, text)| (*name, (*text).to_owned()))
            .collect();
        let place = format!("{PLACE}/{PATCH}");
        files.push(("config.yaml", of_trial("config.yaml")));
        files.push((place.as_str(), of_trial(PATCH)));
        let by_trial = loaded(&files);

        // The same by the project's own files, where the change is made.
        let options = json!({ "replace": replace });
        made.project.apply(fragment.clone(), &options).unwrap();
        let mut files: Vec<_> = own
            .iter()
            .filter(|(name, _)| *name != PATCH)
            .map(|(name, text)| (*name, (*text).to_owned()))
            .collect();
        files.push((
            PATCH,
            fs::read_to_string(made.dir.path().join(PATCH)).unwrap(),
        ));
        assert_eq!(by_trial, loaded(&files));
        assert_eq!(by_trial["env"].get("goes"), None);
    }
}

#[test]
fn what_no_patch_may_hold_is_not_tried_either() {
    let made = fixture(&[]);
    for fragment in [
        json!({ "envv": { "a": "1" } }),
        json!({ "plugins": { "x": { "path": "/etc/passwd" } }, "patches": ["a"] }),
        json!([]),
    ] {
        let refused = made.project.tried_by_penguin(&fragment, &[]);
        assert!(refused.is_err(), "{fragment}");
    }
}
