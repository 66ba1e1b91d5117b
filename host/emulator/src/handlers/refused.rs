//! Calls that the sandbox refuses whoever makes them. Where nothing is recorded, the filter does so
//! by itself.

use rustix::io::Errno;

use crate::guest::access::Reports;
use crate::process::call::{Action, Call};
use crate::sandbox::filter;

/// Their names, and how many of their arguments are worth a look.
#[rustfmt::skip]
const NAMES: &[(i64, &str, &[&str])] = &[
    (libc::SYS_socket, "socket", &["family", "type", "protocol"]),
    (libc::SYS_socketpair, "socketpair", &["family", "type", "protocol"]),
    (libc::SYS_setsockopt, "setsockopt", &["fd", "level", "optname"]),
    (libc::SYS_fcntl, "fcntl", &["fd", "cmd", "arg"]),
    (libc::SYS_mmap, "mmap", &["addr", "len", "prot", "flags"]),
    (libc::SYS_shmget, "shmget", &["key", "size", "shmflg"]),
    (libc::SYS_clone, "clone", &["clone_flags"]),
    (libc::SYS_prctl, "prctl", &["option", "arg2"]),
    (libc::SYS_ioctl, "ioctl", &["fd", "cmd", "arg"]),
    (libc::SYS_ptrace, "ptrace", &["request", "pid"]),
    (libc::SYS_unshare, "unshare", &["unshare_flags"]),
    (libc::SYS_setns, "setns", &["fd", "flags"]),
    (libc::SYS_quotactl, "quotactl", &["cmd"]),
    (libc::SYS_iopl, "iopl", &["level"]),
    (libc::SYS_ioperm, "ioperm", &["from", "num", "turn_on"]),
    (libc::SYS_open_by_handle_at, "open_by_handle_at", &["mountdirfd"]),
    (libc::SYS_name_to_handle_at, "name_to_handle_at", &["dfd"]),
    (libc::SYS_add_key, "add_key", &[]),
    (libc::SYS_request_key, "request_key", &[]),
    (libc::SYS_keyctl, "keyctl", &["option"]),
    (libc::SYS_bpf, "bpf", &["cmd"]),
    (libc::SYS_perf_event_open, "perf_event_open", &[]),
    (libc::SYS_io_setup, "io_setup", &["nr_reqs"]),
    (libc::SYS_io_uring_setup, "io_uring_setup", &["entries"]),
    (libc::SYS_fanotify_init, "fanotify_init", &["flags"]),
    (libc::SYS_kexec_load, "kexec_load", &[]),
    (libc::SYS_vmsplice, "vmsplice", &["fd"]),
    (libc::SYS_process_vm_readv, "process_vm_readv", &["pid"]),
    (libc::SYS_process_vm_writev, "process_vm_writev", &["pid"]),
];

/// Refuse what is refused by its number and arguments alone; `None` where it is not.
pub fn refuse(guest: &mut impl Reports, call: &Call) -> Option<Action> {
    let errno = Errno::from_raw_os_error(filter::refusal(call.number(), call.args())?);
    if let Some((_, syscall, names)) = NAMES.iter().find(|(known, ..)| *known == call.number()) {
        guest.report_numbers(call, syscall, names, Some(errno));
    }
    Some(errno.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Part;
    use rookery_records::event::What;

    #[test]
    fn what_is_refused_is_reported_with_its_name() {
        let mut guest = Part::new(|_| ());
        let call = guest.call(libc::SYS_socket, &[40, 1, 0]);
        let action = refuse(&mut guest, &call);
        assert!(matches!(action, Some(Action::Fail(Errno::AFNOSUPPORT))));
        let reported = guest.reported.pop();
        assert!(
            matches!(
                reported,
                Some(What::Call { syscall: "socket", result: Some(errno), .. })
                    if errno == -libc::EAFNOSUPPORT
            ),
            "{reported:?}"
        );
        let call = guest.call(libc::SYS_socket, &[2, 1, 0]);
        assert!(refuse(&mut guest, &call).is_none() && guest.reported.is_empty());
    }

    #[test]
    fn every_call_that_is_refused_has_a_name() {
        for call in filter::refused() {
            assert!(
                NAMES.iter().any(|(known, ..)| *known == call),
                "call {call}"
            );
        }
    }
}
