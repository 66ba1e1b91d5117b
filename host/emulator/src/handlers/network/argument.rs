//! What an `ioctl` of the network is given: a structure in the guest's memory, in its own layout.

use std::rc::Rc;

use crate::guest::access::{Callers, HasEmulators};
use crate::kernel::netlink::message::name_of;
use crate::kernel::sockios::{SIOCGIFBR, SIOCGIFVLAN, SIOCSIFBR, SIOCSIFVLAN};
use crate::process::call::Call;
use crate::process::memory::Memory;
use crate::qemu::arch::Arch;
use crate::qemu::emulator::GUEST_BASE;

/// The longest structure: `struct vlan_ioctl_args`.
const LENGTH: usize = 56;
/// `IFNAMSIZ`
pub const NAME: usize = 16;

pub struct Argument {
    pub address: u64,
    pub memory: Rc<Memory>,
    bytes: [u8; LENGTH],
    big_endian: bool,
    is_32_bit: bool,
}

impl Argument {
    pub fn read<'a>(
        guest: &mut (impl Callers + HasEmulators<'a>),
        call: &Call,
        address: u64,
    ) -> Option<Self> {
        let arch = guest.emulators().first().map(|qemu| qemu.arch);
        let memory = guest.memory(call)?;
        let mut bytes = [0; LENGTH];
        // A name alone may end where its memory does.
        [LENGTH, 40, 32, NAME, 4].into_iter().find(|length| {
            let part = bytes.get_mut(..*length);
            part.is_some_and(|part| memory.read(address, part).is_ok())
        })?;
        Some(Self {
            address,
            memory,
            bytes,
            big_endian: arch.is_some_and(Arch::is_big_endian),
            is_32_bit: arch.is_some_and(Arch::is_32_bit),
        })
    }

    /// The name of the interface that a command is about.
    pub fn interface(&self, command: u32) -> String {
        match command {
            SIOCGIFVLAN | SIOCSIFVLAN => self.name(4),
            SIOCGIFBR | SIOCSIFBR => self.name_at(self.word(1)).unwrap_or_default(),
            _ => self.name(0),
        }
    }

    /// The name of an interface at a place in the structure.
    pub fn name(&self, at: usize) -> String {
        name_of(self.bytes.get(at..at + NAME).unwrap_or_default())
    }

    /// The number of 32 bits at a place in the structure.
    pub fn int(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
        bytes.map_or(0, |bytes| self.number(bytes))
    }

    /// The number of 16 bits at a place in the structure.
    pub fn short(&self, at: usize) -> u16 {
        let bytes = self.bytes.get(at..at + 2).and_then(|b| b.try_into().ok());
        bytes.map_or(0, |bytes| {
            if self.big_endian {
                u16::from_be_bytes(bytes)
            } else {
                u16::from_le_bytes(bytes)
            }
        })
    }

    fn number(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    /// A number of 32 bits as the guest has it.
    pub fn bytes_of(&self, number: u32) -> [u8; 4] {
        if self.big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    }

    /// A number of 16 bits as the guest has it.
    pub fn bytes_of_short(&self, number: u16) -> [u8; 2] {
        if self.big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    }

    fn word_size(&self) -> usize {
        if self.is_32_bit { 4 } else { 8 }
    }

    fn word_of(&self, bytes: &[u8]) -> u64 {
        match bytes.try_into().map(u64::from_ne_bytes) {
            Ok(word) if self.big_endian => word.swap_bytes(),
            Ok(word) => word,
            Err(_) => bytes
                .try_into()
                .map_or(0, |bytes| self.number(bytes).into()),
        }
    }

    /// A word of the guest's, such as a pointer, by its place where the structure is an array of
    /// them.
    pub fn word(&self, index: usize) -> u64 {
        let size = self.word_size();
        let bytes = self.bytes.get(index * size..(index + 1) * size);
        bytes.map_or(0, |bytes| self.word_of(bytes))
    }

    /// Where the pointer behind the name of a `struct ifreq` leads.
    pub fn data(&self) -> u64 {
        let bytes = self.bytes.get(NAME..NAME + self.word_size());
        self.leads_to(bytes.map_or(0, |bytes| self.word_of(bytes)))
    }

    /// Where a pointer of the guest's leads.
    pub fn leads_to(&self, pointer: u64) -> u64 {
        if self.is_32_bit {
            GUEST_BASE + (pointer & 0xFFFF_FFFF)
        } else {
            pointer
        }
    }

    /// Words of the guest's at an address.
    pub fn words<const N: usize>(&self, address: u64) -> Option<[u64; N]> {
        let mut bytes = vec![0; N * self.word_size()];
        self.memory.read(address, &mut bytes).ok()?;
        let mut words = bytes
            .chunks(self.word_size())
            .map(|bytes| self.word_of(bytes));
        Some([(); N].map(|()| words.next().unwrap_or(0)))
    }

    /// The name that a pointer of the guest's leads to.
    pub fn name_at(&self, pointer: u64) -> Option<String> {
        let name = self.memory.string(self.leads_to(pointer), NAME)?;
        Some(name_of(&name))
    }

    /// The number of 32 bits at an address.
    pub fn int_at(&self, address: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        self.memory.read(address, &mut bytes).ok()?;
        Some(self.number(bytes))
    }
}
