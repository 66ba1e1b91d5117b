use rookery_plugin::testing::{FakeHost, call, check};
use serde_json::json;

use super::*;

fn host() -> FakeHost {
    let run = |number: u64, state: &str| {
        json!({
            "run": number, "state": state, "results_dir": format!("/p/results/{number}"),
            "started": "2026-01-31T12:00:00Z", "files": 3
        })
    };
    let runs = json!([run(4, "died"), run(3, "completed")]);
    FakeHost::new()
        .answer("results.runs", json!({ "runs": runs, "total": 2 }))
        .text("nvram.csv", "key,access\nlan_ip,miss\nwan_ip,miss\n")
}

#[test]
fn its_definition_is_sound() {
    check::<read_results>();
}

#[test]
fn runs_are_listed_with_their_state_and_time() {
    let answer = call::<read_results>(&host(), json!({ "project_dir": "p" })).unwrap();
    assert_eq!(answer["runs"][0]["state"], "died");
    assert_eq!(answer["runs"][1]["started"], "2026-01-31T12:00:00Z");
    assert_eq!(
        answer["next"],
        json!({ "tool": "read_results", "arguments": { "project_dir": "p", "run": "latest" } })
    );
    let none = FakeHost::new().answer("results.runs", json!({}));
    let answer = call::<read_results>(&none, json!({ "project_dir": "p" })).unwrap();
    assert_eq!(answer["next"]["tool"], "run");
}

#[test]
fn a_run_is_named_by_number_or_as_the_latest() {
    for (run, opened) in [("latest", "/p/results/4"), ("3", "/p/results/3")] {
        let host = host();
        let arguments = json!({ "project_dir": "p", "run": run });
        let answer = call::<read_results>(&host, arguments).unwrap();
        assert_eq!(answer["files"][0]["name"], "nvram.csv");
        assert_eq!(answer["state"], "completed");
        assert_eq!(
            host.calls("results.open"),
            [json!({ "results_dir": opened })]
        );
    }
    let unknown = call::<read_results>(&host(), json!({ "project_dir": "p", "run": "9" }));
    assert!(
        matches!(&unknown, Err(Error::NotFound(why)) if why.contains("4, 3")),
        "{unknown:?}"
    );
    let odd = call::<read_results>(&host(), json!({ "project_dir": "p", "run": "../.." }));
    assert!(matches!(odd, Err(Error::InvalidArgument(_))));
}

#[test]
fn a_file_is_read_by_ranges() {
    let host = host();
    let arguments = json!({ "project_dir": "p", "file": "nvram.csv", "limit": 11 });
    let answer = call::<read_results>(&host, arguments).unwrap();
    assert_eq!(
        (&answer["text"], &answer["total"], &answer["truncated"]),
        (&json!("key,access\n"), &json!(35), &json!(true))
    );
    assert_eq!(host.calls("results.open"), [json!({ "project_dir": "p" })]);
    let next = answer["next"]["arguments"].clone();
    assert_eq!(next["offset"], 11);
    let answer = call::<read_results>(&host, next).unwrap();
    assert_eq!(answer["text"], "lan_ip,miss");
}

#[test]
fn a_file_is_searched() {
    let arguments = json!({ "project_dir": "p", "file": "nvram.csv", "pattern": "^wan" });
    let answer = call::<read_results>(&host(), arguments).unwrap();
    assert_eq!(
        (&answer["lines"], &answer["line_numbers"], &answer["total"]),
        (&json!(["wan_ip,miss"]), &json!([3]), &json!(1))
    );
    let nowhere = call::<read_results>(&host(), json!({ "project_dir": "p", "pattern": "x" }));
    assert!(matches!(nowhere, Err(Error::InvalidArgument(_))));
}

#[test]
fn a_missing_file_says_how_to_get_it() {
    let arguments = json!({ "project_dir": "p", "file": "uboot.log" });
    let answer = call::<read_results>(&host(), arguments).unwrap();
    assert_eq!(answer["available"], false);
}
