//! What the supervisor answers, one module a kind of system call.

pub mod answered;
mod behind;
mod boot_arguments;
mod chroot;
mod clock;
mod connect;
mod ending;
mod exec;
mod faked;
mod file_system;
mod flash;
mod flash_chip;
mod fs;
mod hooks;
mod host_name;
mod hotplug;
mod identity;
mod image_mount;
mod ioctl;
mod ipc;
mod kernel_log;
mod launch;
mod limits;
mod listed;
mod log;
mod loops;
mod memory_file;
mod model;
mod mount;
mod names;
mod net;
mod network;
mod nvram;
mod options;
mod pivot;
mod ppp;
mod preload;
mod pretend;
mod program_file;
mod refused;
mod remodel;
mod resources;
mod route;
mod signal;
mod stacks;
mod status;
mod table;
mod threads;
mod transfer;
mod tunnel;

pub use hooks::{entered, returned, take as take_hook_request};
pub use image_mount::{tidy as tidy_images, unpacked as image_unpacked};
pub use model::report_sent;
pub use nvram::driver::COMMANDS as NVRAM_COMMANDS;
pub use remodel::set_model;
pub use table::{always as always_answered, modelled as also_modelled, recorded as also_recorded};

use rustix::io::Errno;

use crate::guest::access::{HasHooks as _, Reports};
use crate::guest::state::Guest;
use crate::process::call::{Action, Call};
use crate::qemu::arch::Arch;
use rookery_records::event::{Process, What};

/// The ioctl commands that the emulator is taught to pass on, after those of models.
pub fn commands(arch: &Arch) -> impl Iterator<Item = u32> {
    flash::commands(arch)
        .chain(ppp::commands(arch))
        .chain(network::commands())
}

/// Answer one call.
pub fn answer(guest: &mut Guest<'_>, mut call: Call) {
    if call.number() == libc::SYS_execve && call.first_program().is_some() {
        return call.answer(&Action::Continue);
    }
    if let Err(errno) = guest.identify(&mut call) {
        return answer_nobody(guest, &call, errno);
    }
    exec::settle(guest, &call);
    hooks::print(guest, &call);
    let action = refused::refuse(guest, &call).unwrap_or_else(|| {
        let handler = table::handler(call.number());
        handler.map_or_else(|| Errno::NOSYS.into(), |handler| handler(guest, &call))
    });
    clock::follow(guest, &call);
    if let Some((call, action)) = guest.hooks().hold(call, action) {
        call.answer(&action);
    }
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
