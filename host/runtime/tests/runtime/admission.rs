//! What may serve is decided before it runs, and decided again by the same rules from the cache.

use std::fs;
use std::time::{Duration, Instant};

use crate::common::{Place, call, probe, probe_that, said};
use proptest::prelude::*;
use rookery_runtime::{Audit, FailureKind, LoadReport, Runtime};
use serde_json::json;

fn rejection(place: &Place, policy: &str) -> String {
    let (runtime, report) = place.load(policy);
    assert!(runtime.tools().is_empty());
    report
        .rejected
        .first()
        .expect("it is rejected")
        .reason
        .clone()
}

/// As `plugins check` looks at a file.
fn check(place: &Place, file: &std::path::Path, policy: &str) -> LoadReport {
    let runtime = Runtime::new(place.config(policy)).unwrap();
    runtime.check(&[place.dir.path().join("plugins")], &[file.to_owned()])
}

#[test]
fn a_sound_plugin_says_what_it_is_and_what_it_can_do() {
    let place = Place::with_probe();
    let (runtime, report) = place.load("");
    let plugin = &report.plugins[0];
    assert_eq!(plugin.tools, ["probe"]);
    let mut imports = plugin.imports.clone();
    imports.sort();
    assert_eq!(
        imports,
        [
            "config",
            "config-mutation",
            "creation",
            "emulation",
            "firmware",
            "live",
            "log",
            "results"
        ]
    );
    let definition = &runtime.tools()["probe"].definition;
    assert_eq!(
        definition["annotations"]["readOnlyHint"], false,
        "it can write, whatever it claims"
    );
    assert_eq!(
        definition["inputSchema"]["properties"]["n"],
        json!({"type": "integer", "minimum": 0, "description": "A number for it."})
    );
    let checked = check(&place, &place.plugin("probe.wasm"), "");
    assert_eq!(checked.plugins[0].digest, plugin.digest);
    assert_eq!(checked.plugins[0].tools, plugin.tools);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sound_is_reported_and_the_rest_serves() {
    let place = Place::with_probe();
    let good = fs::read(probe()).unwrap();
    fs::write(place.plugin("a_script.wasm"), "#!/bin/sh\n").unwrap();
    fs::write(place.plugin("b_module.wasm"), b"\0asm\x01\0\0\0").unwrap();
    fs::write(place.plugin("c_cut.wasm"), &good[..good.len() / 2]).unwrap();
    fs::write(place.plugin("d_empty.wasm"), "").unwrap();
    fs::create_dir(place.plugin("e_dir.wasm")).unwrap();
    fs::File::create(place.plugin("f_huge.wasm"))
        .unwrap()
        .set_len(65 << 20)
        .unwrap();
    std::os::unix::fs::symlink("/nowhere", place.plugin("g_link.wasm")).unwrap();
    fs::write(place.plugin("z_again.wasm"), &good).unwrap();
    fs::write(place.plugin("notes.txt"), "not looked at").unwrap();
    let (runtime, report) = place.load("");
    let reasons: Vec<_> = report
        .rejected
        .iter()
        .map(|r| {
            (
                r.file.file_name().unwrap().to_str().unwrap(),
                r.reason.as_str(),
            )
        })
        .collect();
    let expected = [
        ("a_script.wasm", "not WebAssembly"),
        ("b_module.wasm", "core WebAssembly module"),
        ("c_cut.wasm", "not a valid component"),
        ("d_empty.wasm", "not WebAssembly"),
        ("e_dir.wasm", "regular file"),
        ("f_huge.wasm", "64 MiB"),
        ("g_link.wasm", "cannot be read"),
        ("z_again.wasm", "already served by"),
    ];
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    for ((file, reason), (name, words)) in reasons.iter().zip(expected) {
        assert!(*file == name && reason.contains(words), "{file}: {reason}");
    }
    assert_eq!(
        said(&runtime, json!({"do": "echo", "text": "x"})).await,
        "x"
    );
}

#[test]
fn a_directory_that_is_not_there_is_reported() {
    let place = Place::empty();
    fs::remove_dir(place.dir.path().join("plugins")).unwrap();
    assert!(rejection(&place, "").contains("cannot be read"));
}

#[test]
fn an_import_that_is_not_granted_is_refused_with_the_line_that_grants_it() {
    let mut place = Place::with_probe();
    for start in ["cold", "warm"] {
        place.built_in = false;
        let reason = rejection(
            &place,
            "[default]\ngrant = ['creation', 'emulation', 'live']",
        );
        assert!(
            reason.contains("`rookery:plugin/config-mutation`"),
            "{start}: {reason}"
        );
        assert!(
            reason.contains("put under [plugin.\"probe\"]: grant = [\"config-mutation\"]"),
            "{start}: {reason}"
        );
        // Now it becomes known to the cache, and must be refused all the same.
        place.built_in = true;
        assert_eq!(place.load("").1.plugins.len(), 1);
    }
}

#[test]
fn a_plugin_that_came_with_the_program_is_granted_everything_but_what_is_denied() {
    let mut place = Place::with_probe();
    assert_eq!(place.load("[default]\nwall_ms = 1000").1.plugins.len(), 1);
    let reason = rejection(&place, "[default]\ndeny = ['live']");
    assert!(
        reason.contains("take \"live\" out of `deny` under [default]"),
        "{reason}"
    );
    place.built_in = false;
    let reason = rejection(&place, "");
    assert!(
        reason.contains("config-mutation") && !reason.contains("`rookery:plugin/config`"),
        "{reason}"
    );
}

#[test]
fn a_section_of_the_policy_that_matches_no_plugin_is_told() {
    let place = Place::with_probe();
    let (_, report) = place.load("[plugin.prob]\ndeny = ['live']");
    assert_eq!(
        report.warnings,
        ["the policy's [plugin.\"prob\"] matches no plugin; did you mean [plugin.\"probe\"]?"]
    );
    assert_eq!(
        place.load("[plugin.probe]\nwall_ms = 1000").1.warnings,
        [""; 0]
    );
}

#[test]
fn a_file_is_checked_beside_the_plugins_that_are_there() {
    let mut place = Place::with_probe();
    let copy = place.dir.path().join("probe.wasm");
    fs::copy(probe(), &copy).unwrap();
    let granted = "[plugin.probe]\ngrant = ['config-mutation', 'creation', 'emulation', 'live']";
    let refused = check(&place, &copy, granted).rejected.remove(0).reason;
    assert!(refused.contains("already served by"), "{refused}");
    // Where it can be replaced, it is taken for the next version.
    place.built_in = false;
    let report = check(&place, &copy, granted);
    assert_eq!((report.plugins.len(), report.rejected.len()), (1, 0));
    assert!(
        check(&place, &copy, "").rejected[0]
            .reason
            .contains("grant = [")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_leaves_a_line_in_the_audit() {
    let place = Place::with_probe();
    let file = place.dir.path().join("audit.jsonl");
    let mut config = place.config("");
    config.audit = Some(Audit::open(&file).unwrap());
    let runtime = Runtime::new(config).unwrap();
    let report = runtime.load(&[place.dir.path().join("plugins")]);
    said(&runtime, json!({"do": "echo", "text": "x"})).await;
    call(&runtime, json!({"do": "fail", "text": "denied"}))
        .await
        .unwrap_err();
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["event"], "start");
    assert_eq!(lines[1]["decision"], "granted");
    let lines = &lines[2..];
    let outcomes: Vec<_> = lines.iter().map(|line| &line["outcome"]).collect();
    assert_eq!(outcomes, ["ok", "denied"]);
    for line in lines {
        assert_eq!(line["event"], "call");
        assert_eq!(line["tool"], "probe");
        assert_eq!(line["plugin"], report.plugins[0].digest);
        assert_eq!(line["arguments"].as_str().unwrap().len(), 64);
        assert!(line["unix_ms"].is_u64() && line["usage"]["wall_ms"].is_u64());
    }
    assert_ne!(lines[0]["arguments"], lines[1]["arguments"]);
    assert_eq!(
        std::os::unix::fs::MetadataExt::mode(&fs::metadata(&file).unwrap()) & 0o777,
        0o600
    );
}

#[test]
fn a_pinned_plugin_is_the_one_that_was_pinned() {
    let place = Place::with_probe();
    let all = crate::common::budgets("");
    let digest = place.load("").1.plugins[0].digest.clone();
    assert!(
        rejection(&place, &format!("digests = ['{}']\n{all}", "0".repeat(64))).contains(&digest)
    );
    assert_eq!(
        place
            .load(&format!("digests = ['{digest}']\n{all}"))
            .1
            .plugins
            .len(),
        1
    );
}

#[test]
fn a_plugin_that_misbehaves_when_it_is_asked_for_its_tools_is_refused() {
    for (behaviour, words) in [
        ("panic", "describe does not want to"),
        ("hosts", "calls a host function"),
        ("named", "\"Not Legal\" is not allowed"),
        ("loops", "`describe` was stopped"),
    ] {
        let place = Place::empty();
        fs::write(place.plugin("bad.wasm"), probe_that(behaviour)).unwrap();
        let reason = rejection(&place, "");
        assert!(reason.contains(words), "{behaviour}: {reason}");
    }
}

#[test]
fn what_is_too_much_to_compile_is_remembered_until_it_may_use_more() {
    let place = Place::with_probe();
    let narrow = "[plugin.probe]\ncompile_memory_mib = 12";
    let first = rejection(&place, narrow);
    assert!(
        first.contains("more than 12 MiB of memory") && first.contains("compile_memory_mib"),
        "{first}"
    );
    let again = rejection(&place, narrow);
    assert!(
        again.starts_with(&first) && again.contains("found at an earlier start"),
        "{again}"
    );
    // `check` looks again, and so does whoever raises the limit.
    let checked = check(&place, &place.plugin("probe.wasm"), narrow).rejected;
    assert_eq!(checked[0].reason, first);
    assert_eq!(
        place
            .load("[plugin.probe]\ncompile_memory_mib = 512")
            .1
            .plugins
            .len(),
        1
    );
}

#[test]
fn what_takes_too_long_to_compile_is_refused() {
    let place = Place::with_probe();
    // The whole seconds that the kernel counts are too many for the probe, so it gets a module that
    // is never used, and long.
    let mut bytes = fs::read(probe()).unwrap();
    bytes.extend(long_to_compile());
    fs::write(place.plugin("probe.wasm"), bytes).unwrap();
    let reason = rejection(&place, "[plugin.probe]\ncompile_cpu_ms = 1000");
    assert!(reason.contains("1000 ms of processor time"), "{reason}");
}

/// A section of a component: a module with one function that has 5000 local variables in 39 loops.
fn long_to_compile() -> Vec<u8> {
    fn number(mut n: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let byte = u8::try_from(n & 127).unwrap();
            n >>= 7;
            if n == 0 {
                bytes.push(byte);
                return bytes;
            }
            bytes.push(byte | 128);
        }
    }
    fn section(id: u8, content: &[u8]) -> Vec<u8> {
        [&[id], number(content.len()).as_slice(), content].concat()
    }
    const LOCALS: usize = 5000;
    let mut code = [&[1][..], &number(LOCALS), &[0x7f]].concat();
    code.extend([0x03, 0x40].repeat(39));
    for local in 1..=LOCALS {
        // local.get, local.get, i32.add, local.set
        code.push(0x20);
        code.extend(number(local));
        code.push(0x20);
        code.extend(number(local * 7 % LOCALS + 1));
        code.extend([0x6a, 0x21]);
        code.extend(number(local * 3 % LOCALS + 1));
    }
    // local.get, br_if, end
    code.extend([0x20, 1, 0x0d, 0, 0x0b].repeat(39));
    code.push(0x0b);
    let function = [number(code.len()), code].concat();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, &[1, 0x60, 1, 0x7f, 0]),
        section(3, &[1, 0]),
        section(10, &[&[1], function.as_slice()].concat()),
    ]
    .concat();
    section(1, &module)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_start_compiles_nothing_and_runs_no_guest() {
    let place = Place::with_probe();
    drop(place.load(""));
    let code = place.cached("cwasm");
    assert_eq!((code.len(), place.cached("json").len()), (1, 1));
    fs::remove_file(&code[0]).unwrap();
    let (runtime, report) = place.load("");
    assert_eq!(report.plugins.len(), 1);
    assert!(
        place.cached("cwasm").is_empty(),
        "nothing was compiled, so nothing can have run"
    );
    assert_eq!(
        said(&runtime, json!({"do": "echo", "text": "x"})).await,
        "x"
    );
    assert_eq!(
        place.cached("cwasm").len(),
        1,
        "compiled when it was needed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_was_swapped_is_compiled_again_and_never_executed() {
    let place = Place::with_probe();
    fs::write(place.plugin("other.wasm"), probe_that("panic")).unwrap();
    drop(place.load(""));
    let code = place.cached("cwasm");
    assert_eq!(code.len(), 2);
    let good: Vec<_> = code.iter().map(|file| fs::read(file).unwrap()).collect();
    // Valid code of the other component, and damaged code.
    fs::write(&code[0], &good[1]).unwrap();
    fs::write(&code[1], &good[0][..good[0].len() - 1]).unwrap();
    let (runtime, _) = place.load("");
    assert_eq!(
        said(&runtime, json!({"do": "echo", "text": "x"})).await,
        "x"
    );
    let now: Vec<_> = code.iter().map(|file| fs::read(file).unwrap()).collect();
    assert!(
        now[0] == good[0] || now[1] == good[1],
        "the one that was called was made anew"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_changed_after_admission_is_not_run() {
    let place = Place::with_probe();
    drop(place.load(""));
    let (runtime, _) = place.load("");
    for file in place.cached("cwasm") {
        fs::remove_file(file).unwrap();
    }
    fs::write(place.plugin("probe.wasm"), probe_that("panic")).unwrap();
    let failure = call(&runtime, json!({"do": "echo"})).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Internal);
    assert!(
        failure.message.contains("changed since the server started"),
        "{}",
        failure.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_cache_everything_works() {
    let place = Place::with_probe();
    fs::write(place.cache(), "in the way").unwrap();
    let (runtime, report) = place.load("");
    assert_eq!(report.plugins.len(), 1);
    assert_eq!(
        said(&runtime, json!({"do": "echo", "text": "x"})).await,
        "x"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn loading_and_dropping_inside_an_asynchronous_runtime_is_allowed() {
    let place = Place::with_probe();
    let start = Instant::now();
    let (runtime, report) = place.load("");
    assert_eq!(report.plugins.len(), 1);
    drop(runtime);
    assert!(start.elapsed() < Duration::from_mins(1));
}

/// One way to damage a file.
#[derive(Debug, Clone)]
enum Damage {
    Overwrite(Vec<u8>),
    Insert(Vec<u8>),
    Remove(usize),
    CutOff,
}

fn damage() -> impl Strategy<Value = (prop::sample::Index, Damage)> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..6);
    let what = prop_oneof![
        6 => bytes().prop_map(Damage::Overwrite),
        2 => bytes().prop_map(Damage::Insert),
        2 => (1_usize..40).prop_map(Damage::Remove),
        1 => Just(Damage::CutOff),
    ];
    (any::<prop::sample::Index>(), what)
}

fn damaged(mut bytes: Vec<u8>, all: &[(prop::sample::Index, Damage)]) -> Vec<u8> {
    for (place, damage) in all {
        let at = place.index(bytes.len());
        let to_end = bytes.len() - at;
        match damage {
            Damage::Overwrite(new) => {
                let length = new.len().min(to_end);
                bytes[at..at + length].copy_from_slice(&new[..length]);
            }
            Damage::Insert(new) => drop(bytes.splice(at..at, new.iter().copied())),
            Damage::Remove(count) => drop(bytes.drain(at..at + count.min(&to_end))),
            Damage::CutOff => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

proptest! {
    // Each case that is still a component is compiled, which takes a third of a second.
    #![proptest_config(ProptestConfig {
        cases: 24,
        max_shrink_iters: 20,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_damaged_component_is_refused_with_a_reason_or_serves_what_it_says(
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let place = Place::empty();
        let file = place.plugin("probe.wasm");
        fs::write(&file, damaged(fs::read(probe()).unwrap(), &damages)).unwrap();
        let report = check(&place, &file, "");
        prop_assert_eq!(report.plugins.len() + report.rejected.len(), 1);
        for plugin in report.plugins {
            prop_assert!(!plugin.tools.is_empty());
        }
        for rejected in report.rejected {
            let reason = &rejected.reason;
            prop_assert!(!reason.is_empty() && reason.len() < 4000, "{reason}");
        }
    }
}
