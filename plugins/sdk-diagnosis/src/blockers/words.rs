//! Blockers in words.

use crate::blockers::cause::{Cause, State};
use crate::blockers::subject::Subject;
use crate::timeline::{Failure, Process, Timeline};

/// Bytes of a line of evidence.
pub const LINE: usize = 200;

/// What happened: never a word of the guest's.
pub fn sentence(cause: &Cause) -> &'static str {
    use Subject::{
        Address, BootArgument, Call, Device, Directory, File, Interface, InterfaceAddress, Ioctl,
        Library, NvramKey, Peer, Program,
    };
    match (cause.state, &cause.subject) {
        (State::Waits, Some(Interface(_))) => {
            "A program waits for a network interface that does not exist."
        }
        (_, Some(Interface(_))) => "A program asked for a network interface that does not exist.",
        (State::Waits, Some(InterfaceAddress(_))) => {
            "A program waits until a network interface has an address, and none gives it one."
        }
        (_, Some(InterfaceAddress(_))) => {
            "A program asked for the address of a network interface that has none."
        }
        (State::Waits, Some(Peer(_))) => {
            "A program waits for a service at an address at which nobody listens."
        }
        (State::Waits, Some(_)) => "A program asks for the same thing again and again.",
        (State::Waits, None) => "A program waits.",
        (State::HoldsUp, _) => {
            "A script does not go on: it waits for the end of a program that does not end."
        }
        (State::Starting, _) => "The boot was still going on when the run ended.",
        (State::Rebooted, None) => "The firmware rebooted itself.",
        (State::Rebooted, Some(_)) => {
            "The firmware rebooted itself after it did not get what it asked for."
        }
        (State::Crashed, None) => "A program crashed.",
        (State::Crashed, Some(_)) => "A program crashed after it did not get what it asked for.",
        (State::Killed, _) => "A service was killed by a signal of another program.",
        (State::Complained, Some(BootArgument(_))) => {
            "A boot argument or a variable that is not set is complained of."
        }
        (State::Complained, Some(NvramKey(_))) => {
            "A key of the NVRAM that is not set is complained of."
        }
        (State::Complained, _) => {
            "A program did not get what it asked for, and the console tells of it; whether that \
             stopped it was not recorded."
        }
        (State::Ended, None) => "A program that the boot needs ended.",
        (State::Ended, Some(Device(_))) => "A program ended after it did not find a device.",
        (State::Ended, Some(Ioctl(_))) => {
            "A program ended after a device did not take its command (ioctl)."
        }
        (State::Ended, Some(File(_))) => "A program ended after it did not find a file.",
        (State::Ended, Some(Directory(_))) => "A program ended after it did not find a directory.",
        (State::Ended, Some(Library(_))) => {
            "A program could not start: a library that it needs is missing."
        }
        (State::Ended, Some(Program(_))) => {
            "A program that was to be started is missing, or cannot be executed."
        }
        (State::Ended, Some(Peer(_))) => {
            "A program ended after nobody answered at the address that it asked."
        }
        (State::Ended, Some(Address(_))) => {
            "A service ended because no interface has the address at which it wants to listen."
        }
        (_, Some(BootArgument(_))) => {
            "A program ended and complained of a boot argument that is not set."
        }
        (_, Some(NvramKey(_))) => {
            "A program ended and complained of a key of the NVRAM that is not set."
        }
        (State::Ended, Some(Call(_))) => "A program ended after a call that is not to be had here.",
    }
}

/// What was seen of it, with its times.
pub fn evidence(timeline: &Timeline, cause: &Cause, process: &Process) -> Vec<String> {
    let name = process.name();
    let mut lines = Vec::new();
    if let Some(failure) = &cause.failure {
        lines.push(failed(failure, name));
    }
    lines.push(match (&process.end, cause.state) {
        (Some(end), _) => match &end.signal {
            Some(signal) => format!("{}: {name} died of {signal}", seconds(end.at)),
            None => format!("{}: {name} ended with {}", seconds(end.at), end.code),
        },
        (None, _) => format!(
            "{}: {name} was started; it was still there at {}",
            seconds(process.started),
            seconds(timeline.over)
        ),
    });
    for kill in timeline
        .kills
        .iter()
        .rev()
        .filter(|kill| kill.target == process.pid)
        .take(1)
    {
        let alive = |one: &&Process| one.pid == kill.pid && one.started <= kill.at;
        let sender = timeline.processes.iter().rfind(alive);
        lines.push(format!(
            "{}: {} ({}) sent it signal {}",
            seconds(kill.at),
            sender.map_or("a program", |sender| sender
                .script()
                .unwrap_or(sender.name())),
            kill.pid,
            kill.signal
        ));
    }
    lines.into_iter().map(|line| cut(&line, LINE)).collect()
}

fn failed(failure: &Failure, name: &str) -> String {
    let again = if failure.times > 1 {
        format!(", {} times until {}", failure.times, seconds(failure.last))
    } else {
        String::new()
    };
    format!(
        "{}: {}{again}",
        seconds(failure.first),
        called(failure, name)
    )
}

/// The call in words, without its time.
pub fn called(failure: &Failure, name: &str) -> String {
    let call = failure.call.strip_prefix("sys_").unwrap_or(&failure.call);
    let about = if failure.path.is_empty() {
        let about = failure
            .arguments
            .iter()
            .map(|text| quoted(text).unwrap_or(text));
        about.collect::<Vec<_>>().join(" ")
    } else {
        failure.path.clone()
    };
    format!("{name} called {call} {about}: {}", errno(failure.errno))
}

/// The text in `arg=0x0("br0")`.
fn quoted(argument: &str) -> Option<&str> {
    argument.split_once("(\"")?.1.strip_suffix("\")")
}

/// A time since init was started.
pub fn seconds(milliseconds: i64) -> String {
    format!("{}.{:02} s", milliseconds / 1000, milliseconds % 1000 / 10)
}

/// As `errno(3)` names it on Linux.
fn errno(number: i64) -> String {
    let name = match -number {
        1 => "EPERM",
        2 => "ENOENT",
        6 => "ENXIO",
        8 => "ENOEXEC",
        11 => "EAGAIN",
        12 => "ENOMEM",
        13 => "EACCES",
        16 => "EBUSY",
        17 => "EEXIST",
        19 => "ENODEV",
        20 => "ENOTDIR",
        22 => "EINVAL",
        25 => "ENOTTY",
        28 => "ENOSPC",
        30 => "EROFS",
        38 => "ENOSYS",
        92 => "ENOPROTOOPT",
        97 => "EAFNOSUPPORT",
        98 => "EADDRINUSE",
        99 => "EADDRNOTAVAIL",
        111 => "ECONNREFUSED",
        _ => return format!("error {}", -number),
    };
    name.to_owned()
}

/// At most so many bytes.
pub fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes)])
}
