//! Numbers of processes come round: each call is still its caller's. The whole test is made in a
//! pid namespace that has few of them.

mod support;

use std::path::Path;
use std::process::{Command, ExitCode};

use rookery_emulator::UserBackend;
use rookery_harness::Skip;
use rookery_runs::backend::{Backend, Outcome};
use support::native::{self, Data, Test, call};

const NAME: &str = "every_call_is_answered_for_the_process_that_made_it";

const TESTS: &[Test] = &[(NAME, numbers)];

/// Set where there are few numbers.
const INSIDE: &str = "ROOKERY_TEST_FEW_NUMBERS";

fn main() -> ExitCode {
    if std::env::var_os(INSIDE).is_some() {
        return native::in_processes(TESTS, native::succeeded);
    }
    rookery_harness::run(vec![rookery_harness::test(NAME, where_numbers_are_few)])
}

fn where_numbers_are_few() -> anyhow::Result<()> {
    support::can_run_native()?;
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut version = release
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    if (version.next(), version.next()) < (Some(6), Some(14)) {
        let release = release.trim();
        let why = format!("Linux {release} has one limit of pids for the whole machine");
        return Err(Skip::elsewhere(why).into());
    }
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let status = command
        .args(["--pid", "--fork", "--mount-proc", "sh", "-c"])
        .arg("echo 420 >/proc/sys/kernel/pid_max && exec \"$0\"")
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
        .status()?;
    anyhow::ensure!(status.success(), "{status}");
    Ok(())
}

/// A process whose threads come and go, and whose children become other users: each must read its
/// own identity.
fn numbers(work: &Path) {
    let mut data = Data::new();
    let directory = data.put(b"/etc");
    let ids = data.put(&[0; 12]);
    let end = data.put(b"\n");
    let flags = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD;
    let [a, b, c] = [*b"AAAA", *b"BBBB", *b"CCCC"].map(|id| u64::from(u32::from_le_bytes(id)));
    let steps = [
        (
            libc::SYS_clone,
            [u64::from(flags.cast_unsigned()), 0, 0, 0, 0, 0],
            3,
        ),
        (libc::SYS_fork, [0; 6], 4),
        call(libc::SYS_wait4, &[u64::MAX, 0, 0, 0]),
        (libc::SYS_access, [directory, 0, 0, 0, 0, 0], -4),
        // A thread: known to the supervisor, then gone.
        call(libc::SYS_access, &[directory, 0]),
        call(libc::SYS_exit, &[0]),
        // A child.
        call(libc::SYS_setresuid, &[a, b, c]),
        call(libc::SYS_getresuid, &[ids, ids + 4, ids + 8]),
        call(libc::SYS_write, &[1, ids, 12]),
        call(libc::SYS_write, &[1, end, 1]),
    ];
    let mut plan = native::prepare(work, &native::program(data, &steps));
    plan.timeout_s = 6;
    let mut control = support::Recorder::new(|_| None);
    let outcome = UserBackend.run(&plan, &mut control).unwrap();
    assert_eq!(outcome, Outcome::Deadline);
    let console = control.console().replace('\r', "");
    let mut lines: Vec<&str> = console.lines().collect();
    // The deadline may have cut the last one.
    lines.pop();
    assert!(
        lines.len() > 500,
        "numbers did not come round: {}",
        lines.len()
    );
    let wrong: Vec<_> = lines
        .iter()
        .filter(|line| **line != "AAAABBBBCCCC")
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:?}",
        wrong.len(),
        lines.len()
    );
}
