//! Changes that are right by themselves and wrong with what is there already.

mod edge;
mod support;

use serde_json::{Value, json};
use support::{CONFIG, PATCH, fixture};

fn replace(path: &str) -> Value {
    json!({ "replace": [path] })
}

#[test]
fn replacing_a_model_leaves_the_file_whose_name_looks_like_it() {
    let fixture = fixture(&[]);
    let zero = json!({"read": {"model": "zero"}});
    fixture
        .apply(json!({"pseudofiles": {"/dev/foo.read": zero, "/dev/foo": zero}}))
        .unwrap();
    let one = json!({"pseudofiles": {"/dev/foo": {"read": {"model": "one"}}}});
    let answer = fixture
        .project
        .apply(one, &replace("pseudofiles./dev/foo.read"))
        .unwrap();
    assert_eq!(
        answer["patch"]["pseudofiles"],
        json!({"/dev/foo.read": zero, "/dev/foo": {"read": {"model": "one"}}})
    );

    let secret = json!({"type": "inline_file", "contents": "a", "mode": "0600"});
    fixture
        .apply(json!({"static_files": {"/etc/foo": secret}}))
        .unwrap();
    let answer = fixture
        .project
        .apply(
            json!({"static_files": {"/etc/foo.mode": {"type": "delete"}}}),
            &replace("static_files./etc/foo.mode"),
        )
        .unwrap();
    assert_eq!(
        answer["patch"]["static_files"]["/etc/foo"]["mode"], 0o600,
        "{answer}"
    );
}

#[test]
fn what_a_fragment_does_not_name_is_replaced_by_its_path_in_the_patch() {
    let fixture = fixture(&[]);
    fixture.apply(json!({"env": {"A": "1", "B": "2"}})).unwrap();
    let answer = fixture
        .project
        .apply(json!({"env": {"C": "3"}}), &replace("env.A"))
        .unwrap();
    assert_eq!(answer["patch"]["env"], json!({"B": "2", "C": "3"}));
}

#[test]
fn a_sparse_file_keeps_room_for_the_data_of_lower_files() {
    let lower =
        "pseudofiles: {/dev/m: {read: {model: const_map, size: 0x20000, vals: {0x18000: abc}}}}\n";
    let fixture = fixture(&[("patch_20_user.yaml", lower)]);
    let data = |more: Value| {
        let mut read = json!({"model": "const_map", "vals": {"0": "hello"}});
        read.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"pseudofiles": {"/dev/m": {"read": read}}})
    };
    fixture.apply(data(json!({}))).unwrap();
    assert_eq!(
        fixture.value("pseudofiles./dev/m.read"),
        json!({
            "model": "const_map",
            "pad": 0,
            "size": 0x20000,
            "vals": {"98304": "abc", "0": "hello"}
        })
    );
    fixture.project.reset(&json!({})).unwrap();
    fixture.refuses(data(json!({"size": 100})), "raise 'size'");
}

#[test]
fn a_model_of_a_plugin_that_is_not_there_is_refused() {
    let model = |plugin: &str| {
        json!({
            "pseudofiles": {"/dev/x": {"ioctl": {"1": {"model": "from_plugin", "plugin": plugin}}}}
        })
    };
    let config = CONFIG.replace("netbinds: {}", "netbinds: {}, mine: {enabled: false}");
    let fixture = fixture(&[("config.yaml", &config), ("plugins.d/my_own.py", "")]);
    fixture.refuses(model("nope"), "plugins.d/nope.py");
    fixture.refuses(model("mine"), "is switched off");
    for there in ["MyOwn", "my_own", "netbinds"] {
        fixture.apply(model(there)).unwrap();
    }
    let custom =
        json!({"pseudofiles": {"/dev/y": {"read": {"model": "custom", "model_name": "m"}}}});
    let answer = fixture.apply(custom).unwrap();
    assert!(
        answer["warnings"].to_string().contains("must register"),
        "{answer}"
    );
}

#[test]
fn a_variable_may_be_called_model() {
    let fixture = fixture(&[]);
    fixture
        .apply(json!({"nvram": {"type": "router", "a": "1"}}))
        .unwrap();
    let answer = fixture.apply(json!({"env": {"model": "X1"}})).unwrap();
    assert_eq!(
        answer["effective"],
        json!([{"path": "env.model", "value": "X1", "overridden": false, "set_by": PATCH}])
    );
    let history = fixture.project.patch().unwrap()["history"].clone();
    assert_eq!(history[0]["change"], "set env.model");
    assert_eq!(history[1]["change"], "set nvram.type, nvram.a");
}

#[test]
fn a_file_of_the_project_is_named_relative_to_it() {
    let fixture = fixture(&[("hosted", "x")]);
    let entry =
        |path: &str| json!({"static_files": {"/x": {"type": "host_file", "host_path": path}}});
    let absolute = fixture.project.dir().join("hosted");
    fixture.refuses(
        entry(absolute.to_str().unwrap()),
        "write it relative to the project: hosted",
    );
    fixture.apply(entry("hosted")).unwrap();
}

#[test]
fn flash_devices_are_said_to_belong_to_another_plugin() {
    let answer = fixture(&[])
        .apply(json!({"pseudofiles": {"/dev/mtd0": {}}}))
        .unwrap();
    assert!(
        answer["warnings"]
            .to_string()
            .contains("plugins.mtd.devices"),
        "{answer}"
    );
}

#[test]
fn a_patch_that_applies_twice_is_said_to() {
    let listed = format!("{CONFIG}patches: [{PATCH}]\n");
    let fixture = fixture(&[("config.yaml", &listed)]);
    let answer = fixture.apply(json!({"netdevs": ["eth7"]})).unwrap();
    assert_eq!(answer["effective"][0]["value"], json!(["eth7", "eth7"]));
    assert!(
        answer["warnings"].to_string().contains("applied twice"),
        "{answer}"
    );
}

#[test]
fn a_reset_tells_what_every_key_of_both_patches_is_then() {
    let fixture = fixture(&[]);
    fixture.apply(json!({"env": {"A": "1"}})).unwrap();
    fixture.apply(json!({"env": {"B": "2"}})).unwrap();
    let paths = |options: Value| {
        let answer = fixture.project.reset(&options).unwrap();
        let effective = answer["effective"].as_array().unwrap();
        effective
            .iter()
            .map(|key| key["path"].clone())
            .collect::<Value>()
    };
    assert_eq!(paths(json!({"to_revision": 1})), json!(["env.A", "env.B"]));
    assert_eq!(paths(json!({})), json!(["env.A"]));
    assert_eq!(paths(json!({"to_revision": 2})), json!(["env.A", "env.B"]));
}

#[test]
fn the_first_change_can_be_undone() {
    let fixture = fixture(&[]);
    assert_eq!(fixture.project.patch().unwrap()["undo"], Value::Null);
    fixture.apply(json!({"env": {"A": "1"}})).unwrap();
    assert_eq!(fixture.project.patch().unwrap()["undo"], 0);
    fixture.apply(json!({"env": {"A": "2"}})).unwrap();
    assert_eq!(fixture.project.patch().unwrap()["undo"], 1);
}

#[test]
fn a_change_says_whether_the_project_loads_with_it() {
    let fixture = fixture(&[(PATCH, "env: {A: 1, B: 2}\n")]);
    let mended = |path: &str| fixture.project.remove(path, &json!({})).unwrap()["loads"].clone();
    assert_eq!(mended("env.A"), false, "the other is still no string");
    assert_eq!(mended("env.B"), true);
}

#[test]
fn a_decimal_mode_that_looks_octal_is_refused() {
    let dir = |mode: Value| json!({"static_files": {"/tmp": {"type": "dir", "mode": mode}}});
    let fixture = fixture(&[]);
    for (mode, written) in [(755, "\"0755\""), (1777, "\"01777\""), (2755, "\"02755\"")] {
        fixture.refuses(dir(json!(mode)), written);
    }
    for (mode, bits) in [
        (json!("1777"), 0o1777),
        (json!("0o644"), 0o644),
        (json!(0o1777), 0o1777),
        (json!(0o755), 0o755),
    ] {
        fixture.apply(dir(mode)).unwrap();
        assert_eq!(fixture.value("static_files./tmp.mode"), bits);
    }
    for wrong in [json!("rwx"), json!(70_000)] {
        fixture.refuses(dir(wrong), "octal");
    }
    let patch = json!({"type": "binary_patch", "file_offset": 1, "asm": "nop", "mode": "thumb"});
    fixture
        .apply(json!({"static_files": {"/x": patch}}))
        .unwrap();
}

#[test]
fn an_ioctl_command_is_32_bits_without_a_sign() {
    let fixture = fixture(&[]);
    let command =
        |key: &str| json!({"pseudofiles": {"/dev/x": {"ioctl": {key: {"model": "zero"}}}}});
    for legal in ["0", "0x80045705", "4294967295", "*"] {
        fixture.apply(command(legal)).unwrap();
    }
    for (key, shown) in [
        ("-2147199227", "-2147199227"),
        ("0x100000000", "4294967296"),
    ] {
        fixture.refuses(
            command(key),
            &format!("ioctl.{shown}: an ioctl command is 0 to"),
        );
    }
}

#[test]
fn the_kernel_and_the_folders_are_those_of_the_architecture() {
    let patch =
        "vars: {dirs: '{{ arch }} {{ arch_dir }} {{ dylib_dir }}'}\nenv: {D: '{{ dirs }}'}\n";
    for (written, dirs, kernel) in [
        ("arm64", "aarch64 aarch64 aarch64", "zImage.arm64"),
        (
            "ppc64",
            "powerpc64 powerpc64 powerpc64",
            "vmlinux.powerpc64",
        ),
        (
            "ppc64el",
            "powerpc64le powerpc64le powerpc64le",
            "vmlinux.powerpc64le",
        ),
        (
            "loongarch",
            "loongarch64 loongarch64 loongarch64",
            "vmlinuz.efi.loongarch64",
        ),
        ("ppc", "powerpc powerpc powerpc", "vmlinux.ppc"),
        ("intel64", "x86_64 x86_64 x86_64", "vmlinux.x86_64"),
    ] {
        let config = CONFIG.replace("armel", written);
        assert_ne!(config, CONFIG);
        let fixture = fixture(&[("config.yaml", &config), ("patch_10.yaml", patch)]);
        assert_eq!(fixture.value("env.D"), dirs);
        assert_eq!(
            fixture.value("core.kernel"),
            format!("/igloo_static/kernels/6.13/{kernel}")
        );
    }
}
