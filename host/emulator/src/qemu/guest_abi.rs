//! Numbers as a guest's programs have them: of ioctl commands, and in memory.

use rookery_project::ioctl::{self, Direction};

use crate::qemu::arch::{Abi, Arch};

impl Arch {
    /// The number of an ioctl command.
    pub fn ioctl(&self, direction: Direction, kind: u8, number: u8, size: u32) -> u32 {
        let own = self.abi.is_mips() || self.abi == Abi::Ppc;
        ioctl::number(own, direction, kind, number, size)
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
