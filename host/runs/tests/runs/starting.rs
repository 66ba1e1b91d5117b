//! A start that takes long, as on a busy machine, is a run that can be waited for, stopped and
//! found.

use std::process::Command;

use rookery_contract::options::StartOptions;
use rookery_harness::{Trial, trials};
use rookery_project::Error;
use serde_json::json;

use crate::world::{World, config, eventually, within};

pub fn tests() -> Vec<Trial> {
    trials![
        a_slow_start_gives_its_id_and_goes_on,
        a_run_is_stopped_before_it_begins,
        a_start_that_fails_late_is_a_failed_run_with_the_reason,
        killing_the_server_harms_no_run_that_is_starting,
    ]
}

fn start_slowly(world: &World, script: &[(&str, &str)]) -> String {
    world
        .slow_registry()
        .start(&world.project(), &config(script), &within(30))
        .unwrap()
}

fn a_slow_start_gives_its_id_and_goes_on() {
    let world = World::new();
    let run_id = start_slowly(&world, &[("end", "done")]);
    let status = json!(world.registry().status(&run_id).unwrap());
    assert_eq!(
        (&status["status"], &status["phase"]),
        (&json!("running"), &json!("starting")),
        "{status}"
    );
    let Err(Error::Conflict(message)) = world.start(&[]) else {
        panic!("no conflict")
    };
    assert!(message.contains(&run_id), "{message}");
    world.open_gate();
    let status = world.wait(&run_id);
    assert_eq!(status["status"], "finished", "{status}");
    assert!(
        status["elapsed_s"].as_f64().unwrap() < 3.0,
        "starting, which took at least 3 s, is no part of the run's time: {status}"
    );
}

fn a_run_is_stopped_before_it_begins() {
    let world = World::new();
    let run_id = start_slowly(&world, &[("console", "never printed")]);
    let status = json!(world.registry().stop(&run_id).unwrap());
    assert_eq!(status["phase"], "stopping", "{status}");
    world.open_gate();
    let status = world.wait(&run_id);
    assert_eq!(status["status"], "stopped", "{status}");
    assert!(!world.project().join("results/0/console.log").exists());
    assert_eq!(world.run(&[("end", "done")])["status"], "finished");
}

fn a_start_that_fails_late_is_a_failed_run_with_the_reason() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let slow = world.slow_registry();
    // In the place of the supervisor comes a program that is none.
    let program = world.root.join("slow-supervisor");
    let script = format!(
        "#!/bin/sh\nwhile [ ! -e '{}' ]; do sleep 0.02; done\necho no such luck >&2\nexit 3\n",
        world.gate().display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let run_id = slow
        .start(&world.project(), &config(&[]), &StartOptions::default())
        .unwrap();
    world.open_gate();
    let status = world.wait(&run_id);
    assert_eq!(status["status"], "failed", "{status}");
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.contains("no such luck"), "{reason}");
    assert_eq!(world.run(&[("end", "done")])["status"], "finished");
}

fn killing_the_server_harms_no_run_that_is_starting() {
    let world = World::new();
    let _program = world.slow_registry();
    let server = Command::new(std::env::current_exe().unwrap())
        .arg("start-and-die")
        .arg(&world.root)
        .arg(world.root.join("slow-supervisor"))
        .output()
        .unwrap();
    assert!(!server.status.success(), "it was killed");
    let run_id = String::from_utf8(server.stdout).unwrap().trim().to_owned();
    let status = json!(world.registry().status(&run_id).unwrap());
    assert_eq!(
        (&status["status"], &status["phase"]),
        (&json!("running"), &json!("starting")),
        "{status}"
    );
    world.open_gate();
    eventually("the supervisor takes over", || {
        json!(world.registry().status(&run_id).unwrap())["phase"] != "starting"
    });
    let status = world.wait(&run_id);
    assert_eq!(
        (&status["status"], &status["reason"]),
        (&json!("finished"), &json!("done")),
        "{status}"
    );
}
