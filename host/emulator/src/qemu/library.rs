//! The library that stands before the guest's own (`host/emulator/guest-library`): one for each
//! architecture, as `scripts/check-guest-library` builds it, made to fit the program that loads it.

use std::borrow::Cow;
use std::sync::LazyLock;

use rookery_project::penguin::library::PREFIX;

use crate::qemu::arch::{Abi, Arch};
use crate::qemu::elf::Elf;

/// Where every program of the guest finds it: only the supervisor answers this path.
pub const PATH: &str = "/.rookery/lib_inject.so";

/// What the names begin with that a run may give to functions.
const SLOT: &str = "rookery_slot_";

/// The longest name that a slot has room for.
pub const NAME_MAX: usize = 39;

macro_rules! built {
    ($($arch:literal),*) => {
        &[$(($arch, include_bytes!(concat!("../../guest-library/built/", $arch, ".so")))),*]
    };
}

/// By qemu's name. Which are left out, and why, stands in `scripts/check-guest-library`.
const BUILT: &[(&str, &[u8])] = built![
    "mipsel",
    "mips",
    "mipsn32el",
    "mipsn32",
    "mips64el",
    "mips64",
    "arm",
    "armeb",
    "aarch64",
    "aarch64_be",
    "ppc",
    "ppc64le",
    "riscv32",
    "riscv64",
    "loongarch64",
    "i386",
    "x86_64"
];

/// Bits of `e_flags` by which a loader tells whether floating point is passed alike. The library
/// passes none, so it takes over what the program has.
const EF_MIPS_NAN2008: u32 = 0x400;
const EF_ARM_ABI_FLOAT: u32 = 0x600;
const EF_RISCV_FLOAT_ABI: u32 = 0x6;
const EF_LOONGARCH_ABI_MODIFIER: u32 = 0x7;
/// A big-endian program whose instructions are little-endian: the library's are not.
const EF_ARM_BE8: u32 = 0x0080_0000;

/// The library that a program can load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Library {
    /// By qemu's name.
    arch: &'static str,
    /// Those of the program's that it takes over, and which they are.
    flags: u32,
    mask: u32,
}

impl Library {
    /// For the program that begins with these bytes. `None` for one that loads no libraries, or
    /// that there is none for.
    pub fn of(arch: &'static Arch, head: &[u8]) -> Option<Self> {
        let program = Elf::new(Cow::Borrowed(head))?;
        let flags = program.flags()?;
        let other_order = arch.abi == Abi::Arm && flags & EF_ARM_BE8 != 0;
        let mask = match arch.abi {
            Abi::Mips | Abi::MipsN32 | Abi::Mips64 => EF_MIPS_NAN2008,
            Abi::Arm => EF_ARM_ABI_FLOAT,
            Abi::Riscv => EF_RISCV_FLOAT_ABI,
            Abi::Loongarch => EF_LOONGARCH_ABI_MODIFIER,
            Abi::Aarch64 | Abi::Ppc | Abi::I386 | Abi::X86_64 | Abi::Sh => 0,
        };
        (program.is_dynamic() && !other_order && exists_for(arch)).then_some(Self {
            arch: arch.qemu,
            flags: flags & mask,
            mask,
        })
    }

    /// Its file, where functions have `names` as well: each with the function's name, which is
    /// Penguin's. Names that cannot be given are left out.
    pub fn file(self, names: &[(String, String)]) -> Option<Vec<u8>> {
        let mut library = Elf::new(Cow::Borrowed(built(self.arch)?))?;
        let flags = library.flags()? & !self.mask | self.flags;
        library.set_flags(flags)?;
        give(&mut library, names)?;
        Some(library.into_bytes())
    }
}

/// Whether programs of this architecture can be given one.
pub fn exists_for(arch: &Arch) -> bool {
    built(arch.qemu).is_some()
}

fn built(arch: &str) -> Option<&'static [u8]> {
    let found = BUILT.iter().find(|(name, _)| *name == arch);
    found.map(|(_, library)| *library)
}

/// What the functions of every library are called, and where each is in the first.
static NAMES: LazyLock<Vec<(String, u64)>> = LazyLock::new(|| {
    let all = || {
        let library = Elf::new(Cow::Borrowed(BUILT.first()?.1))?;
        let symbols = library.symbols()?;
        let names = symbols.names(&library).into_iter().enumerate();
        Some(
            names
                .map(|(index, name)| (name, symbols.address(&library, index)))
                .collect(),
        )
    };
    all().unwrap_or_default()
});

/// Whether the library has this name.
pub fn has(name: &str) -> bool {
    NAMES.iter().any(|(known, _)| known == name)
}

/// Whether the library has a function of this name, which is Penguin's.
pub fn has_function(name: &str) -> bool {
    name.starts_with(PREFIX) && has(name)
}

/// Whether a function has this name already.
pub fn is_called(function: &str, name: &str) -> bool {
    let address = |name: &str| {
        NAMES
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, at)| at)
    };
    address(name).is_some() && address(name) == address(function)
}

/// How many names a run can give that the library lacks.
pub fn slots() -> usize {
    NAMES
        .iter()
        .filter(|(name, _)| name.starts_with(SLOT))
        .count()
}

fn give(library: &mut Elf<'_>, names: &[(String, String)]) -> Option<()> {
    if names.is_empty() {
        return Some(());
    }
    let symbols = library.symbols()?;
    let known = symbols.names(library);
    let index_of = |wanted: &str| known.iter().position(|name| name == wanted);
    let slots = (0..known.len()).filter(|index| known[*index].starts_with(SLOT));
    let wanted = names
        .iter()
        .filter(|(name, _)| name.len() <= NAME_MAX && index_of(name).is_none());
    for (slot, (name, function)) in slots.zip(wanted) {
        if let Some(function) = index_of(function) {
            symbols.rename(library, slot, name)?;
            symbols.redirect(library, slot, function)?;
        }
    }
    // A name that the library has already is given to another function in its place.
    for (name, function) in names {
        if let (Some(known), Some(function)) = (index_of(name), index_of(function)) {
            symbols.redirect(library, known, function)?;
        }
    }
    symbols.hash_again(library)
}

#[cfg(test)]
mod tests {
    use rookery_project::penguin::library::NAMES;

    use super::*;

    #[test]
    fn the_vendors_names_are_those_that_a_project_for_penguin_lists() {
        let source = include_str!("../../guest-library/names.h");
        let lines = source.lines().filter_map(|line| line.strip_prefix("NAME("));
        let pairs = lines.filter_map(|line| line.strip_suffix(");")?.split_once(", "));
        assert_eq!(pairs.collect::<Vec<_>>(), NAMES);
        for (name, function) in NAMES {
            assert!(
                has(name) && has_function(&format!("{PREFIX}{function}")),
                "{name}"
            );
        }
    }
    use crate::qemu::arch::ARCHES;

    fn libraries() -> impl Iterator<Item = (&'static Arch, &'static [u8])> {
        ARCHES
            .iter()
            .filter_map(|arch| Some((arch, built(arch.qemu)?)))
    }

    fn alias(name: &str, function: &str) -> (String, String) {
        (name.to_owned(), function.to_owned())
    }

    /// What a loader finds by the table of hashes, which it goes through as `dlsym` does.
    fn find(library: &Elf<'_>, name: &str) -> Option<u64> {
        let symbols = library.symbols()?;
        symbols.find(library, name)
    }

    #[test]
    fn each_architecture_has_one_or_is_known_to_have_none() {
        let without: Vec<_> = ARCHES
            .iter()
            .filter(|arch| built(arch.qemu).is_none())
            .map(|arch| arch.qemu)
            .collect();
        assert_eq!(without, ["ppc64", "sh4", "sh4eb"]);
        for (arch, library) in libraries() {
            assert_eq!(Arch::of_elf(library), Some(arch), "{}", arch.qemu);
            assert!(library.len() < 32 << 10, "{}", arch.qemu);
        }
    }

    #[test]
    fn no_library_needs_another_or_a_version_or_storage_of_threads() {
        const PT_TLS: u32 = 7;
        const PT_MIPS_ABIFLAGS: u32 = 0x7000_0003;
        const DT_NEEDED: u64 = 1;
        const DT_TEXTREL: u64 = 22;
        const DT_GNU_HASH: u64 = 0x6fff_fef5;
        const DT_VERNEED: u64 = 0x6fff_fffe;
        for (arch, bytes) in libraries() {
            let library = Elf::new(Cow::Borrowed(bytes)).unwrap();
            for kind in [PT_TLS, PT_MIPS_ABIFLAGS] {
                assert!(library.segment(kind).is_none(), "{} {kind:#x}", arch.qemu);
            }
            for tag in [DT_NEEDED, DT_TEXTREL, DT_GNU_HASH, DT_VERNEED] {
                assert_eq!(library.dynamic(tag), None, "{} {tag:#x}", arch.qemu);
            }
            let symbols = library.symbols().unwrap();
            let mut wanted = symbols.undefined(&library);
            wanted.sort();
            assert_eq!(wanted, ["__environ", "malloc", "vsscanf"], "{}", arch.qemu);
        }
    }

    #[test]
    fn functions_get_further_names_and_keep_those_that_they_have() {
        for (arch, bytes) in libraries() {
            let plain = Elf::new(Cow::Borrowed(bytes)).unwrap();
            let library = Library::of(arch, bytes).unwrap();
            let names = [
                alias("cfg_read", "libinject_nvram_get"),
                alias("nvram_commit", "libinject_ret_1"),
                alias("unknown", "libinject_no_such_function"),
                alias(&"long".repeat(10), "libinject_ret_0"),
            ];
            let renamed = Elf::new(Cow::Owned(library.file(&names).unwrap())).unwrap();
            let before = |name| find(&plain, name).unwrap();
            let after = |name| find(&renamed, name);
            assert_eq!(
                after("cfg_read"),
                Some(before("nvram_get")),
                "{}",
                arch.qemu
            );
            assert_eq!(after("nvram_get"), Some(before("nvram_get")));
            assert_eq!(after("nvram_commit"), Some(before("libinject_ret_1")));
            assert_eq!(after("unknown"), None);
            assert_eq!(after(&"long".repeat(10)), None);
        }
    }

    #[test]
    fn more_names_than_there_is_room_for_are_left_out() {
        let (arch, bytes) = libraries().next().unwrap();
        let names: Vec<_> = (0..200)
            .map(|n| alias(&format!("name_{n}"), "libinject_ret_1"))
            .collect();
        let file = Library::of(arch, bytes).unwrap().file(&names).unwrap();
        let library = Elf::new(Cow::Owned(file)).unwrap();
        let found = names
            .iter()
            .filter(|(name, _)| find(&library, name).is_some());
        assert_eq!((found.count(), slots()), (48, 48));
        assert!(has_function("libinject_nvram_get") && !has_function("libinject_x"));
        assert!(!has_function("nvram_get"));
    }

    #[test]
    fn a_program_gets_the_library_that_its_loader_takes() {
        let with_flags = |name: &str, flags: u32| {
            let arch = ARCHES.iter().find(|arch| arch.qemu == name).unwrap();
            let mut program = Elf::new(Cow::Borrowed(built(name).unwrap())).unwrap();
            program.set_flags(flags).unwrap();
            let file = Library::of(arch, &program.into_bytes())?.file(&[]).unwrap();
            Elf::new(Cow::Owned(file)).unwrap().flags()
        };
        let hard = with_flags("arm", 0x0500_0400).unwrap();
        let soft = with_flags("arm", 0x0500_0200).unwrap();
        assert_eq!((hard & 0x600, soft & 0x600), (0x400, 0x200));
        assert_eq!(with_flags("armeb", 0x0580_0000), None);
        let nan = |flags| with_flags("mipsel", flags).unwrap() & 0x400;
        assert_eq!((nan(0x7000_1407), nan(0x7000_1007)), (0x400, 0));
        assert_eq!(with_flags("riscv64", 5).unwrap() & 6, 4);
    }

    #[test]
    fn what_is_no_program_gets_none() {
        let (arch, bytes) = libraries().next().unwrap();
        for length in [0, 4, 20, 52, 60] {
            assert_eq!(Library::of(arch, &bytes[..length]), None, "{length}");
        }
    }
}
