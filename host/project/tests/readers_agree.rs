//! What is written to the patch means the same to every reader of YAML, to templates and to shells.

mod edge;
mod support;

use std::process::{Command, Stdio};

use rookery_project::yaml;
use serde_json::{Value, json};
use support::fixture;

/// Strings that YAML versions, template engines or shells take for something else.
const TRICKY: [&str; 36] = [
    "on",
    "off",
    "yes",
    "No",
    "y",
    "08",
    "09",
    "0755",
    "0o755",
    "0x1F",
    "1e3",
    "1E3",
    "1e+3",
    "1.5e3",
    "-.5",
    "+.5",
    "1e400",
    "~",
    "null",
    "",
    "2001-01-01",
    "12:30",
    "12:30:45",
    "1_000",
    "0b101",
    ".inf",
    "=",
    "<<",
    "{{7*7}}",
    "{%",
    "${#x}",
    "{{{",
    "😀",
    "é\u{2028}x",
    "- a: b # c",
    "&a *b !c",
];

#[test]
fn values_that_readers_disagree_on_survive_every_string_setter() {
    for text in TRICKY {
        let fixture = fixture(&[]);
        let mut fragment = json!({
            "nvram": {"k": text},
            "uboot_env": {"k": text},
            "pseudofiles": {
                "/dev/x": {
                    "read": {"model": "const_buf", "val": text},
                    "ioctl": {"1": {"model": "write_data", "data": text}}
                }
            },
            "static_files": {"/etc/x": {"type": "inline_file", "contents": text}},
            "core": {"startup_script": format!("{text} ")}
        });
        if !text.is_empty() && !text.contains(char::is_whitespace) {
            fragment["env"] = json!({"K": text});
        }
        fixture.apply(fragment.clone()).unwrap();
        let effective = fixture.project.effective().unwrap()["config"].clone();
        for path in [
            "/nvram/k",
            "/uboot_env/k",
            "/pseudofiles/~1dev~1x/read/val",
            "/pseudofiles/~1dev~1x/ioctl/1/data",
            "/static_files/~1etc~1x/contents",
            "/core/startup_script",
        ] {
            assert_eq!(
                effective.pointer(path),
                fragment.pointer(path),
                "{text:?} at {path}\n{}",
                fixture.text().unwrap()
            );
        }
        assert_eq!(
            fixture.project.patch().unwrap()["patch"]["nvram"]["k"],
            json!(text)
        );
    }
}

#[test]
fn keys_survive_like_values() {
    for text in TRICKY.iter().filter(|text| !text.is_empty()) {
        let fixture = fixture(&[]);
        fixture.apply(json!({"nvram": {*text: "v"}})).unwrap();
        assert_eq!(
            fixture.project.effective().unwrap()["config"]["nvram"][*text],
            "v",
            "{text:?}\n{:?}",
            fixture.text()
        );
        fixture
            .project
            .remove(&format!("nvram.{text}"), &json!({}))
            .unwrap();
        assert_eq!(fixture.text(), None);
    }
}

/// What `PyYAML`'s safe loader, which knows YAML 1.1, makes of a file.
fn pyyaml(text: &str) -> Value {
    use std::io::Write;
    let script = "import sys, json, yaml\n\
        json.dump(yaml.safe_load(sys.stdin.buffer.read().decode()), sys.stdout)";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 is installed; `make setup` installs it");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "PyYAML, which `make setup` installs, reads this: {text}\n{said}"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_reader_of_yaml_1_1_sees_the_same_patch() {
    let fixture = fixture(&[]);
    let values: serde_json::Map<String, Value> = TRICKY
        .iter()
        .filter(|text| !text.contains('{') && !text.is_empty())
        .map(|text| ((*text).to_owned(), json!(text)))
        .collect();
    let script = "#!/bin/sh\n# on\n\nif true; then\n  echo \"a: b\"\nfi\n";
    fixture
        .apply(json!({
            "nvram": values,
            "static_files": {"/etc/x": {"type": "inline_file", "contents": script, "mode": "0755"}},
            "pseudofiles": {
                "/dev/x": {
                    "read": {"model": "const_buf", "val": "\u{7}\u{85}\r\n\t"},
                    "ioctl": {"0x40046401": {"model": "zero"}}
                }
            },
            "plugins": {"netbinds": {"announce_debounce_s": 1e30, "shutdown_on_www": true}}
        }))
        .unwrap();
    let text = fixture.text().unwrap();
    let seen = pyyaml(&text);
    assert_eq!(seen, yaml::parse(&text).unwrap().to_json(), "{text}");
    assert_eq!(seen["static_files"]["/etc/x"]["mode"], 0o755);
    assert_eq!(seen["static_files"]["/etc/x"]["contents"], script);
}
