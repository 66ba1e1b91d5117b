//! What is said of an init that failed.

use serde_json::json;

use super::{look, quiet};

#[test]
fn an_init_that_is_cut_off_is_told_first_and_no_other_init_is_suggested() {
    let host = quiet()
        .yaml(
            "rookery_run.json",
            json!({ "init": "/sbin/init", "end": "guest-ended", "reason": "init was killed" }),
        )
        .answer(
            "root-filesystem.stat",
            json!({
                "path": "/sbin/init",
                "resolved": "/bin/busybox",
                "kind": "file",
                "bytes": 100_000,
                "elf": { "arch": "mipsel", "bytes": 400_000 }
            }),
        )
        .answer(
            "root-filesystem.init-candidates",
            json!({ "candidates": [{ "path": "/sbin/init" }, { "path": "/etc/rcS" }] }),
        );
    let host = host.text(
        "console.log",
        "Kernel panic - not syncing: Attempted to kill init!\n",
    );
    let answer = look(&host);
    let first = &answer["findings"][0];
    let text = first["finding"].as_str().unwrap();
    assert!(text.contains("cut off") && text.contains("100000") && text.contains("400000"));
    assert!(text.contains("extract"), "{text}");
    assert_eq!(first["evidence"], json!(["/bin/busybox"]));
    assert!(
        !answer["findings"].to_string().contains("set_env"),
        "{answer}"
    );
}

#[test]
fn another_name_of_the_init_that_failed_is_never_suggested() {
    let host = quiet()
        .text(
            "console.log",
            "Kernel panic - not syncing: Attempted to kill init!\n",
        )
        .yaml("rookery_run.json", json!({ "init": "/sbin/init" }))
        .answer(
            "root-filesystem.stat",
            json!({ "path": "/x", "resolved": "/bin/busybox", "kind": "file" }),
        )
        .answer(
            "root-filesystem.init-candidates",
            json!({ "candidates": [{ "path": "/linuxrc" }, { "path": "/bin/init" }] }),
        );
    let answer = look(&host);
    assert!(
        !answer["findings"].to_string().contains("set_env"),
        "{answer}"
    );
    assert!(!answer.to_string().contains("/linuxrc"), "{answer}");
}
