//! What is read and written through descriptors that the supervisor watches: a model's, the NVRAM
//! driver's, a socket's of routing netlink, or the one of the emulator's log.

use crate::guest::access::{
    HasDevices, HasEmulators, HasKept, HasNvram, HasPlan, HasServices, Reports,
};
use crate::handlers::nvram::driver::Driven;
use crate::handlers::{log, model, nvram, route};
use crate::process::call::{Action, Call};
use crate::sandbox::filter::LOG_FD;

/// `read`.
pub fn read<'a>(
    guest: &mut (impl Driven<'a> + HasKept + HasPlan<'a> + HasServices),
    call: &Call,
) -> Action {
    route::receive(guest, call)
        .or_else(|| nvram::driver::read(guest, call))
        .unwrap_or_else(|| model::read(guest, call))
}

/// `write` and its kin.
pub fn write<'a>(
    guest: &mut (
             impl Reports
             + HasPlan<'a>
             + HasDevices
             + HasKept
             + HasEmulators<'a>
             + HasServices
             + HasNvram
         ),
    call: &Call,
) -> Action {
    let to_log = call.int(0).cast_unsigned() == LOG_FD;
    match call.number() {
        libc::SYS_write | libc::SYS_writev if to_log => return log::write(guest, call),
        libc::SYS_write => {
            if let Some(action) = nvram::driver::write(guest, call) {
                return action;
            }
        }
        _ => {}
    }
    route::send(guest, call).unwrap_or_else(|| model::write(guest, call))
}
