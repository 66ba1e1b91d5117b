//! Users and groups. One user is mapped, so the kernel would refuse every other; the guest is told that it has become them.

use rustix::io::Errno;

use super::super::guest::Guest;
use super::super::notify::{Action, Call};
use super::super::procs::Record;

/// "Do not change", as `setresuid` and `chown` say it.
const UNCHANGED: u32 = u32::MAX;

fn id(call: &Call, index: usize) -> u32 {
    call.int(index).cast_unsigned()
}

/// `chown` and its kin: done where it is to root, else only checked for the file's existence.
pub fn change_owner(
    guest: &mut Guest<'_>,
    call: &Call,
    path: Option<(Option<usize>, usize)>,
    ids: [usize; 2],
) -> Action {
    if ids
        .iter()
        .all(|index| matches!(id(call, *index), 0 | UNCHANGED))
    {
        return Action::Continue;
    }
    let Some((directory, path)) = path else {
        return Action::Return(0);
    };
    let path = match guest.path(call, directory, path) {
        Ok(path) => path,
        Err(errno) => return errno.into(),
    };
    match guest.look(call, &path, true) {
        // A link whose target is missing may still change its owner.
        Ok(_) | Err(Errno::LOOP) => Action::Return(0),
        Err(_) if call.number() == libc::SYS_lchown => Action::Return(0),
        Err(errno) => errno.into(),
    }
}

/// The calls that read or change the caller's own identity; `None` for any other.
pub fn answer(guest: &mut Guest<'_>, call: &Call) -> Option<Action> {
    let number = call.number();
    let record = guest.caller(call)?;
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
    let ids = if of_group {
        &mut record.gid
    } else {
        &mut record.uid
    };
    match number {
        libc::SYS_getuid | libc::SYS_getgid => {
            Some(ids.map_or(Action::Continue, |ids| Action::Return(i64::from(ids[0]))))
        }
        libc::SYS_geteuid | libc::SYS_getegid => {
            Some(ids.map_or(Action::Continue, |ids| Action::Return(i64::from(ids[1]))))
        }
        libc::SYS_getresuid | libc::SYS_getresgid => {
            let ids = *ids;
            Some(ids.map_or(Action::Continue, |ids| write_ids(record, call, ids)))
        }
        libc::SYS_setuid | libc::SYS_setgid => {
            let now = ids.unwrap_or_default();
            let to = id(call, 0);
            // Root changes all three; anybody else only the effective one.
            *ids = Some(if now[1] == 0 {
                [to; 3]
            } else {
                [now[0], to, now[2]]
            });
            Some(Action::Return(0))
        }
        libc::SYS_setreuid | libc::SYS_setregid => {
            let [real, effective, saved] = changed(
                ids.unwrap_or_default(),
                [id(call, 0), id(call, 1), UNCHANGED],
            );
            *ids = Some([
                real,
                effective,
                if id(call, 0) == UNCHANGED {
                    saved
                } else {
                    effective
                },
            ]);
            Some(Action::Return(0))
        }
        libc::SYS_setresuid | libc::SYS_setresgid => {
            *ids = Some(changed(
                ids.unwrap_or_default(),
                [id(call, 0), id(call, 1), id(call, 2)],
            ));
            Some(Action::Return(0))
        }
        // These return the previous value and have no error.
        libc::SYS_setfsuid | libc::SYS_setfsgid => {
            Some(Action::Return(ids.map_or(0, |ids| i64::from(ids[1]))))
        }
        libc::SYS_setgroups => Some(Action::Return(0)),
        _ => None,
    }
}

fn changed(mut now: [u32; 3], to: [u32; 3]) -> [u32; 3] {
    for (now, to) in now.iter_mut().zip(to) {
        if to != UNCHANGED {
            *now = to;
        }
    }
    now
}

fn write_ids(record: &mut Record, call: &Call, ids: [u32; 3]) -> Action {
    let Some(memory) = record.memory() else {
        return Errno::FAULT.into();
    };
    let written = ids
        .iter()
        .enumerate()
        .all(|(index, id)| memory.write(call.arg(index), &id.to_ne_bytes()).is_ok());
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
        assert_eq!(changed([1, 2, 3], [UNCHANGED, 7, UNCHANGED]), [1, 7, 3]);
    }
}
