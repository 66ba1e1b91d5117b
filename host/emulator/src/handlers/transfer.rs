//! What is written through descriptors that the supervisor watches: a model's, or the one of the
//! emulator's log.

use crate::guest::access::{HasDevices, HasEmulators, HasKept, HasPlan, Reports};
use crate::handlers::{log, model};
use crate::process::call::{Action, Call};
use crate::sandbox::filter::LOG_FD;

/// `write` and its kin.
pub fn write<'a>(
    guest: &mut (impl Reports + HasPlan<'a> + HasDevices + HasKept + HasEmulators<'a>),
    call: &Call,
) -> Action {
    let to_log = call.int(0).cast_unsigned() == LOG_FD;
    match call.number() {
        libc::SYS_write | libc::SYS_writev if to_log => log::write(guest, call),
        _ => model::write(guest, call),
    }
}
