//! The system calls that the supervisor answers: one row each, with who answers it and why it is
//! not the kernel's alone. The filter is made from these rows, and what it sends to the supervisor
//! beyond them, by the arguments of a call, has a row as well: else this does not compile.

use crate::guest::state::Guest;
use crate::handlers::{
    chroot, exec, fs, host_name, identity, ioctl, limits, misc, model, mount, net, pivot,
    resources, signal, status, transfer,
};
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
}

struct Row {
    number: i64,
    seen: Seen,
    handler: Handler,
}

/// The reason is for who reads the table; a row cannot be written without one.
const fn row(number: i64, seen: Seen, _why: &str, handler: Handler) -> Row {
    Row {
        number,
        seen,
        handler,
    }
}

use Seen::{Always, Sometimes};

/// Why calls are seen that name a file.
const FILES: &str =
    "devices, models and what /proc says are answered here, and what is missing is reported";
const OWNERS: &str = "one user is mapped: the kernel would refuse every other";
const IDENTITY: &str = "one user is mapped: the guest is told that it has become others";
const SIGNALS: &str = "the plan blocks signals, and a fatal one is reported";
const MODULES: &str = "the host's modules are none of the guest's; firmware expects success";
const CLOCK: &str = "the host's clock is not the guest's to set; firmware expects success";
const SWAP: &str = "the host's swap is not the guest's; firmware expects success";
const TRANSFERS: &str = "models answer for watched descriptors, and the emulator's log has one";
const LIMITS: &str = "root may raise any limit; here it gets what the sandbox has left";
const MOUNTS: &str = "what the guest believes to be mounted is kept, and the host's is hidden";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Files.
    row(libc::SYS_open, Always, FILES, |guest, call| fs::open(guest, call, PathArg::FIRST, call.int(1))),
    row(libc::SYS_creat, Always, FILES, |guest, call| fs::open(guest, call, PathArg::FIRST, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC)),
    row(libc::SYS_openat, Always, FILES, |guest, call| fs::open(guest, call, PathArg::AT, call.int(2))),
    row(libc::SYS_stat, Always, FILES, |guest, call| status::stat(guest, call, PathArg::FIRST)),
    row(libc::SYS_lstat, Always, FILES, |guest, call| status::stat(guest, call, PathArg::FIRST)),
    row(libc::SYS_newfstatat, Always, FILES, |guest, call| status::stat(guest, call, PathArg::AT)),
    row(libc::SYS_statx, Always, FILES, status::statx),
    row(libc::SYS_access, Always, FILES, |guest, call| fs::access(guest, call, PathArg::FIRST)),
    row(libc::SYS_faccessat, Always, FILES, |guest, call| fs::access(guest, call, PathArg::AT)),
    row(libc::SYS_faccessat2, Always, FILES, |guest, call| fs::access(guest, call, PathArg::AT)),
    row(libc::SYS_readlink, Always, FILES, |guest, call| fs::readlink(guest, call, PathArg::FIRST)),
    row(libc::SYS_readlinkat, Always, FILES, |guest, call| fs::readlink(guest, call, PathArg::AT)),
    row(libc::SYS_mknod, Always, "the kernel refuses devices to a user namespace", |guest, call| fs::mknod(guest, call, PathArg::FIRST)),
    row(libc::SYS_mknodat, Always, "the kernel refuses devices to a user namespace", |guest, call| fs::mknod(guest, call, PathArg::AT)),
    row(libc::SYS_chown, Always, OWNERS, |guest, call| identity::change_owner(guest, call, Some(PathArg::FIRST), [1, 2])),
    row(libc::SYS_lchown, Always, OWNERS, |guest, call| identity::change_owner(guest, call, Some(PathArg::FIRST), [1, 2])),
    row(libc::SYS_fchown, Always, OWNERS, |guest, call| identity::change_owner(guest, call, None, [1, 2])),
    row(libc::SYS_fchownat, Always, OWNERS, |guest, call| identity::change_owner(guest, call, Some(PathArg::AT), [2, 3])),
    row(libc::SYS_chroot, Always, "programs need their emulator in the new root, too", chroot::chroot),
    row(libc::SYS_pivot_root, Always, "programs need their emulator in the new root, too", pivot::pivot_root),
    row(libc::SYS_mount, Always, MOUNTS, mount::mount),
    row(libc::SYS_umount2, Always, MOUNTS, mount::unmount),
    row(libc::SYS_memfd_create, Always, "its memory must be counted wherever its descriptor goes", resources::nameless_file),
    row(libc::SYS_mmap, Sometimes, "shared memory is counted from the first on", |guest, _| resources::map(&mut guest.limits)),
    // What is read and written.
    row(libc::SYS_read, Sometimes, TRANSFERS, model::read),
    row(libc::SYS_readv, Sometimes, TRANSFERS, model::read),
    row(libc::SYS_pread64, Sometimes, TRANSFERS, model::read),
    row(libc::SYS_preadv, Sometimes, TRANSFERS, model::read),
    row(libc::SYS_write, Sometimes, TRANSFERS, transfer::write),
    row(libc::SYS_writev, Sometimes, TRANSFERS, transfer::write),
    row(libc::SYS_pwrite64, Sometimes, TRANSFERS, transfer::write),
    row(libc::SYS_pwritev, Sometimes, TRANSFERS, transfer::write),
    row(libc::SYS_ioctl, Always, "models answer it, and an interface that is missing is reported", ioctl::ioctl),
    // Programs and processes.
    row(libc::SYS_execve, Always, "a program runs under its emulator", |guest, call| exec::execute(guest, call, PathArg::FIRST)),
    row(libc::SYS_execveat, Always, "a program runs under its emulator", |guest, call| exec::execute(guest, call, PathArg::AT)),
    row(libc::SYS_exit_group, Always, "the end of a program is reported, and init may have to wait", misc::exit),
    row(libc::SYS_kill, Always, SIGNALS, signal::kill),
    row(libc::SYS_tkill, Always, SIGNALS, |guest, call| signal::kill_thread(guest, call, "tkill", call.int(0), call.int(1))),
    row(libc::SYS_tgkill, Always, SIGNALS, |guest, call| signal::kill_thread(guest, call, "tgkill", call.int(1), call.int(2))),
    row(libc::SYS_rt_sigqueueinfo, Always, SIGNALS, |guest, call| signal::send(guest, call, "rt_sigqueueinfo", call.int(0), call.int(1))),
    row(libc::SYS_rt_tgsigqueueinfo, Always, SIGNALS, |guest, call| signal::kill_thread(guest, call, "rt_tgsigqueueinfo", call.int(1), call.int(2))),
    row(libc::SYS_pidfd_send_signal, Always, SIGNALS, signal::send_by_descriptor),
    row(libc::SYS_rt_sigaction, Sometimes, "an emulator as init must not catch what init has no handler for", signal::action),
    row(libc::SYS_setrlimit, Always, LIMITS, |guest, call| limits::set(guest.caller(call), call, 0)),
    row(libc::SYS_prlimit64, Always, LIMITS, |guest, call| match call.int(0) {
        0 => limits::set(guest.caller(call), call, 1),
        _ => Action::Continue,
    }),
    // Who the caller is.
    row(libc::SYS_getuid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_geteuid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_getgid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_getegid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_getresuid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_getresgid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_setuid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_setgid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_setreuid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_setregid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_setresuid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_setresgid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_setfsuid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_setfsgid, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    row(libc::SYS_setgroups, Always, IDENTITY, |guest, call| identity::answer(guest.caller(call), call)),
    // The network.
    row(libc::SYS_bind, Always, "services are reported, and a port that is not the guest's is refused", net::bind),
    row(libc::SYS_listen, Always, "services are reported and forwarded", net::listen),
    row(libc::SYS_socket, Sometimes, "one message of routing netlink makes as many interfaces as it has room for", resources::route_socket),
    row(libc::SYS_setsockopt, Sometimes, "buffers beyond the limits, and rings that nothing counts", resources::socket_option),
    // The machine.
    row(libc::SYS_uname, Always, "the host name may have been written to its setting", |guest, _| host_name::get(guest)),
    row(libc::SYS_sethostname, Always, "the setting in /proc follows", host_name::set),
    row(libc::SYS_setdomainname, Always, "the namespace is the host user's; firmware expects success", |guest, call| misc::pretend(guest, call, "setdomainname", "the domain name")),
    row(libc::SYS_syslog, Always, "the kernel's log is the host's: the guest sees an empty one", misc::kernel_log),
    row(libc::SYS_reboot, Always, "the guest ends, not the host", misc::reboot),
    row(libc::SYS_init_module, Always, MODULES, |guest, call| misc::pretend(guest, call, "init_module", "a kernel module")),
    row(libc::SYS_finit_module, Always, MODULES, |guest, call| misc::pretend(guest, call, "init_module", "a kernel module")),
    row(libc::SYS_delete_module, Always, MODULES, |guest, call| misc::pretend(guest, call, "delete_module", "a kernel module")),
    row(libc::SYS_settimeofday, Always, CLOCK, |guest, call| misc::pretend(guest, call, "settimeofday", "the machine's clock")),
    row(libc::SYS_clock_settime, Always, CLOCK, |guest, call| misc::pretend(guest, call, "clock_settime", "the machine's clock")),
    row(libc::SYS_swapon, Always, SWAP, |guest, call| misc::pretend(guest, call, "swapon", "a swap area")),
    row(libc::SYS_swapoff, Always, SWAP, |guest, call| misc::pretend(guest, call, "swapoff", "a swap area")),
];

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

/// Whether every call that the filter sends by its arguments has a row that says so.
const fn has_rows_for(calls: &[i64], rows: &[Row]) -> bool {
    let mut call = 0;
    while call < calls.len() {
        let mut index = 0;
        let mut found = false;
        while index < rows.len() {
            found |= rows[index].number == calls[call];
            index += 1;
        }
        if !found {
            return false;
        }
        call += 1;
    }
    true
}

const _: () = assert!(
    has_rows_for(&filter::SENT_BY_ARGUMENTS, ROWS) && has_rows_for(filter::TRANSFERS, ROWS),
    "the filter sends a system call that has no row in handlers/table.rs"
);

/// Who answers the call of this number.
pub fn handler(number: i64) -> Option<Handler> {
    *HANDLERS.get(usize::try_from(number).ok()?)?
}

/// The calls that the filter is to send whatever their arguments are.
pub fn always() -> impl Iterator<Item = i64> {
    let always = ROWS.iter().filter(|row| row.seen == Seen::Always);
    always.map(|row| row.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_the_filter_sends_and_nobody_answers_is_found() {
        assert!(has_rows_for(&[libc::SYS_mmap, libc::SYS_open], ROWS));
        assert!(!has_rows_for(&[libc::SYS_mmap, libc::SYS_ptrace], ROWS));
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
    fn calls_that_are_seen_for_their_arguments_only_are_not_sent_always() {
        let always: Vec<_> = always().collect();
        for call in filter::SENT_BY_ARGUMENTS.iter().chain(filter::TRANSFERS) {
            assert!(!always.contains(call), "call {call}");
        }
    }
}
