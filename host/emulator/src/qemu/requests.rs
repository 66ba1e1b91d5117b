//! Requests of routing netlink that an emulator does not know: of neighbours, rules and queues. It
//! refuses them by itself, before any kernel has seen them, and without a word.
//!
//! In `target_to_host_data_route` (`linux-user/fd-trans.c`) the result for those is loaded near the
//! text about attributes of routes that it does not know; in a copy of the file it is success, so
//! that they are sent as the guest wrote them.

use crate::qemu::arch::Arch;
use crate::qemu::code::{Code, put};

const UNKNOWN: &[u8] = b"Unknown target RTA type";
/// The result is loaded within so many bytes of the use of that text.
const NEAR: usize = 1024;
/// Where the function is a part of another, that is twice.
const RESULTS: std::ops::RangeInclusive<usize> = 1..=2;

/// Let a copy of the emulator send what it does not know. Gives whether it does now.
pub fn patch(file: &mut [u8], arch: &Arch) -> bool {
    let Some(found) = find(file, arch) else {
        return false;
    };
    found
        .into_iter()
        .all(|at| put(file, at, &0_i32.to_le_bytes()).is_some())
}

/// Where in the file the result is.
fn find(file: &[u8], arch: &Arch) -> Option<Vec<usize>> {
    /// `mov $…, %eax` and `%edx`; `mov $…, %rax` and `%rdx` end with these.
    const LOADS: [u8; 4] = [0xB8, 0xBA, 0xC0, 0xC2];
    let code = Code::of(file)?;
    let used = code.use_of(UNKNOWN)?;
    let from = used.saturating_sub(NEAR);
    let near = code.text.get(from..used + NEAR)?;
    let refused = (-arch.errno(libc::EOPNOTSUPP)).to_le_bytes();
    let is_loaded = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| near.get(before));
        before.is_some_and(|byte| LOADS.contains(byte))
    };
    let found: Vec<_> = memchr::memmem::find_iter(near, &refused)
        .filter(is_loaded)
        .map(|at| code.offset + from + at)
        .collect();
    RESULTS.contains(&found.len()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::emulator::Qemu;

    #[test]
    fn every_emulator_here_can_be_made_to_send_what_it_does_not_know() {
        for qemu in Qemu::all() {
            let original = std::fs::read(&qemu.path).unwrap();
            let mut file = original.clone();
            assert!(patch(&mut file, qemu.arch), "{}", qemu.arch.qemu);
            let changed = original.iter().zip(&file).filter(|(a, b)| a != b).count();
            assert!((1..=8).contains(&changed), "{}: {changed}", qemu.arch.qemu);
            assert!(!patch(&mut file, qemu.arch), "only once");
        }
    }

    #[test]
    fn what_has_another_shape_is_left_as_it_is() {
        let arch = Arch::by_name("mipsel").unwrap();
        let mut file = std::fs::read("/proc/self/exe").unwrap();
        let original = file.clone();
        assert!(!patch(&mut file, arch) && file == original);
    }
}
