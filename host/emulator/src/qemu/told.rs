//! What an emulator is made to tell its supervisor of its guest's system calls: that a thread is
//! made which is a process of its own to the guest (`LinuxThreads`), and that the guest calls
//! `exit`. No system call of the emulator's own shows either.
//!
//! qemu refuses to make such a thread: `do_fork` (`linux-user/syscall.c`) compares the flags of
//! `clone` with those of a whole POSIX thread. In a copy of its file that comparison is eased, and
//! the two calls by which `do_syscall` prints a guest's system call, before and after it, lead to
//! instructions of ours (`kernel/told.rs`) in the padding behind the program's last one; so it must
//! be called with `-d strace`. Each place must be found exactly once and in exactly this shape, or
//! nothing is changed.
//!
//! It is also made to ask about every option of a socket that is set, before it looks for that
//! among those that it knows: `do_setsockopt` then begins with a jump to further instructions of
//! ours. So does `target_mmap` (`linux-user/mmap.c`) of a 32-bit guest: it has no stacks that grow,
//! which `LinuxThreads` gives each thread, and asks how far one may.

use crate::kernel::told::{MAP_BEGINS, Numbers, OPTION_BEGINS, code};
use crate::qemu::arch::{Abi, Arch};
use crate::qemu::code::{CALL_LENGTH, Code, put};

/// The flags of `clone` that `do_fork` looks at, and what they must be.
const LOOKED_AT: u32 = 0x7e87_7f00;
const WANTED: u32 = 0x0005_0f00;
/// What the older threads lack of these: `CLONE_THREAD`, `CLONE_SYSVSEM`.
const OF_POSIX_THREADS: u32 = 0x0005_0000;

/// The text that `print_syscall` alone prints.
const UNKNOWN: &[u8] = b"Unknown syscall %d\n\0";

/// The text that `do_setsockopt` alone prints.
const UNKNOWN_OPTION: &[u8] = b"Unsupported setsockopt level=";
/// It needs that within so many bytes of its beginning, which keeps two of its arguments: the
/// socket in `r13d`, behind [`OPTION_BEGINS`], and the option in `r12d`.
const OPTIONS_BEGINNING: usize = 4096;
const KEEPS: [u8; 8] = [0x41, 0x89, 0xFD, 0x41, 0x54, 0x41, 0x89, 0xD4];

/// The text that `target_mmap` alone prints, so far behind its beginning at most.
const MAPPED: &[u8] = b"target_mmap start=0x";
const MAP_BEGINNING: usize = 4096;

/// The number of a system call that no guest has.
const NONE: u32 = u32::MAX;

/// The system calls of a guest: `exit`, `clone`, `ioctl` (`arch/*/include/uapi/asm/unistd.h`,
/// `include/uapi/asm-generic/unistd.h`).
fn numbers(arch: &Arch, ioctls: bool) -> Numbers {
    let (exit, clone, ioctl) = match arch.abi {
        Abi::Mips => (4001, 4120, 4054),
        Abi::Mips64 => (5058, 5055, 5015),
        Abi::MipsN32 => (6058, 6055, 6015),
        Abi::Aarch64 | Abi::Riscv | Abi::Loongarch => (93, 220, 29),
        Abi::X86_64 => (60, 56, 16),
        Abi::Arm | Abi::Ppc | Abi::I386 | Abi::Sh => (1, 120, 54),
    };
    let ioctl = if ioctls { ioctl } else { NONE };
    Numbers { exit, clone, ioctl }
}

/// Let a copy of the emulator tell, also of `ioctls` where that is wanted. Gives where in the file
/// its `syscall` is, by which it tells; `None` where it could not be changed, and is as it was.
pub fn patch(file: &mut [u8], arch: &Arch, ioctls: bool) -> Option<u64> {
    find(file)?.change(file, numbers(arch, ioctls))
}

/// Offsets in the file. Those of its executable part lie as far from each other as addresses do.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// What `do_fork` looks at, and what that is compared with.
    flags: [usize; 2],
    /// The two calls that print: before a system call, and after it.
    calls: [usize; 2],
    /// The padding.
    room: usize,
    length: usize,
    /// The function that sets an option, where it is found.
    option: Option<usize>,
    /// The function that maps memory, likewise.
    map: Option<usize>,
}

const PAGE: usize = 4096;
/// From the first call that prints to the second, at most.
const BETWEEN: usize = 96;
/// `print_syscall` needs its text within so many bytes of its beginning, which is aligned.
const BEGINNING: usize = 1024;
const ALIGNED: usize = 16;

fn find(file: &[u8]) -> Option<Found> {
    let code = Code::of(file)?;
    let flags = [
        code.only(&LOOKED_AT.to_le_bytes())?,
        code.only(&WANTED.to_le_bytes())?,
    ];
    let use_of_text = code.use_of(UNKNOWN)?;
    // The function that holds it begins at the last place before it that anybody calls.
    let print = code
        .calls(..code.text.len())
        .map(|(_, to)| to)
        .filter(|to| *to <= use_of_text && use_of_text - to < BEGINNING && to % ALIGNED == 0)
        .max()?;
    let mut sites = code.calls(..code.text.len()).filter(|(_, to)| *to == print);
    let ((before, _), None) = (sites.next()?, sites.next()) else {
        return None;
    };
    let behind = before + CALL_LENGTH;
    let (after, print_result) = code
        .calls(..behind + BETWEEN)
        .find(|(at, _)| *at >= behind)?;
    if print_result <= print {
        return None;
    }
    let room = code.offset + code.text.len();
    let padding = file.get(room..room.next_multiple_of(PAGE))?;
    Some(Found {
        flags: flags.map(|at| code.offset + at),
        calls: [before, after].map(|at| code.offset + at),
        room,
        length: padding.iter().take_while(|byte| **byte == 0).count(),
        option: begins(
            &code,
            UNKNOWN_OPTION,
            OPTIONS_BEGINNING,
            &[&OPTION_BEGINS[..], &KEEPS].concat(),
        ),
        map: begins(&code, MAPPED, MAP_BEGINNING, &MAP_BEGINS),
    })
}

/// Where in the file the function begins that uses a text within so many bytes, if it has this
/// shape.
fn begins(code: &Code<'_>, text: &[u8], within: usize, shape: &[u8]) -> Option<usize> {
    let use_of_text = code.use_of(text)?;
    let begins = code
        .calls(..code.text.len())
        .map(|(_, to)| to)
        .filter(|to| *to <= use_of_text && use_of_text - to < within)
        .filter(|to| to % ALIGNED == 0)
        .max()?;
    let begins_so = code.text.get(begins..)?.starts_with(shape);
    begins_so.then_some(code.offset + begins)
}

/// Let what is at `place` go to `to`, which goes on behind the first `length` bytes of it, by the
/// distance at `back`.
fn detour(file: &mut [u8], place: usize, length: usize, to: usize, back: usize) -> Option<()> {
    const JUMP: u8 = 0xE9;
    const NOTHING: u8 = 0x90;
    let mut jump = vec![NOTHING; length];
    jump.splice(
        ..CALL_LENGTH,
        [&[JUMP], &distance(place + CALL_LENGTH, to)?[..]].concat(),
    );
    put(file, place, &jump)?;
    put(file, back, &distance(back + 4, place + length)?)
}

/// What a jump or a call behind which `from` lies holds to lead to `to`.
fn distance(from: usize, to: usize) -> Option<[u8; 4]> {
    let distance = i64::try_from(to).ok()? - i64::try_from(from).ok()?;
    Some(i32::try_from(distance).ok()?.to_le_bytes())
}

impl Found {
    fn change(&self, file: &mut [u8], numbers: Numbers) -> Option<u64> {
        let code = code(numbers)?;
        if code.bytes.len() > self.length {
            return None;
        }
        let targets = [self.room, self.room + code.after];
        for (call, to) in self.calls.into_iter().zip(targets) {
            put(file, call + 1, &distance(call + CALL_LENGTH, to)?)?;
        }
        for (at, flags) in self.flags.into_iter().zip([LOOKED_AT, WANTED]) {
            put(file, at, &(flags & !OF_POSIX_THREADS).to_le_bytes())?;
        }
        put(file, self.room, &code.bytes)?;
        let ours = |at: usize| self.room + at;
        if let Some(option) = self.option {
            let length = OPTION_BEGINS.len();
            detour(file, option, length, ours(code.option), ours(code.original))?;
        }
        if let Some(map) = self.map {
            let length = MAP_BEGINS.len();
            detour(file, map, length, ours(code.map), ours(code.map_original))?;
        }
        Some((self.room + code.call) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::emulator::Qemu;

    #[test]
    fn every_emulator_here_can_be_made_to_tell_and_only_once() {
        let qemus = Qemu::all();
        assert!(
            !qemus.is_empty(),
            "qemu-user is installed where this is tested"
        );
        for qemu in qemus {
            let original = std::fs::read(&qemu.path).unwrap();
            let mut file = original.clone();
            let call = patch(&mut file, qemu.arch, false).expect(qemu.arch.qemu);
            let at = usize::try_from(call).unwrap();
            assert_eq!(file[at..at + 2], [0x0F, 0x05]);
            let option = find(&original).and_then(|found| found.option);
            assert!(option.is_some(), "{}: options", qemu.arch.qemu);
            let map = find(&original).and_then(|found| found.map);
            // That of n32 has the shape of 64 bits.
            let narrow = qemu.arch.is_32_bit() && qemu.arch.abi != Abi::MipsN32;
            assert_eq!(map.is_some(), narrow, "{}: memory", qemu.arch.qemu);
            let changed = original.iter().zip(&file).filter(|(a, b)| a != b).count();
            assert!(
                (20..400).contains(&changed),
                "{}: {changed}",
                qemu.arch.qemu
            );
            assert_eq!(patch(&mut file, qemu.arch, false), None);
        }
    }

    #[test]
    fn what_has_another_shape_is_left_as_it_is() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        for original in [Vec::new(), b"\x7fELF".to_vec(), vec![0; 8192], own] {
            let mut file = original.clone();
            let arch = Arch::by_name("mipsel").unwrap();
            assert!(patch(&mut file, arch, true).is_none() && file == original);
        }
    }
}
