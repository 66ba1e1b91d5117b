//! Which system calls a guest may make, as data, and their translation to a seccomp filter.
//!
//! What is in no list is refused with `ENOSYS`. Decisions that protect the host are made here and
//! never by looking at memory: a call that the supervisor lets continue is read a second time by
//! the kernel.

mod assemble;
mod lists;

use std::collections::BTreeMap;

use crate::kernel::notify::Instruction;
use lists::{ALLOW, PRETEND, REFUSE, UNKNOWN};

/// What becomes of a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The kernel carries it out.
    Allow,
    /// It fails with this errno; 0 is a success without effect.
    Answer(i32),
    /// The supervisor answers.
    Notify,
}

/// A condition on the low 32 bits of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Equals(u32),
    AnyBit(u32),
    /// `low..=high`
    Within(u32, u32),
}

impl When {
    fn holds(self, argument: u32) -> bool {
        match self {
            Self::Equals(value) => argument == value,
            Self::AnyBit(bits) => argument & bits != 0,
            Self::Within(low, high) => (low..=high).contains(&argument),
        }
    }
}

/// One argument test of a system call; the first that holds decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Test {
    call: i64,
    argument: u32,
    when: When,
    verdict: Verdict,
}

const fn test(call: i64, argument: u32, when: When, verdict: Verdict) -> Test {
    Test {
        call,
        argument,
        when,
        verdict,
    }
}

/// The descriptor that qemu's log is given: writes to it go to the supervisor.
pub const LOG_FD: u32 = 900;

/// The descriptors that files get whose reads and writes the supervisor must see.
pub const WATCHED_FDS: std::ops::RangeInclusive<u32> = 512..=LOG_FD - 1;

/// The descriptors that sockets of routing netlink get, whose requests the supervisor sends.
pub const ROUTE_FDS: std::ops::RangeInclusive<u32> = 448..=511;
const TO_ROUTE: When = When::Within(*ROUTE_FDS.start(), *ROUTE_FDS.end());

/// What reads and writes through a descriptor.
pub const TRANSFERS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
];

/// `CLONE_NEW*`, all of them.
const NEW_NAMESPACES: u32 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWTIME)
    .cast_unsigned();
const FAMILY: i32 = libc::EAFNOSUPPORT;

use Verdict::{Allow, Answer, Notify};
use When::{AnyBit, Equals, Within};

/// Argument tests, made before the lists below are looked at.
#[rustfmt::skip]
const TESTS: &[Test] = &[
    // Families that no namespace confines (VSOCK reaches the host), or that reach code which no
    // firmware needs.
    test(libc::SYS_socket, 0, Equals(libc::AF_UNIX as u32), Allow),
    test(libc::SYS_socket, 0, Equals(libc::AF_INET as u32), Allow),
    test(libc::SYS_socket, 0, Equals(libc::AF_INET6 as u32), Allow),
    test(libc::SYS_socket, 0, Equals(libc::AF_PACKET as u32), Allow),
    test(libc::SYS_socket, 0, Within(libc::AF_PACKET as u32 + 1, u32::MAX), Answer(FAMILY)),
    test(libc::SYS_socket, 0, Within(0, libc::AF_NETLINK as u32 - 1), Answer(FAMILY)),
    // What is left is NETLINK.
    test(libc::SYS_socket, 2, Equals(libc::NETLINK_ROUTE as u32), Notify),
    test(libc::SYS_socket, 2, Equals(libc::NETLINK_KOBJECT_UEVENT as u32), Allow),
    test(libc::SYS_socket, 2, Within(0, u32::MAX), Answer(libc::EPROTONOSUPPORT)),
    // What is asked of it.
    test(libc::SYS_sendto, 0, TO_ROUTE, Notify),
    test(libc::SYS_sendmsg, 0, TO_ROUTE, Notify),
    test(libc::SYS_write, 0, TO_ROUTE, Notify),
    test(libc::SYS_writev, 0, TO_ROUTE, Notify),
    // What it answers.
    test(libc::SYS_read, 0, TO_ROUTE, Notify),
    test(libc::SYS_recvfrom, 0, TO_ROUTE, Notify),
    test(libc::SYS_recvmsg, 0, TO_ROUTE, Notify),
    test(libc::SYS_socketpair, 0, Equals(libc::AF_UNIX as u32), Allow),
    test(libc::SYS_socketpair, 0, Within(0, u32::MAX), Answer(FAMILY)),
    // Rings of packets are memory of the kernel's that nothing counts.
    test(libc::SYS_setsockopt, 1, Equals(libc::SOL_PACKET as u32), Notify),
    // Packet filter tables: ip_tables and ip6_tables, arp_tables, ebtables.
    test(libc::SYS_setsockopt, 2, Within(64, 65), Answer(libc::ENOPROTOOPT)),
    test(libc::SYS_setsockopt, 2, Within(96, 97), Answer(libc::ENOPROTOOPT)),
    test(libc::SYS_setsockopt, 2, Within(128, 129), Answer(libc::ENOPROTOOPT)),
    // Of sockets: a buffer beyond the limit, which takes more rights. Of other levels, something
    // else.
    test(libc::SYS_setsockopt, 2,
        Within(libc::SO_SNDBUFFORCE as u32, libc::SO_RCVBUFFORCE as u32), Notify),
    // How many requests one message of netlink may hold.
    test(libc::SYS_setsockopt, 2, Equals(libc::SO_SNDBUF as u32), Notify),
    // A pipe of a megabyte is the user's, who may have 64 of them.
    test(libc::SYS_fcntl, 1, Equals(libc::F_SETPIPE_SZ as u32), Answer(libc::EPERM)),
    // Huge pages are set apart for others of the host. What is shared may be held where no process
    // shows it.
    test(libc::SYS_mmap, 3, AnyBit(libc::MAP_HUGETLB as u32), Answer(libc::ENOMEM)),
    test(libc::SYS_mmap, 3, AnyBit(libc::MAP_SHARED as u32), Notify),
    test(libc::SYS_shmget, 2, AnyBit(libc::SHM_HUGETLB as u32), Answer(libc::ENOMEM)),
    // Memory of the guest's is in memory, locked or not.
    test(libc::SYS_shmctl, 1, Within(libc::SHM_LOCK as u32, libc::SHM_UNLOCK as u32), Answer(0)),
    test(libc::SYS_clone, 0, AnyBit(NEW_NAMESPACES), Answer(libc::EPERM)),
    // Threads, of which every emulator has one of its own.
    test(libc::SYS_clone, 0, AnyBit(libc::CLONE_THREAD as u32), Allow),
    // A guest that cleared it would outlive its supervisor.
    test(libc::SYS_prctl, 0, Equals(libc::PR_SET_PDEATHSIG as u32), Answer(0)),
    test(libc::SYS_prctl, 0, Equals(libc::PR_SET_KEEPCAPS as u32), Notify),
    test(libc::SYS_prctl, 0, Equals(libc::PR_CAPBSET_DROP as u32), Answer(0)),
    test(libc::SYS_prctl, 0, Equals(libc::PR_SET_SECUREBITS as u32), Answer(0)),
    test(libc::SYS_prctl, 0, Equals(libc::PR_CAP_AMBIENT as u32), Answer(0)),
    test(libc::SYS_prctl, 0, Equals(libc::PR_SET_SECCOMP as u32), Answer(libc::EINVAL)),
    test(libc::SYS_ioctl, 1, Equals(low(libc::TIOCSTI)), Answer(libc::EPERM)),
    test(libc::SYS_ioctl, 1, Equals(low(libc::TIOCLINUX)), Answer(libc::EPERM)),
    test(libc::SYS_write, 0, Equals(LOG_FD), Notify),
    // What an emulator sets when it starts in the place of init; a query has no new action.
    test(libc::SYS_rt_sigaction, 1, Equals(0), Allow),
    test(libc::SYS_rt_sigaction, 0, Within(libc::SIGHUP as u32, libc::SIGQUIT as u32), Notify),
    test(libc::SYS_rt_sigaction, 0, Equals(libc::SIGUSR1 as u32), Notify),
    test(libc::SYS_rt_sigaction, 0, Within(libc::SIGUSR2 as u32, libc::SIGTERM as u32), Notify),
    test(libc::SYS_rt_sigaction, 0, Equals(libc::SIGPWR as u32), Notify),
    test(libc::SYS_writev, 0, Equals(LOG_FD), Notify),
    // Clocks that show the time of day. An emulator reads them without a system call, until the
    // guest has set its own.
    test(libc::SYS_clock_gettime, 0, Equals(libc::CLOCK_REALTIME as u32), Notify),
    test(libc::SYS_clock_gettime, 0, Equals(libc::CLOCK_REALTIME_COARSE as u32), Notify),
    test(libc::SYS_clock_gettime, 0, Equals(libc::CLOCK_REALTIME_ALARM as u32), Notify),
    test(libc::SYS_clock_gettime, 0, Equals(libc::CLOCK_TAI as u32), Notify),
    test(libc::SYS_gettimeofday, 0, Within(0, u32::MAX), Notify),
    test(libc::SYS_time, 0, Within(0, u32::MAX), Notify),
    // Who waits until a time of day.
    test(libc::SYS_futex, 1, AnyBit(libc::FUTEX_CLOCK_REALTIME as u32), Notify),
    test(libc::SYS_clock_nanosleep, 1, AnyBit(libc::TIMER_ABSTIME as u32), Notify),
    // A query has no new limit.
    test(libc::SYS_prlimit64, 2, Equals(0), Allow),
];

/// The calls that [`TESTS`] send to the supervisor.
pub const SENT_BY_ARGUMENTS: [i64; count_sent()] = sent();

const fn count_sent() -> usize {
    let (mut index, mut count) = (0, 0);
    while index < TESTS.len() {
        count += matches!(TESTS[index].verdict, Verdict::Notify) as usize;
        index += 1;
    }
    count
}

const fn sent() -> [i64; count_sent()] {
    let mut calls = [0; count_sent()];
    let (mut index, mut count) = (0, 0);
    while index < TESTS.len() {
        if matches!(TESTS[index].verdict, Verdict::Notify) {
            calls[count] = TESTS[index].call;
            count += 1;
        }
        index += 1;
    }
    calls
}

/// Terminal and descriptor commands that never concern a model; tested only where no model answers
/// ioctls.
const PLAIN_IOCTLS: &[u64] = &[
    libc::TCGETS,
    libc::TCSETS,
    libc::TCSETSW,
    libc::TCSETSF,
    libc::TIOCGWINSZ,
    libc::FIONBIO,
    libc::FIONREAD,
    libc::FIOCLEX,
];

/// What a run needs beyond the tables.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each sends calls of its own to the supervisor"
)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// A model answers ioctls, so every ioctl goes to the supervisor.
    pub model_ioctls: bool,
    /// A file is modelled, so what is read and written through watched descriptors goes to the
    /// supervisor.
    pub model_files: bool,
    /// A device is modelled, so a descriptor's status goes to the supervisor.
    pub model_devices: bool,
    /// What is refused goes to the supervisor, which refuses it and reports it.
    pub record: bool,
}

/// What becomes of the calls of one number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// By their arguments.
    tests: Vec<Test>,
    /// Of those for which no test holds.
    otherwise: Verdict,
}

/// Of a call that is in no list.
static UNLISTED: Rule = Rule {
    tests: Vec::new(),
    otherwise: Answer(libc::ENOSYS),
};

/// The filter for a guest. `answered` are the calls that the supervisor answers, whatever their
/// arguments are.
pub fn build(options: Options, answered: impl Iterator<Item = i64>) -> Vec<Instruction> {
    assemble::program(&rules(options, answered))
}

/// The rules by the numbers of their calls. Calls of the x32 ABI, which have numbers of their own,
/// are in no list.
fn rules(options: Options, answered: impl Iterator<Item = i64>) -> BTreeMap<u32, Rule> {
    let mut rules = BTreeMap::new();
    let refused = |errno| {
        if options.record {
            Notify
        } else {
            Answer(errno)
        }
    };
    // The first that knows a call decides.
    let lists = [
        (ALLOW, Allow),
        (PRETEND, Answer(0)),
        (REFUSE, refused(libc::EPERM)),
        (UNKNOWN, refused(libc::ENOSYS)),
    ];
    let listed = lists
        .iter()
        .flat_map(|(calls, verdict)| calls.iter().map(|call| (*call, *verdict)));
    for (call, otherwise) in answered.map(|call| (call, Notify)).chain(listed) {
        rules.entry(number(call)).or_insert(Rule {
            tests: Vec::new(),
            otherwise,
        });
    }
    for test in TESTS.iter().copied().chain(tests_for(options)) {
        let verdict = match test.verdict {
            Answer(errno @ 1..) => refused(errno),
            verdict => verdict,
        };
        let rule = rules
            .entry(number(test.call))
            .or_insert_with(|| UNLISTED.clone());
        rule.tests.push(Test { verdict, ..test });
    }
    rules
}

/// The tests that a run needs beyond the table's.
fn tests_for(options: Options) -> impl Iterator<Item = Test> {
    let plain = |command: &u64| test(libc::SYS_ioctl, 1, Equals(low(*command)), Allow);
    let ioctls = PLAIN_IOCTLS.iter().filter(move |_| !options.model_ioctls);
    let watched = Within(*WATCHED_FDS.start(), *WATCHED_FDS.end());
    let transfers = TRANSFERS.iter().filter(move |_| options.model_files);
    let of_descriptor = AnyBit(libc::AT_EMPTY_PATH.cast_unsigned());
    let status =
        (!options.model_devices).then(|| test(libc::SYS_newfstatat, 3, of_descriptor, Allow));
    ioctls
        .map(plain)
        .chain(transfers.map(move |call| test(*call, 0, watched, Notify)))
        .chain(status)
}

/// The errno with which a call is refused whoever makes it, where it is: what the filter does by
/// itself where nothing is recorded.
pub fn refusal(call: i64, arguments: &[u64; 6]) -> Option<i32> {
    let argument = |index: u32| arguments.get(index as usize).map_or(0, |value| low(*value));
    let of_call = TESTS.iter().filter(|test| test.call == call);
    let mut decide = of_call.filter(|test| test.when.holds(argument(test.argument)));
    match decide.next().map(|test| test.verdict) {
        Some(Verdict::Answer(errno)) => (errno > 0).then_some(errno),
        Some(Verdict::Allow | Verdict::Notify) => None,
        None if REFUSE.contains(&call) => Some(libc::EPERM),
        None => UNKNOWN.contains(&call).then_some(libc::ENOSYS),
    }
}

/// The calls that are refused, some for certain arguments only.
#[cfg(test)]
pub fn refused() -> impl Iterator<Item = i64> {
    let refuse = |test: &&Test| matches!(test.verdict, Verdict::Answer(1..));
    let by_arguments = TESTS.iter().filter(refuse).map(|test| test.call);
    by_arguments.chain([REFUSE, UNKNOWN].concat())
}

/// Whether a list of the filter decides about a call.
#[cfg(test)]
pub fn decides(call: i64) -> bool {
    [ALLOW, PRETEND, REFUSE, UNKNOWN]
        .iter()
        .any(|list| list.contains(&call))
}

/// A filter that sends the calls of one number to the supervisor, and no other.
pub fn notify_only(calls: &[i64]) -> Vec<Instruction> {
    let numbers: Vec<_> = calls.iter().map(|call| number(*call)).collect();
    assemble::notify_only(&numbers)
}

/// A filter that changes nothing, to try whether one can be installed.
pub fn allow_all() -> Vec<Instruction> {
    assemble::allow_all()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the filter compares 32 bits; numbers of calls and commands have no more"
)]
const fn low(value: u64) -> u32 {
    value as u32
}

const fn number(call: i64) -> u32 {
    low(call.cast_unsigned())
}

#[cfg(test)]
mod tests;
