//! A guest that does one thing as often as it can, for as long as its run lasts, with every
//! collector at work: the run is over soon after its deadline, and its supervisor stays small.

mod support;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rookery_emulator::UserBackend;
use rookery_project::Cancel;
use rookery_runs::Registry;
use rookery_runs::backend::Backend;
use serde_json::{Value, json};
use support::native::{self, Data, Step, Test, call};

/// How long each run lasts; longer where `ROOKERY_FLOOD_S` says so.
fn deadline_s() -> u64 {
    std::env::var("ROOKERY_FLOOD_S").map_or(3, |seconds| seconds.parse().expect("a number"))
}

const TESTS: &[Test] = &[
    ("paths_that_are_missing", paths),
    ("devices_that_are_missing", devices),
    ("programs_that_are_missing", programs),
    ("console", console),
    ("addresses_that_are_listened_on", addresses),
    ("mounts", mounts),
    ("nodes", nodes),
];

fn backends() -> Vec<Box<dyn Backend>> {
    vec![Box::new(UserBackend)]
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if let (Some(command), Some(spec)) = (arguments.next(), arguments.next())
        && command == "supervise"
    {
        return rookery_runs::supervise(Path::new(&spec), backends);
    }
    native::in_processes(TESTS, native::succeeded)
}

/// Make calls again and again, in several processes. None of them may give 0.
fn for_ever(mut steps: Vec<Step>) -> Vec<Step> {
    let back = i64::try_from(steps.len()).unwrap() + 1;
    steps.push((libc::SYS_sched_yield, [0; 6], -back));
    steps.insert(0, call(libc::SYS_fork, &[]));
    steps.insert(0, call(libc::SYS_fork, &[]));
    steps
}

/// A run, started as a server starts it.
fn flood(work: &Path, data: Data, steps: &[Step]) -> Value {
    let plan = native::prepare(work, &native::program(data, &for_ever(steps.to_vec())));
    let project = work.join("project");
    std::fs::create_dir_all(project.join("base")).unwrap();
    std::fs::rename(&plan.archive, project.join("base/root.tar")).unwrap();
    let config = json!({
        "core": { "arch": "mipsel", "fs": "./base/root.tar" },
        "env": { "igloo_init": "/init" },
        "plugins": {
            "db": {},
            "exec_logger": {},
            "syscalls_logger": {},
            "env": {},
            "netbinds": {}
        }
    });
    let program = std::env::current_exe().unwrap();
    let registry = Registry::new(work.join("state"), program, backends);
    let begin = Instant::now();
    let options = rookery_contract::options::StartOptions {
        timeout_s: deadline_s().try_into().ok(),
        backend: "user".to_owned(),
        ..Default::default()
    };
    let run = registry.start(&project, &config, &options).unwrap();
    let state = work.join("state/runs").join(&run).join("state.json");
    let state: Value = serde_json::from_slice(&std::fs::read(state).unwrap()).unwrap();
    let supervisor = state["owner"]["pid"].as_u64().unwrap();
    let mut peak = 0;
    let mut status = Value::Null;
    while status["status"] != "finished" {
        peak = peak.max(resident(supervisor));
        let slice = Duration::from_millis(50);
        status = json!(registry.wait(&run, slice, &Cancel::default()).unwrap());
        assert_ne!(status["status"], "failed", "{status}");
        let over = Duration::from_secs(deadline_s() + 2);
        assert!(
            begin.elapsed() < over,
            "it is not over after {:?}: {status}",
            begin.elapsed()
        );
    }
    println!("over after {:?}, {} kB", begin.elapsed(), peak);
    assert!(peak < 100_000, "the supervisor grew to {peak} kB");
    status
}

/// The most memory that a process has had so far, in kB.
fn resident(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or(0, |peak| {
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    })
}

/// A name that is long, and another each time: random bytes are put into it.
fn name(data: &mut Data, begin: &str) -> (Step, u64) {
    let path = data.put(&[begin.as_bytes(), &[b'a'; 4000]].concat());
    let into = path + begin.len() as u64;
    (call(libc::SYS_getrandom, &[into, 6, 0]), path)
}

fn paths(work: &Path) {
    let mut data = Data::new();
    let (change, path) = name(&mut data, "/usr/");
    let _ = flood(work, data, &[change, call(libc::SYS_access, &[path, 0])]);
}

fn devices(work: &Path) {
    let mut data = Data::new();
    let (change, path) = name(&mut data, "/dev/");
    let _ = flood(work, data, &[change, call(libc::SYS_open, &[path, 0])]);
}

fn programs(work: &Path) {
    let mut data = Data::new();
    let (change, path) = name(&mut data, "/bin/");
    let argv = data.put(&[[path; 200].map(u64::to_ne_bytes).as_flattened(), &[0; 8]].concat());
    let _ = flood(
        work,
        data,
        &[change, call(libc::SYS_execve, &[path, argv, argv])],
    );
}

fn console(work: &Path) {
    let mut data = Data::new();
    let text = data.put(&[b'x'; 16_000]);
    let _ = flood(work, data, &[call(libc::SYS_write, &[1, text, 16_000])]);
}

fn addresses(work: &Path) {
    let mut data = Data::new();
    let address = data.put(&[2, 0, 16, 225, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    let steps = [
        call(libc::SYS_getrandom, &[address + 5, 3, 0]),
        call(libc::SYS_socket, &[2, 2, 0]),
        call(libc::SYS_bind, &[3, address, 16]),
        call(libc::SYS_dup2, &[3, 100]),
        call(libc::SYS_close, &[3]),
    ];
    let _ = flood(work, data, &steps);
}

fn mounts(work: &Path) {
    let mut data = Data::new();
    let (change, source) = name(&mut data, "/x");
    let (target, kind) = (data.put(b"/tmp"), data.put(b"ext4"));
    let _ = flood(
        work,
        data,
        &[change, call(libc::SYS_mount, &[source, target, kind, 0, 0])],
    );
}

fn nodes(work: &Path) {
    let mut data = Data::new();
    let path = data.put(&[b"/tmp/".as_slice(), &[b'a'; 200]].concat());
    let steps = [
        call(libc::SYS_getrandom, &[path + 5, 6, 0]),
        call(libc::SYS_mknod, &[path, 0o020_600, 0x0103]),
    ];
    let _ = flood(work, data, &steps);
}
