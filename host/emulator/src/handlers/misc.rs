//! What is left: the end of processes, the machine's clock and power, and what the guest looks for
//! in its boot arguments.

use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::guest::state::Guest;
use crate::process::call::{Action, Call};
use rookery_records::event::{Process, What};

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
pub fn exit(guest: &mut Guest<'_>, call: &Call) -> Action {
    let Some(record) = guest.caller(call) else {
        return Action::Continue;
    };
    let (pid, who, fatal) = (record.process.pid(), record.who.clone(), record.fatal);
    let code = if fatal.is_some() {
        None
    } else {
        Some(call.int(0) & 0xFF)
    };
    guest.report(
        who,
        What::Exit {
            code,
            signal: fatal,
        },
    );
    if pid == guest.init.pid() && guest.has_other_processes() {
        // A script as init starts services and ends. A kernel would panic; the services are what
        // the run is about.
        let detail = format!(
            "init ended with status {}; a kernel would panic, this guest goes on while its other \
             processes live",
            call.int(0) & 0xFF
        );
        guest.report_call(
            call,
            What::Faked {
                syscall: "exit_group",
                detail,
            },
        );
        guest.init_exit = Some(call.clone());
        return Action::Later;
    }
    guest.procs.remove(pid);
    Action::Continue
}

/// How long a reader of the kernel's log waits before it is asked to call again: a signal would not
/// end its wait.
const LOG_WAIT: Duration = Duration::from_secs(3);
/// Readers that wait at most.
const LOG_READERS: usize = 64;

/// `syslog`: the kernel's log is the host's, so the guest sees an empty one.
pub fn kernel_log(guest: &mut Guest<'_>, call: &Call) -> Action {
    const READ: i32 = 2;
    match call.int(0) {
        READ if guest.log_readers.len() < LOG_READERS => {
            guest.log_readers.push((Instant::now(), call.clone()));
            Action::Later
        }
        READ => Errno::INTR.into(),
        // Open and close; reading, clearing and measuring; the console's level.
        0..=10 => Action::Return(0),
        _ => Errno::INVAL.into(),
    }
}

/// Let those who have waited for the kernel's log call again.
pub fn wake_log_readers(guest: &mut Guest<'_>) {
    guest.log_readers.retain(|(since, call)| {
        let waits = since.elapsed() < LOG_WAIT && call.is_valid();
        if !waits {
            call.answer(&Errno::INTR.into());
        }
        waits
    });
}

/// Let init end once nothing else lives.
pub fn release_init(guest: &mut Guest<'_>) {
    if guest.init_exit.is_some()
        && !guest.has_other_processes()
        && let Some(call) = guest.init_exit.take()
    {
        call.answer(&Action::Continue);
    }
}

/// A call that succeeds without effect, and is noted.
pub fn pretend(guest: &mut Guest<'_>, call: &Call, syscall: &'static str, detail: &str) -> Action {
    let detail = detail.to_owned();
    guest.report_call(call, What::Faked { syscall, detail });
    Action::Return(0)
}

/// `reboot`.
pub fn reboot(guest: &mut Guest<'_>, call: &Call) -> Action {
    let command = call.int(2);
    match REBOOTS.iter().find(|(known, _)| *known == command) {
        Some((_, name)) => {
            guest.ended = Some(format!("the guest called reboot ({name})"));
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

/// The caller has opened `/proc/cmdline`: what it and its siblings look for there may be missing.
pub fn reads_command_line(guest: &mut Guest<'_>, call: &Call) {
    let Some(record) = guest.caller(call) else {
        return;
    };
    record.read_cmdline = true;
    let (who, argv) = (record.who.clone(), record.argv.clone());
    missing_variables(guest, &who, &argv);
}

/// A program starts: it may name the variable of the U-Boot environment that it wants.
pub fn looks_for_variables(guest: &mut Guest<'_>, who: &Process, argv: &[String]) {
    if who.name == "fw_printenv" {
        for name in argv
            .iter()
            .skip(1)
            .filter(|argument| !argument.starts_with('-'))
        {
            if !guest.plan.uboot_env.iter().any(|(known, _)| known == name) {
                guest.report(who.clone(), What::EnvMissing { name: name.clone() });
            }
        }
    }
    // `cat /proc/cmdline | grep NAME=`: the filter is a sibling of the reader.
    let in_pipeline = argv
        .iter()
        .any(|argument| argument.contains("/proc/cmdline"));
    let sibling_reads = matches!(
        who.name.as_str(),
        "grep" | "sed" | "awk" | "cut" | "egrep" | "busybox"
    ) && guest.procs.any_sibling(who, |record| {
        record.read_cmdline || record.argv.iter().any(|a| a == "/proc/cmdline")
    });
    if in_pipeline || sibling_reads {
        missing_variables(guest, who, argv);
    }
}

fn missing_variables(guest: &mut Guest<'_>, who: &Process, argv: &[String]) {
    if !guest.plan.record_env {
        return;
    }
    for name in argv
        .iter()
        .skip(1)
        .flat_map(|argument| names_looked_for(argument))
    {
        let appended = guest.plan.kernel_cmdline_append.as_deref();
        let known = guest.plan.env.iter().any(|(known, _)| *known == name)
            || appended.is_some_and(|text| {
                text.split(' ')
                    .any(|word| word.starts_with(&format!("{name}=")))
            })
            || matches!(name.as_str(), "root" | "init" | "console");
        if !known {
            guest.report(who.clone(), What::EnvMissing { name });
        }
    }
}

/// Names that a program text looks for: what stands before an `=`.
fn names_looked_for(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (end, _) in text.match_indices('=') {
        let before = text.get(..end).unwrap_or_default();
        let start = before
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')))
            .map_or(0, |at| at + 1);
        let name = before
            .get(start..)
            .unwrap_or_default()
            .trim_start_matches(['-', '.']);
        if name.len() >= 2
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filters_text_names_what_it_looks_for() {
        for (text, names) in [
            ("board=", &["board"][..]),
            ("s/.*machid=\\([^ ]*\\).*/\\1/", &["machid"]),
            ("-F=", &[]),
            ("/proc/cmdline", &[]),
            ("a=b", &[]),
        ] {
            assert_eq!(names_looked_for(text), names, "{text}");
        }
    }
}
