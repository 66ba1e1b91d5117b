//! Running a real guest from a test: a plan, a control that records events, and a root filesystem
//! in the backend's cache.
#![allow(dead_code, reason = "each user of this module needs a part of it")]

pub mod mips;
pub mod native;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rookery_emulator::{UserBackend, rootfs};
use rookery_harness::{Skip, places};
use rookery_project::{Cancel, Node, SetId, Unpacked};
use rookery_records::event::{Event, What};
use rookery_runs::backend::{Backend, Control, Request};
use rookery_runs::plan::{Plan, StaticFile};
use rookery_runs::ports::Ports;

/// What is done on each event: it may ask for something.
pub type OnEvent<'a> = Box<dyn FnMut(&Event) -> Option<Request> + 'a>;

/// Records events and passes requests on.
pub struct Recorder<'a> {
    pub events: Vec<Event>,
    on_event: OnEvent<'a>,
    requests: VecDeque<Request>,
    readable: OwnedFd,
    wake: OwnedFd,
}

impl<'a> Recorder<'a> {
    pub fn new(on_event: impl FnMut(&Event) -> Option<Request> + 'a) -> Self {
        let (readable, wake) = rustix::pipe::pipe().expect("a pipe can be made");
        Self {
            events: Vec::new(),
            on_event: Box::new(on_event),
            requests: VecDeque::new(),
            readable,
            wake,
        }
    }

    /// All that the guest wrote to its console.
    pub fn console(&self) -> String {
        let bytes: Vec<u8> = self
            .events
            .iter()
            .filter_map(|event| {
                if let What::Console(bytes) = &event.what {
                    Some(bytes.clone())
                } else {
                    None
                }
            })
            .flatten()
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Control for Recorder<'_> {
    fn event(&mut self, event: Event) {
        if let Some(request) = (self.on_event)(&event) {
            self.requests.push_back(request);
            let _ = rustix::io::write(&self.wake, b"x");
        }
        self.events.push(event);
    }
    fn requests(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
    fn next_request(&mut self) -> Option<Request> {
        let request = self.requests.pop_front()?;
        let _ = rustix::io::read(&self.readable, &mut [0_u8; 1]);
        Some(request)
    }
}

/// A plan for a root filesystem, with nothing configured.
pub fn plan(work: &Path, archive: &Path, arch: &str, init: &str) -> Plan {
    Plan {
        project_dir: work.to_owned(),
        archive: archive.to_owned(),
        results_dir: work.join("results"),
        cache_dir: work.join("cache"),
        cache_max: None,
        arch: arch.to_owned(),
        init: init.to_owned(),
        env: vec![],
        netdevs: vec![],
        addresses: vec![],
        uplink: None,
        interface_ioctls: vec![],
        capture: false,
        blocked_signals: vec![],
        pseudofiles: vec![],
        flash: vec![],
        static_files: vec![],
        nvram: vec![],
        library: rookery_runs::plan::Library::default(),
        uboot_env: vec![],
        kernel_release: None,
        cpu: None,
        kernel_cmdline_append: None,
        record_events: true,
        record_env: true,
        timeout_s: 30,
        extended_s: None,
        memory_max: rookery_runs::plan::memory_max(),
        ports: Ports::default(),
        notes: vec![],
    }
}

/// The image of a MIPS device, from outside the repository.
pub fn vendor_image() -> Result<PathBuf, Skip> {
    places::firmware("dv-mipsel-uclibc.rootfs.tar.gz")
}

/// A plan that runs `script` in the demo's firmware, which has a busybox.
pub fn script_plan(work: &Path, script: &str) -> Plan {
    let mut plan = plan(work, &places::demo_rootfs(), "armel", "/etc/script");
    let contents = format!(
        "#!/bin/sh\n\
        mkdir -p /tmp/bin && busybox --install -s /tmp/bin 2>/dev/null\n\
        export PATH=$PATH:/tmp/bin\n\
        {script}\n\
        echo the end\n"
    );
    plan.static_files = vec![(
        "/etc/script".into(),
        StaticFile::Inline {
            contents: contents.into(),
            mode: 0o755,
        },
    )];
    unpack_with_tar(&plan);
    plan
}

/// Run a plan to its end; gives what the console showed, and what happened. The script must have
/// come to its end.
pub fn run(plan: &Plan) -> (String, Vec<Event>) {
    let mut control = Recorder::new(|_| None);
    UserBackend.run(plan, &mut control).expect("the run works");
    let console = control.console();
    assert!(console.contains("the end"), "{console}");
    (console, std::mem::take(&mut control.events))
}

/// Tests with the same condition, each with its name.
pub type Group<'a> = (Condition, &'a [(&'static str, fn())]);

/// What has to be here for a test to be made.
pub type Condition = fn() -> Result<(), Skip>;

/// The name of the test that a process is for.
const TEST: &str = "ROOKERY_TEST";

/// Run tests one after the other, each in a process of its own with one thread: a supervisor forks,
/// and has one run only where it was started as root, because it gives up root's rights.
pub fn run_in_turn(groups: &[Group]) -> ExitCode {
    if let Ok(name) = std::env::var(TEST) {
        let mut tests = groups.iter().flat_map(|(_, tests)| *tests);
        tests.find(|(known, _)| *known == name).expect("a test").1();
        return ExitCode::SUCCESS;
    }
    let mut trials = Vec::new();
    for (condition, tests) in groups {
        let condition = *condition;
        trials.extend(tests.iter().map(|&(name, _)| {
            rookery_harness::test(name, move || {
                condition()?;
                let status = Command::new(std::env::current_exe()?)
                    .env(TEST, name)
                    .status()?;
                anyhow::ensure!(status.success(), "{status}");
                Ok(())
            })
        }));
    }
    rookery_harness::run_in_turn(trials)
}

/// Tests with their names.
#[allow(unused_macros, reason = "each user of this module needs a part of it")]
macro_rules! named {
    ($($test:ident),* $(,)?) => {
        &[$((stringify!($test), $test as fn())),*]
    };
}

/// Whether guests can run here.
pub fn can_run() -> Result<(), Skip> {
    let availability = UserBackend.probe();
    if availability.available {
        return Ok(());
    }
    let checks = availability.checks.iter();
    let missing: Vec<_> = checks
        .filter(|check| check.needed && !check.ok)
        .map(|check| {
            let fix = check.fix.as_deref().unwrap_or_default();
            format!("{}: {} {fix}", check.name, check.detail)
        })
        .collect();
    Err(Skip::missing(missing.join("; ")))
}

/// Whether they can, and the vendor's image is here.
pub fn can_run_vendor_image() -> Result<(), Skip> {
    can_run()?;
    vendor_image().map(drop)
}

/// Whether a program of this machine's CPU can be put into the place of an emulator.
pub fn can_run_native() -> Result<(), Skip> {
    if !cfg!(target_arch = "x86_64") {
        return Err(Skip::elsewhere("the test's programs are for x86-64"));
    }
    can_run()
}

/// Where the backend has the root filesystem of a plan unpacked.
fn slot(plan: &Plan) -> PathBuf {
    let (cache, uid) = (&plan.cache_dir, UserBackend::guest_uid());
    rootfs::slot(cache, &plan.archive, uid, &Cancel::default()).expect("the archive is there")
}

/// Unpack with tar what the backend would unpack itself.
pub fn unpack_with_tar(plan: &Plan) {
    let slot = slot(plan);
    if slot.join("unpacked.json").exists() {
        return;
    }
    let root = slot.join("root");
    std::fs::create_dir_all(&root).expect("the cache can be written");
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .output()
            .expect("the program runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (archive, directory) = (plan.archive.to_string_lossy(), root.to_string_lossy());
    run(
        "tar",
        &[
            "-xf",
            &archive,
            "-C",
            &directory,
            "--no-same-owner",
            "-p",
            "--exclude=./dev/*",
        ],
    );
    let nodes = run("tar", &["-tvf", &archive])
        .lines()
        .filter_map(node)
        .collect();
    let unpacked = Unpacked {
        nodes,
        ..Unpacked::default()
    };
    if rustix::process::geteuid().is_root() {
        run("chown", &["-R", "-h", "65534:65534", &directory]);
    }
    std::fs::write(
        slot.join("unpacked.json"),
        serde_json::to_vec(&unpacked).expect("a list is JSON"),
    )
    .expect("the cache can be written");
}

/// Let the archive say that a file of it gives its owner's rights.
pub fn give_set_id(plan: &Plan, path: &str) {
    let slot = slot(plan);
    let list = slot.join("unpacked.json");
    let text = std::fs::read(&list).expect("it was unpacked");
    let mut unpacked: Unpacked = serde_json::from_slice(&text).expect("it is a list");
    unpacked.set_ids.push(SetId {
        path: path.to_owned(),
        bits: libc::S_ISUID,
    });
    let text = serde_json::to_vec(&unpacked).expect("a list is JSON");
    std::fs::write(&list, text).expect("the cache can be written");
}

/// `crw------- 0/0 5,1 1970-01-01 00:00 ./dev/console`
fn node(line: &str) -> Option<Node> {
    let block = match line.chars().next()? {
        'c' => false,
        'b' => true,
        _ => return None,
    };
    let mut fields = line.split_whitespace().skip(2);
    let (major, minor) = fields.next()?.split_once(',')?;
    let path = fields.nth(2)?.trim_start_matches('.').to_owned();
    Some(Node {
        path,
        block,
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        mode: 0o600,
    })
}
