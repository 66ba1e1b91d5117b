//! Promises for any input.

mod edge;
mod support;

use edge::Project;
use proptest::prelude::*;
use rookery_project::penguin::sections::Section;
use rookery_project::yaml;
use serde_json::{Value, json};
use support::{CONFIG, project};

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        "[a-z_/*.{}%#]{0,6}",
        Just("model".to_owned()),
        Just("type".to_owned()),
        Just("zero".to_owned())
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|f| json!(f)),
        text.clone().prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(text.clone(), inner, 0..4).prop_map(|map| json!(map))
        ]
    })
}

fn section() -> impl Strategy<Value = String> {
    let names = Section::ALL.iter().map(|section| section.name());
    // `patches` is refused as such.
    let names: Vec<_> = names.filter(|name| *name != "patches").collect();
    let known = prop::sample::select(names).prop_map(str::to_owned);
    prop_oneof![4 => known, 1 => any::<String>()]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_string_that_is_taken_is_read_back_as_it_is(
        text in any::<String>(),
        key in "[^/\0]{1,40}",
    ) {
        let dir = project(&[("config.yaml", CONFIG)]);
        let project = Project::at(dir.path()).unwrap();
        let patch = || std::fs::read_to_string(dir.path().join("patch_90_mcp.yaml"));
        let config = || project.effective().unwrap()["config"].take();
        if project.apply(json!({"nvram": {&key: &text}}), &json!({})).is_ok() {
            prop_assert_eq!(&config()["nvram"][&key], &json!(text), "{:?}", patch());
        } else {
            prop_assert!(text.contains('\0') || key == "." || key == "..", "{:?} {:?}", key, text);
        }
        if project.apply(json!({"env": {"K": &text}}), &json!({})).is_ok() {
            prop_assert_eq!(&config()["env"]["K"], &json!(text), "{:?}", patch());
        }
        project.apply(json!({
            "static_files": {"/x": {"type": "inline_file", "contents": &text}}
        }), &json!({})).unwrap();
        let contents = &config()["static_files"]["/x"]["contents"];
        prop_assert_eq!(contents, &json!(text), "{:?}", patch());
    }

    #[test]
    fn no_fragment_leaves_a_project_that_does_not_load(
        section in section(),
        value in any_json(),
        value2 in any_json(),
    ) {
        let lower = "pseudofiles: {/dev/x: {ioctl: {'*': {model: zero}}}}\nnetdevs: [eth0]\n";
        let dir = project(&[("config.yaml", CONFIG), ("patch_10.yaml", lower)]);
        let project = Project::at(dir.path()).unwrap();
        for value in [value, value2] {
            let _ = project.apply(json!({&section: value}), &json!({}));
            let patch = || std::fs::read_to_string(dir.path().join("patch_90_mcp.yaml"));
            prop_assert!(project.effective().is_ok(), "{:?}", patch());
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in "[\\PC\n\t:{}\\[\\]&*!|>'\"#%@`,?-]{0,200}") {
        if let Ok(value) = yaml::parse(&text) {
            let written = yaml::write(&value);
            prop_assert!(yaml::parse(&written).is_ok(), "{}", written);
        }
        let _ = yaml::parse_result(&text);
        let dir = project(&[("config.yaml", CONFIG), ("patch_90_mcp.yaml", text.as_str())]);
        let project = Project::at(dir.path()).unwrap();
        let _ = project.effective();
        let _ = project.patch();
        let _ = project.apply(json!({"env": {"A": "1"}}), &json!({}));
        let _ = project.lookup(&text);
        project.reset(&json!({})).unwrap();
        prop_assert!(project.effective().is_ok());
    }
}
