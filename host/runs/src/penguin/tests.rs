//! Against a stand-in program: how Penguin is called, stopped, and judged by what it leaves. Real
//! Penguin is not run here.

use std::collections::VecDeque;
use std::fs;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::engine::Engine;
use super::*;
use rookery_records::event::{Event, What};

struct Script {
    requests: OwnedFd,
    // Held so that the descriptor never becomes readable.
    _writer: OwnedFd,
    queue: VecDeque<Request>,
    /// Ask to stop once this file is there.
    stop_when: Option<PathBuf>,
    events: Vec<What>,
}

impl Script {
    fn new() -> Self {
        let (requests, writer) = rustix::pipe::pipe().unwrap();
        Self {
            requests,
            _writer: writer,
            queue: VecDeque::new(),
            stop_when: None,
            events: Vec::new(),
        }
    }
}

impl Control for Script {
    fn event(&mut self, event: Event) {
        self.events.push(event.what);
    }
    fn requests(&self) -> BorrowedFd<'_> {
        self.requests.as_fd()
    }
    fn next_request(&mut self) -> Option<Request> {
        if self.stop_when.take_if(|file| file.exists()).is_some() {
            return Some(Request::Stop);
        }
        self.queue.pop_front()
    }
}

struct World {
    directory: tempfile::TempDir,
    plan: Plan,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let project = directory.path().join("router");
        fs::create_dir_all(project.join("base")).unwrap();
        fs::create_dir_all(project.join("results/0")).unwrap();
        fs::write(project.join("base/fs.tar.gz"), "").unwrap();
        let config = json!({ "core": { "arch": "mipsel" }, "env": { "igloo_init": "/sbin/init" } });
        let mut plan =
            Plan::from_config(&config, &project, &directory.path().join("cache"), Some(7)).unwrap();
        plan.results_dir = project.join("results/0");
        Self { directory, plan }
    }

    fn program(&self, name: &str, body: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        let log = self.directory.path().join(format!("{name}.calls"));
        let results = self.plan.results_dir.display();
        let script = format!(
            "#!/bin/sh\necho \"$PWD: $*\" >> '{}'\nOUT='{results}'\n{body}\n",
            log.display()
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn engine(&self, body: &str) -> Engine {
        let program = self.program("docker", body);
        Engine { program }
    }

    fn calls(&self, name: &str) -> Vec<String> {
        let calls = fs::read_to_string(self.directory.path().join(format!("{name}.calls")))
            .unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    fn run(&self, body: &str, control: &mut Script) -> Result<Outcome> {
        let penguin = self.program("penguin", body);
        PenguinBackend {
            place: Some(Place::Image { penguin }),
        }
        .run(&self.plan, control)
    }
}

const COMPLETE: &str = "mkdir -p $OUT; touch $OUT/.ran; echo '{}' > $OUT/summary.json";

#[test]
fn the_wrapper_is_called_with_absolute_paths_from_an_empty_directory() {
    let world = World::new();
    let wrapper = world.program("penguin", COMPLETE);
    let engine = world.engine("");
    let backend = PenguinBackend {
        place: Some(Place::Host { wrapper, engine }),
    };
    backend.run(&world.plan, &mut Script::new()).unwrap();
    let calls = world.calls("penguin");
    let [run] = calls.as_slice() else {
        panic!("whatever more is done may harm another run: {calls:?}")
    };
    let (workdir, arguments) = run.split_once(": ").unwrap();
    assert_eq!(fs::read_dir(workdir).unwrap().count(), 0);
    let project = world.plan.project_dir.display();
    let (name, rest) = arguments
        .strip_prefix("--name ")
        .unwrap()
        .split_once(' ')
        .unwrap();
    assert!(name.starts_with("rookery-"));
    // The wrapper takes the last path for the project.
    assert_eq!(
        rest,
        format!("--replace run --output {project}/results/0 --timeout 7 {project}")
    );
    assert_eq!(
        world.calls("docker"),
        [] as [&str; 0],
        "nothing was left to clear up"
    );
}

#[test]
fn a_trial_is_run_by_the_main_file_beside_its_results() {
    let world = World::new();
    let trial = world.plan.results_dir.with_file_name(".trial-0");
    fs::create_dir(&trial).unwrap();
    fs::write(trial.join("config.yaml"), "{}").unwrap();
    world.run(COMPLETE, &mut Script::new()).unwrap();
    let [run] = &world.calls("penguin")[..] else {
        panic!("one call")
    };
    let project = world.plan.project_dir.display();
    let told = format!("--config {project}/results/.trial-0/config.yaml {project}");
    assert!(run.ends_with(&told), "{run}");
}

#[test]
fn the_wrapper_is_told_which_engine_will_be_asked_to_stop_its_container() {
    let world = World::new();
    let wrapper = world.program(
        "penguin",
        &format!("echo $PENGUIN_CONTAINER_ENGINE; {COMPLETE}"),
    );
    let engine = world.engine("");
    let program = engine.program.display().to_string();
    let place = Some(Place::Host { wrapper, engine });
    PenguinBackend { place }
        .run(&world.plan, &mut Script::new())
        .unwrap();
    let log = fs::read_to_string(world.plan.results_dir.join("penguin.log")).unwrap();
    assert!(log.contains(&program), "{log}");
}

#[test]
fn a_run_that_nobody_gave_a_length_has_penguin_s_own_and_an_end_all_the_same() {
    // A signal that has a handler is not ignored in children.
    signal_hook::flag::register(libc::SIGINT, std::sync::Arc::default()).unwrap();
    let mut world = World::new();
    world.plan.extended_s = Some(120);
    world.plan.timeout_s = 1;
    let body = format!("trap '{COMPLETE}; exit 0' INT; while :; do sleep 0.05; done");
    let outcome = world.run(&body, &mut Script::new()).unwrap();
    assert_eq!(outcome, Outcome::Deadline);
    let calls = world.calls("penguin");
    assert!(!calls[0].contains("--timeout"), "{calls:?}");
    assert_eq!(PenguinBackend::new().open_ended_s(), Some(3600));
}

#[test]
fn a_stop_before_the_container_exists_is_tried_until_it_arrives() {
    let world = World::new();
    // The container is made late; a signal before that reaches nobody.
    let wrapper = world.program(
        "penguin",
        "touch $OUT/ready; sleep 2; touch $OUT/container; \
         while [ ! -e $OUT/interrupted ]; do sleep 0.05; done",
    );
    let engine = world.engine("[ -e $OUT/container ] && touch $OUT/interrupted");
    let mut control = Script {
        stop_when: Some(world.plan.results_dir.join("ready")),
        ..Script::new()
    };
    let started = Instant::now();
    let place = Some(Place::Host { wrapper, engine });
    let outcome = PenguinBackend { place }.run(&world.plan, &mut control);
    assert_eq!(outcome.unwrap(), Outcome::Stopped);
    let taken = started.elapsed();
    assert!(taken < INTERRUPT_GRACE / 2, "the stop was lost: {taken:?}");
    let kills = world.calls("docker");
    assert!(
        kills.len() > 1 && kills.iter().all(|call| call.contains("kill --signal=INT")),
        "{kills:?}"
    );
}

#[test]
fn a_run_is_judged_by_its_files_and_not_by_the_exit_code() {
    let cases = [
        (
            COMPLETE.to_owned(),
            Ok(Outcome::GuestEnded {
                how: "the guest ended before the deadline".into(),
            }),
        ),
        (
            format!("{COMPLETE}; echo '\u{1b}[32mShutdown thread: execution timed out after 7s'"),
            Ok(Outcome::Deadline),
        ),
        (
            "echo 'Missing .ran file'".into(),
            Err("died before its end"),
        ),
        (
            "echo 'Config validation failed:'; exit 1".into(),
            Err("refuses the configuration"),
        ),
        (
            "mkdir -p $OUT; touch $OUT/.ran; exit 2".into(),
            Err("Penguin failed"),
        ),
    ];
    for (body, expected) in cases {
        let outcome = World::new().run(&body, &mut Script::new());
        match (outcome, expected) {
            (Ok(outcome), Ok(expected)) => assert_eq!(outcome, expected, "{body}"),
            (Err(Error::Backend(message)), Err(expected)) => {
                assert!(message.contains(expected), "{message}");
            }
            (outcome, _) => panic!("{body}: {outcome:?}"),
        }
    }
}

#[test]
fn a_stop_is_an_interrupt_that_lets_penguin_finish() {
    // As the supervisor does: a signal that has a handler is not ignored in children, so the shell
    // can trap it even where these tests were started with interrupts ignored.
    signal_hook::flag::register(libc::SIGINT, std::sync::Arc::default()).unwrap();
    let world = World::new();
    let body =
        format!("trap '{COMPLETE}; exit 0' INT; touch $OUT/ready; while :; do sleep 0.05; done");
    let mut control = Script {
        stop_when: Some(world.plan.results_dir.join("ready")),
        ..Script::new()
    };
    assert_eq!(world.run(&body, &mut control).unwrap(), Outcome::Stopped);
    assert!(world.plan.results_dir.join("summary.json").exists());
}

#[test]
fn on_a_host_the_container_is_interrupted() {
    let world = World::new();
    let wrapper = world.program(
        "penguin",
        "[ \"$1\" = down ] && exit; touch $OUT/ready; \
        while [ ! -e $OUT/interrupted ]; do sleep 0.05; done",
    );
    let engine = world.engine("touch $OUT/interrupted");
    let mut control = Script {
        stop_when: Some(world.plan.results_dir.join("ready")),
        ..Script::new()
    };
    let outcome = PenguinBackend {
        place: Some(Place::Host { wrapper, engine }),
    }
    .run(&world.plan, &mut control);
    assert_eq!(outcome.unwrap(), Outcome::Stopped);
    let calls = world.calls("docker");
    assert!(
        calls
            .first()
            .is_some_and(|call| call.contains(": kill --signal=INT rookery-")),
        "{calls:?}"
    );
}

#[test]
fn what_a_killed_supervisor_left_on_a_host_is_ended_and_no_network_of_others() {
    let world = World::new();
    let wrapper = world.program("penguin", "sleep 30");
    let engine = world.engine("[ $1 = inspect ] && echo 'nw_77 bridge '; exit 0");
    let place = Place::Host {
        wrapper,
        engine: engine.clone(),
    };
    let invocation = Invocation::new(place, &world.plan).unwrap();
    let mut child = invocation.command().spawn().unwrap();
    while world.calls("penguin").is_empty() {
        std::thread::sleep(Duration::from_millis(2));
    }
    invocation.sweep_with(&[engine]);
    let status = child.wait().unwrap();
    assert!(!status.success(), "it was killed: {status}");
    let calls = world.calls("docker");
    let calls: Vec<_> = calls
        .iter()
        .map(|call| call.split_once(": ").unwrap().1)
        .collect();
    assert!(calls[1].starts_with("rm --force rookery-"), "{calls:?}");
    assert_eq!(
        calls[2..],
        ["network rm nw_77"],
        "the engine's own network stays"
    );
    assert_eq!(
        world.calls("penguin").len(),
        1,
        "`down` would reap the networks of other runs"
    );
}

#[test]
fn in_the_image_nothing_of_the_old_run_is_alive_after_the_sweep() {
    use std::os::unix::process::CommandExt as _;
    let world = World::new();
    // As Penguin: a parent that is told, and a child with a session and an emulator of its own that
    // do not listen.
    let body = "trap '' INT; setsid sh -c \"trap '' INT; sleep 61 & echo \\$! > $OUT/emulator; \
                wait\" penguin_run $OUT & echo $! > $OUT/child; wait; wait";
    let penguin = world.program("penguin", body);
    let invocation = Invocation::new(Place::Image { penguin }, &world.plan).unwrap();
    let mut child = invocation.command().process_group(0).spawn().unwrap();
    let number = |name: &str| {
        let path = world.plan.results_dir.join(name);
        loop {
            let text = fs::read_to_string(&path).unwrap_or_default();
            if let Ok(number) = text.trim().parse::<u32>() {
                return number;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let emulator = number("emulator");
    // A parent that has ended but was not reaped is no process that runs.
    let reaper = std::thread::spawn(move || child.wait());
    invocation.sweep();
    reaper.join().unwrap().unwrap();
    let alive = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.contains("sleep") && !stat.contains(") Z")
    };
    assert!(!alive(emulator), "it would run on beside the next run");
}

#[test]
fn reachable_ports_become_events_and_output_is_kept() {
    let world = World::new();
    let rows =
        "procname,ipvn,domain,guest_ip,guest_port,host_port\\nhttpd,ipv4,tcp,0.0.0.0,80,1080\\n";
    let body = format!(
        "printf '{rows}' > $OUT/vpn_bridges.csv; echo to-stdout; echo to-stderr >&2; sleep 1.3; \
         {COMPLETE}"
    );
    let mut control = Script::new();
    world.run(&body, &mut control).unwrap();
    assert!(
        control.events.iter().any(|what| matches!(
            what,
            What::Forward {
                port: 80,
                host_port: 1080,
                ..
            }
        )),
        "{:?}",
        control.events
    );
    let log = fs::read_to_string(world.plan.results_dir.join("penguin.log")).unwrap();
    assert!(log.contains("to-stdout") && log.contains("to-stderr"));
}

#[test]
fn a_project_whose_mount_would_hide_its_results_is_refused() {
    let world = World::new();
    let plan = Plan {
        project_dir: Path::new("/srv/results/router").into(),
        results_dir: Path::new("/srv/results/router/results/0").into(),
        ..world.plan.clone()
    };
    let place = Place::Host {
        wrapper: "/bin/true".into(),
        engine: Engine {
            program: "/bin/true".into(),
        },
    };
    assert!(Invocation::new(place, &plan).is_err());
}

#[test]
fn probing_says_what_is_missing() {
    let availability = PenguinBackend::new().probe();
    for check in &availability.checks {
        assert_eq!(check.ok, check.fix.is_none(), "{check:?}");
    }
    assert_eq!(
        availability.available,
        availability.checks.iter().all(|check| check.ok)
    );
}
