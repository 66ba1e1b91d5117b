//! Calls that succeed without effect, and calls of which only the caller learns the outcome.

use rookery_records::event::What;

use crate::guest::access::Reports;
use crate::process::call::{Action, Call};

/// A call that succeeds without effect, and is noted.
pub fn pretend(
    guest: &mut impl Reports,
    call: &Call,
    syscall: &'static str,
    detail: &str,
) -> Action {
    let detail = detail.to_owned();
    guest.report_call(call, What::Faked { syscall, detail });
    Action::Return(0)
}

/// A call that the kernel carries out; it is noted with its first argument.
pub fn unseen(
    guest: &mut impl Reports,
    call: &Call,
    syscall: &'static str,
    name: &'static str,
) -> Action {
    guest.report_numbers(call, syscall, &[name], None);
    Action::Continue
}
