//! Rules of Penguin's loader that the recorded cases do not show.

mod edge;
mod support;

use rookery_project::config::{Kind, Loaded, Patch, Refusal, load};
use serde_json::{Value, json};
use support::{CONFIG, project};

fn loaded(files: &[(&str, &str)]) -> Result<(Value, Loaded), Refusal> {
    let mut all = vec![("config.yaml", CONFIG)];
    all.retain(|(name, _)| !files.iter().any(|(other, _)| other == name));
    all.extend_from_slice(files);
    let dir = project(&all);
    load(dir.path(), Patch::OnDisk).map(|loaded| (loaded.config.to_json(), loaded))
}

fn config(files: &[(&str, &str)]) -> Value {
    loaded(files).unwrap().0
}

fn refused(files: &[(&str, &str)]) -> Refusal {
    loaded(files).unwrap_err()
}

#[test]
fn null_lets_the_lower_file_show_where_it_is_legal() {
    let nulls = "env: null\ncore: null\nuboot_env: null\n";
    assert_eq!(
        config(&[("patch_1.yaml", nulls)])["env"]["igloo_init"],
        "/sbin/init"
    );
    for illegal in [
        "netdevs: null",
        "env: {igloo_init: null}",
        "plugins: {core: null}",
        "pseudofiles: {/dev/x: null}",
        "network: {external: null}",
    ] {
        assert_eq!(
            refused(&[("patch_1.yaml", illegal)]).kind,
            Kind::Structure,
            "{illegal}"
        );
    }
}

#[test]
fn an_optional_field_that_is_null_everywhere_has_no_default() {
    let nulls = "core: {mem: null, smp: null, fs: null}\n\
        lib_inject: {enabled: null, stubs: {l: {s: {type: null, return: 1}}}}\n\
        network: {external: {mac: null}}\n\
        pseudofiles: {/dev/x: {read: {model: from_plugin, plugin: p, function: null}}}\n";
    let config = config(&[("patch_1.yaml", nulls)]);
    assert_eq!(config["core"]["fs"], "./base/empty_fs.tar.gz");
    for absent in [
        "/core/mem",
        "/core/smp",
        "/lib_inject/enabled",
        "/lib_inject/stubs/l/s/type",
        "/network/external/mac",
        "/pseudofiles/~1dev~1x/read/function",
    ] {
        assert_eq!(config.pointer(absent), None, "{absent}");
    }
    let missing = refused(&[("config.yaml", &CONFIG.replace("nvram: {}", "nvram: null"))]);
    assert!(missing.to_string().contains("is required"), "{missing}");
}

#[test]
fn lists_and_other_values_do_not_mix() {
    let strace = "core: {strace: [httpd], guest_cmd: true, shared_dir: true}";
    assert_eq!(
        refused(&[
            ("patch_1.yaml", strace),
            ("patch_2.yaml", "core: {strace: true}")
        ])
        .kind,
        Kind::Merge
    );
    assert_eq!(
        config(&[
            ("patch_1.yaml", "core: {strace: true}"),
            ("patch_2.yaml", strace)
        ])["core"]["strace"],
        json!(["httpd"])
    );
    let map = |vals: &str| {
        format!("pseudofiles: {{/dev/m: {{read: {{model: const_map, vals: {{0: {vals}}}}}}}}}")
    };
    assert_eq!(
        refused(&[("patch_1.yaml", &map("[a]")), ("patch_2.yaml", &map("[1]"))]).kind,
        Kind::Structure
    );
    let both = config(&[("patch_1.yaml", &map("a")), ("patch_2.yaml", &map("[1]"))]);
    let merged = &both["pseudofiles"]["/dev/m"];
    assert_eq!(merged["read"]["vals"]["0"], json!([1]));
}

#[test]
fn arguments_of_plugins_merge_as_their_kind_does() {
    let a = "plugins: {x: {m: {l: [1], s: 1}, n: 1, t: [1]}}";
    let b = "plugins: {x: {m: {l: [2], s: 2}, n: true, t: [2]}}";
    let x = config(&[("patch_1.yaml", a), ("patch_2.yaml", b)])["plugins"]["x"].clone();
    assert_eq!(
        x,
        json!({"enabled": true, "m": {"l": [1, 2, 2], "s": 2}, "n": 1, "t": [1, 2, 2]})
    );
    assert_eq!(
        refused(&[
            ("patch_1.yaml", a),
            ("patch_2.yaml", "plugins: {x: {m: 1}}")
        ])
        .kind,
        Kind::Merge
    );
}

#[test]
fn a_patch_that_is_listed_and_found_applies_twice() {
    let listed = format!("{CONFIG}patches: [patch_1.yaml, nope.yaml]\n");
    let (config, loaded) = loaded(&[
        ("config.yaml", &listed),
        ("patch_1.yaml", "netdevs: [eth0]"),
    ])
    .unwrap();
    assert_eq!(config["netdevs"], json!(["eth0", "eth0"]));
    assert!(
        loaded
            .warnings
            .iter()
            .any(|warning| warning.contains("nope.yaml"))
    );
}

#[test]
fn numbers_and_booleans_stand_for_each_other_where_penguin_lets_them() {
    let patch = "core: {shared_dir: 1, core_dumps: 0.0}\n\
        pseudofiles: {/dev/x: {ioctl: {true: {model: zero}, 2.0: {model: zero}}}}\n";
    let config = config(&[("patch_1.yaml", patch)]);
    assert_eq!(config["core"]["shared_dir"], json!({"path": "shared"}));
    assert_eq!(config["core"].get("core_dumps"), None);
    assert_eq!(
        config["pseudofiles"]["/dev/x"]["ioctl"],
        json!({"1": {"model": "zero"}, "2": {"model": "zero"}})
    );
    for illegal in [
        "core: {shared_dir: 2}",
        "pseudofiles: {/dev/x: {ioctl: {2.5: {model: zero}}}}",
    ] {
        assert_eq!(
            refused(&[("patch_1.yaml", illegal)]).kind,
            Kind::Structure,
            "{illegal}"
        );
    }
}

#[test]
fn a_large_file_with_many_faults_is_refused_soon() {
    let entries: Vec<_> = (0..20_000).map(|n| format!("  k{n}: [{n}]\n")).collect();
    let text = "nvram:\n".to_owned() + &entries.concat();
    let start = std::time::Instant::now();
    let refusal = refused(&[("patch_1.yaml", &text)]);
    assert!(start.elapsed().as_secs() < 10);
    assert!(
        refusal.faults[1]
            .to_string()
            .starts_with("nvram.k1 (line 3)"),
        "{refusal}"
    );
}

#[test]
fn drop_ins_lose_one_extension() {
    let config = config(&[("plugins.d/x.py.py", ""), ("init.d/c.c.c", "")]);
    assert!(config["plugins"].get("x.py").is_some());
    assert!(config["static_files"].get("/igloo/init.d/c.c").is_some());
}

#[test]
fn templates_see_the_main_file_and_their_own_variables() {
    let main =
        CONFIG.replace("version: 2", "version: 2, mem: 1G") + "vars: {a: x, b: '{{ a }}y'}\n";
    let patch = "vars: {c: '{{ b }}z'}\n\
        env: {P: '{{ c }}', '{{ a }}_{{ arch }}': '{{ core.mem }}', \
        K: '/k/{{ kernel_version }}'}\n";
    let env = config(&[("config.yaml", &main), ("patch_1.yaml", patch)])["env"].clone();
    assert_eq!(
        env,
        json!({"igloo_init": "/sbin/init", "P": "xyz", "x_armel": "1G", "K": "/k/6.13"})
    );
    let two = [
        ("patch_1.yaml", "vars: {c: x}\n"),
        ("patch_2.yaml", "env: {A: '{{ c }}'}\n"),
    ];
    assert_eq!(
        refused(&two).kind,
        Kind::Template,
        "variables of one patch are unknown in another"
    );
}

#[test]
fn penguins_own_additions_come_after_the_patches() {
    let patch = "core: {guest_cmd: true, startup_script: 'true'}\n\
        plugins: {vpn: {}, my: {b: 2}, core: {timeout: '60'}}\n";
    let files = [
        ("patch_1.yaml", patch),
        ("init.d/a.h", ""),
        ("init.d/b.c", ""),
        ("init.d/sub/x", ""),
        ("plugins.d/my.py", ""),
        ("plugins.d/my.yaml", "{a: 1}"),
    ];
    let (config, loaded) = loaded(&files).unwrap();
    let statics = config["static_files"].as_object().unwrap();
    let names: Vec<_> = statics.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "/igloo/utils/guesthopper",
            "/igloo/init.d/guesthopper",
            "/igloo/init.d/b",
            "/igloo/init.d/zz_startup_script"
        ]
    );
    assert_eq!(config["plugins"]["my"], json!({"enabled": true, "a": 1}));
    assert_eq!(
        (
            config["core"]["timeout"].clone(),
            config["plugins"]["core"].clone()
        ),
        (json!(60), json!({"enabled": true}))
    );
    assert!(
        loaded
            .warnings
            .iter()
            .any(|warning| warning.contains("plugins.d/my.py")),
        "{:?}",
        loaded.warnings
    );
}

#[test]
fn tracing_one_program_needs_a_way_in_and_one_tool() {
    let on = "guest_cmd: true, shared_dir: true";
    for (core, ok) in [
        (
            format!("core: {{strace: [a], gdbserver: {{b: 9999}}, {on}}}"),
            true,
        ),
        (format!("core: {{strace: [a], ltrace: [a], {on}}}"), false),
        (format!("core: {{strace: true, ltrace: [a], {on}}}"), false),
        ("core: {strace: true, ltrace: true}".to_owned(), false),
        (
            "core: {gdbserver: {a: 1}, guest_cmd: true}".to_owned(),
            false,
        ),
        ("core: {arch: mips64el, ltrace: true}".to_owned(), false),
        ("core: {arch: mips64el, strace: []}".to_owned(), true),
    ] {
        assert_eq!(
            loaded(&[("patch_1.yaml", &core)])
                .map_err(|refusal| refusal.kind)
                .is_ok(),
            ok,
            "{core}"
        );
    }
}

/// Two changes that are on their way in Penguin, and others like them.
#[test]
fn what_a_newer_penguin_may_know_is_kept_and_told_and_never_refused() {
    for (patch, path, told) in [
        (
            "core: {root_shell_backend: vsock}",
            "/core/root_shell_backend",
            "root_shell_backend",
        ),
        (
            "core: {snapshot: {compress: true}}",
            "/core/snapshot/compress",
            "compress",
        ),
        (
            "lib_inject: {loader: {kind: a}}",
            "/lib_inject/loader/kind",
            "loader",
        ),
        ("network: {bridges: [a]}", "/network/bridges/0", "bridges"),
        (
            "pseudofiles: {/dev/x: {novel: 2}}",
            "/pseudofiles/~1dev~1x/novel",
            "novel",
        ),
        (
            "static_files: {/x: {type: dir, owner: root}}",
            "/static_files/~1x/owner",
            "owner",
        ),
        ("plugins: {vpn: {newly: 1}}", "/plugins/vpn/newly", "newly"),
    ] {
        let (config, loaded) = loaded(&[("patch_1.yaml", patch)]).expect(patch);
        assert!(config.pointer(path).is_some(), "{patch}: {config}");
        let warned = loaded.warnings.iter().any(|warning| warning.contains(told));
        assert!(warned, "{patch}: {:?}", loaded.warnings);
    }
    let (config, _) = loaded(&[("patch_1.yaml", "core: {guest_cmd: auto}")]).unwrap();
    assert_eq!(config["core"]["guest_cmd"], "auto");
}

#[test]
fn a_refusal_names_file_place_and_way_out() {
    let text = refused(&[("patch_7.yaml", "env:\n  A: x\ncore:\n  root_shel: true\n")]).to_string();
    assert!(
        text.starts_with(
            "patch_7.yaml: core.root_shel (line 4): unknown option 'root_shel' in \
        core (did you mean 'root_shell'?)"
        ),
        "{text}"
    );
    let text = refused(&[(
        "patch_7.yaml",
        "pseudofiles:\n  /dev/x:\n    read: {model: const_bug}\n",
    )])
    .to_string();
    assert!(
        text.contains("did you mean 'const_buf'") && text.contains("line 3"),
        "{text}"
    );
    assert!(
        refused(&[("config.yaml", "core: {version: 2, arch: armel}\n")])
            .to_string()
            .contains("env: is required")
    );
    assert!(
        refused(&[(
            "config.yaml",
            &CONFIG.replace("version: 2", "version: 1.0.0")
        )])
        .to_string()
        .contains("core.version")
    );
    assert!(
        refused(&[("config.yaml", &CONFIG.replace(", arch: armel", ""))])
            .to_string()
            .contains("core.arch")
    );
    let both = refused(&[("patch_1.yaml", "env: {A: 1, B: 2}\n")]);
    assert_eq!(both.faults.len(), 2, "all problems are reported at once");
}
