//! Numbers of ioctl commands, as a guest's programs have them (`asm/ioctl.h`).

use crate::penguin::architectures::Architecture;

/// Which way a command carries its argument, as the guest sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It has none.
    None,
    /// From the program.
    Write,
    /// To the program.
    Read,
    /// Both ways.
    ReadWrite,
}

/// The number of a command (`_IOC`). MIPS and PowerPC have a layout of their `own`.
pub fn number(own: bool, direction: Direction, kind: u8, number: u8, size: u32) -> u32 {
    let (direction, at) = if own {
        let direction = match direction {
            Direction::None => 1,
            Direction::Read => 2,
            Direction::Write => 4,
            Direction::ReadWrite => 6,
        };
        (direction, 29)
    } else {
        let direction = match direction {
            Direction::None => 0,
            Direction::Write => 1,
            Direction::Read => 2,
            Direction::ReadWrite => 3,
        };
        (direction, 30)
    };
    direction << at | size << 16 | u32::from(kind) << 8 | u32::from(number)
}

impl Architecture {
    /// Whether its ioctl commands have the layout of MIPS and PowerPC.
    pub fn has_own_ioctls(&self) -> bool {
        self.name.starts_with("mips") || self.name.starts_with("powerpc")
    }
}
