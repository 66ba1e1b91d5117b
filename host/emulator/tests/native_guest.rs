//! What an emulator never does and a program that has broken out of it may, one thing at a time;
//! the supervisor is a process of its own.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use rookery_emulator::UserBackend;
use rookery_records::event::What;
use rookery_runs::backend::{Backend, Outcome};
use support::native::{self, Data, Test, call};

const TESTS: &[Test] = &[
    (
        "a_terminal_of_the_guest_has_no_power_over_its_supervisor",
        terminal,
    ),
    ("a_process_with_threads_executes_a_program", threads),
    (
        "a_user_who_is_not_the_owner_is_refused_what_the_archive_closes",
        private_files,
    ),
];

fn main() -> ExitCode {
    native::in_processes(TESTS, native::succeeded)
}

/// It executes a pseudo-terminal of its own, as if that were a program, then interrupts whose
/// terminal it has become, and hangs it up.
fn terminal(work: &Path) {
    let mut data = Data::new();
    let mut put = |bytes: &[u8]| data.put(bytes);
    let (master, slave) = (put(b"/dev/ptmx"), put(b"/dev/pts/0"));
    let (zero, keys, alive) = (put(&[0; 16]), put(b"\x03\x1c"), put(b"alive\n"));
    let moment = put(&[0_u64.to_le_bytes(), 200_000_000_u64.to_le_bytes()].concat());
    let flags = u64::from((libc::O_RDWR | libc::O_NOCTTY).cast_unsigned());
    let wait = call(libc::SYS_nanosleep, &[moment]);
    let steps = [
        call(libc::SYS_open, &[master, flags]),
        call(libc::SYS_ioctl, &[3, libc::TIOCSPTLCK, zero]),
        call(libc::SYS_open, &[slave, flags]),
        call(libc::SYS_execve, &[slave, zero, zero]),
        call(libc::SYS_write, &[3, keys, 1]),
        wait,
        call(libc::SYS_write, &[3, keys + 1, 1]),
        wait,
        call(libc::SYS_close, &[4]),
        call(libc::SYS_close, &[3]),
        wait,
        call(libc::SYS_write, &[1, alive, 6]),
    ];
    let mut plan = native::prepare(work, &native::program(data, &steps));
    plan.timeout_s = 10;
    // As a run's supervisor does: only a session's leader gets a controlling terminal by opening
    // one.
    rustix::process::setsid().expect("this process was started by another");
    let mut control = support::Recorder::new(|_| None);
    let outcome = UserBackend.run(&plan, &mut control).unwrap();
    assert!(matches!(outcome, Outcome::GuestEnded { .. }), "{outcome:?}");
    assert!(control.console().contains("alive"), "{}", control.console());
    let refused = -libc::EACCES;
    assert!(control.events.iter().any(|event| match &event.what {
        What::Exec { path, result, .. } => path == "/dev/pts/0" && *result == refused,
        _ => false,
    }));
}

/// It executes itself again and again, while its other threads make calls that the supervisor
/// answers.
fn threads(work: &Path) {
    let mut data = Data::new();
    let (init, directory) = (data.put(b"/init"), data.put(b"/etc"));
    let argv = data.put(&[init.to_le_bytes(), [0; 8]].concat());
    let moment = data.put(&[0_u64.to_le_bytes(), 2_000_000_u64.to_le_bytes()].concat());
    let flags = libc::CLONE_VM
        | libc::CLONE_FS
        | libc::CLONE_FILES
        | libc::CLONE_SIGHAND
        | libc::CLONE_THREAD;
    let thread = |to| {
        (
            libc::SYS_clone,
            [u64::from(flags.cast_unsigned()), 0, 0, 0, 0, 0],
            to,
        )
    };
    let steps = [
        thread(4),
        thread(3),
        call(libc::SYS_nanosleep, &[moment]),
        call(libc::SYS_execve, &[init, argv, argv + 8]),
        call(libc::SYS_exit_group, &[9]),
        // The threads' own, for ever.
        (libc::SYS_access, [directory, 0, 0, 0, 0, 0], -1),
    ];
    let mut plan = native::prepare(work, &native::program(data, &steps));
    plan.timeout_s = 2;
    let mut control = support::Recorder::new(|_| None);
    let outcome = UserBackend.run(&plan, &mut control).unwrap();
    assert_eq!(outcome, Outcome::Deadline);
    let results: Vec<i32> = control
        .events
        .iter()
        .filter_map(|event| match event.what {
            What::Exec { result, .. } => Some(result),
            _ => None,
        })
        .collect();
    assert!(results.len() > 5, "{results:?}");
    assert!(results.iter().all(|result| *result == 0), "{results:?}");
}

/// What only its owner may read on the device, nobody else reads here, though all files are one
/// user's.
fn private_files(work: &Path) {
    for (name, mode) in [("shadow", 0o600), ("passwd", 0o644), ("given", 0o600)] {
        let path = work.join("root/etc").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "secret\n").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }
    std::fs::create_dir_all(work.join("root/closed")).unwrap();
    std::fs::write(work.join("root/closed/key"), "secret\n").unwrap();
    std::fs::set_permissions(work.join("root/closed"), PermissionsExt::from_mode(0o700)).unwrap();
    let mut data = Data::new();
    let mut put = |bytes: &[u8]| data.put(bytes);
    let (shadow, passwd) = (put(b"/etc/shadow"), put(b"/etc/passwd"));
    let (given, key) = (put(b"/etc/given"), put(b"/closed/key"));
    let mut steps = vec![call(libc::SYS_chown, &[given, 4242, 4242])];
    let mut tell = |path: u64, text: &[u8]| {
        let text = put(text);
        let read_only = u64::from((libc::O_RDONLY).cast_unsigned());
        // The descriptor 3 can be closed where the file was opened.
        steps.extend([
            call(libc::SYS_open, &[path, read_only]),
            (libc::SYS_close, [3, 0, 0, 0, 0, 0], 1),
            call(libc::SYS_write, &[1, text, 2]),
            call(libc::SYS_write, &[1, text + 2, 1]),
        ]);
    };
    tell(shadow, b"-r1");
    tell(key, b"-r2");
    let mut later = Vec::new();
    for (path, text) in [
        (shadow, b"-n3"),
        (key, b"-n4"),
        (passwd, b"-n5"),
        (given, b"-n6"),
    ] {
        later.push((path, text));
    }
    for (path, text) in later {
        tell(path, text);
    }
    // Root's part first, then `nobody`'s.
    steps.insert(9, call(libc::SYS_setresuid, &[99, 99, 99]));
    let mut plan = native::prepare(work, &native::program(data, &steps));
    plan.timeout_s = 10;
    let mut control = support::Recorder::new(|_| None);
    UserBackend.run(&plan, &mut control).unwrap();
    assert_eq!(control.console(), "12-n3-n456");
}
