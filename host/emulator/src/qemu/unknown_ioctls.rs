//! What a program is told of an `ioctl` that its emulator does not know: before version 8 that
//! there is no such system call, where every kernel says that this file has no such command.
//!
//! In `do_ioctl` (`linux-user/syscall.c`) that result is loaded behind the call that logs it; in a
//! copy of the file it is another one.

use crate::qemu::arch::Arch;
use crate::qemu::code::{CALL_LENGTH, Code, put};

/// Logged where a command is unknown.
const UNSUPPORTED: &[u8] = b"Unsupported ioctl: cmd=0x";

const ENOSYS: i32 = 38;
const ENOSYS_OF_MIPS: i32 = 89;
/// The same everywhere.
const ENOTTY: i32 = 25;

/// Let a copy of the emulator say `ENOTTY`. Gives whether it does now.
pub fn patch(file: &mut [u8], arch: &Arch) -> bool {
    let enosys = if arch.abi.is_mips() {
        ENOSYS_OF_MIPS
    } else {
        ENOSYS
    };
    match find(file) {
        Some((_, result)) if result == -ENOTTY => true,
        Some((at, result)) if result == -enosys => {
            put(file, at, &(-ENOTTY).to_le_bytes()).is_some()
        }
        _ => false,
    }
}

/// Where in the file the result is, and what it is.
fn find(file: &[u8]) -> Option<(usize, i32)> {
    /// `xor %eax, %eax`, for a function of any number of arguments.
    const NO_FLOATS: [u8; 2] = [0x31, 0xC0];
    const CALL: u8 = 0xE8;
    const JUMP: u8 = 0xE9;
    const SHORT_JUMP: u8 = 0xEB;
    let code = Code::of(file)?;
    let mut at = code.use_of(UNSUPPORTED)? + 4;
    if code.text.get(at..)?.starts_with(&NO_FLOATS) {
        at += NO_FLOATS.len();
    }
    if *code.text.get(at)? != CALL {
        return None;
    }
    at += CALL_LENGTH;
    at = match *code.text.get(at)? {
        JUMP => usize::try_from(code.reaches(at + 1)?).ok()?,
        SHORT_JUMP => {
            let distance = i8::from_le_bytes([*code.text.get(at + 1)?]);
            (at + 2).checked_add_signed(distance.into())?
        }
        _ => at,
    };
    // `mov $…, %ebx` or `mov $…, %rbx`.
    at += match code.text.get(at..)? {
        [0xBB, ..] => 1,
        [0x48, 0xC7, 0xC3, ..] => 3,
        _ => return None,
    };
    let result: [u8; 4] = code.text.get(at..at + 4)?.try_into().ok()?;
    Some((code.offset + at, i32::from_le_bytes(result)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::emulator::Qemu;

    #[test]
    fn every_emulator_here_can_be_made_to_say_that_a_file_has_no_such_command() {
        for qemu in Qemu::all() {
            let original = std::fs::read(&qemu.path).unwrap();
            let mut file = original.clone();
            assert!(patch(&mut file, qemu.arch), "{}", qemu.arch.qemu);
            let changed = original.iter().zip(&file).filter(|(a, b)| a != b).count();
            assert!(changed <= 4, "{}: {changed}", qemu.arch.qemu);
            assert!(patch(&mut file, qemu.arch));
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
