//! How an emulator reads the clock: by functions of the kernel's that are in its own memory, so
//! that no system call shows it (`vdso(7)`). Its C library keeps their addresses; without them it
//! asks the kernel.

use crate::kernel::maps::{self, mappings};
use crate::process::call::Call;
use crate::process::memory::Memory;
use crate::process::proc_dir::ProcDir;
use crate::qemu::code::Code;
use crate::qemu::mapped::EMULATOR;

/// The functions, as its library looks for them.
const FUNCTIONS: [&[u8]; 3] = [
    b"__vdso_clock_gettime\0",
    b"__vdso_gettimeofday\0",
    b"__vdso_time\0",
];

/// Where in an emulator's file their addresses are kept.
pub type Functions = [u64; 3];

/// Find where: behind the use of each name the address that was found by it is stored.
pub fn find(file: &[u8]) -> Option<Functions> {
    let code = Code::of(file)?;
    let mut functions = Functions::default();
    for (place, name) in functions.iter_mut().zip(FUNCTIONS) {
        *place = code.store_behind(code.use_of(name)? + 4)? as u64;
    }
    let [one, two, three] = functions;
    (one != two && two != three && one != three).then_some(functions)
}

/// Let the emulator of a process, whose `call` waits for its answer, ask the kernel for the time.
/// `functions` gives where an emulator of this name has the addresses. Gives whether it does now:
/// it may not yet have looked for them.
pub fn ask_kernel(
    process: &ProcDir,
    memory: &Memory,
    call: &Call,
    functions: impl FnOnce(&str) -> Option<Functions>,
) -> bool {
    let table = process.text(maps::FILE).unwrap_or_default();
    let all: Vec<_> = mappings(&table).collect();
    let emulator = all.iter().find(|own| own.name.starts_with(EMULATOR));
    let kernels = all.iter().find(|own| own.name == "[vdso]");
    let (Some(emulator), Some(kernels)) = (emulator.map(|own| own.name), kernels) else {
        return false;
    };
    let Some(functions) = functions(emulator) else {
        return false;
    };
    let mut done = false;
    for offset in functions {
        let emulators = all.iter().filter(|own| own.name == emulator);
        for at in emulators.filter_map(|own| own.address(offset)) {
            let mut function = [0; 8];
            if memory.read(at, &mut function).is_ok()
                && kernels.range.contains(&u64::from_ne_bytes(function))
            {
                done |= memory.write(call, at, &[0; 8]).is_ok();
            }
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::emulator::Qemu;

    #[test]
    fn every_emulator_here_keeps_the_clocks_functions_where_they_are_found() {
        for qemu in Qemu::all() {
            let file = std::fs::read(&qemu.path).unwrap();
            let functions = find(&file);
            assert!(functions.is_some(), "{}", qemu.arch.qemu);
        }
        assert_eq!(find(&std::fs::read("/proc/self/exe").unwrap()), None);
    }
}
