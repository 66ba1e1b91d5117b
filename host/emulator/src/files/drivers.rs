//! The drivers that a device node leads to by its numbers alone.

use crate::files::devices::Backing;

/// The major number of terminals.
pub const TTY_MAJOR: u32 = 4;

/// The drivers that every machine has: memory devices and terminals.
pub fn device(numbers: (u32, u32)) -> Backing {
    match numbers {
        (1, 1 | 2 | 4) => Backing::Memory,
        (1, 3) => Backing::Host("/dev/null"),
        (1, 5) => Backing::Host("/dev/zero"),
        (1, 7) => Backing::Host("/dev/full"),
        (1, 8 | 9) => Backing::Host("/dev/urandom"),
        (1, 11) => Backing::KernelLog,
        // `/dev/net/tun` and `/dev/ppp`.
        (10, 200) | (108, 0) => Backing::Tunnel,
        // Virtual and serial terminals; the console.
        (TTY_MAJOR | 204, _) | (5, 0 | 1) => Backing::Console,
        _ => Backing::Nothing,
    }
}
