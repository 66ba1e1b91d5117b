//! How an emulator reads the clock: by functions of the kernel's that are in its own memory, so
//! that no system call shows it (`vdso(7)`). Its C library keeps their addresses; without them it
//! asks the kernel.

use crate::process::call::Call;
use crate::process::memory::Memory;
use crate::process::proc_dir::ProcDir;
use crate::qemu::code::Code;

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

/// What of a process's memory is of interest here.
struct Mapping {
    low: u64,
    high: u64,
    offset: u64,
    name: String,
}

/// The memory of a process (`proc_pid_maps(5)`).
fn mappings(process: &ProcDir) -> Vec<Mapping> {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let (low, high) = fields.next()?.split_once('-')?;
        let offset = fields.nth(1)?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some(Mapping {
            low: number(low)?,
            high: number(high)?,
            offset: number(offset)?,
            name: fields.nth(2)?.to_owned(),
        })
    };
    let text = process.text("maps").unwrap_or_default();
    text.lines().filter_map(line).collect()
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
    const EMULATOR: &str = "/.rookery/qemu-";
    let mappings = mappings(process);
    let emulator = mappings.iter().find(|own| own.name.starts_with(EMULATOR));
    let Some(emulator) = emulator.map(|own| own.name.as_str()) else {
        return false;
    };
    let Some(kernels) = mappings.iter().find(|own| own.name == "[vdso]") else {
        return false;
    };
    let Some(functions) = functions(emulator) else {
        return false;
    };
    let mut done = false;
    for offset in functions {
        for own in mappings.iter().filter(|own| own.name == emulator) {
            let Some(at) = offset
                .checked_sub(own.offset)
                .map(|within| own.low + within)
            else {
                continue;
            };
            let mut function = [0; 8];
            if at < own.high
                && memory.read(at, &mut function).is_ok()
                && (kernels.low..kernels.high).contains(&u64::from_ne_bytes(function))
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
