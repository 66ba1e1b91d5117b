//! Shared memory at an address of the guest's choice, for 32-bit guests of qemu before 9.0.
//!
//! It sets all of such a guest's memory aside, and then asks the kernel to attach where something
//! already is (`do_shmat`, `linux-user/syscall.c`): `EINVAL`. Its C library's `shmat`, which has
//! that one caller, is changed to replace what is there (`SHM_REMAP`).

use crate::qemu::code::{Code, put};

/// glibc's `shmat` of x86-64.
const PLAIN: [u8; 16] = [
    0xB8, 0x1E, 0, 0, 0, // mov $30, %eax
    0x0F, 0x05, // syscall
    0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF, // cmp $-4096, %rax
    0x77, 0x01, // ja to the error
    0xC3, // ret
];
/// As long, with the flag. Only an error has the sign of its result.
const REPLACING: [u8; 16] = [
    0x80, 0xCE, 0x40, // or $0x40, %dh
    0x6A, 0x1E, 0x58, // push $30; pop %rax
    0x0F, 0x05, // syscall
    0x48, 0x85, 0xC0, // test %rax, %rax
    0x78, 0x03, // js to the error
    0xC3, // ret
    0x90, 0x90,
];

/// Let a copy of the emulator attach where memory was set aside. Gives whether it does now.
pub fn patch(file: &mut [u8]) -> bool {
    let found = Code::of(file).and_then(|code| Some(code.offset + code.only(&PLAIN)?));
    found.is_some_and(|at| put(file, at, &REPLACING).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::code::tests::changes_every_older_emulator;

    #[test]
    fn every_older_emulator_here_can_be_made_to_attach_anywhere() {
        changes_every_older_emulator("", patch);
    }
}
