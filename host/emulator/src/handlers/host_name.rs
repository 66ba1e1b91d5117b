//! The guest's host name, by its system call and by the setting in `/proc`.

use rustix::io::Errno;

use crate::guest::access::{Callers, HasKept, HasNamespaces};
use crate::kernel::enter;
use crate::process::call::{Action, Call};

/// The setting, which the kernel lets only the host's root change: what is written there is kept in
/// a file of ours.
const SETTING: &str = "/proc/sys/kernel/hostname";
const LENGTH_MAX: usize = 64;

/// `sethostname`.
pub fn set(guest: &mut (impl Callers + HasKept + HasNamespaces), call: &Call) -> Action {
    let mut name = [0_u8; LENGTH_MAX];
    let length = usize::try_from(call.arg(1)).unwrap_or(usize::MAX);
    let Some(part) = name.get_mut(..length) else {
        return Errno::INVAL.into();
    };
    let memory = guest.memory(call);
    if memory.is_none_or(|memory| memory.read(call.arg(0), part).is_err()) {
        return Errno::FAULT.into();
    }
    if let Some(file) = guest.kept().get(SETTING) {
        let _ = rustix::fs::ftruncate(file, 0);
        let _ = rustix::io::pwrite(file, part, 0);
    }
    match apply(guest, part) {
        Ok(()) => Action::Return(0),
        Err(errno) => errno.into(),
    }
}

fn apply(guest: &mut (impl HasKept + HasNamespaces), name: &[u8]) -> Result<(), Errno> {
    enter::run(&guest.namespaces(), || rustix::system::sethostname(name))?;
    guest.kept().set_host_name(name);
    Ok(())
}

/// `uname`, by which a program learns the name: what was written to the setting is the name from
/// now on.
pub fn get(guest: &mut (impl HasKept + HasNamespaces)) -> Action {
    if let Some(file) = guest.kept().get(SETTING) {
        let mut text = [0_u8; LENGTH_MAX];
        let length = rustix::io::pread(file, &mut text, 0).unwrap_or(0);
        let text = text.get(..length).unwrap_or_default();
        let name = text.split(|byte| matches!(byte, b'\n' | 0)).next();
        let name = name.unwrap_or_default();
        if !name.is_empty() && name != guest.kept().host_name() {
            let _ = apply(guest, name);
        }
    }
    Action::Continue
}
