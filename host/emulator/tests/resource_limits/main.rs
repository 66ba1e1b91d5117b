//! A guest that makes the host hold more than it may: its run ends soon and says why, or it does
//! not get it; the supervisor stays small.

mod network;
#[path = "../support/mod.rs"]
mod support;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rookery_emulator::UserBackend;
use rookery_records::event::What;
use rookery_runs::backend::{Backend, Outcome};
use rookery_runs::plan::Plan;

use network::{addresses, bridges, one_message};
use support::native::{self, Data, Ended, Step, Test, call};

const MIB: u64 = 1 << 20;
/// Less than a guest has by default, so that the tests take less of the machine.
const BUDGET: u64 = 192 * MIB;
const CHUNK: u64 = 32 * MIB;
/// Where mappings are put, one after the other.
const FREE: u64 = 0x10_0000_0000;
/// The file descriptor that is next in a program that has opened nothing.
const FIRST: u64 = 3;

const LATE: &str =
    "a_supervisor_that_is_stuck_ends_itself_after_the_deadline_and_takes_the_guest_along";

const TESTS: &[Test] = &[
    ("bridges_end_a_run", bridges),
    (
        "bridges_by_the_thousand_in_one_message_are_refused",
        one_message,
    ),
    ("addresses_end_a_run", addresses),
    ("memory_of_its_own_ends_a_run", own_memory),
    ("page_tables_end_a_run", page_tables),
    ("files_without_a_name_end_a_run", nameless_files),
    ("files_that_are_in_no_process_end_a_run", files_in_flight),
    (
        "memory_that_is_shared_ends_a_run_even_where_it_is_in_no_process",
        shared_memory,
    ),
    ("system_v_memory_ends_a_run", segments),
    ("descriptors_end_a_run", descriptors),
    ("sockets_end_a_run", sockets),
    ("settings_beyond_number_cost_no_descriptors", settings),
    ("a_supervisor_without_descriptors_says_so", no_descriptors),
    ("the_kernels_limits_are_set_and_closed", kernels_limits),
    ("huge_arguments_do_not_stay_with_the_supervisor", arguments),
    (LATE, late),
];

fn main() -> ExitCode {
    native::in_processes(TESTS, check)
}

fn check(ended: &Ended) {
    if ended.name == LATE {
        let said = String::from_utf8_lossy(&ended.output.stderr);
        assert_eq!(ended.output.status.signal(), Some(libc::SIGALRM), "{said}");
        assert!(
            ended.after < Duration::from_secs(1 + 2),
            "{:?}",
            ended.after
        );
    } else {
        native::succeeded(ended);
    }
}

/// Make calls again and again. None of them may give 0.
fn for_ever(mut steps: Vec<Step>) -> Vec<Step> {
    let back = i64::try_from(steps.len()).unwrap() + 1;
    steps.push((libc::SYS_sched_yield, [0; 6], -back));
    steps
}

struct Ran {
    outcome: Outcome,
    events: Vec<What>,
    took: Duration,
}

impl Ran {
    /// Why it ended early.
    #[track_caller]
    fn excess(&self) -> &str {
        match &self.outcome {
            Outcome::Exceeded { what } => what,
            outcome => panic!("{outcome:?} after {:?}", self.took),
        }
    }

    fn notes(&self) -> String {
        let notes = self.events.iter().filter_map(|what| match what {
            What::Note(note) => Some(note.as_ref()),
            _ => None,
        });
        notes.collect::<Vec<_>>().join("\n")
    }

    fn listens_on(&self, wanted: u16) -> bool {
        let mut ports = self.events.iter().filter_map(|what| match what {
            What::Listen { port, .. } => Some(*port),
            _ => None,
        });
        ports.any(|port| port == wanted)
    }
}

/// Run a program whose deadline is far away.
fn run(work: &Path, data: Data, steps: &[Step]) -> Ran {
    run_with(work, data, steps, |plan| plan.timeout_s = 30)
}

fn run_with(work: &Path, data: Data, steps: &[Step], change: impl FnOnce(&mut Plan)) -> Ran {
    let mut plan = native::prepare(work, &native::program(data, steps));
    plan.memory_max = BUDGET;
    change(&mut plan);
    let mut control = support::Recorder::new(|_| None);
    let begin = Instant::now();
    let outcome = UserBackend.run(&plan, &mut control).unwrap();
    let took = begin.elapsed();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let kilobytes: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 100_000, "the supervisor grew to {kilobytes} kB");
    let events = control.events.into_iter().map(|event| event.what).collect();
    Ran {
        outcome,
        events,
        took,
    }
}

const ANONYMOUS: u64 = 0x20;
const POPULATE: u64 = 0x8000;
const FIXED: u64 = 0x10;
const NO_RESERVE: u64 = 0x4000;
const NOWHERE: u64 = u64::MAX;

fn own_memory(work: &Path) {
    let map = call(
        libc::SYS_mmap,
        &[0, CHUNK, 3, 2 | ANONYMOUS | POPULATE, NOWHERE, 0],
    );
    let ran = run(work, Data::new(), &for_ever(vec![map]));
    assert!(
        ran.excess().contains("MiB of its processes"),
        "{}",
        ran.excess()
    );
    assert!(
        ran.excess().contains("192 MiB are allowed"),
        "{}",
        ran.excess()
    );
}

/// Pages that are only read are all the same one, but tables lead to each.
fn page_tables(work: &Path) {
    let span = 1_u64 << 30;
    let mut steps = Vec::new();
    for n in 0..2000 {
        let at = FREE + n * span;
        let flags = 2 | ANONYMOUS | FIXED | NO_RESERVE;
        steps.push(call(libc::SYS_mmap, &[at, span, 1, flags, NOWHERE, 0]));
        for part in 0..8 {
            // MADV_POPULATE_READ of one page.
            steps.push(call(libc::SYS_madvise, &[at + part * (span / 8), 4096, 22]));
        }
    }
    let ran = run_with(work, Data::new(), &for_ever(steps), |plan| {
        plan.timeout_s = 30;
        plan.memory_max = 32 * MIB;
    });
    assert!(
        ran.excess().contains("MiB of its processes"),
        "{}",
        ran.excess()
    );
}

fn nameless_files(work: &Path) {
    let mut data = Data::new();
    let name = data.put(b"x");
    let mut steps = Vec::new();
    for n in 0..16 {
        steps.push(call(libc::SYS_memfd_create, &[name, 0]));
        steps.push(call(libc::SYS_fallocate, &[FIRST + n, 0, 0, CHUNK]));
    }
    steps.push(call(libc::SYS_pause, &[]));
    let ran = run(work, data, &steps);
    assert!(ran.excess().contains("MiB in files"), "{}", ran.excess());
}

/// Each is sent to a socket that nobody reads, and closed.
fn files_in_flight(work: &Path) {
    let mut data = Data::new();
    let (name, pair) = (data.put(b"x"), data.put(&[0; 8]));
    let text = data.put(b"x");
    let vector = data.put(&[text.to_ne_bytes(), 1_u64.to_ne_bytes()].concat());
    let file = u32::try_from(FIRST + 2).unwrap();
    let mut control = 20_u64.to_ne_bytes().to_vec();
    control.extend([1_u32.to_ne_bytes(), 1_u32.to_ne_bytes(), file.to_ne_bytes()].concat());
    let control = data.put(&control);
    let message = [0, 0, vector, 1, control, 24, 0].map(u64::to_ne_bytes);
    let message = data.put(message.as_flattened());
    let steps = [
        call(libc::SYS_socketpair, &[1, 1, 0, pair]),
        call(libc::SYS_memfd_create, &[name, 0]),
        call(libc::SYS_fallocate, &[FIRST + 2, 0, 0, CHUNK]),
        call(libc::SYS_sendmsg, &[FIRST, message, 0]),
        (libc::SYS_close, [FIRST + 2, 0, 0, 0, 0, 0], -4),
        call(libc::SYS_pause, &[]),
    ];
    let ran = run(work, data, &steps);
    assert!(ran.excess().contains("MiB in files"), "{}", ran.excess());
}

fn shared_memory(work: &Path) {
    let mut steps = Vec::new();
    for n in 0..16 {
        let at = FREE + n * CHUNK;
        let flags = 1 | ANONYMOUS | FIXED | POPULATE;
        steps.push(call(libc::SYS_mmap, &[at, CHUNK, 3, flags, NOWHERE, 0]));
        steps.push(call(libc::SYS_madvise, &[at, CHUNK, 4]));
    }
    steps.push(call(libc::SYS_pause, &[]));
    let ran = run(work, Data::new(), &steps);
    assert!(
        ran.excess().contains("MiB that they share"),
        "{}",
        ran.excess()
    );
}

fn segments(work: &Path) {
    let mut steps = Vec::new();
    for n in 0..8 {
        let at = FREE + n * CHUNK;
        steps.push(call(libc::SYS_shmget, &[0, CHUNK, 0o600]));
        steps.push(call(libc::SYS_shmat, &[n, at, 0]));
        // MADV_POPULATE_WRITE
        steps.push(call(libc::SYS_madvise, &[at, CHUNK, 23]));
    }
    steps.push(call(libc::SYS_pause, &[]));
    let ran = run(work, Data::new(), &steps);
    assert!(
        ran.excess().contains("MiB in System V segments"),
        "{}",
        ran.excess()
    );
}

fn processes(doubled: usize, step: Step) -> Vec<Step> {
    let mut steps = vec![call(libc::SYS_fork, &[]); doubled];
    steps.extend(for_ever(vec![step, call(libc::SYS_getpid, &[])]));
    steps
}

fn descriptors(work: &Path) {
    let mut data = Data::new();
    let pair = data.put(&[0; 8]);
    // A pipe gives 0, after which it goes on all the same.
    let ran = run(work, data, &processes(5, call(libc::SYS_pipe2, &[pair, 0])));
    assert!(
        ran.excess()
            .contains("descriptors open, and at most 16384 are allowed"),
        "{}",
        ran.excess()
    );
}

fn sockets(work: &Path) {
    let ran = run(
        work,
        Data::new(),
        &processes(2, call(libc::SYS_socket, &[2, 1, 0])),
    );
    assert!(
        ran.excess()
            .contains("sockets, and at most 2048 are allowed"),
        "{}",
        ran.excess()
    );
}

/// Listen on a port.
fn listen(data: &mut Data, socket: u64, port: u16) -> [Step; 3] {
    let mut address = vec![2, 0];
    address.extend(port.to_be_bytes());
    address.extend([0; 12]);
    let address = data.put(&address);
    [
        call(libc::SYS_socket, &[2, 1, 0]),
        call(libc::SYS_bind, &[socket, address, 16]),
        call(libc::SYS_listen, &[socket, 5]),
    ]
}

/// Let this process have so many descriptors.
fn limit_descriptors(most: u64) {
    let limit = rustix::process::Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
}

/// It writes to every setting that there is, and then listens.
fn settings(work: &Path) {
    let mut names = Vec::new();
    let mut left = vec![Path::new("/proc/sys").to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type().unwrap().is_dir() {
                true if !path.ends_with("net") => left.push(path),
                true => {}
                false => names.push(path.into_os_string().into_string().unwrap()),
            }
        }
    }
    assert!(names.len() > 150, "{}", names.len());
    let mut data = Data::new();
    let mut steps = Vec::new();
    let text = data.put(b"1");
    for name in &names {
        let name = data.put(name.as_bytes());
        steps.push(call(libc::SYS_open, &[name, 1]));
        steps.push(call(libc::SYS_write, &[FIRST, text, 1]));
        steps.push(call(libc::SYS_close, &[FIRST]));
    }
    steps.extend(listen(&mut data, FIRST, 4321));
    steps.push(call(libc::SYS_pause, &[]));
    limit_descriptors(128);
    let ran = run_with(work, data, &steps, |plan| plan.timeout_s = 5);
    assert!(ran.listens_on(4321), "{}", ran.notes());
    assert!(
        ran.notes().contains("settings of the kernel"),
        "{}",
        ran.notes()
    );
}

/// Every one of its processes has memory that the supervisor opens.
fn no_descriptors(work: &Path) {
    let mut data = Data::new();
    let path = data.put(b"/dev/nothing");
    let mut steps = vec![call(libc::SYS_fork, &[]); 6];
    steps.push(call(libc::SYS_access, &[path, 0]));
    steps.extend(listen(&mut data, FIRST, 4321));
    steps.push(call(libc::SYS_pause, &[]));
    limit_descriptors(40);
    let ran = run_with(work, data, &steps, |plan| plan.timeout_s = 3);
    assert!(
        ran.notes().contains("ran out of descriptors"),
        "{}",
        ran.notes()
    );
}

/// As the firmware's root, by its own way to the setting, past the supervisor that answers for it.
fn kernels_limits(work: &Path) {
    let script = "cd /proc/sys; for f in kernel/shmmax kernel/shmall kernel/msgmni \
        fs/mqueue/queues_max user/max_inotify_instances \
        user/max_user_namespaces; do echo \"$f=$(cat $f)\"; done\n\
        mount -o bind /proc /mnt; echo 1 > /mnt/sys/kernel/shmall; echo 99999 > \
        /proc/1/root/proc/sys/kernel/shmmni\n\
        echo \"then $(cat kernel/shmmax) $(cat kernel/msgmni)\"; grep -c ' /proc/sys/' \
        /proc/mounts";
    let plan = support::script_plan(work, script);
    let (console, _) = support::run(&plan);
    for expected in [
        "kernel/shmmax=67108864",
        "kernel/shmall=65536",
        "kernel/msgmni=64",
        "fs/mqueue/queues_max=32",
        "user/max_inotify_instances=32",
        "user/max_user_namespaces=0",
        "then 67108864 64",
        "\n0\r\n",
    ] {
        let found = console.contains(expected) || console.contains(&expected.replace('\r', ""));
        assert!(found, "{expected}: {console}");
    }
}

/// Each of its processes has a program executed whose arguments are as long as they may be, and
/// makes that fail afterwards.
fn arguments(work: &Path) {
    let mut data = Data::new();
    let text = data.put(&vec![b'a'; 100_000]);
    let argv = data.put(&[[text; 19].map(u64::to_ne_bytes).as_flattened(), &[0; 8]].concat());
    let path = data.put(b"/init");
    let mut steps = vec![call(libc::SYS_fork, &[]); 7];
    steps.push(call(libc::SYS_execve, &[path, argv, argv + 19 * 8]));
    steps.push(call(libc::SYS_pause, &[]));
    let ran = run_with(work, data, &steps, |plan| plan.timeout_s = 5);
    assert!(ran.took < Duration::from_secs(5 + 2), "{:?}", ran.took);
}

fn late(work: &Path) {
    let steps = [call(libc::SYS_pause, &[])];
    let mut plan = native::prepare(work, &native::program(Data::new(), &steps));
    plan.timeout_s = 1;
    let mut control = support::Recorder::new(|_| {
        std::thread::sleep(Duration::from_mins(1));
        None
    });
    let _ = UserBackend.run(&plan, &mut control);
    unreachable!("it is stuck");
}
