//! The end of processes, and of the guest.

use rookery_records::event::What;
use rustix::io::Errno;

use crate::guest::access::{Ends, HasRespawns, Reports};
use crate::guest::reboot::Reboot;
use crate::process::call::{Action, Call};

/// Commands of `reboot` that say whether Ctrl-Alt-Del reboots: every init gives one, and there is
/// no keyboard.
const CTRL_ALT_DEL: [i32; 2] = [
    libc::LINUX_REBOOT_CMD_CAD_OFF,
    libc::LINUX_REBOOT_CMD_CAD_ON,
];

/// Commands of `reboot` that end the machine.
const REBOOTS: &[(i32, &str)] = &[
    (libc::LINUX_REBOOT_CMD_RESTART, "reboot"),
    (libc::LINUX_REBOOT_CMD_HALT, "halt"),
    (libc::LINUX_REBOOT_CMD_POWER_OFF, "power-off"),
    (libc::LINUX_REBOOT_CMD_RESTART2, "reboot with a command"),
];

/// `exit_group`.
pub fn exit(guest: &mut (impl Reports + Ends + HasRespawns), call: &Call) -> Action {
    let Some(record) = guest.caller(call) else {
        return Action::Continue;
    };
    // A group of its own to the guest, and no more than a thread to the host: it ends by the `exit`
    // that every library calls where there is no `exit_group`.
    if record.is_in_own_thread() {
        if let Some(number) = record.thread_number() {
            let [status, ..] = call.int(0).to_le_bytes();
            record.threads.will_end(number, status);
        }
        return Errno::NOSYS.into();
    }
    let (pid, who, fatal) = (record.process.pid(), record.who.clone(), record.fatal);
    let (start, argv) = (record.start, record.argv.clone());
    let unstarted = record.unstarted.take();
    let code = if fatal.is_some() {
        None
    } else {
        Some(call.int(0) & 0xFF)
    };
    let note = match unstarted {
        Some((key, argv)) => guest.never_started(&argv, key),
        None => guest.program_ended(&argv, start, code != Some(0)),
    };
    if let Some(note) = note {
        guest.report(who.clone(), note);
    }
    guest.report(
        who,
        What::Exit {
            code,
            signal: fatal,
        },
    );
    if pid == guest.init().pid() && guest.has_other_processes() {
        // A script as init starts services and ends. A kernel would panic; the services are what
        // the run is about.
        let detail = format!(
            "init ended with status {}; a real kernel would panic, but this guest runs on while it \
             has other processes",
            call.int(0) & 0xFF
        );
        guest.report_call(
            call,
            What::Faked {
                syscall: "exit_group",
                detail,
            },
        );
        guest.hold_init(call.clone());
        return Action::Later;
    }
    guest.procs().remove(pid);
    Action::Continue
}

/// Who calls, who began that, and so on: `reboot -f (pid 45), begun by sh /etc/rc (pid 12), …`.
fn callers(guest: &mut impl Reports, call: &Call) -> String {
    const CALLERS_MAX: usize = 8;
    const WORDS_MAX: usize = 80;
    let mut all = Vec::new();
    let mut pid = guest.who(call).pid;
    while let Some(record) = guest.procs().by_guest_pid(pid)
        && all.len() < CALLERS_MAX
    {
        let words: String = record.argv.join(" ").chars().take(WORDS_MAX).collect();
        all.push(format!("{} (pid {pid})", words.escape_debug()));
        pid = record.who.ppid;
    }
    all.join(", begun by ")
}

/// `reboot`.
///
/// The caller is not answered: the guest starts again, with all that it wrote to its files, or the
/// run ends.
pub fn reboot(guest: &mut (impl Reports + Ends), call: &Call) -> Action {
    if !guest.caller(call).is_some_and(|record| record.is_root()) {
        return Errno::PERM.into();
    }
    let command = call.int(2);
    match REBOOTS.iter().find(|(known, _)| *known == command) {
        Some((_, name)) => {
            let what = format!("the guest called reboot ({name}): {}", callers(guest, call));
            let program = guest.who(call).program;
            guest.reboot(Reboot::new(what, program, call.clone()));
            return Action::Later;
        }
        None if CTRL_ALT_DEL.contains(&command) => {}
        None => guest.report_call(
            call,
            What::Faked {
                syscall: "reboot",
                detail: format!("command {command:#x}"),
            },
        ),
    }
    Action::Return(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Part;

    #[test]
    fn init_waits_with_its_end_for_what_it_started() {
        let mut guest = Part::new(|_| ());
        let exit = guest.call(libc::SYS_exit_group, &[3]);
        guest.others_live = true;
        assert!(matches!(super::exit(&mut guest, &exit), Action::Later));
        assert!(guest.held.take().is_some());
        let status = |what: &What| matches!(what, What::Exit { code: Some(3), .. });
        assert!(guest.reported.first().is_some_and(status));
        guest.others_live = false;
        assert!(matches!(super::exit(&mut guest, &exit), Action::Continue));
        assert!(guest.held.is_none());
    }

    #[test]
    fn a_reboot_says_who_asked_for_it_and_what_every_init_asks_does_not_reboot() {
        let mut guest = Part::new(|_| ());
        let mut reboot = |command: i32| {
            let command = u64::from(command.cast_unsigned());
            let call = guest.call(libc::SYS_reboot, &[0, 0, command]);
            let action = super::reboot(&mut guest, &call);
            (action, guest.reboot.take(), guest.reported.pop())
        };
        let nothing = reboot(libc::LINUX_REBOOT_CMD_CAD_OFF);
        assert!(matches!(nothing, (Action::Return(0), None, None)));
        let unknown = reboot(7);
        assert!(matches!(
            unknown,
            (Action::Return(0), None, Some(What::Faked { .. }))
        ));
        let (action, reboot, _) = reboot(libc::LINUX_REBOOT_CMD_RESTART);
        assert!(matches!(action, Action::Later));
        let what = reboot.unwrap().what().to_owned();
        let own = format!("(pid {})", std::process::id());
        assert!(
            what.starts_with("the guest called reboot (reboot): "),
            "{what}"
        );
        assert!(what.contains(&own), "{what}");
    }
}
