//! Numbers that lie across their alignment, on MIPS before release 6: Linux reads and writes them
//! for the program (`arch/mips/kernel/unaligned.c`), and qemu ends it by `SIGBUS`.
//!
//! Where it begins to translate (`mips_tr_init_disas_context`, `target/mips/tcg/translate.c`), the
//! emulator takes from the processor's kind whether such numbers are an error. In a copy of the
//! file they never are.

use crate::qemu::code::{Code, put};

/// What qemu 7.2 has: those that are no error are of release 6 and of Loongson.
const BY_KIND: [u8; 24] = [
    0x48, 0xBA, 0x00, 0x02, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, // movabs $kinds, %rdx
    0x48, 0x21, 0xD7, // and %rdx, %rdi
    0x48, 0xF7, 0xDF, // neg %rdi
    0x19, 0xD2, // sbb %edx, %edx
    0x81, 0xE2, 0xE0, 0x00, 0x00, 0x00, // and $0xe0, %edx
];
/// In the place of the last of these: `mov $0xe0, %edx`, `nop`.
const ALWAYS: [u8; 6] = [0xBA, 0xE0, 0x00, 0x00, 0x00, 0x90];

/// Let a copy of the emulator take them. Gives whether it does now.
pub fn patch(file: &mut [u8]) -> bool {
    let found = Code::of(file).and_then(|code| Some(code.offset + code.only(&BY_KIND)?));
    let last = BY_KIND.len() - ALWAYS.len();
    found.is_some_and(|at| put(file, at + last, &ALWAYS).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::code::tests::changes_every_older_emulator;

    #[test]
    fn every_older_emulator_of_mips_here_can_be_made_to_take_them() {
        changes_every_older_emulator("mips", patch);
    }
}
