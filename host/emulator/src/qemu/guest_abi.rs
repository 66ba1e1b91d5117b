//! Numbers as a guest's programs have them: of ioctl commands, and in memory.

use crate::qemu::arch::{Abi, Arch};

/// Which way an ioctl command carries its argument, as the guest sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It has none.
    None,
    /// From the program.
    Write,
    /// To the program.
    Read,
}

impl Arch {
    /// The number of a command (`_IOC`): MIPS and PowerPC have a layout of their own
    /// (`asm/ioctl.h`).
    pub fn ioctl(&self, direction: Direction, kind: u8, number: u8, size: u32) -> u32 {
        let own = self.abi.is_mips() || self.abi == Abi::Ppc;
        let direction = match (direction, own) {
            (Direction::None, false) => 0,
            (Direction::None, true) => 1 << 29,
            (Direction::Write, false) => 1 << 30,
            (Direction::Read, false) => 2 << 30,
            (Direction::Read, true) => 2 << 29,
            (Direction::Write, true) => 4 << 29,
        };
        direction | size << 16 | u32::from(kind) << 8 | u32::from(number)
    }

    /// A number in the guest's memory.
    pub fn bytes_of(&self, number: u32) -> [u8; 4] {
        if self.is_big_endian() {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    }

    /// The number that bytes of the guest's memory hold at a place; 0 where they end before.
    pub fn u32_of(&self, bytes: &[u8], at: usize) -> u32 {
        let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| {
            if self.is_big_endian() {
                u32::from_be_bytes(*bytes)
            } else {
                u32::from_le_bytes(*bytes)
            }
        })
    }

    /// As [`Arch::u32_of`], of 64 bits.
    pub fn u64_of(&self, bytes: &[u8], at: usize) -> u64 {
        let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| {
            if self.is_big_endian() {
                u64::from_be_bytes(*bytes)
            } else {
                u64::from_le_bytes(*bytes)
            }
        })
    }
}
