//! ioctl of flash: the character device as `mtd/mtd-abi.h` has it, the block device as every disk.

use rookery_project::ioctl::Direction;
use rookery_records::event::{Operation, What};
use rookery_runs::plan::Flash;
use rustix::io::Errno;

use crate::files::flash;
use crate::guest::access::{HasDevices, HasEmulators, Reports};
use crate::handlers::behind;
use crate::handlers::loops::{FLUSH, GET_BYTES, GET_READ_ONLY, GET_SECTOR_SIZE, GET_SECTORS};
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
}

/// Each with its direction, its number, and the size of its argument.
const COMMANDS: [(Command, Direction, u8, u32); 11] = [
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
    let mut argument = [0; 16];
    let size = usize::try_from(known.3).unwrap_or(0);
    if known.1 == Direction::Write {
        let room = argument.get_mut(..size)?;
        let read = guest
            .memory(call)
            .map(|memory| memory.read(address, room).is_ok());
        if read != Some(true) {
            return Some(Err(Errno::FAULT));
        }
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
    })
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
