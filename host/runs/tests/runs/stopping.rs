//! A stop is asked for at once and seen through, by whichever process looks at the run.

use std::process::Command;
use std::time::{Duration, Instant};

use rookery_contract::options::StartOptions;
use rookery_harness::{Trial, trials};
use serde_json::json;

use crate::world::{World, config};

pub fn tests() -> Vec<Trial> {
    trials![
        stop_ends_a_run_and_can_be_repeated,
        a_stop_that_takes_long_is_answered_at_once_and_seen_through,
        a_deaf_backend_is_killed,
        a_run_is_stopped_by_another_process_than_started_it,
    ]
}

fn stop_ends_a_run_and_can_be_repeated() {
    let world = World::new();
    let run_id = world.start(&[("listen", "80")]).unwrap();
    let started = Instant::now();
    let status = json!(world.registry().stop(&run_id).unwrap());
    assert_eq!(status["status"], "stopped", "{status}");
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(json!(world.registry().stop(&run_id).unwrap()), status);
    assert_eq!(world.result(0, ".ran"), "", "a stopped run is complete");
    assert!(world.result(0, "summary.json").contains("\"port\": 80"));
}

fn a_stop_that_takes_long_is_answered_at_once_and_seen_through() {
    let world = World::new();
    let script = config(&[("listen", "80"), ("farewell_ms", "6000")]);
    let options = StartOptions {
        timeout_s: Some(60),
        backend: "patient".into(),
        ..StartOptions::default()
    };
    let run_id = world
        .registry()
        .start(&world.project(), &script, &options)
        .unwrap();
    let asked = Instant::now();
    let status = json!(world.registry().stop(&run_id).unwrap());
    assert_eq!(
        (&status["status"], &status["phase"]),
        (&json!("running"), &json!("stopping")),
        "{status}"
    );
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "answered after {:?}",
        asked.elapsed()
    );
    // Asking again neither waits longer nor starts anew.
    assert_eq!(
        json!(world.registry().stop(&run_id).unwrap())["phase"],
        "stopping"
    );
    assert_eq!(world.wait(&run_id)["status"], "stopped");
    assert_eq!(world.result(0, ".ran"), "", "it ended in good order");
}

fn a_deaf_backend_is_killed() {
    let world = World::new();
    let run_id = world
        .start(&[("deaf", ""), ("console", "x"), ("stuck", "")])
        .unwrap();
    json!(world.registry().stop(&run_id).unwrap());
    let status = world.wait(&run_id);
    assert_eq!(status["status"], "stopped", "{status}");
    assert!(
        status["reason"].as_str().unwrap().contains("killed"),
        "{status}"
    );
    assert_eq!(
        world.run(&[("end", "done")])["status"],
        "finished",
        "the project is free again"
    );
}

fn a_run_is_stopped_by_another_process_than_started_it() {
    let world = World::new();
    let server = Command::new(std::env::current_exe().unwrap())
        .arg("start-and-die")
        .arg(&world.root)
        .output()
        .unwrap();
    let run_id = String::from_utf8(server.stdout).unwrap().trim().to_owned();
    assert_eq!(
        json!(world.registry().stop(&run_id).unwrap())["status"],
        "stopped"
    );
    assert_eq!(world.result(0, ".ran"), "");
}
