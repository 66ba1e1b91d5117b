//! Calls that succeed without effect.

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
