//! The kernel's log, which is the host's: the guest sees an empty one.

use rustix::io::Errno;

use crate::guest::access::HasKernelLog;
use crate::process::call::{Action, Call};

/// `syslog`.
pub fn syslog(guest: &mut impl HasKernelLog, call: &Call) -> Action {
    const READ: i32 = 2;
    match call.int(0) {
        READ => guest.kernel_log().read(call),
        // Open and close; reading, clearing and measuring; the console's level.
        0..=10 => Action::Return(0),
        _ => Errno::INVAL.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Part;

    #[test]
    fn a_reader_of_the_kernels_log_waits_and_too_many_are_asked_to_come_again() {
        let mut guest = Part::new(|_| ());
        let read = guest.call(libc::SYS_syslog, &[2]);
        for _ in 0..64 {
            assert!(matches!(syslog(&mut guest, &read), Action::Later));
        }
        assert!(matches!(
            syslog(&mut guest, &read),
            Action::Fail(Errno::INTR)
        ));
        let size = guest.call(libc::SYS_syslog, &[10]);
        assert!(matches!(syslog(&mut guest, &size), Action::Return(0)));
        let unknown = guest.call(libc::SYS_syslog, &[11]);
        assert!(matches!(
            syslog(&mut guest, &unknown),
            Action::Fail(Errno::INVAL)
        ));
    }
}
