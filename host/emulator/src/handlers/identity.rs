//! Users and groups. One user is mapped, so the kernel would refuse every other; the guest is told
//! that it has become them.

use rustix::io::Errno;

use crate::guest::access::{Callers, HasOwners, Paths};
use crate::guest::tree::Found;
use crate::process::call::{Action, Call};
use crate::process::path_arg::PathArg;
use crate::process::record::{Capabilities, Record};

/// "Do not change", as `setresuid` and `chown` say it.
const UNCHANGED: u32 = u32::MAX;

fn id(call: &Call, index: usize) -> u32 {
    call.int(index).cast_unsigned()
}

/// `chown` and its kin: done where it is to root, else only checked for the file's existence.
pub fn change_owner(
    guest: &mut (impl Paths + HasOwners),
    call: &Call,
    file: Option<PathArg>,
    ids: [usize; 2],
) -> Action {
    if ids
        .iter()
        .all(|index| matches!(id(call, *index), 0 | UNCHANGED))
    {
        return Action::Continue;
    }
    let Some(file) = file else {
        let held = guest
            .caller(call)
            .map(|record| record.held_status(call.int(0)));
        if let Some(Ok(status)) = held {
            guest.private().forget(&status);
        }
        return Action::Return(0);
    };
    let path = match guest.path(call, file) {
        Ok(path) => path,
        Err(errno) => return errno.into(),
    };
    match guest.resolve(call, &path, true) {
        Ok(Found::File(_, status)) => {
            guest.private().forget(&status);
            Action::Return(0)
        }
        // A link whose target is missing may still change its owner.
        Ok(_) | Err(Errno::LOOP) => Action::Return(0),
        Err(_) if call.number() == libc::SYS_lchown => Action::Return(0),
        Err(errno) => errno.into(),
    }
}

/// The calls that change the caller's own identity.
pub fn change_own(guest: &mut impl Callers, call: &Call) -> Action {
    if let Some(caller) = call.process {
        guest.procs().meet_children(caller);
    }
    answer(guest.caller(call), call)
}

/// `prctl` by which root keeps its capabilities when it becomes another user.
pub fn keep_rights(guest: &mut impl Callers, call: &Call) -> Action {
    if let Some(record) = guest.caller(call)
        && record.is_root()
    {
        record.capabilities = match call.arg(1) {
            1 => Capabilities::Kept,
            _ => Capabilities::Lost,
        };
    }
    Action::Continue
}

/// The calls that read or change the caller's own identity.
pub fn answer(record: Option<&mut Record>, call: &Call) -> Action {
    let number = call.number();
    let Some(record) = record else {
        return Action::Continue;
    };
    let of_group = matches!(
        number,
        libc::SYS_getgid
            | libc::SYS_getegid
            | libc::SYS_getresgid
            | libc::SYS_setgid
            | libc::SYS_setregid
            | libc::SYS_setresgid
            | libc::SYS_setfsgid
    );
    // Whoever gave root's rights up does not get them back by asking; many a daemon makes sure of
    // it.
    let privileged = record.is_root();
    let ids = if of_group {
        &mut record.gid
    } else {
        &mut record.uid
    };
    match number {
        libc::SYS_getuid | libc::SYS_getgid => {
            ids.map_or(Action::Continue, |ids| Action::Return(i64::from(ids[0])))
        }
        libc::SYS_geteuid | libc::SYS_getegid => {
            ids.map_or(Action::Continue, |ids| Action::Return(i64::from(ids[1])))
        }
        libc::SYS_getresuid | libc::SYS_getresgid => {
            let ids = *ids;
            ids.map_or(Action::Continue, |ids| write_ids(record, call, ids))
        }
        libc::SYS_setuid | libc::SYS_setgid => {
            let to = set(ids.unwrap_or_default(), id(call, 0), privileged);
            change(ids, to)
        }
        libc::SYS_setreuid | libc::SYS_setregid => {
            let to = [id(call, 0), id(call, 1)];
            change(ids, set_two(ids.unwrap_or_default(), to, privileged))
        }
        libc::SYS_setresuid | libc::SYS_setresgid => {
            let to = [id(call, 0), id(call, 1), id(call, 2)];
            change(ids, set_three(ids.unwrap_or_default(), to, privileged))
        }
        // These return the previous value and have no error.
        libc::SYS_setfsuid | libc::SYS_setfsgid => {
            Action::Return(ids.map_or(0, |ids| i64::from(ids[1])))
        }
        libc::SYS_setgroups if !privileged => Errno::PERM.into(),
        libc::SYS_setgroups => Action::Return(0),
        _ => Action::Continue,
    }
}

fn change(ids: &mut Option<[u32; 3]>, to: Result<[u32; 3], Errno>) -> Action {
    match to {
        Ok(to) => {
            *ids = Some(to);
            Action::Return(0)
        }
        Err(errno) => errno.into(),
    }
}

/// `setuid`: root changes all three, anybody else the effective one, back and forth.
fn set(now: [u32; 3], to: u32, privileged: bool) -> Result<[u32; 3], Errno> {
    let [real, _, saved] = now;
    match to {
        UNCHANGED => Err(Errno::INVAL),
        to if privileged => Ok([to; 3]),
        to if to == real || to == saved => Ok([real, to, saved]),
        _ => Err(Errno::PERM),
    }
}

/// `setreuid`, which changes the saved one along.
fn set_two(now: [u32; 3], to: [u32; 2], privileged: bool) -> Result<[u32; 3], Errno> {
    let [real, effective, _] = now;
    if !privileged && ![real, effective, UNCHANGED].contains(&to[0]) {
        return Err(Errno::PERM);
    }
    let mut ids = set_three(now, [to[0], to[1], UNCHANGED], privileged)?;
    if to[0] != UNCHANGED || (to[1] != UNCHANGED && to[1] != real) {
        ids[2] = ids[1];
    }
    Ok(ids)
}

/// `setresuid`.
fn set_three(now: [u32; 3], to: [u32; 3], privileged: bool) -> Result<[u32; 3], Errno> {
    let mut ids = now;
    for (id, to) in ids.iter_mut().zip(to).filter(|(_, to)| *to != UNCHANGED) {
        if !privileged && !now.contains(&to) {
            return Err(Errno::PERM);
        }
        *id = to;
    }
    Ok(ids)
}

fn write_ids(record: &mut Record, call: &Call, ids: [u32; 3]) -> Action {
    let Some(memory) = record.memory() else {
        return Errno::FAULT.into();
    };
    let written = ids.iter().enumerate().all(|(index, id)| {
        memory
            .write(call, call.arg(index), &id.to_ne_bytes())
            .is_ok()
    });
    if written {
        Action::Return(0)
    } else {
        Errno::FAULT.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_one_leaves_an_id_as_it_is() {
        let to = [UNCHANGED, 7, UNCHANGED];
        assert_eq!(set_three([1, 2, 3], to, true), Ok([1, 7, 3]));
        assert_eq!(set([0; 3], UNCHANGED, true), Err(Errno::INVAL));
    }

    #[test]
    fn rights_that_were_given_up_are_gone() {
        let dropped = set([0; 3], 99, true).unwrap();
        assert_eq!(dropped, [99; 3]);
        assert_eq!(set(dropped, 0, false), Err(Errno::PERM));
        assert_eq!(set_two(dropped, [0, UNCHANGED], false), Err(Errno::PERM));
        assert_eq!(set_three(dropped, [99, 99, 0], false), Err(Errno::PERM));
        // Given up for a while only.
        let lent = set_three([0; 3], [UNCHANGED, 99, UNCHANGED], true).unwrap();
        assert_eq!(set(lent, 0, false), Ok([0; 3]));
        assert_eq!(set_two(lent, [99, UNCHANGED], false), Ok([99; 3]));
        assert_eq!(set_two([0, 99, 0], [UNCHANGED, 0], false), Ok([0; 3]));
        assert_eq!(set_two([1, 2, 3], [3, UNCHANGED], false), Err(Errno::PERM));
    }
}
