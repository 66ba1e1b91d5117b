//! What the filter decides for each kind of system call.

use libc::{
    SECCOMP_RET_ALLOW as RET_ALLOW, SECCOMP_RET_ERRNO as RET_ERRNO,
    SECCOMP_RET_USER_NOTIF as RET_USER_NOTIF,
};

use super::*;

/// What the filter returns for a call.
fn run(filter: &[Instruction], call: i64, arguments: &[u32]) -> u32 {
    assemble::run(filter, assemble::AUDIT_ARCH_X86_64, number(call), arguments).0
}

/// Some of what the handlers answer whatever the arguments are.
const ANSWERED: [i64; 5] = [
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_memfd_create,
    libc::SYS_ioctl,
    libc::SYS_prlimit64,
];

fn verdict(call: i64, arguments: &[u32]) -> u32 {
    run(
        &build(Options::default(), ANSWERED.into_iter()),
        call,
        arguments,
    )
}

#[test]
fn calls_get_the_verdict_of_their_list() {
    assert_eq!(verdict(libc::SYS_read, &[]), RET_ALLOW);
    assert_eq!(verdict(libc::SYS_openat, &[]), RET_USER_NOTIF);
    assert_eq!(verdict(libc::SYS_ptrace, &[]), RET_ERRNO | 1);
    for call in [
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_keyctl,
        libc::SYS_userfaultfd,
        libc::SYS_clone3,
        libc::SYS_perf_event_open,
        libc::SYS_io_setup,
        libc::SYS_io_submit,
        libc::SYS_vmsplice,
        libc::SYS_fanotify_init,
        999,
    ] {
        assert_eq!(verdict(call, &[]), RET_ERRNO | 0x26, "call {call}");
    }
    assert_eq!(verdict(0x4000_0000, &[]), RET_ERRNO | 0x26);
}

#[test]
fn only_families_that_a_namespace_confines_get_a_socket() {
    for (family, protocol, allowed) in [
        (1, 0, true),
        (2, 6, true),
        (10, 0, true),
        (17, 0, true),
        (16, 15, true),
        (16, 12, false),
        (16, 16, false),
        (40, 0, false),
        (38, 0, false),
        (0, 0, false),
    ] {
        assert_eq!(
            verdict(libc::SYS_socket, &[family, 1, protocol]) == RET_ALLOW,
            allowed,
            "family {family} protocol {protocol}"
        );
    }
}

#[test]
fn namespaces_and_the_death_signal_stay_as_they_are() {
    assert_eq!(verdict(libc::SYS_clone, &[17]), RET_ALLOW);
    for flag in [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWCGROUP,
    ] {
        assert_eq!(
            verdict(libc::SYS_clone, &[flag.cast_unsigned() | 0x11]),
            RET_ERRNO | 1
        );
    }
    assert_eq!(verdict(libc::SYS_prctl, &[1]), RET_ERRNO);
    assert_eq!(verdict(libc::SYS_prctl, &[15]), RET_ALLOW);
}

#[test]
fn what_the_host_holds_for_a_guest_is_counted_refused_or_made_small() {
    let refused = |errno: i32| RET_ERRNO | errno.cast_unsigned();
    for (call, arguments, expected) in [
        // Private memory is a process's own; shared memory, and what has no process, is not.
        (libc::SYS_mmap, [0, 0, 3, 0x22], RET_ALLOW),
        (libc::SYS_mmap, [0, 0, 3, 0x21], RET_USER_NOTIF),
        (libc::SYS_mmap, [0, 0, 3, 0x03], RET_USER_NOTIF),
        (libc::SYS_mmap, [0, 0, 3, 0x4_0022], refused(libc::ENOMEM)),
        (libc::SYS_shmget, [0, 0, 0o1600, 0], RET_ALLOW),
        (libc::SYS_shmget, [0, 0, 0o5600, 0], refused(libc::ENOMEM)),
        (libc::SYS_memfd_create, [0; 4], RET_USER_NOTIF),
        (libc::SYS_fcntl, [0, 1031, 1 << 20, 0], refused(libc::EPERM)),
        (libc::SYS_fcntl, [0, 1, 0, 0], RET_ALLOW),
        // Routing netlink, rings of packets, and room for requests.
        (libc::SYS_socket, [16, 3, 0, 0], RET_USER_NOTIF),
        (libc::SYS_setsockopt, [0, 263, 5, 0], RET_USER_NOTIF),
        (libc::SYS_setsockopt, [0, 1, 7, 0], RET_USER_NOTIF),
        (libc::SYS_setsockopt, [0, 1, 8, 0], RET_ALLOW),
        (libc::SYS_mlock2, [0; 4], RET_ERRNO),
    ] {
        assert_eq!(verdict(call, &arguments), expected, "{call} {arguments:?}");
    }
}

#[test]
fn a_guest_does_not_flush_the_hosts_disks() {
    for call in [libc::SYS_sync, libc::SYS_syncfs] {
        assert_eq!(verdict(call, &[]), RET_ERRNO);
    }
}

#[test]
fn arguments_decide_what_the_supervisor_sees() {
    assert_eq!(verdict(libc::SYS_write, &[1]), RET_ALLOW);
    assert_eq!(verdict(libc::SYS_write, &[LOG_FD]), RET_USER_NOTIF);
    assert_eq!(verdict(libc::SYS_ioctl, &[0, 0x5401]), RET_ALLOW);
    assert_eq!(verdict(libc::SYS_ioctl, &[0, 0x8914]), RET_USER_NOTIF);
    assert_eq!(verdict(libc::SYS_ioctl, &[0, 0x5412]), RET_ERRNO | 1);
    assert_eq!(verdict(libc::SYS_newfstatat, &[0, 0, 0, 0x1000]), RET_ALLOW);
    assert_eq!(verdict(libc::SYS_rt_sigaction, &[15, 1]), RET_USER_NOTIF);
    assert_eq!(verdict(libc::SYS_rt_sigaction, &[15, 0]), RET_ALLOW);
    assert_eq!(verdict(libc::SYS_rt_sigaction, &[11, 1]), RET_ALLOW);
    assert_eq!(verdict(libc::SYS_setsockopt, &[3, 1, 33]), RET_USER_NOTIF);
    assert_eq!(verdict(libc::SYS_setsockopt, &[3, 1, 2]), RET_ALLOW);
    assert_eq!(verdict(libc::SYS_prlimit64, &[0, 7, 0]), RET_ALLOW);
    assert_eq!(verdict(libc::SYS_prlimit64, &[0, 7, 8]), RET_USER_NOTIF);
    let options = Options {
        model_ioctls: true,
        model_files: true,
        model_devices: true,
        record: false,
    };
    let models = build(options, ANSWERED.into_iter());
    assert_eq!(run(&models, libc::SYS_read, &[600]), RET_USER_NOTIF);
    assert_eq!(run(&models, libc::SYS_read, &[3]), RET_ALLOW);
    assert_eq!(run(&models, libc::SYS_read, &[LOG_FD]), RET_ALLOW);
    assert_eq!(run(&models, libc::SYS_ioctl, &[0, 0x5401]), RET_USER_NOTIF);
    assert_eq!(
        run(&models, libc::SYS_newfstatat, &[0, 0, 0, 0x1000]),
        RET_USER_NOTIF
    );
}

#[test]
fn what_is_recorded_is_refused_exactly_as_what_is_not() {
    let options = Options {
        record: true,
        ..Options::default()
    };
    let recording = build(options, ANSWERED.into_iter());
    let plain = build(Options::default(), ANSWERED.into_iter());
    let values = [0, 1, 2, 16, 17, 64, 97, 1031, 0x5412, 0x1000_0000, 0x4_0022];
    for call in 0..450 {
        for value in values {
            for index in 0..4 {
                let mut arguments = [0; 4];
                arguments[index] = value;
                let without = run(&plain, call, &arguments);
                let with = run(&recording, call, &arguments);
                let mut all = [0; 6];
                all[..4].copy_from_slice(&arguments.map(u64::from));
                let refusal = refusal(call, &all);
                let answer = refusal.map(|errno| RET_ERRNO | errno.cast_unsigned());
                if with == without {
                    assert!(refusal.is_none(), "{call} {arguments:x?}");
                } else {
                    let seen = (Some(without), RET_USER_NOTIF);
                    assert_eq!((answer, with), seen, "{call} {arguments:x?}");
                }
            }
        }
    }
}

#[test]
fn no_call_is_in_two_lists() {
    let mut all: Vec<i64> = [ALLOW, PRETEND, REFUSE, UNKNOWN].concat();
    all.sort_unstable();
    let twice: Vec<_> = all.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
