//! What the library of the guest's programs asks (`host/emulator/guest-library/call.h`): by a
//! `readlink` of a path that only the supervisor answers, whose buffer holds the question.

pub mod driver;

use std::rc::Rc;

use rookery_records::event::{NvramOperation, NvramOrigin, What};
use rustix::io::Errno;

use crate::guest::access::{HasNvram, HasPlan, Reports};
use crate::guest::nvram::{KEY_MAX, VALUE_MAX};
use crate::process::call::{Action, Call};
use crate::process::memory::{self, Memory};
use crate::process::path_arg::PathArg;

/// What the paths begin with.
pub const QUESTIONS: &str = "/.rookery/nvram/";

/// What a question, or the list of all values, may take.
const BUFFER_MAX: usize = 1 << 20;

/// The caller's buffer.
struct Buffer {
    memory: Rc<Memory>,
    address: u64,
    size: usize,
}

impl Buffer {
    fn of(guest: &mut impl Reports, call: &Call, link: PathArg) -> Result<Self, Errno> {
        let size = usize::try_from(call.arg(link.after(2))).unwrap_or(usize::MAX);
        Ok(Self {
            memory: guest.memory(call).ok_or(Errno::FAULT)?,
            address: call.arg(link.after(1)),
            size: size.min(BUFFER_MAX),
        })
    }

    /// The string in it.
    fn string(&self) -> Result<Vec<u8>, Errno> {
        let string = self.memory.string(self.address, self.size.min(KEY_MAX) + 1);
        string.ok_or(Errno::INVAL)
    }

    /// The two strings in it, one after the other.
    fn strings(&self) -> Result<(Vec<u8>, Vec<u8>), Errno> {
        let key = self.string()?;
        let after = self.address + key.len() as u64 + 1;
        let value = self.memory.string(after, VALUE_MAX + 1);
        Ok((key, value.ok_or(Errno::NOSPC)?))
    }

    /// Answer with these bytes, of which the caller gets as many as have room, and their number.
    fn answer(&self, call: &Call, bytes: &[u8]) -> Action {
        let fits = bytes.get(..self.size).unwrap_or(bytes);
        match self.memory.write(call, self.address, fits) {
            Ok(()) => Action::Return(i64::try_from(bytes.len()).unwrap_or(i64::MAX)),
            Err(errno) => errno.into(),
        }
    }
}

/// The library asks.
pub fn answer<'a>(
    guest: &mut (impl Reports + HasNvram + HasPlan<'a>),
    call: &Call,
    question: &str,
    link: PathArg,
) -> Action {
    let answered = Buffer::of(guest, call, link).and_then(|buffer| match question {
        "get" => get(guest, call, &buffer),
        "set" => set(guest, call, &buffer),
        "unset" => unset(guest, call, &buffer),
        "all" => Ok(buffer.answer(call, &guest.nvram().all(buffer.size))),
        "clear" => {
            clear(guest, call);
            Ok(Action::Return(0))
        }
        "reset" => {
            guest.nvram().reset();
            Ok(Action::Return(0))
        }
        // It lasts for the run, written down or not.
        "commit" => Ok(Action::Return(0)),
        "compared" => compared(guest, call, &buffer),
        "getenv" => looked_for(guest, call, &buffer),
        _ => Err(Errno::NOENT),
    });
    answered.unwrap_or_else(Action::from)
}

fn get(
    guest: &mut (impl Reports + HasNvram),
    call: &Call,
    buffer: &Buffer,
) -> Result<Action, Errno> {
    let key = buffer.string()?;
    let value = guest.nvram().get(&key).map(<[u8]>::to_vec);
    let operation = match value {
        Some(_) => NvramOperation::Hit,
        None => NvramOperation::Miss,
    };
    report(guest, call, operation, &key, b"");
    let value = value.ok_or(Errno::NOENT)?;
    Ok(buffer.answer(call, &value))
}

fn set(
    guest: &mut (impl Reports + HasNvram),
    call: &Call,
    buffer: &Buffer,
) -> Result<Action, Errno> {
    let (key, value) = buffer.strings()?;
    if !guest.nvram().set(&key, &value) {
        return Err(Errno::NOSPC);
    }
    report(guest, call, NvramOperation::Set, &key, &value);
    Ok(Action::Return(0))
}

fn unset(
    guest: &mut (impl Reports + HasNvram),
    call: &Call,
    buffer: &Buffer,
) -> Result<Action, Errno> {
    remove(guest, call, &buffer.string()?);
    Ok(Action::Return(0))
}

/// Firmware that restores its defaults removes a hundred thousand keys that there may be.
fn remove(guest: &mut (impl Reports + HasNvram), call: &Call, key: &[u8]) {
    if guest.nvram().unset(key) {
        report(guest, call, NvramOperation::Clear, key, b"");
    }
}

fn clear(guest: &mut (impl Reports + HasNvram), call: &Call) {
    guest.nvram().clear();
    report(guest, call, NvramOperation::Clear, b"*", b"");
}

/// It was compared with the value that is looked for.
fn compared(guest: &mut impl Reports, call: &Call, buffer: &Buffer) -> Result<Action, Errno> {
    let value = memory::text(&buffer.string()?);
    guest.report_call(call, What::Compared { value });
    Ok(Action::Return(0))
}

/// A variable of the environment that is not there.
fn looked_for<'a>(
    guest: &mut (impl Reports + HasPlan<'a>),
    call: &Call,
    buffer: &Buffer,
) -> Result<Action, Errno> {
    if guest.plan().record_env {
        let name = memory::text(&buffer.string()?);
        guest.report_call(call, What::EnvMissing { name });
    }
    Err(Errno::NOENT)
}

fn report(
    guest: &mut (impl Reports + HasNvram),
    call: &Call,
    operation: NvramOperation,
    key: &[u8],
    value: &[u8],
) {
    let text = memory::text(key);
    // Programs that take any answer for a text crash right after.
    if operation == NvramOperation::Miss
        && let Some(record) = guest.caller(call)
    {
        let missed = -Errno::NOENT.raw_os_error();
        record.asked("nvram_get", &text, Some(missed));
    }
    let what = What::Nvram {
        operation,
        key: text,
        value: memory::text(value),
        origin: match operation {
            NvramOperation::Clear => Some(NvramOrigin::Guest),
            _ => guest.nvram().origin(key),
        },
    };
    guest.report_call(call, what);
}
