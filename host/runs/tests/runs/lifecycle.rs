//! Start, wait, stop, conflict, and death at any moment.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use rookery_contract::options::StartOptions;
use rookery_harness::{Trial, trials};
use rookery_project::{Cancel, Error, Unavailable};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use crate::world::{World, config, eventually, within};

pub fn tests() -> Vec<Trial> {
    trials![
        a_run_finishes_and_leaves_its_results,
        a_deadline_is_the_usual_end,
        endpoints_and_phase_are_seen_while_it_runs,
        a_failed_backend_fails_the_run_and_keeps_files,
        a_panicking_backend_fails_the_run,
        a_second_start_is_a_conflict_that_names_the_first,
        the_next_run_starts_right_after_the_last,
        sigterm_is_a_stop,
        a_killed_supervisor_is_a_failed_run_and_frees_the_project,
        a_run_outlives_the_process_that_started_it,
        cancelling_a_wait_is_quick_and_does_not_stop_the_run,
        the_supervisor_is_detached,
        a_program_that_is_no_supervisor_is_an_error_with_its_words,
        a_backend_that_does_not_work_is_refused_with_the_reason,
        an_unusable_configuration_makes_no_result_directory,
    ]
}

fn kill(pid: i32, signal: Signal) {
    rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

fn a_run_finishes_and_leaves_its_results() {
    let world = World::new();
    let status = world.run(&[
        ("console", "hello\r\n"),
        ("end", "init exited with status 0"),
    ]);
    assert_eq!(status["status"], "finished", "{status}");
    assert_eq!(status["reason"], "init exited with status 0");
    assert_eq!(status["backend"], "scripted");
    assert_eq!(status["timeout_s"], 30);
    assert_eq!(
        status["results_dir"],
        world.project().join("results/0").to_str().unwrap()
    );
    assert!(
        status["elapsed_s"]
            .as_f64()
            .is_some_and(|elapsed| (0.0..20.0).contains(&elapsed)),
        "{status}"
    );
    assert_eq!(world.result(0, "console.log"), "hello\r\n");
    assert_eq!(world.result(0, ".ran"), "");
    assert_eq!(
        fs::read_link(world.project().join("results/latest"))
            .unwrap()
            .to_str(),
        Some("./0")
    );
    assert!(
        !world
            .run_dir(status["run_id"].as_str().unwrap())
            .join("control.sock")
            .exists()
    );
}

fn a_deadline_is_the_usual_end() {
    let world = World::new();
    let run_id = world
        .registry()
        .start(&world.project(), &config(&[]), &within(1))
        .unwrap();
    let status = world.wait(&run_id);
    assert_eq!(
        (&status["status"], &status["reason"]),
        (&json!("finished"), &json!("the deadline of 1 s passed"))
    );
    assert!(status["elapsed_s"].as_f64().unwrap() >= 1.0, "{status}");
}

fn endpoints_and_phase_are_seen_while_it_runs() {
    let world = World::new();
    let run_id = world
        .start(&[("sleep_ms", "300"), ("listen", "80")])
        .unwrap();
    let mut status = Value::Null;
    eventually("the endpoint is there", || {
        status = json!(world.registry().status(&run_id).unwrap());
        status["endpoints"]
            .as_array()
            .is_some_and(|endpoints| !endpoints.is_empty())
    });
    let endpoint = json!({
        "procname": "httpd",
        "proto": "tcp",
        "guest_ip": "0.0.0.0",
        "guest_port": 80,
        "host": "127.0.0.1",
        "host_port": 40080
    });
    assert_eq!(status["endpoints"], json!([endpoint]));
    assert_eq!(
        (&status["status"], &status["phase"]),
        (&json!("running"), &json!("serving"))
    );
    eventually("result files follow within a second", || {
        world
            .result(0, "netbinds.csv")
            .contains("httpd,4,tcp,0.0.0.0,80,42")
    });
    assert!(!world.project().join("results/0/.ran").exists());
    json!(world.registry().stop(&run_id).unwrap());
}

fn a_failed_backend_fails_the_run_and_keeps_files() {
    let world = World::new();
    let status = world.run(&[
        ("console", "so far\n"),
        ("fail", "the guest could not be started: no loader"),
    ]);
    assert_eq!(status["status"], "failed", "{status}");
    assert_eq!(
        status["reason"],
        "the guest could not be started: no loader"
    );
    assert_eq!(world.result(0, "console.log"), "so far\n");
    for absent in [".ran", "summary.json"] {
        assert!(
            !world.project().join("results/0").join(absent).exists(),
            "{absent}"
        );
    }
    let record: Value = serde_json::from_str(&world.result(0, "rookery_run.json")).unwrap();
    assert_eq!(record["outcome"]["outcome"], "failed");
}

fn a_panicking_backend_fails_the_run() {
    let world = World::new();
    let status = world.run(&[("panic", "index out of range")]);
    assert_eq!(status["status"], "failed");
    assert!(
        status["reason"]
            .as_str()
            .unwrap()
            .contains("index out of range"),
        "{status}"
    );
}

fn a_second_start_is_a_conflict_that_names_the_first() {
    let world = World::new();
    let run_id = world.start(&[]).unwrap();
    let Err(Error::Conflict(message)) = world.start(&[]) else {
        panic!("no conflict")
    };
    assert!(message.contains(&run_id), "{message}");
    assert!(!world.project().join("results/1").exists());
    json!(world.registry().stop(&run_id).unwrap());
}

fn the_next_run_starts_right_after_the_last() {
    let world = World::new();
    for number in 0..4 {
        let status = world.run(&[("end", "done")]);
        assert!(
            status["results_dir"]
                .as_str()
                .unwrap()
                .ends_with(&format!("results/{number}")),
            "{status}"
        );
    }
}

fn sigterm_is_a_stop() {
    let world = World::new();
    let run_id = world.start(&[]).unwrap();
    kill(world.supervisor(&run_id), Signal::TERM);
    assert_eq!(world.wait(&run_id)["status"], "stopped");
    assert_eq!(world.result(0, ".ran"), "");
}

fn a_killed_supervisor_is_a_failed_run_and_frees_the_project() {
    let world = World::new();
    let run_id = world
        .start(&[
            ("console", "kept\n"),
            ("missing", "/dev/dsa"),
            ("sleep_ms", "20000"),
        ])
        .unwrap();
    eventually("rows are written", || {
        fs::metadata(world.project().join("results/0/pseudofiles_failures.yaml"))
            .is_ok_and(|file| file.len() > 900)
    });
    kill(world.supervisor(&run_id), Signal::KILL);
    let status = world.wait(&run_id);
    assert_eq!(status["status"], "failed", "{status}");
    assert!(
        status["reason"].as_str().unwrap().contains("supervisor"),
        "{status}"
    );
    assert_eq!(status["endpoints"], json!([]));
    assert_eq!(
        json!(world.registry().stop(&run_id).unwrap()),
        status,
        "stopping what is dead is no error"
    );
    assert_eq!(
        world.result(0, "swept"),
        "swept\n",
        "what it left is cleared up by the first to see it, once"
    );
    assert_eq!(world.result(0, "console.log"), "kept\n");
    assert!(!world.project().join("results/0/.ran").exists());
    let database =
        rusqlite::Connection::open(world.project().join("results/0/plugins.db")).unwrap();
    assert_eq!(
        database
            .query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
            .unwrap(),
        "ok"
    );
    assert_eq!(world.run(&[("end", "done")])["status"], "finished");
}

fn a_run_outlives_the_process_that_started_it() {
    let world = World::new();
    let server = Command::new(std::env::current_exe().unwrap())
        .arg("start-and-die")
        .arg(&world.root)
        .output()
        .unwrap();
    assert!(!server.status.success(), "it was killed");
    let run_id = String::from_utf8(server.stdout).unwrap().trim().to_owned();
    assert_eq!(
        json!(world.registry().status(&run_id).unwrap())["status"],
        "running"
    );
    let status = world.wait(&run_id);
    assert_eq!(
        (&status["status"], &status["reason"]),
        (&json!("finished"), &json!("done"))
    );
}

fn cancelling_a_wait_is_quick_and_does_not_stop_the_run() {
    let world = World::new();
    let run_id = world.start(&[]).unwrap();
    let cancel = Cancel::default();
    let waiting = std::thread::spawn({
        let (registry, run_id, cancel) = (world.registry(), run_id.clone(), cancel.clone());
        move || registry.wait(&run_id, Duration::from_secs(20), &cancel)
    });
    std::thread::sleep(Duration::from_millis(100));
    let asked = Instant::now();
    cancel.cancel();
    assert_eq!(waiting.join().unwrap(), Err(Error::Cancelled));
    // The promise is 50 ms; a loaded machine may take longer to schedule two threads.
    assert!(
        asked.elapsed() < Duration::from_millis(500),
        "{:?}",
        asked.elapsed()
    );
    let asked = Instant::now();
    let status = world
        .registry()
        .wait(&run_id, Duration::from_millis(100), &Cancel::default())
        .unwrap();
    assert!(status.is_running());
    assert!(asked.elapsed() >= Duration::from_millis(100));
    json!(world.registry().stop(&run_id).unwrap());
}

fn the_supervisor_is_detached() {
    let world = World::new();
    // A descriptor without close-on-exec, such as a server may have been given.
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let run_id = world.start(&[]).unwrap();
    let pid = world.supervisor(&run_id);
    let link = |fd: &str| fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
    assert_eq!(
        (link("0").to_str(), link("1").to_str()),
        (Some("/dev/null"), Some("/dev/null"))
    );
    assert!(link("2").ends_with("supervisor.log"));
    let ours = fs::read_link(format!(
        "/proc/self/fd/{}",
        std::os::fd::AsRawFd::as_raw_fd(&writer)
    ))
    .unwrap();
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        assert_ne!(
            fs::read_link(entry.path()).ok(),
            Some(ours.clone()),
            "an inherited descriptor"
        );
    }
    let session = rustix::process::getsid(Pid::from_raw(pid)).unwrap();
    assert_eq!(session.as_raw_nonzero().get(), pid, "a session of its own");
    assert_eq!(
        fs::read_dir(format!("/proc/{pid}/task")).unwrap().count(),
        1,
        "a single thread"
    );
    json!(world.registry().stop(&run_id).unwrap());
    drop(reader);
}

fn a_program_that_is_no_supervisor_is_an_error_with_its_words() {
    let world = World::new();
    let registry = rookery_runs::Registry::new(
        world.root.join("state"),
        "/bin/ls".into(),
        crate::scripted::backends,
    );
    let Err(Error::Backend(message)) =
        registry.start(&world.project(), &config(&[]), &StartOptions::default())
    else {
        panic!("started")
    };
    assert!(message.contains("supervise"), "{message}");
    assert!(
        !world.project().join("results/0").exists(),
        "the empty result directory is taken back"
    );
    assert_eq!(world.run(&[("end", "done")])["status"], "finished");
}

fn a_backend_that_does_not_work_is_refused_with_the_reason() {
    let world = World::new();
    let start = |backend: &str| {
        world.registry().start(
            &world.project(),
            &config(&[]),
            &StartOptions {
                backend: backend.to_owned(),
                ..StartOptions::default()
            },
        )
    };
    let Err(Error::Unavailable(Unavailable {
        why, how_to_enable, ..
    })) = start("absent")
    else {
        panic!("available")
    };
    assert!(
        why.contains("emulator: not found") && how_to_enable.contains("Install the emulator"),
        "{why} {how_to_enable}"
    );
    let Err(Error::InvalidArgument(message)) = start("other") else {
        panic!("known")
    };
    assert!(message.contains("auto, absent, scripted"), "{message}");
}

fn an_unusable_configuration_makes_no_result_directory() {
    let world = World::new();
    let config = json!({ "core": { "fs": "./base/fs.tar.gz" } });
    let started = world
        .registry()
        .start(&world.project(), &config, &StartOptions::default());
    assert!(
        matches!(started, Err(Error::InvalidArgument(_))),
        "{started:?}"
    );
    assert!(!world.project().join("results").exists());
}
