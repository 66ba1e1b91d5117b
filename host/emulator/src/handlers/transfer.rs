//! What is written through descriptors that the supervisor watches: a model's, or the one of the
//! emulator's log.

use crate::guest::state::Guest;
use crate::handlers::{log, model};
use crate::process::call::{Action, Call};
use crate::sandbox::filter::LOG_FD;

/// `write` and its kin.
pub fn write(guest: &mut Guest<'_>, call: &Call) -> Action {
    let to_log = call.int(0).cast_unsigned() == LOG_FD;
    match call.number() {
        libc::SYS_write | libc::SYS_writev if to_log => log::write(guest, call),
        _ => model::write(guest, call),
    }
}
