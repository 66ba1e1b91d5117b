//! ioctl of flash: the character device as `mtd/mtd-abi.h` has it, the block device as every disk.

use rookery_project::ioctl::Direction;
use rookery_records::event::{Operation, What};
use rookery_runs::plan::Flash;
use rustix::io::Errno;

use crate::files::flash;
use crate::guest::access::{HasDevices, HasEmulators, Reports};
use crate::handlers::loops::{FLUSH, GET_BYTES, GET_READ_ONLY, GET_SECTOR_SIZE, GET_SECTORS};
use crate::handlers::{behind, ioctl};
use crate::process::call::{Action, Call};
use crate::qemu::arch::Arch;

/// A command of the character device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Info,
    Erase,
    Erase64,
    Lock,
    IsLocked,
    RegionCount,
    IsBad,
    SetBad,
    EccStatistics,
    FileMode,
    ReadSpare(Spare),
    WriteSpare(Spare),
    SpareLayout,
    Layout,
}

/// How a command says which spare bytes it means, and where in its argument how many were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spare {
    /// `struct mtd_oob_buf` of an architecture with 32 bits, and with 64.
    Short,
    Long,
    /// `struct mtd_oob_buf64`
    Large,
}

/// Each with its direction, its number, and the size of its argument.
const COMMANDS: [(Command, Direction, u8, u32); 19] = [
    (Command::Info, Direction::Read, 1, 32),
    (Command::Erase, Direction::Write, 2, 8),
    (Command::Lock, Direction::Write, 5, 8),
    (Command::Lock, Direction::Write, 6, 8), // to unlock
    (Command::RegionCount, Direction::Read, 7, 4),
    (Command::IsBad, Direction::Write, 11, 8),
    (Command::SetBad, Direction::Write, 12, 8),
    (Command::EccStatistics, Direction::Read, 18, 16),
    (Command::FileMode, Direction::None, 19, 0),
    (Command::Erase64, Direction::Write, 20, 16),
    (Command::IsLocked, Direction::Read, 23, 8),
    (
        Command::WriteSpare(Spare::Short),
        Direction::ReadWrite,
        3,
        12,
    ),
    (
        Command::ReadSpare(Spare::Short),
        Direction::ReadWrite,
        4,
        12,
    ),
    (
        Command::WriteSpare(Spare::Long),
        Direction::ReadWrite,
        3,
        16,
    ),
    (Command::ReadSpare(Spare::Long), Direction::ReadWrite, 4, 16),
    (
        Command::WriteSpare(Spare::Large),
        Direction::ReadWrite,
        21,
        24,
    ),
    (
        Command::ReadSpare(Spare::Large),
        Direction::ReadWrite,
        22,
        24,
    ),
    (Command::SpareLayout, Direction::Read, 10, 200),
    (Command::Layout, Direction::Read, 17, 328),
];

/// What the emulator is taught to pass on for an architecture.
pub fn commands(arch: &Arch) -> impl Iterator<Item = u32> {
    COMMANDS.iter().map(|entry| number(arch, *entry))
}

fn number(arch: &Arch, (_, direction, number, size): (Command, Direction, u8, u32)) -> u32 {
    arch.ioctl(direction, b'M', number, size)
}

/// `ioctl` of a partition, whose argument is at `address`. `None` for any other file.
pub fn ioctl<'a>(
    guest: &mut (impl Reports + HasDevices + HasEmulators<'a>),
    call: &Call,
    command: u32,
    address: u64,
) -> Option<Action> {
    let link = guest.caller(call)?.directory(call.int(0))?;
    let path = behind::path_of(&link)?.to_owned();
    let (block, number) = flash::of_path(&path)?;
    let partition = guest.devices().flash().get(number)?.clone();
    let answered = if block {
        of_disk(&partition, command)
    } else {
        of_character(guest, call, &partition, command, address)
    };
    Some(match answered {
        Some(Ok(Answer::Done)) => Action::Return(0),
        Some(Ok(Answer::Value(value))) => Action::Return(value),
        Some(Ok(Answer::Bytes(bytes))) => match guest.memory(call) {
            Some(memory) if memory.write(call, address, &bytes).is_ok() => Action::Return(0),
            _ => Errno::FAULT.into(),
        },
        Some(Err(errno)) => errno.into(),
        None => {
            let operation = Operation::Ioctl { command };
            guest.report_call(call, What::Unmodelled { path, operation });
            Errno::NOTTY.into()
        }
    })
}

/// What a command answers.
enum Answer {
    Done,
    Value(i64),
    /// These bytes in its argument.
    Bytes(Vec<u8>),
}

/// Commands of disks, which the emulator translates: the argument is the host's.
fn of_disk(partition: &Flash, command: u32) -> Option<Result<Answer, Errno>> {
    let bytes = match command {
        GET_BYTES => partition.size.to_ne_bytes().to_vec(),
        GET_SECTORS => (partition.size / 512).to_ne_bytes().to_vec(),
        GET_SECTOR_SIZE => 512_u32.to_ne_bytes().to_vec(),
        GET_READ_ONLY => u32::from(partition.read_only).to_ne_bytes().to_vec(),
        FLUSH => return Some(Ok(Answer::Done)),
        _ => return None,
    };
    Some(Ok(Answer::Bytes(bytes)))
}

fn of_character<'a>(
    guest: &mut (impl Reports + HasDevices + HasEmulators<'a>),
    call: &Call,
    partition: &Flash,
    command: u32,
    address: u64,
) -> Option<Result<Answer, Errno>> {
    let arch = guest.emulators().first()?.arch;
    let known = COMMANDS
        .iter()
        .find(|entry| number(arch, **entry) == command)?;
    let mut argument = [0; 24];
    let size = usize::try_from(known.3).unwrap_or(0);
    if matches!(known.1, Direction::Write | Direction::ReadWrite) {
        let room = argument.get_mut(..size)?;
        let read = guest
            .memory(call)
            .map(|memory| memory.read(address, room).is_ok());
        if read != Some(true) {
            return Some(Err(Errno::FAULT));
        }
    }
    if let Command::ReadSpare(spare) | Command::WriteSpare(spare) = known.0 {
        let reads = matches!(known.0, Command::ReadSpare(_));
        return Some(spare_bytes(guest, call, partition, spare, reads, &argument));
    }
    let mut erase = |start, length| {
        let erased = guest
            .devices()
            .flash()
            .erase(partition.number, start, length);
        erased.map(|()| Answer::Done)
    };
    Some(match known.0 {
        Command::Info => Ok(Answer::Bytes(info(arch, partition))),
        Command::Erase => erase(
            u64::from(arch.u32_of(&argument, 0)),
            u64::from(arch.u32_of(&argument, 4)),
        ),
        Command::Erase64 => erase(arch.u64_of(&argument, 0), arch.u64_of(&argument, 8)),
        Command::IsBad if arch.u64_of(&argument, 0) >= partition.size => Err(Errno::INVAL),
        // There are none, nothing is locked, and nothing had to be corrected.
        Command::IsBad | Command::IsLocked => Ok(Answer::Value(0)),
        Command::Lock | Command::FileMode => Ok(Answer::Done),
        Command::SetBad => Err(Errno::OPNOTSUPP),
        Command::RegionCount => Ok(Answer::Bytes(vec![0; 4])),
        Command::EccStatistics => Ok(Answer::Bytes(vec![0; 16])),
        Command::SpareLayout | Command::Layout if partition.oob_size == 0 => Err(Errno::OPNOTSUPP),
        Command::SpareLayout => Ok(Answer::Bytes(all_free(arch, partition, 2, size))),
        Command::Layout => Ok(Answer::Bytes(all_free(arch, partition, 66, size))),
        Command::ReadSpare(_) | Command::WriteSpare(_) => return None,
    })
}

/// The layout of spare bytes none of which correct anything: `struct nand_oobinfo`, or
/// `struct nand_ecclayout_user`, whose word `at` begins the list of free ones.
fn all_free(arch: &Arch, partition: &Flash, at: usize, size: usize) -> Vec<u8> {
    let mut words = vec![0; size / 4];
    words[at + 1] = partition.oob_size;
    if at > 2 {
        // How many are free.
        words[at - 1] = partition.oob_size;
    }
    words
        .into_iter()
        .flat_map(|word| arch.bytes_of(word))
        .collect()
}

/// Spare bytes are as erased, whatever was written there.
fn spare_bytes<'a>(
    guest: &mut (impl Reports + HasDevices + HasEmulators<'a>),
    call: &Call,
    partition: &Flash,
    spare: Spare,
    reads: bool,
    argument: &[u8; 24],
) -> Result<Answer, Errno> {
    const SPARE_MAX: u32 = 4096;
    let arch = guest.emulators().first().ok_or(Errno::NODEV)?.arch;
    let int = |at| arch.u32_of(argument, at);
    let (start, length, pointer) = match spare {
        Spare::Short => (int(0).into(), int(4), int(8).into()),
        Spare::Long => (int(0).into(), int(4), arch.u64_of(argument, 8)),
        Spare::Large => (arch.u64_of(argument, 0), int(12), arch.u64_of(argument, 16)),
    };
    if partition.oob_size == 0 {
        return Err(Errno::OPNOTSUPP);
    }
    if length > SPARE_MAX || start >= partition.size {
        return Err(Errno::INVAL);
    }
    let mut answer = argument.to_vec();
    if reads {
        let erased = vec![0xFF; usize::try_from(length).unwrap_or(0)];
        let to = ioctl::address(guest, pointer);
        let memory = guest.memory(call).ok_or(Errno::FAULT)?;
        memory.write(call, to, &erased).map_err(|_| Errno::FAULT)?;
        // The kernel tells how many they were in the place of where they begin.
        if spare != Spare::Large
            && let Some(place) = answer.get_mut(..4)
        {
            place.copy_from_slice(&arch.bytes_of(length));
        }
    }
    answer.truncate(match spare {
        Spare::Short => 12,
        Spare::Long => 16,
        Spare::Large => 24,
    });
    Ok(Answer::Bytes(answer))
}

/// `struct mtd_info_user`.
fn info(arch: &Arch, partition: &Flash) -> Vec<u8> {
    const NOR: u8 = 3;
    const NAND: u8 = 4;
    let size = u32::try_from(partition.size).unwrap_or(u32::MAX);
    let mut bytes = vec![if partition.nand { NAND } else { NOR }, 0, 0, 0];
    for field in [
        partition.flags(),
        size,
        partition.erase_size,
        partition.write_size,
        partition.oob_size,
        0,
        0,
    ] {
        bytes.extend(arch.bytes_of(field));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_numbers_of_each_architecture() {
        let of = |name: &str| commands(Arch::by_name(name).unwrap()).collect::<Vec<_>>();
        // MEMGETINFO, MEMERASE, MEMGETBADBLOCK.
        for (name, expected) in [
            ("armel", [0x8020_4D01, 0x4008_4D02, 0x4008_4D0B]),
            ("mipsel", [0x4020_4D01, 0x8008_4D02, 0x8008_4D0B]),
        ] {
            let numbers = of(name);
            assert_eq!([numbers[0], numbers[1], numbers[5]], expected, "{name}");
        }
    }
}
