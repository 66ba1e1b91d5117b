//! What the supervisor answers, one module a kind of system call.

mod behind;
mod chroot;
mod exec;
mod fs;
mod host_name;
mod identity;
mod ioctl;
mod limits;
mod log;
mod misc;
mod model;
mod mount;
mod net;
mod network;
mod pivot;
mod pretend;
mod program_file;
mod resources;
mod signal;
mod status;

pub use misc::{release_init, wake_log_readers};
pub use model::{trim, written};
pub use network::commands as network_commands;

use rustix::io::Errno;

use crate::guest::state::Guest;
use crate::process::call::{Action, Call};
use crate::sandbox::filter::LOG_FD;
use rookery_records::event::{Process, What};

/// Answer one call.
pub fn answer(guest: &mut Guest<'_>, mut call: Call) {
    if call.number() == libc::SYS_execve && call.first_program().is_some() {
        return call.answer(&Action::Continue);
    }
    if let Err(errno) = guest.identify(&mut call) {
        return answer_nobody(guest, &call, errno);
    }
    exec::settle(guest, &call);
    let action = dispatch(guest, &call);
    call.answer(&action);
}

/// Answer a caller of whom nothing is known. One that is gone needs no answer.
fn answer_nobody(guest: &mut Guest<'_>, call: &Call, errno: Errno) {
    if !call.is_valid() {
        return;
    }
    let note = format!(
        "system calls of the guest failed because its processes could not be looked at: {errno}"
    );
    guest.report(Process::default(), What::Note(note.into()));
    // What nobody looked at, the kernel must not do either, but to end.
    if call.number() == libc::SYS_exit_group {
        call.answer(&Action::Continue);
    } else {
        call.answer(&Errno::AGAIN.into());
    }
}

fn dispatch(guest: &mut Guest<'_>, call: &Call) -> Action {
    match call.number() {
        libc::SYS_open => fs::open(guest, call, None, 0, call.int(1)),
        libc::SYS_creat => fs::open(
            guest,
            call,
            None,
            0,
            libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC,
        ),
        libc::SYS_openat => fs::open(guest, call, Some(0), 1, call.int(2)),
        libc::SYS_stat | libc::SYS_lstat => status::stat(guest, call, None, 0, 1),
        libc::SYS_newfstatat => status::stat(guest, call, Some(0), 1, 2),
        libc::SYS_statx => status::statx(guest, call),
        libc::SYS_access => fs::access(guest, call, None, 0),
        libc::SYS_faccessat | libc::SYS_faccessat2 => fs::access(guest, call, Some(0), 1),
        libc::SYS_readlink => fs::readlink(guest, call, None, 0),
        libc::SYS_readlinkat => fs::readlink(guest, call, Some(0), 1),
        libc::SYS_mknod => fs::mknod(guest, call, None, 0),
        libc::SYS_mknodat => fs::mknod(guest, call, Some(0), 1),
        libc::SYS_execve => exec::execute(guest, call, None),
        libc::SYS_execveat => exec::execute(guest, call, Some(0)),
        libc::SYS_exit_group => misc::exit(guest, call),
        libc::SYS_bind => net::bind(guest, call),
        libc::SYS_listen => net::listen(guest, call),
        libc::SYS_kill => signal::kill(guest, call),
        libc::SYS_tkill => signal::kill_thread(guest, call, "tkill", call.int(0), call.int(1)),
        libc::SYS_tgkill => signal::kill_thread(guest, call, "tgkill", call.int(1), call.int(2)),
        libc::SYS_rt_sigqueueinfo => {
            signal::send(guest, call, "rt_sigqueueinfo", call.int(0), call.int(1))
        }
        libc::SYS_rt_tgsigqueueinfo => {
            signal::kill_thread(guest, call, "rt_tgsigqueueinfo", call.int(1), call.int(2))
        }
        libc::SYS_pidfd_send_signal => signal::send_by_descriptor(guest, call),
        libc::SYS_rt_sigaction => signal::action(guest, call),
        libc::SYS_chroot => chroot::chroot(guest, call),
        libc::SYS_pivot_root => pivot::pivot_root(guest, call),
        libc::SYS_mount => mount::mount(guest, call),
        libc::SYS_umount2 => mount::unmount(guest, call),
        libc::SYS_ioctl => ioctl::ioctl(guest, call),
        libc::SYS_write | libc::SYS_writev if call.int(0).cast_unsigned() == LOG_FD => {
            log::write(guest, call)
        }
        libc::SYS_read | libc::SYS_readv | libc::SYS_pread64 | libc::SYS_preadv => {
            model::read(guest, call)
        }
        libc::SYS_write | libc::SYS_writev | libc::SYS_pwrite64 | libc::SYS_pwritev => {
            model::write(guest, call)
        }
        libc::SYS_setrlimit => limits::set(guest, call, 0),
        libc::SYS_prlimit64 if call.int(0) == 0 => limits::set(guest, call, 1),
        libc::SYS_mmap => resources::map(guest),
        libc::SYS_memfd_create => resources::nameless_file(guest, call),
        libc::SYS_socket => resources::route_socket(guest, call),
        libc::SYS_setsockopt => resources::socket_option(guest, call),
        libc::SYS_uname => host_name::get(guest),
        libc::SYS_sethostname => host_name::set(guest, call),
        libc::SYS_syslog => misc::kernel_log(guest, call),
        libc::SYS_chown | libc::SYS_lchown => {
            identity::change_owner(guest, call, Some((None, 0)), [1, 2])
        }
        libc::SYS_fchownat => identity::change_owner(guest, call, Some((Some(0), 1)), [2, 3]),
        libc::SYS_fchown => identity::change_owner(guest, call, None, [1, 2]),
        number => {
            identity::answer(guest, call).unwrap_or_else(|| misc::answer(guest, call, number))
        }
    }
}
