//! Limits that a process sets itself: root may raise any, and gets as much here as the sandbox has
//! left it.

use rustix::io::Errno;

use crate::kernel::process;
use crate::process::call::{Action, Call};
use crate::process::record::Record;

/// `setrlimit`.
pub fn set(caller: Option<&mut Record>, call: &Call) -> Action {
    raise(caller, call, 0).unwrap_or_else(Action::from)
}

/// `prlimit64`; of another process it is the kernel's to answer.
pub fn set_of_process(caller: Option<&mut Record>, call: &Call) -> Action {
    match call.int(0) {
        0 => raise(caller, call, 1).unwrap_or_else(Action::from),
        _ => Action::Continue,
    }
}

/// The arguments from `first` on are the resource and its new limit.
fn raise(caller: Option<&mut Record>, call: &Call, first: usize) -> Result<Action, Errno> {
    let record = caller.ok_or(Errno::SRCH)?;
    let (pid, privileged) = (record.process.pid(), record.is_root());
    let memory = record.memory().ok_or(Errno::FAULT)?;
    let mut new = [[0_u8; 8]; 2];
    memory
        .read(call.arg(first + 1), new.as_flattened_mut())
        .map_err(|_| Errno::FAULT)?;
    let [soft, hard] = new.map(u64::from_ne_bytes);
    let resource = call.int(first).cast_unsigned();
    let [_, most] = process::limit(pid, resource)?;
    // The kernel does what it allows, and refuses what it would refuse root.
    if !privileged || soft > hard || hard <= most {
        return Ok(Action::Continue);
    }
    // The caller asks for what it can get, of the kernel and for itself: no limit becomes higher
    // than its process could have set it, and no other process is named.
    let possible = [soft.min(most), most].map(u64::to_ne_bytes);
    memory.write(call, call.arg(first + 1), possible.as_flattened())?;
    Ok(Action::Continue)
}
