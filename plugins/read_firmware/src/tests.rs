use rookery_plugin::testing::{FakeHost, call, check};
use serde_json::json;

use super::*;

fn stat(kind: &str, bytes: u64) -> Value {
    json!({ "path": "/x", "resolved": "/x", "kind": kind, "bytes": bytes, "mode": "0644" })
}

#[test]
fn its_definition_is_sound() {
    check::<read_firmware>();
}

#[test]
fn a_directory_is_listed_with_what_is_not_as_usual() {
    let entries = json!([
        { "name": "bin", "kind": "directory", "bytes": 0, "mode": "0755" },
        { "name": "passwd", "kind": "file", "bytes": 64, "mode": "0644" },
        { "name": "run.sh", "kind": "file", "bytes": 9, "mode": "0755" },
        { "name": "sh", "kind": "symlink", "bytes": 0, "mode": "0777", "target": "busybox" },
        { "name": "null", "kind": "character-device", "bytes": 0, "mode": "0666", "device": "1:3" }
    ]);
    let listing = json!({ "path": "/x", "entries": entries, "total": 9, "truncated": true });
    let host = FakeHost::new()
        .answer("root-filesystem.stat", stat("directory", 0))
        .answer("root-filesystem.list-directory", listing);
    let arguments = json!({ "project_dir": "p", "path": "/x", "limit": 5 });
    let answer = call::<read_firmware>(&host, arguments).unwrap();
    assert_eq!(
        answer["entries"],
        json!([
            { "name": "bin/" },
            { "name": "passwd", "bytes": 64 },
            { "name": "run.sh", "bytes": 9, "mode": "0755" },
            { "name": "sh", "target": "busybox" },
            { "name": "null", "kind": "character-device", "mode": "0666", "device": "1:3" }
        ])
    );
    let following = json!({ "project_dir": "p", "path": "/x", "offset": 5, "limit": 5 });
    assert_eq!(
        answer["next"],
        json!({ "tool": "read_firmware", "arguments": following })
    );
    assert_eq!(
        (&answer["total"], &answer["truncated"]),
        (&json!(9), &json!(true))
    );
}

#[test]
fn a_file_is_read_in_ranges_and_a_program_as_hex_with_its_elf_facts() {
    let host = FakeHost::new()
        .answer("root-filesystem.stat", stat("file", 5000))
        .answer("root-filesystem.read", json!(vec![b'a'; 2048]));
    let arguments = json!({ "project_dir": "p", "path": "/x" });
    let answer = call::<read_firmware>(&host, arguments.clone()).unwrap();
    assert_eq!(answer["text"].as_str().unwrap().len(), 2048);
    assert_eq!(answer["next"]["arguments"]["offset"], 2048);
    assert!(answer.get("stat").is_none());
    let asked = &host.calls("root-filesystem.read")[0];
    assert_eq!(
        (&asked["offset"], &asked["length"]),
        (&json!(0), &json!(2048))
    );

    let mut elf = stat("file", 90_000);
    elf["elf"] = json!({ "arch": "mipsel", "needed": ["libc.so.0"] });
    let host = FakeHost::new().answer("root-filesystem.stat", elf).answer(
        "root-filesystem.read",
        json!([[0x7f, 0x45, 0x4c, 0x46].as_slice(), &[0; 99]].concat()),
    );
    let answer = call::<read_firmware>(&host, arguments).unwrap();
    assert!(answer["hex"].as_str().unwrap().starts_with("7f454c4600"));
    assert_eq!(answer["hex"].as_str().unwrap().len(), 128);
    assert_eq!(answer["stat"]["elf"]["arch"], "mipsel");
    assert!(answer.to_string().len() < 600, "{answer}");
}

#[test]
fn a_pattern_searches_contents_or_paths() {
    let found = json!({
        "matches": [{ "path": "/etc/rc", "offset": 4, "text": "board_id=" }], "total": 1,
        "truncated": false, "files": 30
    });
    let host = FakeHost::new().answer("root-filesystem.search", found);
    for (place, said) in [(None, "content"), (Some("path"), "path")] {
        let mut arguments = json!({ "project_dir": "p", "path": "/etc", "pattern": "board" });
        if let Some(place) = place {
            arguments["in"] = json!(place);
        }
        let answer = call::<read_firmware>(&host, arguments).unwrap();
        assert_eq!(answer["matches"][0]["path"], "/etc/rc");
        let asked = host.calls("root-filesystem.search").pop().unwrap();
        assert_eq!(
            asked["options"],
            json!({ "in": said, "under": "/etc", "limit": 30 })
        );
    }
}

#[test]
fn arguments_that_contradict_each_other_are_refused() {
    let host = FakeHost::new().answer("root-filesystem.stat", stat("directory", 0));
    for arguments in [
        json!({ "project_dir": "p", "what": "search" }),
        json!({ "project_dir": "p", "what": "list", "pattern": "x" }),
        json!({ "project_dir": "p", "what": "read" }),
    ] {
        let refused = call::<read_firmware>(&host, arguments);
        assert!(matches!(
            refused,
            Err(rookery_plugin::Error::InvalidArgument(_))
        ));
    }
}
