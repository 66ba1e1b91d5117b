//! The loop on a host that tells what runs left, the same of every run.

use rookery_diagnosis::Sure;
use rookery_plugin::fragment;
use rookery_plugin::testing::{FakeHost, call, check};
use rookery_plugin::{Error, Notes};
use serde_json::{Map, Value, json};

use super::*;
use crate::args::AtLeast;
use crate::hypothesis::Found;
use crate::ledger::{Current, Effect, Hypothesis, Ledger, Tried};
use crate::together::together;

/// A project whose runs end at once, and miss a boot argument.
fn host() -> FakeHost {
    let ended = json!({ "run_id": "r1", "status": "finished", "project_dir": "/p",
                        "results_dir": "/p/results/0", "elapsed_s": 7.0 });
    FakeHost::new()
        .answer(
            "config.patch",
            json!({ "patch_file": "/p/patch_90_mcp.yaml" }),
        )
        .answer("emulation.start", json!("r1"))
        .answer("emulation.status", ended)
        .yaml("env_missing.yaml", json!(["board_id"]))
}

fn played(host: &FakeHost, arguments: Value) -> Value {
    call::<rehost>(host, arguments).unwrap()
}

fn hypothesis(key: &str) -> Hypothesis {
    let change = fragment::env(key, "1");
    Hypothesis::new(key.into(), "why".into(), None, change)
}

fn tried(key: &str, effect: Effect) -> Tried {
    Tried {
        hypothesis: hypothesis(key),
        kept: effect.helps(),
        effect,
        results_dir: "/p/results/1".into(),
        seconds: 1.0,
    }
}

#[test]
fn its_definition_is_sound() {
    check::<rehost>();
}

#[test]
fn what_did_not_help_is_tried_in_a_run_and_changes_nothing() {
    let host = host();
    let told = played(&host, json!({ "project_dir": "p", "goal": { "port": 80 } }));
    assert_eq!(told["state"], "stuck", "{told}");
    assert_eq!((&told["runs"], &told["seconds"]), (&json!(2), &json!(14.0)));
    let starts = host.calls("emulation.start");
    assert_eq!(starts[0]["options"].get("fragment"), None, "first as it is");
    assert_eq!(
        starts[0]["options"]["timeout_s"], 240,
        "it ends once it has settled"
    );
    let asked = json!({ "env": { "board_id": "DYNVALDYNVALDYNVAL" } });
    assert_eq!(starts[1]["options"]["fragment"], asked);
    assert_eq!(host.calls("config-mutation.apply").len(), 0);
    assert_eq!(told["next"]["tool"], "health");
    let left = told["in_the_way"].to_string();
    assert!(
        left.contains("board_id") && left.contains("none is invented"),
        "{left}"
    );
}

#[test]
fn a_value_is_tried_that_a_program_compares_with_the_placeholder() {
    let host = host().text("env_cmp.txt", "rev-b\n");
    let told = played(&host, json!({ "project_dir": "p", "goal": { "port": 80 } }));
    let starts = host.calls("emulation.start");
    let found = json!({ "env": { "board_id": "rev-b" } });
    assert_eq!(starts[2]["options"]["fragment"], found, "{told}");
    let bad = self::host().text("env_cmp.txt", "$(reboot)\n../x\n");
    played(&bad, json!({ "project_dir": "p", "goal": { "port": 80 } }));
    assert_eq!(
        bad.calls("emulation.start").len(),
        2,
        "no value that is not plain"
    );
}

#[test]
fn a_mode_of_the_firmware_is_for_a_person_to_choose() {
    let names = ["failsafe", "Fail_Safe", "safe.mode", "single"];
    for name in names {
        let host = host().yaml("env_missing.yaml", json!([name]));
        let host = host.text("env_cmp.txt", "1\n");
        let arguments = json!({ "project_dir": "p", "goal": { "port": 80 }, "sure": "low" });
        let told = played(&host, arguments);
        assert_eq!(host.calls("emulation.start").len(), 1, "{name}: {told}");
        let left = told["in_the_way"].to_string();
        assert!(left.contains(name) && left.contains("a person"), "{left}");
    }
}

#[test]
fn a_key_of_the_nvram_is_tried_only_where_a_program_complains_of_it() {
    let missed = |console: &str| {
        host()
            .yaml("env_missing.yaml", json!([]))
            .text(
                "nvram.csv",
                "key,operation,value,origin\npanel_rev,miss,,\nwl0_ssid,miss,,\n",
            )
            .text("console.log", console)
            .text("env_cmp.txt", "rev-b\n")
    };
    let goal = json!({ "project_dir": "p", "goal": { "port": 80 } });
    let complains = missed("cfgd: panel_rev is not set\n");
    let told = played(&complains, goal.clone());
    let starts = complains.calls("emulation.start");
    let tried: Vec<_> = starts
        .iter()
        .filter_map(|start| start["options"]["fragment"].get("nvram"))
        .collect();
    let (asked, found) = (
        json!({ "panel_rev": "DYNVALDYNVALDYNVAL" }),
        json!({ "panel_rev": "rev-b" }),
    );
    assert_eq!(tried, [&asked, &found], "{told}");
    assert_eq!(complains.calls("config-mutation.apply").len(), 0);
    let left = told["in_the_way"].to_string();
    assert!(left.contains("panel_rev"), "{left}");
    let silent = missed("cfgd: up\n");
    played(&silent, goal);
    assert_eq!(
        silent.calls("emulation.start").len(),
        1,
        "all can be missed"
    );
}

#[test]
fn a_call_without_time_starts_what_the_next_one_watches() {
    let running = json!({ "run_id": "r1", "status": "running", "project_dir": "/p" });
    let host = host().answer("emulation.status", running);
    let told = played(&host, json!({ "project_dir": "p", "wait_s": 0 }));
    assert_eq!(told["state"], "working");
    assert_eq!(told["next"]["arguments"], json!({ "project_dir": "p" }));
    let told = played(&host, json!({ "project_dir": "p", "wait_s": 0 }));
    assert_eq!(host.calls("emulation.start").len(), 1, "{told}");
}

#[test]
fn a_run_that_a_call_started_which_was_cut_off_is_taken_up() {
    let busy = Error::Conflict("the project is already running".into());
    let going_on = json!({ "run": 3, "state": "running", "run_id": "r9" });
    let runs = json!({ "runs": [going_on], "total": 1, "truncated": false });
    let ended = json!({ "run_id": "r9", "status": "finished", "results_dir": "/p/results/3" });
    let host = host()
        .fail("emulation.start", busy.clone())
        .answer("results.runs", runs)
        .answer("emulation.status", ended);
    let arguments = json!({ "project_dir": "p", "budget": { "runs": 1 } });
    // The run is somebody else's, as far as this call knows.
    assert_eq!(call::<rehost>(&host, arguments.clone()), Err(busy));
    let told = played(&host, arguments);
    assert_eq!(
        (&told["state"], &told["runs"]),
        (&json!("spent"), &json!(1))
    );
}

#[test]
fn a_run_that_was_cut_off_with_the_call_that_began_it_is_started_again() {
    let running = json!({ "run_id": "r1", "status": "running", "project_dir": "/p" });
    let died = json!({ "run_id": "r1", "status": "failed", "project_dir": "/p" });
    let arguments = json!({ "project_dir": "p", "wait_s": 0 });
    let host = host().answer("emulation.status", running);
    // It decides, and the next one begins the run.
    played(&host, arguments.clone());
    played(&host, arguments.clone());
    let host = host.answer("emulation.status", died);
    let told = played(&host, arguments.clone());
    assert_eq!(
        (&told["state"], &told["kept"]),
        (&json!("working"), &json!([]))
    );
    played(&host, arguments);
    assert_eq!(host.calls("emulation.start").len(), 2);
}

#[test]
fn a_budget_ends_it_and_a_larger_one_goes_on() {
    let host = host();
    let arguments = |runs| {
        json!({ "project_dir": "p", "goal": { "port": 80 },
                                   "budget": { "runs": runs, "seconds": 1000 } })
    };
    let told = played(&host, arguments(1));
    assert_eq!(
        (&told["state"], &told["runs"]),
        (&json!("spent"), &json!(1))
    );
    let told = played(&host, arguments(9));
    assert_eq!(
        (&told["state"], &told["runs"]),
        (&json!("stuck"), &json!(2))
    );
}

#[test]
fn a_call_beside_another_says_so_and_changes_nothing() {
    let host = host().fail("notes.write", Error::Conflict("revision 3".into()));
    let refused = call::<rehost>(&host, json!({ "project_dir": "p" }));
    assert!(
        matches!(&refused, Err(Error::Conflict(why)) if why.contains("another call")),
        "{refused:?}"
    );
    assert_eq!(host.calls("emulation.start").len(), 0);
}

#[test]
fn a_goal_is_a_port_or_any_answer() {
    let goal = json!({ "project_dir": "p", "goal": { "port": 80, "any_answer": true } });
    assert!(matches!(
        call::<rehost>(&host(), goal),
        Err(Error::InvalidArgument(_))
    ));
}

#[test]
fn what_was_tried_before_a_change_that_helped_may_help_after_it() {
    let mut ledger = Ledger::default();
    ledger.tried = vec![tried("a", Effect::Same), tried("b", Effect::Better)];
    assert!(!ledger.knows("a") && ledger.knows("b"));
    ledger.tried.push(tried("a", Effect::Worse));
    assert!(ledger.knows("a") && !ledger.knows("c"));
    ledger.begin_anew(Some(4));
    assert!(
        !ledger.knows("a") && !ledger.knows("b"),
        "it may have been taken back"
    );
}

#[test]
fn changes_that_did_nothing_alone_are_tried_at_once_and_others_are_not() {
    let mut ledger = Ledger::default();
    ledger.tried = vec![tried("a", Effect::Same), tried("b", Effect::Worse)];
    assert_eq!(together(&ledger), None);
    ledger.tried.push(tried("c", Effect::Same));
    let both = together(&ledger).unwrap();
    assert_eq!(both.fragment, json!({ "env": { "a": "1", "c": "1" } }));
    assert_eq!(both.keys().collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn what_is_missing_is_given_at_once_and_one_by_one_where_that_did_not_help() {
    let file = |path: &str| {
        let change = fragment::pseudofile(path, Map::new(), None);
        Hypothesis::new(path.into(), "why".into(), None, change)
    };
    let device = |name: &str| {
        let change = fragment::netdev(name, None);
        Hypothesis::new(name.into(), "why".into(), None, change)
    };
    let untried = || vec![file("/dev/a"), hypothesis("x"), device("br9")];
    let mut ledger = Ledger::default();
    let next = |ledger: &Ledger, hypotheses: Vec<Hypothesis>| {
        let found = Found {
            hypotheses,
            ..Found::default()
        };
        found.next(ledger).unwrap()
    };
    let both = next(&ledger, untried());
    assert_eq!(
        both.fragment,
        json!({ "pseudofiles": { "/dev/a": {} }, "netdevs": ["br9"] })
    );
    let first = vec![hypothesis("x"), file("/dev/a"), file("/dev/b")];
    assert_eq!(next(&ledger, first).key, "x", "what is surer comes first");
    ledger.tried.push(Tried {
        hypothesis: both,
        ..tried("", Effect::Same)
    });
    assert_eq!(next(&ledger, untried()).key, "/dev/a");
    ledger.tried.push(Tried {
        hypothesis: file("/dev/a"),
        ..tried("", Effect::Same)
    });
    assert_eq!(next(&ledger, untried()).key, "x");
}

#[test]
fn a_ledger_is_bounded_and_a_damaged_one_is_begun_anew() {
    let host = FakeHost::new();
    let (mut ledger, revision) = Ledger::read(&host, "p", false).unwrap();
    ledger.tried = (0..100)
        .map(|n| tried(&n.to_string(), Effect::Same))
        .collect();
    ledger.current = Some(Current::default());
    ledger.write(&host, "p", revision).unwrap();
    let (read, revision) = Ledger::read(&host, "p", false).unwrap();
    assert_eq!(
        (read.tried.len(), &read.tried[0].hypothesis.key),
        (64, &"36".to_owned())
    );
    let (again, _) = Ledger::read(&host, "p", true).unwrap();
    assert!(again.tried.is_empty() && again.current.is_some());
    host.write_note("p", "ledger", &json!({ "version": 7 }), Some(revision))
        .unwrap();
    assert!(Ledger::read(&host, "p", false).unwrap().0.tried.is_empty());
}

#[test]
fn only_what_is_certain_enough_is_tried() {
    assert!(AtLeast::Medium.takes(Sure::High) && AtLeast::Medium.takes(Sure::Medium));
    assert!(!AtLeast::Medium.takes(Sure::Low) && !AtLeast::High.takes(Sure::Medium));
    assert!(AtLeast::Low.takes(Sure::Low));
}
