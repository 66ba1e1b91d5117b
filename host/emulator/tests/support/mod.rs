//! Running a real guest from a test: a plan, a control that records events, and a root filesystem
//! in the backend's cache.
#![allow(dead_code, reason = "each user of this module needs a part of it")]

pub mod mips;
pub mod native;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use rookery_emulator::{UserBackend, rootfs};
use rookery_project::{Node, SetId, Unpacked};
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
        arch: arch.to_owned(),
        init: init.to_owned(),
        env: vec![],
        netdevs: vec![],
        blocked_signals: vec![],
        pseudofiles: vec![],
        static_files: vec![],
        nvram: vec![],
        uboot_env: vec![],
        kernel_release: None,
        kernel_cmdline_append: None,
        record_events: true,
        record_env: true,
        timeout_s: 30,
        memory_max: rookery_runs::plan::memory_max(),
        ports: Ports::default(),
        notes: vec![],
    }
}

/// One of the images outside the repository; says that the test is skipped where it is missing.
pub fn image(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("ROOKERY_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = shared.join("fw").join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "SKIPPED: {} is not here (set ROOKERY_SHARED to the folder with fw/)",
        path.display()
    );
    None
}

/// A plan that runs `script` in a firmware with a busybox: the demo's, where it was made, else one
/// from outside the repository.
pub fn script_plan(work: &Path, script: &str) -> Option<Plan> {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/demo/rootfs.tar.gz");
    let (archive, arch) = if demo.exists() {
        (demo, "armel")
    } else {
        (image("dv-mipsel-uclibc.rootfs.tar.gz")?, "mipsel")
    };
    let mut plan = plan(work, &archive, arch, "/etc/script");
    let contents = format!(
        "#!/bin/sh\nmkdir -p /tmp/bin && busybox --install -s /tmp/bin 2>/dev/null\nexport PATH=$PATH:/tmp/bin\n{script}\necho the end\n"
    );
    plan.static_files = vec![(
        "/etc/script".into(),
        StaticFile::Inline {
            contents: contents.into(),
            mode: 0o755,
        },
    )];
    unpack_with_tar(&plan);
    Some(plan)
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

/// The name of the test that a process is for.
const TEST: &str = "ROOKERY_TEST";

/// Run tests one after the other, each in a process of its own with one thread: a supervisor forks,
/// and has one run only where it was started as root, because it gives up root's rights. `cargo
/// test … -- NAME` runs those whose names hold `NAME`.
pub fn run_in_turn(tests: &[(&str, fn())]) {
    if let Ok(name) = std::env::var(TEST) {
        let test = tests.iter().find(|(known, _)| *known == name);
        return test.expect("it is a test").1();
    }
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    for (name, _) in tests {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let begin = std::time::Instant::now();
        let status = Command::new(std::env::current_exe().expect("it is known"))
            .env(TEST, name)
            .status()
            .expect("the test can be started");
        assert!(status.success(), "test {name} ... FAILED: {status}");
        println!(
            "test {name} ... ok ({:.1} s)",
            begin.elapsed().as_secs_f64()
        );
    }
}

/// [`run_in_turn`] with the tests' names.
#[allow(unused_macros, reason = "each user of this module needs a part of it")]
macro_rules! run_in_turn {
    ($($test:ident),* $(,)?) => {
        support::run_in_turn(&[$((stringify!($test), $test as fn())),*])
    };
}

/// Whether guests can run here; says that the test is skipped where they cannot.
pub fn can_run() -> bool {
    let availability = UserBackend.probe();
    for check in availability
        .checks
        .iter()
        .filter(|check| check.needed && !check.ok)
    {
        eprintln!(
            "SKIPPED: {}: {} {}",
            check.name,
            check.detail,
            check.fix.as_deref().unwrap_or_default()
        );
    }
    availability.available
}

/// Unpack with tar what the backend would unpack itself.
pub fn unpack_with_tar(plan: &Plan) {
    let slot = rootfs::slot(&plan.cache_dir, &plan.archive, UserBackend::guest_uid())
        .expect("the archive is there");
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
    let slot = rootfs::slot(&plan.cache_dir, &plan.archive, UserBackend::guest_uid())
        .expect("the archive is there");
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
