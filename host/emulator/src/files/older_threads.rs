//! Whether the firmware's programs make threads as `LinuxThreads` does, and what these need.

use crate::process::view::View;

/// Where its library is.
const PLACES: [&str; 3] = [
    "/lib/libpthread.so.0",
    "/usr/lib/libpthread.so.0",
    "/lib/libpthread.so",
];
/// How much of that is read.
const MOST: u64 = 1 << 20;
/// What only that library has: names for debuggers.
const NAMES: &str = "__linuxthreads_";

/// The stack of a program's first thread, in bytes. It gives the others theirs below its own, each
/// 2 MiB from the next, without a look at what is there; under qemu that would be libraries.
pub const STACK: u64 = 64 << 20;

/// Whether the firmware has that library.
pub fn are_in(firmware: &View) -> bool {
    let mut texts = PLACES
        .iter()
        .filter_map(|path| firmware.unpacked_text(path, MOST));
    texts.any(|text| text.contains(NAMES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;

    #[test]
    fn the_library_is_told_by_its_names_for_debuggers() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("lib")).unwrap();
        let has = |library: &[u8]| {
            std::fs::write(root.path().join("lib/libpthread.so.0"), library).unwrap();
            let directory = std::fs::File::open(root.path()).unwrap();
            are_in(&View::new(OwnedFd::from(directory), 1))
        };
        assert!(!has(b"\x7fELF\xff\0pthread_create\0"));
        assert!(has(b"\x7fELF\xff\0__linuxthreads_create_event\0"));
    }
}
