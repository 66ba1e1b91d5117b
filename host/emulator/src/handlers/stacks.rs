//! Stacks that grow. The emulator has none: what a stack may grow by is mapped with it.

use crate::guest::access::{Callers, HasEmulators};
use crate::handlers::ioctl;
use crate::kernel::maps::{self, mappings};
use crate::process::call::{Action, Call};

/// How large a stack may become with what is mapped at first: as far apart are those that
/// `LinuxThreads` gives its threads (`STACK_SIZE` of its `internals.h`).
const SIZE: u64 = 2 << 20;

/// The emulator is about to map a stack that grows, at its guest's address and of so many bytes.
/// Answers how many bytes below it are free for it.
pub fn grows<'a>(guest: &mut (impl Callers + HasEmulators<'a>), call: &Call) -> Action {
    let (start, bytes) = (ioctl::address(guest, call.arg(1)), call.arg(2));
    // Not past the guest's lowest address.
    let most = SIZE.saturating_sub(bytes).min(call.arg(1));
    let maps = guest
        .caller(call)
        .and_then(|record| record.process.text(maps::FILE).ok());
    let below = maps.map_or(0, |maps| room_below(&maps, start, most));
    Action::Return(below.cast_signed())
}

/// How many bytes below an address nothing uses, `most` at most. What the emulator set aside for
/// its guest is not used.
fn room_below(maps: &str, start: u64, most: u64) -> u64 {
    let lowest = start.saturating_sub(most);
    let used = mappings(maps).filter(|mapping| {
        let range = &mapping.range;
        mapping.is_used() && range.start < start && range.end > lowest
    });
    let highest = used.map(|mapping| mapping.range.end.min(start)).max();
    start - highest.unwrap_or(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_grows_as_far_as_nothing_is_in_its_way() {
        let maps = "10000-20000 ---p 00000000 00:00 0\n\
                    20000-24000 rwxp 00000000 00:00 0\n\
                    24000-90000 ---p 00000000 00:00 0\n\
                    90000-94000 rwxp 00000000 00:00 0\n";
        assert_eq!(room_below(maps, 0x8_0000, 0x1_0000), 0x1_0000);
        assert_eq!(room_below(maps, 0x8_0000, 0xF_0000), 0x8_0000 - 0x2_4000);
        // Directly above another, or in it.
        assert_eq!(room_below(maps, 0x2_4000, 0x1_0000), 0);
        assert_eq!(room_below(maps, 0x2_2000, 0x1_0000), 0);
        assert_eq!(room_below(maps, 0x2_0000, 0x1_0000), 0x1_0000);
        assert_eq!(room_below("", 0x1000, 0x1_0000), 0x1000);
    }
}
