//! A vendor's flash chip: TP-Link's driver, whose commands name an address and a buffer.

use rookery_runs::plan::{ChipCommand, Pseudofile, Read};
use rustix::io::Errno;

use crate::guest::access::{HasDevices, HasEmulators, Reports};
use crate::handlers::ioctl;
use crate::process::call::{Action, Call};

/// The most that is read or written at a time; what programs keep there is smaller.
const PIECE: u32 = 1 << 20;

/// What a command does, whose argument is `ARG` of `ar7240_flash_ioctl.c`: an address in the chip,
/// a length that nobody reads, a buffer and its length, and flags.
pub fn control<'a>(
    guest: &mut (impl Reports + HasDevices + HasEmulators<'a>),
    call: &Call,
    model: &Pseudofile,
    does: ChipCommand,
) -> Action {
    match carry_out(guest, call, model, does) {
        Ok(()) => Action::Return(0),
        Err(errno) => errno.into(),
    }
}

fn carry_out<'a>(
    guest: &mut (impl Reports + HasDevices + HasEmulators<'a>),
    call: &Call,
    model: &Pseudofile,
    does: ChipCommand,
) -> Result<(), Errno> {
    let first = match &model.read {
        Read::Bytes(bytes) => bytes.as_slice(),
        _ => &[],
    };
    let arch = guest.emulators().first().ok_or(Errno::NODEV)?.arch;
    if does == ChipCommand::Erase {
        return Ok(());
    }
    let mut argument = [0; 16];
    let memory = guest.memory(call).ok_or(Errno::FAULT)?;
    let at = ioctl::argument(guest, call);
    memory.read(at, &mut argument).map_err(|_| Errno::FAULT)?;
    let [start, _, buffer, bytes] = [0, 4, 8, 12].map(|at| arch.u32_of(&argument, at));
    if bytes > PIECE || !arch.is_32_bit() {
        return Err(Errno::INVAL);
    }
    let buffer = ioctl::address(guest, buffer.into());
    let chip = guest.devices().flash().chip();
    if does == ChipCommand::Read {
        let read = chip.read(first, start.into(), bytes.into())?;
        return memory.write(call, buffer, &read);
    }
    let mut written = vec![0; usize::try_from(bytes).unwrap_or(0)];
    memory
        .read(buffer, &mut written)
        .map_err(|_| Errno::FAULT)?;
    chip.write(first, start.into(), &written)
}
