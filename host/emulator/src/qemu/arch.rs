//! Guest architectures: how their programs are recognised and which qemu runs them.

use rookery_project::penguin::architectures::Architecture;

/// A kernel's binary interface, as far as it is not the same everywhere. What differs between
/// architectures matches this, so that a new one is not forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abi {
    /// MIPS with 32-bit registers (o32).
    Mips,
    /// MIPS with 64-bit registers and 32-bit pointers.
    MipsN32,
    /// MIPS with 64-bit registers.
    Mips64,
    /// ARM with 32-bit registers.
    Arm,
    /// ARM with 64-bit registers.
    Aarch64,
    /// PowerPC.
    Ppc,
    /// RISC-V.
    Riscv,
    /// `LoongArch`.
    Loongarch,
    /// Intel with 32-bit registers.
    I386,
    /// Intel with 64-bit registers.
    X86_64,
    /// `SuperH`.
    Sh,
}

impl Abi {
    /// Whether signals and errors have MIPS's own numbers.
    pub fn is_mips(self) -> bool {
        match self {
            Self::Mips | Self::MipsN32 | Self::Mips64 => true,
            Self::Arm
            | Self::Aarch64
            | Self::Ppc
            | Self::Riscv
            | Self::Loongarch
            | Self::I386
            | Self::X86_64
            | Self::Sh => false,
        }
    }

    /// The number of `TCGETS`.
    const fn tcgets(self) -> u32 {
        match self {
            Self::Mips | Self::MipsN32 | Self::Mips64 => 0x540D,
            Self::Ppc => 0x402C_7413,
            Self::Arm
            | Self::Aarch64
            | Self::Riscv
            | Self::Loongarch
            | Self::I386
            | Self::X86_64
            | Self::Sh => 0x5401,
        }
    }
}

/// One architecture that qemu-user runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arch {
    /// qemu's name for it: `mipsel` of `qemu-mipsel-static`.
    pub qemu: &'static str,
    /// Penguin's names for it (`core.arch`).
    pub penguin: &'static [&'static str],
    /// What `uname -m` says.
    pub machine: &'static str,
    class: u8,
    data: u8,
    elf: u16,
    /// How its programs call the kernel.
    pub abi: Abi,
    /// The number of `TCGETS`, by which qemu's ioctl table is recognised.
    pub tcgets: u32,
}

const fn arch(
    qemu: &'static str,
    penguin: &'static [&'static str],
    machine: &'static str,
    class: u8,
    data: u8,
    elf: u16,
    abi: Abi,
) -> Arch {
    Arch {
        qemu,
        penguin,
        machine,
        class,
        data,
        elf,
        abi,
        tcgets: abi.tcgets(),
    }
}

const LITTLE: u8 = 1;
const BIG: u8 = 2;

/// All of them.
pub const ARCHES: &[Arch] = &[
    arch("mipsel", &["mipsel"], "mips", 32, LITTLE, 8, Abi::Mips),
    arch("mips", &["mipseb", "mips"], "mips", 32, BIG, 8, Abi::Mips),
    arch("mipsn32el", &[], "mips64", 32, LITTLE, 8, Abi::MipsN32),
    arch("mipsn32", &[], "mips64", 32, BIG, 8, Abi::MipsN32),
    arch(
        "mips64el",
        &["mips64el"],
        "mips64",
        64,
        LITTLE,
        8,
        Abi::Mips64,
    ),
    arch(
        "mips64",
        &["mips64eb", "mips64"],
        "mips64",
        64,
        BIG,
        8,
        Abi::Mips64,
    ),
    arch("arm", &["armel", "arm"], "armv7l", 32, LITTLE, 40, Abi::Arm),
    arch("armeb", &["armeb"], "armv7b", 32, BIG, 40, Abi::Arm),
    arch(
        "aarch64",
        &["aarch64"],
        "aarch64",
        64,
        LITTLE,
        183,
        Abi::Aarch64,
    ),
    arch("aarch64_be", &[], "aarch64_be", 64, BIG, 183, Abi::Aarch64),
    arch("ppc", &["powerpc", "ppc"], "ppc", 32, BIG, 20, Abi::Ppc),
    arch(
        "ppc64",
        &["powerpc64", "ppc64"],
        "ppc64",
        64,
        BIG,
        21,
        Abi::Ppc,
    ),
    arch(
        "ppc64le",
        &["powerpc64le", "powerpc64el", "ppc64el"],
        "ppc64le",
        64,
        LITTLE,
        21,
        Abi::Ppc,
    ),
    arch(
        "riscv32",
        &["riscv32"],
        "riscv32",
        32,
        LITTLE,
        243,
        Abi::Riscv,
    ),
    arch(
        "riscv64",
        &["riscv64"],
        "riscv64",
        64,
        LITTLE,
        243,
        Abi::Riscv,
    ),
    arch(
        "loongarch64",
        &["loongarch64"],
        "loongarch64",
        64,
        LITTLE,
        258,
        Abi::Loongarch,
    ),
    arch(
        "i386",
        &["intel32", "i386"],
        "i686",
        32,
        LITTLE,
        3,
        Abi::I386,
    ),
    arch(
        "x86_64",
        &["intel64", "x86_64"],
        "x86_64",
        64,
        LITTLE,
        62,
        Abi::X86_64,
    ),
    arch("sh4", &[], "sh4", 32, LITTLE, 42, Abi::Sh),
    arch("sh4eb", &[], "sh4eb", 32, BIG, 42, Abi::Sh),
];

/// A program of the 32-bit MIPS ABI for 64-bit processors.
const EF_MIPS_ABI2: u32 = 0x20;

/// What else the flags of a MIPS program ask for.
const EF_MIPS_NAN2008: u32 = 0x400;
const EF_MIPS_ARCH: u32 = 0xF000_0000;
const EF_MIPS_ARCH_32R6: u32 = 0x9000_0000;
const EF_MIPS_ARCH_64R6: u32 = 0xA000_0000;
const EF_MIPS_MACH: u32 = 0x00FF_0000;
const EF_MIPS_MACH_5900: u32 = 0x0092_0000;
/// Cavium's three.
const EF_MIPS_MACH_OCTEON: [u32; 3] = [0x008B_0000, 0x008D_0000, 0x008E_0000];

/// The emulator chooses a 24Kf, which many a router's processor exceeds by its DSP instructions.
const MIPS_WITH_DSP: &str = "74Kf";

/// Version 10 chooses it by itself.
const OCTEON: &str = "Octeon68XX";

/// The flags of an ELF file.
fn flags(header: &[u8], big_endian: bool) -> Option<u32> {
    let at = if *header.get(4)? == 2 { 48 } else { 36 };
    let word: [u8; 4] = header.get(at..at + 4)?.try_into().ok()?;
    Some(if big_endian {
        u32::from_be_bytes(word)
    } else {
        u32::from_le_bytes(word)
    })
}

impl Arch {
    /// The number that an error of sockets has in the guest (`arch/mips/include/uapi/asm/errno.h`).
    pub fn errno(&self, number: i32) -> i32 {
        match number {
            libc::ENOPROTOOPT if self.abi.is_mips() => 99,
            libc::EOPNOTSUPP if self.abi.is_mips() => 122,
            libc::EADDRINUSE if self.abi.is_mips() => 125,
            libc::EADDRNOTAVAIL if self.abi.is_mips() => 126,
            libc::ENOBUFS if self.abi.is_mips() => 132,
            number => number,
        }
    }

    /// By Penguin's name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        let known = Architecture::by_name(name).map_or(name, |known| known.name);
        ARCHES
            .iter()
            .find(|arch| arch.penguin.contains(&known) || arch.qemu == known)
    }

    /// By the first bytes of an ELF file.
    pub fn of_elf(header: &[u8]) -> Option<&'static Self> {
        let (class, data) = match (header.get(..4)?, header.get(4)?, *header.get(5)?) {
            (b"\x7fELF", 1, data) => (32, data),
            (b"\x7fELF", 2, data) => (64, data),
            _ => return None,
        };
        let half: [u8; 2] = header.get(18..20)?.try_into().ok()?;
        let machine = if data == BIG {
            u16::from_be_bytes(half)
        } else {
            u16::from_le_bytes(half)
        };
        let n32 = machine == 8 && class == 32 && flags(header, data == BIG)? & EF_MIPS_ABI2 != 0;
        ARCHES.iter().find(|arch| {
            (arch.class, arch.data, arch.elf) == (class, data, machine)
                && (arch.abi == Abi::MipsN32) == n32
        })
    }

    /// The processor for a program of this architecture with this header, where it must not be the
    /// emulator's own choice.
    pub fn cpu(&self, header: &[u8]) -> Option<&'static str> {
        let flags = flags(header, self.is_big_endian())?;
        match self.abi {
            Abi::Mips => {}
            Abi::MipsN32 | Abi::Mips64 => {
                let is_octeon = EF_MIPS_MACH_OCTEON.contains(&(flags & EF_MIPS_MACH));
                return is_octeon.then_some(OCTEON);
            }
            _ => return None,
        }
        let chosen_by_flags = flags & EF_MIPS_NAN2008 != 0
            || matches!(flags & EF_MIPS_ARCH, EF_MIPS_ARCH_32R6 | EF_MIPS_ARCH_64R6)
            || flags & EF_MIPS_MACH == EF_MIPS_MACH_5900;
        (!chosen_by_flags).then_some(MIPS_WITH_DSP)
    }

    /// Whether pointers have 32 bits.
    pub fn is_32_bit(&self) -> bool {
        self.class == 32
    }

    /// Whether the first byte of a number is its highest.
    pub fn is_big_endian(&self) -> bool {
        self.data == BIG
    }

    /// A plausible `/proc/cpuinfo`; firmware reads the machine's name from it.
    pub fn cpuinfo(&self) -> String {
        match self.abi {
            Abi::Mips | Abi::MipsN32 | Abi::Mips64 => {
                "system type\t\t: MIPS Malta\n\
                 machine\t\t\t: Unknown\n\
                 processor\t\t: 0\n\
                 cpu model\t\t: MIPS 74Kc V0.0  FPU V0.0\n\
                 BogoMIPS\t\t: 1000.00\n\
                 wait instruction\t: yes\n\
                 tlb_entries\t\t: 16\n\
                 isa\t\t\t: mips1 mips2 mips32r1 mips32r2\n\
                 ASEs implemented\t: mips16 dsp dsp2\n"
            }
            Abi::Arm => {
                "processor\t: 0\n\
                 model name\t: ARMv7 Processor rev 1 (v7l)\n\
                 BogoMIPS\t: 125.00\n\
                 Features\t: half thumb fastmult vfp edsp neon vfpv3 tls\n\
                 CPU implementer\t: 0x41\n\
                 CPU architecture: 7\n\
                 \n\
                 Hardware\t: Generic DT based system\n\
                 Revision\t: 0000\n\
                 Serial\t\t: 0000000000000000\n"
            }
            Abi::Aarch64 => {
                "processor\t: 0\n\
                 BogoMIPS\t: 125.00\n\
                 Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32\n\
                 CPU implementer\t: 0x41\n\
                 CPU architecture: 8\n\
                 CPU variant\t: 0x0\nCPU part\t: 0xd07\nCPU revision\t: 0\n"
            }
            Abi::Ppc => {
                "processor\t: 0\n\
                                      cpu\t\t: e500v2\n\
                                      clock\t\t: 1000.000000MHz\n\
                                      revision\t: 3.0\n\
                                      bogomips\t: 100.00\n"
            }
            Abi::Riscv | Abi::Loongarch | Abi::I386 | Abi::X86_64 | Abi::Sh => {
                "processor\t: 0\nBogoMIPS\t: 125.00\n"
            }
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use rookery_project::penguin::architectures::ARCHITECTURES;

    use super::*;

    fn header(class: u8, data: u8, machine: u16, flags: u32) -> Vec<u8> {
        let mut h = vec![0; 64];
        h[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, data]);
        let (m, f) = if data == 2 {
            (machine.to_be_bytes(), flags.to_be_bytes())
        } else {
            (machine.to_le_bytes(), flags.to_le_bytes())
        };
        h[18..20].copy_from_slice(&m);
        let at = if class == 2 { 48 } else { 36 };
        h[at..at + 4].copy_from_slice(&f);
        h
    }

    #[test]
    fn programs_are_told_apart_by_their_header() {
        for (class, data, machine, flags, expected) in [
            (1, 1, 8, 0, Some("mipsel")),
            (1, 2, 8, 0x1000, Some("mips")),
            (1, 2, 8, 0x20, Some("mipsn32")),
            (2, 2, 8, 0x20, Some("mips64")),
            (1, 1, 40, 0, Some("arm")),
            (2, 1, 183, 0, Some("aarch64")),
            (1, 2, 20, 0, Some("ppc")),
            (2, 1, 62, 0, Some("x86_64")),
            (3, 1, 8, 0, None),
            (1, 1, 9999, 0, None),
        ] {
            assert_eq!(
                Arch::of_elf(&header(class, data, machine, flags)).map(|a| a.qemu),
                expected,
                "{class} {data} {machine}"
            );
        }
        assert_eq!(Arch::of_elf(b"\x7fELF"), None);
        assert_eq!(Arch::of_elf(b""), None);
    }

    #[test]
    fn a_mips_program_gets_dsp_instructions_unless_its_flags_ask_for_another_processor() {
        let cpu = |data, flags| {
            let header = header(1, data, 8, flags);
            Arch::of_elf(&header).unwrap().cpu(&header)
        };
        for flags in [0x7000_1001, 0x5000_1001, 0] {
            assert_eq!(cpu(1, flags), Some("74Kf"), "{flags:#x}");
            assert_eq!(cpu(2, flags), Some("74Kf"), "{flags:#x}");
        }
        for flags in [0x9000_1400, 0x7000_1400, 0x2092_1000, 0x8000_0020] {
            assert_eq!(cpu(1, flags), None, "{flags:#x}");
        }
        for (class, flags, expected) in [
            (2, 0x808B_0007, Some("Octeon68XX")),
            (2, 0x808E_0007, Some("Octeon68XX")),
            (1, 0x808B_0020, Some("Octeon68XX")),
            (2, 0x8000_0007, None),
        ] {
            let header = header(class, 1, 8, flags);
            let arch = Arch::of_elf(&header).unwrap();
            assert_eq!(arch.cpu(&header), expected, "{class} {flags:#x}");
        }
        let arm = header(1, 1, 40, 0);
        assert_eq!(Arch::of_elf(&arm).unwrap().cpu(&arm), None);
    }

    #[test]
    fn penguins_names_are_known_and_mean_the_same_programs() {
        for known in &ARCHITECTURES {
            for name in known.aliases.iter().chain([&known.name]) {
                let arch = Arch::by_name(name).expect(name);
                assert_eq!(
                    (arch.elf, arch.class, arch.is_big_endian()),
                    (known.machine, known.bits, known.big_endian),
                    "{name}"
                );
            }
        }
    }
}
