//! Architectures, with every name that each has.

/// One architecture of Penguin's registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Architecture {
    /// Penguin's name for it: `core.arch`.
    pub name: &'static str,
    /// Other names that `core.arch` may have.
    pub aliases: &'static [&'static str],
    /// The name in `qemu-system-…`, which Penguin runs.
    pub qemu: &'static str,
    /// The folder of its guest programs below `/igloo_static` (`{{ arch_dir }}`).
    pub arch_dir: &'static str,
    /// The folder of its libraries below `/igloo_static/dylibs` (`{{ dylib_dir }}`).
    pub dylib_dir: &'static str,
    /// The file name of its kernel below `/igloo_static/kernels/VERSION`.
    pub kernel: &'static str,
    /// The device of `/igloo/serial`: its major and minor number.
    pub serial: (u32, u32),
    /// `e_machine` of its ELF files.
    pub machine: u16,
    /// Bits of its registers. Programs of the 32-bit ABIs of a 64-bit processor are told by flags.
    pub bits: u8,
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
}

/// An architecture of firmware that Penguin cannot run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    /// What it is called in answers.
    pub name: &'static str,
    /// `e_machine` of its ELF files.
    pub machine: u16,
    /// Bits of its registers.
    pub bits: u8,
    /// Whether the most significant byte comes first.
    pub big_endian: bool,
}

const EM_386: u16 = 3;
const EM_MIPS: u16 = 8;
const EM_PPC: u16 = 20;
const EM_PPC64: u16 = 21;
const EM_ARM: u16 = 40;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const EM_RISCV: u16 = 243;
const EM_LOONGARCH: u16 = 258;

/// `ttyAMA1`, `ttyS1` and `hvc1`.
const AMA: (u32, u32) = (204, 65);
const TTY_S: (u32, u32) = (4, 65);
const HVC: (u32, u32) = (229, 1);

/// All of them, in the order of Penguin's registry.
///
/// Penguin looks for a kernel by its format and qemu's name (`bzImage.x86_64`), then by a name of
/// its own (`vmlinux.x86_64`). For `x86_64`, this is what its loader was recorded to choose.
#[rustfmt::skip] // One name a line, as in Penguin's registry.
pub static ARCHITECTURES: [Architecture; 12] = [
    Architecture {
        name: "armel", aliases: &["arm", "armle"],
        qemu: "arm",
        arch_dir: "armel", dylib_dir: "armel", kernel: "zImage.armel",
        serial: AMA, machine: EM_ARM, bits: 32, big_endian: false,
    },
    Architecture {
        name: "aarch64", aliases: &["arm64"],
        qemu: "aarch64",
        arch_dir: "aarch64", dylib_dir: "aarch64", kernel: "zImage.arm64",
        serial: AMA, machine: EM_AARCH64, bits: 64, big_endian: false,
    },
    Architecture {
        name: "mipsel", aliases: &[],
        qemu: "mipsel",
        arch_dir: "mipsel", dylib_dir: "mipsel", kernel: "vmlinux.mipsel",
        serial: TTY_S, machine: EM_MIPS, bits: 32, big_endian: false,
    },
    Architecture {
        name: "mipseb", aliases: &["mipsbe"],
        qemu: "mips",
        arch_dir: "mipseb", dylib_dir: "mipseb", kernel: "vmlinux.mipseb",
        serial: TTY_S, machine: EM_MIPS, bits: 32, big_endian: true,
    },
    Architecture {
        name: "mips64el", aliases: &[],
        qemu: "mips64el",
        arch_dir: "mips64el", dylib_dir: "mips64el", kernel: "vmlinux.mips64el",
        serial: TTY_S, machine: EM_MIPS, bits: 64, big_endian: false,
    },
    Architecture {
        name: "mips64eb", aliases: &["mips64be"],
        qemu: "mips64",
        arch_dir: "mips64eb", dylib_dir: "mips64eb", kernel: "vmlinux.mips64eb",
        serial: TTY_S, machine: EM_MIPS, bits: 64, big_endian: true,
    },
    Architecture {
        name: "powerpc", aliases: &["ppc"],
        qemu: "ppc",
        arch_dir: "powerpc", dylib_dir: "powerpc", kernel: "vmlinux.ppc",
        serial: HVC, machine: EM_PPC, bits: 32, big_endian: true,
    },
    Architecture {
        name: "powerpc64", aliases: &["ppc64"],
        qemu: "ppc64",
        arch_dir: "powerpc64", dylib_dir: "powerpc64", kernel: "vmlinux.powerpc64",
        serial: HVC, machine: EM_PPC64, bits: 64, big_endian: true,
    },
    Architecture {
        name: "powerpc64le", aliases: &["ppc64le", "powerpc64el", "ppc64el"],
        qemu: "ppc64",
        arch_dir: "powerpc64le", dylib_dir: "powerpc64le", kernel: "vmlinux.powerpc64le",
        serial: HVC, machine: EM_PPC64, bits: 64, big_endian: false,
    },
    Architecture {
        name: "riscv64", aliases: &["riscv", "rv64"],
        qemu: "riscv64",
        arch_dir: "riscv64", dylib_dir: "riscv64", kernel: "Image.riscv64",
        serial: AMA, machine: EM_RISCV, bits: 64, big_endian: false,
    },
    Architecture {
        name: "loongarch64", aliases: &["loongarch", "la64"],
        qemu: "loongarch64",
        arch_dir: "loongarch64", dylib_dir: "loongarch64", kernel: "vmlinuz.efi.loongarch64",
        serial: TTY_S, machine: EM_LOONGARCH, bits: 64, big_endian: false,
    },
    Architecture {
        name: "x86_64", aliases: &["intel64", "amd64", "x86-64", "x64"],
        qemu: "x86_64",
        arch_dir: "x86_64", dylib_dir: "x86_64", kernel: "vmlinux.x86_64",
        serial: TTY_S, machine: EM_X86_64, bits: 64, big_endian: false,
    },
];

/// What firmware is also for.
#[rustfmt::skip] // One architecture a line.
pub static FOREIGN: [Foreign; 3] = [
    Foreign { name: "armeb", machine: EM_ARM, bits: 32, big_endian: true },
    Foreign { name: "riscv32", machine: EM_RISCV, bits: 32, big_endian: false },
    Foreign { name: "i386", machine: EM_386, bits: 32, big_endian: false },
];

/// Every name that `core.arch` may have: each architecture's own, then its aliases.
pub static NAMES: [&str; count_names()] = all_names();

const fn count_names() -> usize {
    let (mut count, mut at) = (0, 0);
    while at < ARCHITECTURES.len() {
        count += 1 + ARCHITECTURES[at].aliases.len();
        at += 1;
    }
    count
}

const fn all_names() -> [&'static str; count_names()] {
    let mut names = [""; count_names()];
    let (mut next, mut at) = (0, 0);
    while at < ARCHITECTURES.len() {
        names[next] = ARCHITECTURES[at].name;
        next += 1;
        let mut alias = 0;
        while alias < ARCHITECTURES[at].aliases.len() {
            names[next] = ARCHITECTURES[at].aliases[alias];
            next += 1;
            alias += 1;
        }
        at += 1;
    }
    names
}

impl Architecture {
    /// The architecture that has this name, or this alias.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        ARCHITECTURES
            .iter()
            .find(|arch| arch.name == name || arch.aliases.contains(&name))
    }
}

/// The name of the architecture of an ELF file, where it has one.
pub fn of_elf(machine: u16, bits: u8, big_endian: bool) -> Option<&'static str> {
    let known = ARCHITECTURES
        .iter()
        .find(|a| (a.machine, a.bits, a.big_endian) == (machine, bits, big_endian))
        .map(|arch| arch.name);
    known.or_else(|| {
        FOREIGN
            .iter()
            .find(|a| (a.machine, a.bits, a.big_endian) == (machine, bits, big_endian))
            .map(|arch| arch.name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, qemu, folder of programs, folder of libraries, kernel: Penguin's registry.
    #[rustfmt::skip] // One architecture a line.
    const REGISTRY: [(&str, &str, &str, &str, &str); 12] = [
        ("armel", "arm", "armel", "armel", "zImage.armel"),
        ("aarch64", "aarch64", "aarch64", "aarch64", "zImage.arm64"),
        ("mipsel", "mipsel", "mipsel", "mipsel", "vmlinux.mipsel"),
        ("mipseb", "mips", "mipseb", "mipseb", "vmlinux.mipseb"),
        ("mips64el", "mips64el", "mips64el", "mips64el", "vmlinux.mips64el"),
        ("mips64eb", "mips64", "mips64eb", "mips64eb", "vmlinux.mips64eb"),
        ("powerpc", "ppc", "powerpc", "powerpc", "vmlinux.ppc"),
        ("powerpc64", "ppc64", "powerpc64", "powerpc64", "vmlinux.powerpc64"),
        ("powerpc64le", "ppc64", "powerpc64le", "powerpc64le", "vmlinux.powerpc64le"),
        ("riscv64", "riscv64", "riscv64", "riscv64", "Image.riscv64"),
        ("loongarch64", "loongarch64", "loongarch64", "loongarch64", "vmlinuz.efi.loongarch64"),
        ("x86_64", "x86_64", "x86_64", "x86_64", "vmlinux.x86_64"),
    ];

    #[test]
    fn every_architecture_has_the_names_of_penguins_registry() {
        let names = ARCHITECTURES.map(|a| (a.name, a.qemu, a.arch_dir, a.dylib_dir, a.kernel));
        assert_eq!(names, REGISTRY);
    }

    #[test]
    fn every_alias_means_one_architecture() {
        for (alias, name) in [
            ("arm64", "aarch64"),
            ("ppc64el", "powerpc64le"),
            ("intel64", "x86_64"),
            ("la64", "loongarch64"),
            ("riscv64", "riscv64"),
        ] {
            assert_eq!(Architecture::by_name(alias).map(|a| a.name), Some(name));
        }
        assert_eq!(Architecture::by_name("i386"), None);
        assert_eq!(NAMES.len(), 30);
        let mut sorted = NAMES;
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(
            NAMES
                .iter()
                .all(|name| Architecture::by_name(name).is_some())
        );
    }

    #[test]
    fn an_elf_header_means_one_architecture() {
        for arch in &ARCHITECTURES {
            let found = of_elf(arch.machine, arch.bits, arch.big_endian);
            assert_eq!(found, Some(arch.name));
        }
        assert_eq!(of_elf(EM_ARM, 32, true), Some("armeb"));
        assert_eq!(of_elf(EM_RISCV, 32, false), Some("riscv32"));
        assert_eq!(of_elf(EM_386, 32, false), Some("i386"));
        assert_eq!(of_elf(EM_AARCH64, 64, true), None);
        assert_eq!(of_elf(42, 32, false), None);
    }
}
