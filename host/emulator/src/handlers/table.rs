//! The system calls that the supervisor answers: one row each, with who answers it and why it is
//! not the kernel's alone. The filter is made from these rows, and what it sends to the supervisor
//! beyond them, by the arguments of a call, has a row as well: else this does not compile.

use crate::guest::access::{Callers, HasLimits};
use crate::guest::state::Guest;
use crate::handlers::{
    answered, chroot, clock, connect, ending, exec, faked, file_system, fs, host_name, identity,
    ioctl, ipc, kernel_log, limits, model, mount, names, net, pivot, resources, route, signal,
    status, threads, transfer,
};
use crate::kernel::ipc::Kind::{Messages, Semaphores, SharedMemory};
use crate::kernel::numbers;
use crate::process::call::{Action, Call};
use crate::process::path_arg::PathArg;
use crate::sandbox::filter;

/// Answers a call.
pub type Handler = fn(&mut Guest<'_>, &Call) -> Action;

/// Which calls of this number the supervisor sees.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// All.
    Always,
    /// Those that the filter's tests of arguments send.
    Sometimes,
    /// All, where events are recorded; else the kernel carries them out unseen.
    Recorded,
    /// All, where files are modelled; else the kernel carries them out unseen.
    Modelled,
}

struct Row {
    /// By which the kernel's headers know it.
    name: &'static str,
    number: i64,
    seen: Seen,
    handler: Handler,
}

use Seen::{Always, Modelled, Recorded, Sometimes};

/// The rows: a system call, which of its calls are seen and why, and who answers. The reason is for
/// who reads the table; a row cannot be written without one.
macro_rules! rows {
    (|$guest:ident, $call:ident| $($name:ident $seen:ident $why:tt => $answer:expr;)*) => {
        &[$(Row {
            name: stringify!($name),
            number: numbers::$name,
            seen: $seen,
            handler: |$guest, $call| {
                const _: &str = $why;
                let _ = $call;
                $answer
            },
        }),*]
    };
}

/// Why calls are seen that name a file.
const FILES: &str =
    "devices, models and what /proc says are answered here, and what is missing is reported";
const OWNERS: &str = "one user is mapped: the kernel would refuse every other";
const IDENTITY: &str = "one user is mapped: the guest is told that it has become others";
const SIGNALS: &str = "the plan blocks signals, and a fatal one is reported";
const THREADS: &str = "a thread of the host may be a process to the guest";
const MODULES: &str = "the host's modules are none of the guest's; firmware expects success";
const CLOCK: &str = "the host's clock is not the guest's to set: it gets one of its own";
const TIME: &str = "the guest may have set its clock, which is another than the host's then";
const SWAP: &str = "the host's swap is not the guest's; firmware expects success";
const TRANSFERS: &str = "models answer for watched descriptors, and the emulator's log has one";
const ROUTES: &str = "interfaces that the host cannot make are asked for, and failures reported";
const ANSWERS: &str = "what stands in for a kind of interface is told as one of that kind";
const COPIES: &str = "the kernel would copy a model by what it once read of it";
const LIMITS: &str = "root may raise any limit; here it gets what the sandbox has left";
const NAMES: &str = "a directory that is missing is why nothing is made there";
const IPC: &str = "an object that nobody made is why a program fails";
const OVERLAY: &str = "to the guest its root is no overlay";
const MOUNTS: &str = "what the guest believes to be mounted is kept, and the host's is hidden";

/// A path that is the second argument.
const SECOND: PathArg = PathArg {
    directory: None,
    path: 1,
};
/// A second path, after a directory of its own.
const SECOND_AT: PathArg = PathArg {
    directory: Some(2),
    path: 3,
};
/// The path of a link, after what is in it.
const LINK_AT: PathArg = PathArg {
    directory: Some(1),
    path: 2,
};

const SHMGET: &[&str] = &["key", "size", "shmflg"];
const SHMAT: &[&str] = &["shmid", "shmaddr", "shmflg"];
const SHMCTL: &[&str] = &["shmid", "cmd"];
const SEMGET: &[&str] = &["key", "nsems", "semflg"];
const SEMCTL: &[&str] = &["semid", "semnum", "cmd"];
const MSGGET: &[&str] = &["key", "msgflg"];
const MSGCTL: &[&str] = &["msqid", "cmd"];
const MSGSND: &[&str] = &["msqid", "msgp", "msgsz"];

const ROWS: &[Row] = rows! { |guest, call|
    // Files.
    SYS_open Always FILES => fs::open(guest, call, PathArg::FIRST, call.int(1));
    SYS_creat Always FILES =>
        fs::open(guest, call, PathArg::FIRST, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC);
    SYS_openat Always FILES => fs::open(guest, call, PathArg::AT, call.int(2));
    SYS_stat Always FILES => status::stat(guest, call, PathArg::FIRST);
    SYS_lstat Always FILES => status::stat(guest, call, PathArg::FIRST);
    SYS_newfstatat Always FILES => status::stat(guest, call, PathArg::AT);
    SYS_statx Always FILES => status::statx(guest, call);
    SYS_access Always FILES => fs::access(guest, call, PathArg::FIRST);
    SYS_faccessat Always FILES => fs::access(guest, call, PathArg::AT);
    SYS_faccessat2 Always FILES => fs::access(guest, call, PathArg::AT);
    SYS_readlink Always FILES => fs::readlink(guest, call, PathArg::FIRST);
    SYS_readlinkat Always FILES => fs::readlink(guest, call, PathArg::AT);
    SYS_mknod Always "the kernel refuses devices to a user namespace" =>
        fs::mknod(guest, call, PathArg::FIRST);
    SYS_mknodat Always "the kernel refuses devices to a user namespace" =>
        fs::mknod(guest, call, PathArg::AT);
    SYS_chown Always OWNERS => identity::change_owner(guest, call, Some(PathArg::FIRST), [1, 2]);
    SYS_lchown Always OWNERS => identity::change_owner(guest, call, Some(PathArg::FIRST), [1, 2]);
    SYS_fchown Always OWNERS => identity::change_owner(guest, call, None, [1, 2]);
    SYS_fchownat Always OWNERS => identity::change_owner(guest, call, Some(PathArg::AT), [2, 3]);
    SYS_chroot Always "programs need their emulator in the new root, too" =>
        chroot::chroot(guest, call);
    SYS_pivot_root Always "programs need their emulator in the new root, too" =>
        pivot::pivot_root(guest, call);
    SYS_mount Always MOUNTS => mount::mount(guest, call);
    SYS_umount2 Always MOUNTS => mount::unmount(guest, call);
    SYS_chdir Recorded NAMES => names::looks_for(guest, call, "chdir", PathArg::FIRST);
    SYS_statfs Always OVERLAY => file_system::of_path(guest, call);
    SYS_fstatfs Always OVERLAY => file_system::of_descriptor(guest, call);
    SYS_truncate Recorded NAMES => names::looks_for(guest, call, "truncate", PathArg::FIRST);
    SYS_chmod Recorded NAMES => names::looks_for(guest, call, "chmod", PathArg::FIRST);
    SYS_fchmodat Recorded NAMES => names::looks_for(guest, call, "fchmodat", PathArg::AT);
    SYS_inotify_add_watch Recorded NAMES =>
        names::looks_for(guest, call, "inotify_add_watch", SECOND);
    SYS_mkdir Recorded NAMES => names::makes(guest, call, "mkdir", PathArg::FIRST);
    SYS_mkdirat Recorded NAMES => names::makes(guest, call, "mkdirat", PathArg::AT);
    SYS_rename Recorded NAMES => names::makes(guest, call, "rename", SECOND);
    SYS_renameat Recorded NAMES => names::makes(guest, call, "renameat", SECOND_AT);
    SYS_renameat2 Recorded NAMES => names::makes(guest, call, "renameat2", SECOND_AT);
    SYS_link Recorded NAMES => names::makes(guest, call, "link", SECOND);
    SYS_linkat Recorded NAMES => names::makes(guest, call, "linkat", SECOND_AT);
    SYS_symlink Recorded NAMES => names::makes(guest, call, "symlink", SECOND);
    SYS_symlinkat Recorded NAMES => names::makes(guest, call, "symlinkat", LINK_AT);
    SYS_memfd_create Always "its memory must be counted wherever its descriptor goes" =>
        resources::nameless_file(guest, call);
    SYS_mmap Sometimes "shared memory is counted from the first on" =>
        resources::map(guest.limits());
    // What is read and written.
    SYS_read Sometimes TRANSFERS => transfer::read(guest, call);
    SYS_readv Sometimes TRANSFERS => model::read(guest, call);
    SYS_pread64 Sometimes TRANSFERS => model::read(guest, call);
    SYS_preadv Sometimes TRANSFERS => model::read(guest, call);
    SYS_write Sometimes TRANSFERS => transfer::write(guest, call);
    SYS_writev Sometimes TRANSFERS => transfer::write(guest, call);
    SYS_pwrite64 Sometimes TRANSFERS => transfer::write(guest, call);
    SYS_pwritev Sometimes TRANSFERS => transfer::write(guest, call);
    SYS_sendfile Modelled COPIES => model::copy(guest, call, 1);
    SYS_splice Modelled COPIES => model::copy(guest, call, 0);
    SYS_ioctl Always "models answer it, and an interface that is missing is reported" =>
        ioctl::ioctl(guest, call);
    // System V IPC.
    SYS_shmget Recorded IPC => ipc::get(guest, call, "shmget", SharedMemory, SHMGET);
    SYS_shmat Recorded IPC => ipc::attach(guest, call, SHMAT);
    SYS_shmctl Recorded IPC => ipc::of_object(guest, call, "shmctl", SharedMemory, SHMCTL);
    SYS_semget Recorded IPC => ipc::get(guest, call, "semget", Semaphores, SEMGET);
    SYS_semctl Recorded IPC => ipc::of_object(guest, call, "semctl", Semaphores, SEMCTL);
    SYS_semop Recorded IPC => ipc::operate(guest, call);
    SYS_semtimedop Recorded IPC => ipc::operate(guest, call);
    SYS_msgget Recorded IPC => ipc::get(guest, call, "msgget", Messages, MSGGET);
    SYS_msgctl Recorded IPC => ipc::of_object(guest, call, "msgctl", Messages, MSGCTL);
    SYS_msgsnd Recorded IPC => ipc::of_object(guest, call, "msgsnd", Messages, MSGSND);
    SYS_msgrcv Recorded IPC => ipc::of_object(guest, call, "msgrcv", Messages, MSGSND);
    // Programs and processes.
    SYS_clone Recorded "who cannot make a process has too many" =>
        faked::unseen(guest, call, "clone", "clone_flags");
    SYS_execve Always "a program runs under its emulator" =>
        exec::execute(guest, call, PathArg::FIRST);
    SYS_execveat Always "a program runs under its emulator" =>
        exec::execute(guest, call, PathArg::AT);
    SYS_exit_group Always "the end of a program is reported, and init may have to wait" =>
        ending::exit(guest, call);
    SYS_exit Always THREADS => threads::exit(guest, call);
    SYS_getpid Always THREADS => threads::number(guest, call);
    SYS_getppid Always THREADS => threads::parent(guest, call);
    SYS_wait4 Always THREADS => threads::wait4(guest, call);
    SYS_waitid Always THREADS => threads::waitid(guest, call);
    SYS_TOLD Always "an emulator tells of what no call of its own shows" =>
        threads::told(guest, call);
    SYS_kill Always SIGNALS => signal::kill(guest, call);
    SYS_tkill Always SIGNALS => signal::kill_thread(guest, call, "tkill", call.int(0), call.int(1));
    SYS_tgkill Always SIGNALS =>
        signal::kill_thread(guest, call, "tgkill", call.int(1), call.int(2));
    SYS_rt_sigqueueinfo Always SIGNALS =>
        signal::send(guest, call, "rt_sigqueueinfo", call.int(0), call.int(1));
    SYS_rt_tgsigqueueinfo Always SIGNALS =>
        signal::kill_thread(guest, call, "rt_tgsigqueueinfo", call.int(1), call.int(2));
    SYS_pidfd_send_signal Always SIGNALS => signal::send_by_descriptor(guest, call);
    SYS_rt_sigaction Sometimes "an emulator as init must not catch what init has no handler for" =>
        signal::action(guest, call);
    SYS_setrlimit Always LIMITS => limits::set(guest.caller(call), call);
    SYS_prlimit64 Always LIMITS => limits::set_of_process(guest.caller(call), call);
    // Who the caller is.
    SYS_getuid Always IDENTITY => identity::answer(guest.caller(call), call);
    SYS_geteuid Always IDENTITY => identity::answer(guest.caller(call), call);
    SYS_getgid Always IDENTITY => identity::answer(guest.caller(call), call);
    SYS_getegid Always IDENTITY => identity::answer(guest.caller(call), call);
    SYS_getresuid Always IDENTITY => identity::answer(guest.caller(call), call);
    SYS_getresgid Always IDENTITY => identity::answer(guest.caller(call), call);
    SYS_setuid Always IDENTITY => identity::change_own(guest, call);
    SYS_setgid Always IDENTITY => identity::change_own(guest, call);
    SYS_setreuid Always IDENTITY => identity::change_own(guest, call);
    SYS_setregid Always IDENTITY => identity::change_own(guest, call);
    SYS_setresuid Always IDENTITY => identity::change_own(guest, call);
    SYS_setresgid Always IDENTITY => identity::change_own(guest, call);
    SYS_setfsuid Always IDENTITY => identity::answer(guest.caller(call), call);
    SYS_setfsgid Always IDENTITY => identity::answer(guest.caller(call), call);
    SYS_setgroups Always IDENTITY => identity::answer(guest.caller(call), call);
    SYS_prctl Sometimes "who becomes another user may keep the right to set the clock" =>
        identity::keep_rights(guest, call);
    // The network.
    SYS_bind Always "services are reported, and a port that is not the guest's is refused" =>
        net::bind(guest, call);
    SYS_connect Recorded "a peer that is not there is why a program fails" =>
        connect::connect(guest, call);
    SYS_listen Always "services are reported and forwarded" => net::listen(guest, call);
    SYS_sendto Sometimes ROUTES => route::send(guest, call).unwrap_or(Action::Continue);
    SYS_sendmsg Sometimes ROUTES => route::send(guest, call).unwrap_or(Action::Continue);
    SYS_recvfrom Sometimes ANSWERS => route::receive(guest, call).unwrap_or(Action::Continue);
    SYS_recvmsg Sometimes ANSWERS => route::receive(guest, call).unwrap_or(Action::Continue);
    SYS_socket Sometimes "one message of routing netlink asks for as many interfaces as fit" =>
        resources::route_socket(guest, call);
    SYS_setsockopt Sometimes "buffers beyond the limits, and rings that nothing counts" =>
        resources::socket_option(guest, call);
    // The machine.
    SYS_uname Always "the host name may have been written to its setting" => host_name::get(guest);
    SYS_sethostname Always "the setting in /proc follows" => host_name::set(guest, call);
    SYS_setdomainname Always "the namespace is the host user's; firmware expects success" =>
        faked::pretend(guest, call, "setdomainname", "the domain name");
    SYS_syslog Always "the kernel's log is the host's: the guest sees an empty one" =>
        kernel_log::syslog(guest, call);
    SYS_reboot Always "the guest ends, not the host" => ending::reboot(guest, call);
    SYS_init_module Always MODULES => faked::pretend(guest, call, "init_module", "a kernel module");
    SYS_finit_module Always MODULES =>
        faked::pretend(guest, call, "init_module", "a kernel module");
    SYS_delete_module Always MODULES =>
        faked::pretend(guest, call, "delete_module", "a kernel module");
    SYS_settimeofday Always CLOCK => clock::set_time_of_day(guest, call);
    SYS_clock_settime Always CLOCK => clock::set_clock(guest, call);
    SYS_adjtimex Always CLOCK => clock::adjust(guest, call, 0);
    SYS_clock_adjtime Always CLOCK => clock::adjust(guest, call, 1);
    SYS_clock_gettime Sometimes TIME => clock::get_clock(guest, call);
    SYS_gettimeofday Sometimes TIME => clock::get_time_of_day(guest, call);
    SYS_time Sometimes TIME => clock::get_time(guest, call);
    SYS_futex Sometimes TIME => clock::wait(guest, call);
    SYS_clock_nanosleep Sometimes TIME => clock::sleep(guest, call);
    SYS_swapon Always SWAP => faked::pretend(guest, call, "swapon", "a swap area");
    SYS_swapoff Always SWAP => faked::pretend(guest, call, "swapoff", "a swap area");
};

/// More than the number of any call here.
const NUMBERS: usize = 512;

/// The handlers by the numbers of their calls.
static HANDLERS: [Option<Handler>; NUMBERS] = handlers(ROWS);

const fn handlers(rows: &[Row]) -> [Option<Handler>; NUMBERS] {
    let mut handlers: [Option<Handler>; NUMBERS] = [None; NUMBERS];
    let mut index = 0;
    while index < rows.len() {
        let row = &rows[index];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a negative number is no index either"
        )]
        let number = row.number as usize;
        assert!(handlers[number].is_none(), "two rows for one system call");
        handlers[number] = Some(row.handler);
        index += 1;
    }
    handlers
}

const NUMBERED: [i64; ROWS.len()] = {
    let mut numbers = [0; ROWS.len()];
    let mut index = 0;
    while index < numbers.len() {
        numbers[index] = ROWS[index].number;
        index += 1;
    }
    numbers
};

const _: () = answered::check(&filter::SENT_BY_ARGUMENTS, &NUMBERED);
const _: () = answered::check(filter::TRANSFERS, &NUMBERED);

/// Who answers the call of this number.
pub fn handler(number: i64) -> Option<Handler> {
    *HANDLERS.get(usize::try_from(number).ok()?)?
}

/// The calls that the filter is to send whatever their arguments are.
pub fn always() -> impl Iterator<Item = i64> {
    seen(Always)
}

/// Those that it is to send, too, where events are recorded.
pub fn recorded() -> impl Iterator<Item = i64> {
    seen(Recorded)
}

/// Those that it is to send, too, where files are modelled.
pub fn modelled() -> impl Iterator<Item = i64> {
    seen(Modelled)
}

/// The name without `SYS_` and the number of each call that the supervisor surely sees, and whether
/// it does in a run that records events, or models files, or neither.
pub fn supervised(records: bool, models: bool) -> impl Iterator<Item = (&'static str, i64)> {
    let is_seen = move |row: &&Row| match row.seen {
        Always => row.number != numbers::SYS_TOLD,
        Recorded => records,
        Modelled => models,
        Sometimes => false,
    };
    let rows = ROWS.iter().filter(is_seen);
    rows.map(|row| (row.name.trim_start_matches("SYS_"), row.number))
}

fn seen(when: Seen) -> impl Iterator<Item = i64> {
    let rows = ROWS.iter().filter(move |row| row.seen == when);
    rows.map(|row| row.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_the_filter_sends_and_nobody_answers_is_found() {
        let checked = |sent: &[i64]| std::panic::catch_unwind(|| answered::check(sent, &NUMBERED));
        assert!(checked(&[libc::SYS_mmap, libc::SYS_open]).is_ok());
        assert!(checked(&[libc::SYS_mmap, libc::SYS_ptrace]).is_err());
        assert!(handler(libc::SYS_openat).is_some());
        assert!(handler(libc::SYS_ptrace).is_none());
        assert!(handler(-1).is_none() && handler(1 << 20).is_none());
    }

    #[test]
    fn a_call_that_is_always_answered_is_in_no_list_of_the_filter() {
        let twice: Vec<_> = always().filter(|call| filter::decides(*call)).collect();
        assert!(twice.is_empty(), "{twice:?}");
    }

    #[test]
    fn a_call_that_is_recorded_is_the_kernels_where_nothing_is() {
        for call in recorded().chain(modelled()) {
            assert!(filter::decides(call), "call {call}");
        }
    }

    #[test]
    fn calls_that_are_seen_for_their_arguments_only_are_not_sent_always() {
        let always: Vec<_> = always().collect();
        for call in filter::SENT_BY_ARGUMENTS.iter().chain(filter::TRANSFERS) {
            assert!(!always.contains(call), "call {call}");
        }
    }
}
