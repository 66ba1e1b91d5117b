//! Calls about the names of files, which the kernel carries out: what they lack is reported.

use rustix::io::Errno;

use crate::guest::access::{Paths, Reports};
use crate::process::call::{Action, Call};
use crate::process::path_arg::PathArg;

/// A call about something that has to be there.
pub fn looks_for(
    guest: &mut (impl Paths + Reports),
    call: &Call,
    syscall: &'static str,
    file: PathArg,
) -> Action {
    if let Ok(path) = guest.path(call, file) {
        let missing = guest.resolve(call, &path, true).err();
        report(guest, call, syscall, &path, missing);
    }
    Action::Continue
}

/// A call that makes something, for which a directory has to be there.
pub fn makes(
    guest: &mut (impl Paths + Reports),
    call: &Call,
    syscall: &'static str,
    file: PathArg,
) -> Action {
    if let Ok(path) = guest.path(call, file) {
        let missing = guest.lacks_directory(call, &path);
        report(guest, call, syscall, &path, missing);
    }
    Action::Continue
}

fn report(
    guest: &mut impl Reports,
    call: &Call,
    syscall: &'static str,
    path: &str,
    missing: Option<Errno>,
) {
    let result = missing.map(|errno| -errno.raw_os_error());
    guest.report_lookup(call, syscall, path, 0, result);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::{Part, pointer};
    use rookery_records::event::What;

    #[test]
    fn what_is_made_in_a_directory_that_is_missing_is_reported_as_missing() {
        let mut guest = Part::new(|_| ());
        let mut result = |path: &std::ffi::CStr, makes_it: bool| {
            let call = guest.call(libc::SYS_mkdir, &[pointer(path)]);
            let handler = if makes_it { makes } else { looks_for };
            handler(&mut guest, &call, "mkdir", PathArg::FIRST);
            match guest.reported.pop() {
                Some(What::Path { result, .. }) => result,
                other => panic!("{other:?}"),
            }
        };
        let missing = Some(-libc::ENOENT);
        assert_eq!(result(c"/no/such/directory", true), missing);
        assert_eq!(result(c"/no_such_directory", true), None);
        assert_eq!(result(c"/no_such_directory", false), missing);
        assert_eq!(result(c"/tmp", false), None);
    }
}
