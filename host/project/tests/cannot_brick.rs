//! The ways in which a careless writer of the patch makes a project unloadable, or harms the host:
//! each is refused or made harmless.

mod edge;
mod support;

use std::fs;
use std::os::unix::fs::symlink;

use rookery_project::Error;
use serde_json::{Value, json};
use support::{CONFIG, PATCH, fixture};
use tempfile::TempDir;

#[test]
fn env_takes_strings_only() {
    let fixture = fixture(&[]);
    for value in [
        json!(1),
        json!(true),
        json!(null),
        json!(1.5),
        json!(["a"]),
        json!({"a": "b"}),
    ] {
        fixture.refuses(json!({"env": {"K": value}}), "env.K");
    }
    for value in [json!(true), json!(1.5), json!(null), json!([])] {
        fixture.refuses(json!({"nvram": {"K": value}}), "nvram.K");
    }
}

#[test]
fn an_interface_has_addresses_of_its_own_only() {
    let fixture = fixture(&[]);
    let of = |value: Value| json!({"plugins": {"interfaces": {"addresses": value}}});
    for value in [
        json!({"br0": "nowhere"}),
        json!({"br0": 5}),
        json!({"br0": ["10.0.0.1/99"]}),
    ] {
        fixture.refuses(of(value), "192.168.1.1/24");
    }
    fixture.refuses(of(json!("10.0.0.1/8")), "is a map");
    fixture
        .apply(of(json!({"br0": "10.0.0.1/8", "eth0": ["fd00::1/64"]})))
        .unwrap();
}

#[test]
fn what_answers_behind_an_interface_is_refused_where_it_could_not() {
    let fixture = fixture(&[]);
    let of = |key: &str, value: Value| json!({"plugins": {"interfaces": {key: value}}});
    for value in [
        json!("nowhere"),
        json!(5),
        json!(true),
        json!("fd00::1"),
        json!({}),
    ] {
        fixture.refuses(of("dns", value), "plugins.interfaces.dns");
    }
    for value in [
        json!("noon"),
        json!(-1),
        json!(4_294_967_296_u64),
        json!(1.5),
        json!([]),
    ] {
        fixture.refuses(of("ntp", value), "seconds from 1970");
    }
    for value in [json!("lo"), json!("a b"), json!(7)] {
        fixture.refuses(of("uplink", value), "plugins.interfaces.uplink");
    }
    for (value, text) in [
        (json!([]), "is a map"),
        (json!({"a b": {}}), "not an interface's name"),
        (json!({"ra0": 7}), "numbers of commands"),
        (json!({"ra0": {"many": {"model": "zero"}}}), "32 bits"),
        (
            json!({"ra0": {"0x8b01": {"model": "none"}}}),
            "return_const",
        ),
        (json!({"*": {"*": {}}}), "return_const"),
    ] {
        fixture.refuses(of("ioctl", value), text);
    }
    let whole = json!({
        "dns": "192.0.2.1", "ntp": 1_700_000_000, "uplink": "eth1", "addresses": {"br0": "::2/64"},
        "ioctl": {"*": {"0x8b01": {"model": "return_const", "val": 0}}},
    });
    let change = fixture
        .apply(json!({"plugins": {"interfaces": whole}}))
        .unwrap();
    assert_eq!(change["warnings"], json!([]), "{change}");
    let off = json!({"dns": null, "ntp": false, "uplink": null, "enabled": true});
    fixture
        .apply(json!({"plugins": {"interfaces": off}}))
        .unwrap();
    let odd = fixture.apply(of("dsn", json!("192.0.2.1"))).unwrap();
    assert!(
        odd["warnings"]
            .to_string()
            .contains("interfaces.dsn is read by nobody"),
        "{odd}"
    );
}

#[test]
fn what_would_tear_the_command_line_apart_is_refused() {
    let fixture = fixture(&[]);
    for (key, value) in [
        ("A B", "x"),
        ("A=B", "x"),
        ("", "x"),
        ("A", "x y"),
        ("A", "x\"y"),
        ("A", "x\ny"),
        ("A", "x\0"),
        ("A\"", "x"),
        ("A", "\t"),
    ] {
        fixture.refuses(json!({"env": {key: value}}), "env");
    }
    fixture.refuses(json!({"env": {"A": "x".repeat(4100)}}), "4095");
    let close = fixture
        .apply(json!({"env": {"A": "x".repeat(4000)}}))
        .unwrap();
    assert!(close["warnings"].to_string().contains("4095"), "{close}");
    let unrelated = fixture.apply(json!({"netdevs": ["eth9"]})).unwrap();
    assert_eq!(unrelated["warnings"], json!([]));
    fixture
        .apply(json!({"env": {"igloo_note": "x y"}}))
        .unwrap();
}

#[test]
fn names_and_numbers_that_the_run_drops_or_dies_of_are_refused() {
    let fixture = fixture(&[]);
    for key in ["a/b", "", ".", "..", "a\0b"] {
        fixture.refuses(json!({"nvram": {key: "v"}}), "nvram");
    }
    for name in ["sixteen_bytes_xx", "a b", "", "é", "*", "..", "a/b"] {
        fixture.refuses(json!({"netdevs": [name]}), "interface name");
        let addresses = json!({"addresses": {name: "10.0.0.1/8"}});
        fixture.refuses(
            json!({"plugins": {"interfaces": addresses}}),
            "interface's name",
        );
    }
    for signal in [0, -1, 65, 999] {
        fixture.refuses(json!({"blocked_signals": [signal]}), "1 to 64");
    }
    fixture.refuses(json!({"blocked_signals": ["SIGTERM"]}), "integer");
    for path in [
        "/etc/x",
        "dev/x",
        "/dev/../etc/x",
        "/dev//x",
        "/dev/",
        "/dev/x\n",
        "/proc/PID/maps",
        "/proc/1/maps",
        "/dev/./x",
    ] {
        fixture.refuses(json!({"pseudofiles": {path: {}}}), "pseudofiles");
    }
    fixture.refuses(
        json!({"pseudofiles": {"/proc/sys/x": {"mmap": {"model": "from_plugin", "plugin": "p"}}}}),
        "mmap",
    );
    fixture.refuses(
        json!({
            "pseudofiles": {
                "/dev/x": {"read": {"model": "const_map", "size": 4, "vals": {"2": "abc"}}}
            }
        }),
        "size",
    );
    fixture.refuses(json!({"core": {"timeout": 0}}), "timeout");
    fixture.refuses(
        json!({"plugins": {"netbinds": {"shutdown_on_ww": true}}}),
        "shutdown_on_ww",
    );
    fixture.refuses(json!({"plugins": {"x": {"outdir": "/"}}}), "outdir");
    fixture.refuses(
        json!({"static_files": {"/b": {"type": "binary_patch"}}}),
        "hex_bytes",
    );
}

#[test]
fn nothing_leaves_the_project() {
    let fixture = fixture(&[("tool.bin", "x")]);
    symlink("/etc", fixture.dir.path().join("out")).unwrap();
    for path in [
        "/../../etc/x",
        "/a/../x",
        "etc/x",
        "/",
        "/a/*",
        "/a//b",
        "//a",
        "/a/",
        "/a\n",
    ] {
        fixture.refuses(
            json!({"static_files": {path: {"type": "delete"}}}),
            "static_files",
        );
    }
    for path in [
        "/etc/passwd",
        "../x",
        "out/passwd",
        "base/../../x",
        "",
        "*.bin",
        "nope.bin",
    ] {
        fixture.refuses(
            json!({"static_files": {"/x": {"type": "host_file", "host_path": path}}}),
            "host_path",
        );
    }
    fixture.refuses(
        json!({"pseudofiles": {"/dev/x": {"write": {"model": "to_file", "filename": "/tmp/x"}}}}),
        "filename",
    );
    fixture.refuses(
        json!({"core": {"shared_dir": {"host_path": "/"}}}),
        "host_path",
    );
    fixture.refuses(
        json!({"core": {"extra_qemu_args": "-drive file=/etc/shadow"}}),
        "extra_qemu_args",
    );
    fixture
        .apply(json!({"static_files": {"/x": {"type": "host_file", "host_path": "tool.bin"}}}))
        .unwrap();
}

#[test]
fn file_modes_are_octal_in_any_notation() {
    let fixture = fixture(&[]);
    for (mode, number) in [
        (json!("0755"), 0o755),
        (json!("0o600"), 0o600),
        (json!("644"), 0o644),
        (json!(493), 493),
    ] {
        fixture
            .apply(json!({
                "static_files": {"/x": {"type": "inline_file", "contents": "", "mode": mode}}
            }))
            .unwrap();
        assert_eq!(fixture.value("static_files./x.mode"), number);
        assert!(
            fixture
                .text()
                .unwrap()
                .contains(&format!("mode: {number}\n")),
            "readers of 1.1 and 1.2 agree on decimal only"
        );
    }
    for mode in [
        json!("rwx"),
        json!("0899"),
        json!(-1),
        json!(0o10000),
        json!("+7"),
        json!(""),
    ] {
        fixture.refuses(
            json!({"static_files": {"/x": {"type": "inline_file", "contents": "", "mode": mode}}}),
            "mode",
        );
    }
}

#[test]
fn another_model_replaces_the_one_before() {
    let fixture = fixture(&[]);
    let read = |model: Value| json!({"pseudofiles": {"/dev/x": {"read": model}}});
    fixture
        .apply(read(
            json!({"model": "const_buf", "val": "a", "null_terminate": true}),
        ))
        .unwrap();
    fixture.apply(read(json!({"model": "zero"}))).unwrap();
    assert_eq!(
        fixture.value("pseudofiles./dev/x.read"),
        json!({"model": "zero"})
    );
    let file = |entry: Value| json!({"static_files": {"/x": entry}});
    fixture
        .apply(file(json!({"type": "inline_file", "contents": "a"})))
        .unwrap();
    fixture
        .apply(file(json!({"type": "symlink", "target": "/y"})))
        .unwrap();
    assert_eq!(
        fixture.value("static_files./x"),
        json!({"type": "symlink", "target": "/y"})
    );
}

#[test]
fn ioctl_commands_are_one_key_in_any_notation() {
    let fixture = fixture(&[]);
    for command in ["0x40046401", "1074029569", "0X40046401"] {
        fixture
            .apply(json!({
                "pseudofiles": {"/dev/x": {"ioctl": {command: {"model": "return_const", "val": 1}}}}
            }))
            .unwrap();
    }
    assert_eq!(
        fixture.value("pseudofiles./dev/x.ioctl"),
        json!({"1074029569": {"model": "return_const", "val": 1}})
    );
    fixture.refuses(
        json!({"pseudofiles": {"/dev/x": {"ioctl": {"TCGETS": {"model": "zero"}}}}}),
        "command number",
    );
}

#[test]
fn a_model_for_all_commands_becomes_the_star_of_a_lower_table() {
    let star = "pseudofiles: {/dev/wdt: {ioctl: {'*': {model: return_const, val: 0}}}}\n";
    let fixture = fixture(&[("patch_10.yaml", star)]);
    fixture
        .apply(json!({"pseudofiles": {"/dev/wdt": {"ioctl": {"model": "unhandled"}}}}))
        .unwrap();
    assert_eq!(
        fixture.value("pseudofiles./dev/wdt.ioctl"),
        json!({"*": {"model": "unhandled"}})
    );
}

#[test]
fn lists_hold_only_what_lower_files_lack() {
    let fixture = fixture(&[(
        "patch_10.yaml",
        "netdevs: [eth0]\npseudofiles: {/dev/q: {read: {model: sequence, vals: [a]}}}\n",
    )]);
    let answer = fixture.apply(json!({"netdevs": ["eth0"]})).unwrap();
    assert_eq!(
        (answer["changed"].clone(), fixture.text()),
        (json!(false), None)
    );
    fixture
        .apply(json!({"netdevs": ["eth0", "vlan7", "vlan7"]}))
        .unwrap();
    fixture.apply(json!({"netdevs": ["vlan7"]})).unwrap();
    assert_eq!(fixture.value("netdevs"), json!(["eth0", "vlan7"]));
    for vals in [
        json!(["busy", "busy", "ready"]),
        json!(["ready"]),
        json!(["busy", "busy", "ready"]),
    ] {
        fixture
            .apply(
                json!({"pseudofiles": {"/dev/s": {"read": {"model": "sequence", "vals": vals}}}}),
            )
            .unwrap();
        assert_eq!(fixture.value("pseudofiles./dev/s.read.vals"), vals);
    }
    fixture
        .apply(
            json!({"pseudofiles": {"/dev/q": {"read": {"model": "sequence", "vals": ["a", "b"]}}}}),
        )
        .unwrap();
    assert_eq!(
        fixture.value("pseudofiles./dev/q.read.vals"),
        json!(["a", "b"])
    );
    fixture.project.remove("netdevs.vlan7", &json!({})).unwrap();
    assert_eq!(fixture.value("netdevs"), json!(["eth0"]));
}

#[test]
fn a_patch_that_stops_penguin_is_repaired_or_explained() {
    for empty in ["", "# only a comment\n", "null\n"] {
        let fixture = fixture(&[(PATCH, empty)]);
        assert!(
            fixture.project.effective().is_err(),
            "Penguin stops at {empty:?}"
        );
        fixture.apply(json!({"env": {"A": "1"}})).unwrap();
        assert_eq!(fixture.value("env.A"), "1");
        fixture.project.remove("env.A", &json!({})).unwrap();
        assert_eq!(fixture.text(), None, "a file that sets nothing is removed");
    }
    for broken in [
        "env: {A: x",
        "env:\n\tA: x\n",
        "- a\n",
        "env: {A: 1, A: 2}\n",
    ] {
        let fixture = fixture(&[(PATCH, broken)]);
        let error = fixture
            .apply(json!({"env": {"A": "1"}}))
            .unwrap_err()
            .to_string();
        assert!(error.contains(PATCH) && error.contains("reset"), "{error}");
        assert_eq!(fixture.text().as_deref(), Some(broken), "nothing is lost");
        fixture.project.reset(&json!({})).unwrap();
        assert_eq!(fixture.text(), None);
        fixture.project.effective().unwrap();
        let history =
            fs::read_to_string(fixture.dir.path().join(".rookery/history.jsonl")).unwrap();
        assert!(
            history.contains(&serde_json::to_string(broken).unwrap()),
            "{history}"
        );
    }
    let fixture = fixture(&[]);
    fs::write(fixture.dir.path().join(PATCH), b"env: {A: \xff}").unwrap();
    assert!(
        fixture
            .apply(json!({"env": {"A": "1"}}))
            .unwrap_err()
            .to_string()
            .contains("UTF-8")
    );
    fixture.project.reset(&json!({})).unwrap();
    assert_eq!(
        fs::read(fixture.dir.path().join(".rookery/unreadable-1.yaml")).unwrap(),
        b"env: {A: \xff}"
    );
}

#[test]
fn a_patch_with_two_faults_is_repaired_step_by_step() {
    let fixture = fixture(&[(PATCH, "env: {A: 5}\ncore: {smp: many}\nbogus: 1\n")]);
    let answer = fixture.project.remove("bogus", &json!({})).unwrap();
    assert!(
        answer["warnings"]
            .to_string()
            .contains("still does not load"),
        "{answer}"
    );
    let shown = fixture.project.patch().unwrap();
    assert_eq!(shown["undo"], Value::Null, "{shown}");
    fixture.apply(json!({"env": {"A": "5"}})).unwrap();
    let worse = fixture.apply(json!({"core": {"strace": true, "ltrace": true, "smp": 1}}));
    let message = worse.unwrap_err().to_string();
    assert!(
        message.contains("before") && message.contains("reset"),
        "{message}"
    );
    fixture.apply(json!({"core": {"smp": 2}})).unwrap();
    fixture.project.effective().unwrap();
}

#[test]
fn nothing_is_written_through_a_link() {
    let fixture = fixture(&[]);
    let outside = TempDir::new().unwrap();
    let target = outside.path().join("victim");
    fs::write(&target, "env: {}\n").unwrap();
    symlink(&target, fixture.dir.path().join(PATCH)).unwrap();
    assert!(matches!(
        fixture.apply(json!({"env": {"A": "1"}})),
        Err(Error::Denied(_))
    ));
    assert_eq!(fs::read_to_string(&target).unwrap(), "env: {}\n");
    fs::remove_file(fixture.dir.path().join(PATCH)).unwrap();
    fs::remove_dir_all(fixture.dir.path().join(".rookery")).unwrap_or_default();
    symlink(outside.path(), fixture.dir.path().join(".rookery")).unwrap();
    assert!(matches!(
        fixture.apply(json!({"env": {"A": "1"}})),
        Err(Error::Denied(_))
    ));
    assert!(!outside.path().join("lock").exists());
}

#[test]
fn a_listed_patch_outside_the_project_is_not_read() {
    let config = format!("{CONFIG}patches: [/etc/passwd]\n");
    let fixture = fixture(&[("config.yaml", &config)]);
    let error = fixture.project.effective().unwrap_err().to_string();
    assert!(
        error.contains("outside the project") && !error.contains("root:"),
        "{error}"
    );
}
