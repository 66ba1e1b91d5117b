//! New projects are as good for Penguin as those of its own init, and none of what is for Penguin
//! alone stands in the embedded emulator's way.

#[path = "common/creating.rs"]
mod creating;
mod edge;
#[path = "common/images.rs"]
mod images;

use std::fs;

use creating::{create, names};
use images::small_root;
use rookery_contract::options::ApplyOptions;
use rookery_project::Roots;
use rookery_project::penguin::init_patches::{FOR_PENGUIN_ALONE, file};
use serde_json::{Value, json};

/// A program or library with these strings.
fn program(strings: &str) -> Vec<u8> {
    [images::elf(8, false, false), strings.as_bytes().to_vec()].concat()
}

fn project() -> (tempfile::TempDir, rookery_project::Project) {
    let dir = tempfile::tempdir().unwrap();
    let archive = small_root("")
        .file("sbin/halt", 0o755, b"#!/bin/sh\n")
        .file("sbin/insmod", 0o755, b"#!/bin/sh\n")
        .file("etc/reboot", 0o644, b"no program\n")
        .file(
            "lib/libvendor.so",
            0o755,
            &program("\0acosNvramConfig_get\0strcmp\0"),
        )
        .file(
            "usr/sbin/httpd",
            0o755,
            &program("\0/dev/acme\0/dev/acme/io\0/dev/sda1\0/dev/null\0/proc/acme\0/proc/sw_nat\0"),
        )
        .file(
            "etc/nvram.default",
            0o644,
            b"lan_ipaddr=10.9.8.7\nbanner={{ 7 * 7 }}${#x}\n",
        );
    fs::write(dir.path().join("fw.tgz"), archive.gz()).unwrap();
    create(dir.path(), "fw.tgz", "out").unwrap();
    assert_eq!(names(dir.path()), ["fw.tgz", "out"]);
    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    let project = roots.project("out").unwrap();
    (dir, project)
}

#[test]
fn what_penguins_init_finds_is_in_the_project() {
    let (_dir, project) = project();
    let config = Value::Object(project.effective().unwrap().config);
    let at = |pointer: &str| config.pointer(pointer).cloned().unwrap_or_default();
    let shim = json!({ "type": "shim", "target": "/igloo/utils/exit0.sh" });
    assert_eq!(at("/static_files/~1sbin~1halt"), shim);
    assert_eq!(at("/static_files/~1sbin~1insmod"), shim);
    assert_eq!(at("/static_files/~1etc~1reboot"), Value::Null);
    assert_eq!(
        at("/lib_inject/aliases"),
        json!({ "acosNvramConfig_get": "libinject_nvram_get", "strcmp": "libinject_strcmp" })
    );
    assert_eq!(at("/nvram/lan_ipaddr"), "10.9.8.7");
    // Of the firmware's own no template is made, and Penguin's values fill what it lacks.
    assert_eq!(at("/nvram/banner"), "{{ 7 * 7 }}${#x}");
    assert_eq!(at("/nvram/lan_netmask"), "255.255.255.0");
    let guess = at("/pseudofiles/~1dev~1acme~1io");
    assert_eq!(
        guess["read"],
        json!({ "model": "zero", "provenance": "default" })
    );
    assert_eq!(guess["ioctl"]["*"]["provenance"], "default");
    assert_eq!(at("/pseudofiles/~1proc~1acme/ioctl"), Value::Null);
    for path in ["~1dev~1acme", "~1dev~1sda1", "~1dev~1null"] {
        assert_eq!(at(&format!("/pseudofiles/{path}")), Value::Null, "{path}");
    }
    // What is known is no guess.
    assert_eq!(
        at("/pseudofiles/~1proc~1sw_nat/read"),
        json!({ "model": "zero" })
    );
}

#[test]
fn the_embedded_emulator_sees_what_a_guess_would_hide() {
    let (_dir, project) = project();
    let config = project.for_embedded().unwrap();
    let has = |pointer: &str| config.pointer(pointer).is_some();
    assert!(!has("/pseudofiles/~1dev~1acme~1io") && !has("/static_files/~1sbin~1halt"));
    assert!(!has("/lib_inject/aliases/strcmp") && !has("/nvram/lan_netmask"));
    assert!(has("/pseudofiles/~1proc~1sw_nat") && has("/env/igloo_init"));
    // A change counts everywhere, also where it says what the guess says.
    let model = json!({ "pseudofiles": { "/dev/acme/io": {
        "read": { "model": "zero" }, "write": { "model": "discard" },
        "ioctl": { "*": { "model": "return_const", "val": 0 } },
    } } });
    let tried = project.tried(&model, &[]).unwrap();
    let read = tried.pointer("/pseudofiles/~1dev~1acme~1io/read/model");
    assert_eq!(read, Some(&json!("zero")));
    project.apply(&model, &ApplyOptions::default()).unwrap();
    let config = project.for_embedded().unwrap();
    assert_eq!(
        config.pointer("/pseudofiles/~1dev~1acme~1io/write/model"),
        Some(&json!("discard"))
    );
    assert!(
        !config
            .pointer("/static_files")
            .unwrap()
            .to_string()
            .contains("shim")
    );
}

#[test]
fn what_the_embedded_emulator_leaves_out_has_no_list() {
    let (dir, _project) = project();
    let mut seen = 0;
    for name in FOR_PENGUIN_ALONE {
        let Ok(text) = fs::read_to_string(dir.path().join("out").join(file(name))) else {
            continue;
        };
        let patch: Value = serde_yaml::from_str(&text).unwrap();
        assert!(!patch.to_string().contains('['), "{name}: {patch}");
        seen += 1;
    }
    assert!(seen > 5, "{seen}");
}
