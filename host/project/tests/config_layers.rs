//! What a change means over files that lie lower or higher.

mod edge;
mod support;

use serde_json::{Value, json};
use support::fixture;

#[test]
fn a_model_replaces_the_same_model_of_a_lower_file() {
    let lower = "pseudofiles:
  /dev/x:
    read: {model: const_buf, val: low, null_terminate: true}
    ioctl: {'*': {model: return_const, val: 22}}
  /dev/q: {read: {model: sequence, vals: [a], cycle: true}}
  /dev/m: {read: {model: const_map, vals: {0: a}}}
static_files:
  /a:
    {type: inline_file, contents: x, mode: 0o600, patches: [{file_offset: 0, hex_bytes: '90'}]}
";
    let fixture = fixture(&[("patch_10.yaml", lower)]);
    let warned = |fragment: Value| {
        fixture.apply(fragment).unwrap()["warnings"]
            .as_array()
            .map_or(0, Vec::len)
    };
    let pseudofile = |path: &str, operation: &str, model: Value| {
        json!({
            "pseudofiles": {path: {operation: model}}
        })
    };
    let read = json!({"model": "const_buf", "val": "new"});
    assert_eq!(warned(pseudofile("/dev/x", "read", read)), 0);
    assert_eq!(
        fixture.value("pseudofiles./dev/x.read"),
        json!({"model": "const_buf", "val": "new", "null_terminate": false, "nul_terminate": false})
    );
    let ioctl = json!({"*": {"model": "return_const"}});
    assert_eq!(warned(pseudofile("/dev/x", "ioctl", ioctl)), 0);
    assert_eq!(fixture.value("pseudofiles./dev/x.ioctl.*.val"), 0);
    let sequence = json!({"model": "sequence", "vals": ["a", "b"]});
    assert_eq!(warned(pseudofile("/dev/q", "read", sequence)), 0);
    assert_eq!(
        fixture.value("pseudofiles./dev/q.read"),
        json!({"model": "sequence", "vals": ["a", "b"], "cycle": false})
    );
    let map = json!({"model": "const_map", "vals": {"4": "b"}});
    assert_eq!(
        warned(pseudofile("/dev/m", "read", map)),
        1,
        "offset 0 stays"
    );
    let file = json!({"static_files": {"/a": {"type": "inline_file", "contents": "new"}}});
    assert_eq!(warned(file), 1, "the edits of the lower file stay");
    assert_eq!(fixture.value("static_files./a.mode"), 0o644);
}

#[test]
fn one_command_keeps_what_a_lower_file_answers_to_all_others() {
    let fixture = fixture(&[(
        "patch_10.yaml",
        "pseudofiles: {/dev/x: {ioctl: {model: zero}}}\n",
    )]);
    fixture
        .apply(json!({"pseudofiles": {"/dev/x": {"ioctl": {"5": {"model": "unhandled"}}}}}))
        .unwrap();
    assert_eq!(
        fixture.value("pseudofiles./dev/x.ioctl"),
        json!({"5": {"model": "unhandled"}, "*": {"model": "zero"}})
    );
}

#[test]
fn a_higher_file_that_appends_to_an_ordered_list_is_named() {
    let sequence = "pseudofiles: {/dev/x: {read: {model: sequence, vals: [a]}}}\n";
    let read = json!({"pseudofiles": {"/dev/x": {"read": {"model": "sequence", "vals": ["z"]}}}});
    let higher = fixture(&[("patch_zz.yaml", sequence)]).apply(read).unwrap();
    assert_eq!(higher["effective"][0]["overridden"], true);
    assert!(
        higher["warnings"].to_string().contains("patch_zz.yaml"),
        "{higher}"
    );
    let same =
        json!({"pseudofiles": {"/dev/x": {"read": {"model": "sequence", "vals": ["a", "z"]}}}});
    let lower = fixture(&[("patch_10.yaml", sequence)]).apply(same).unwrap();
    assert_eq!(lower["effective"][0]["overridden"], false);
    let names = fixture(&[("patch_zz.yaml", "netdevs: [eth1]\n")]);
    let names = names.apply(json!({"netdevs": ["eth0"]})).unwrap();
    assert_eq!(names["effective"][0]["overridden"], false);
}
