//! What the launcher is told to execute in a program's place: its emulator, and how that is called.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;

use crate::guest::access::{HasEmulators, HasPlan};
use crate::qemu::emulator::{DEFAULT_KERNEL_RELEASE, GUEST_BASE, LOG_PATH, Qemu};

/// What is executed for an `execve`.
#[derive(Debug)]
pub enum Resolved {
    /// A program under its emulator.
    Program {
        qemu: Qemu,
        cpu: Option<&'static str>,
        path: Vec<u8>,
        argv: Vec<Vec<u8>>,
        /// Of the program's file: it may give its owner's rights.
        mode: u32,
        /// The library that it loads before its own.
        library: Option<Rc<OwnedFd>>,
    },
    /// Nothing: it prints something and ends at once with this status.
    Exit(u64, String),
}

/// The emulator's options.
pub fn options<'a>(
    guest: &mut (impl HasPlan<'a> + HasEmulators<'a>),
    qemu: &Qemu,
    cpu: Option<&str>,
) -> Vec<(&'static str, String)> {
    let release = guest.plan().kernel_release.as_deref();
    let log = if guest.emulators().logs_calls(qemu) {
        "unimp,strace"
    } else {
        "unimp"
    };
    let mut options = vec![
        ("-r", release.unwrap_or(DEFAULT_KERNEL_RELEASE).to_owned()),
        ("-d", log.to_owned()),
        ("-D", LOG_PATH.to_owned()),
    ];
    let cpu = guest.emulators().cpu(qemu).or(cpu);
    options.extend(cpu.map(|cpu| ("-cpu", cpu.to_owned())));
    let stack = guest.emulators().stack(qemu);
    options.extend(stack.map(|bytes| ("-s", bytes.to_string())));
    if qemu.arch.is_32_bit() && guest.emulators().is_taught() {
        options.push(("-B", format!("{GUEST_BASE:#x}")));
    }
    options
}

/// How qemu is called for a program.
pub fn command_line(
    name: &str,
    options: Vec<(&str, String)>,
    path: &[u8],
    argv: &[Vec<u8>],
) -> Vec<Vec<u8>> {
    // The first word is for the supervisor, which recognises a forked process by it.
    let mut words: Vec<Vec<u8>> = vec![format!("/{name}").into_bytes()];
    let options = options.into_iter();
    words.extend(options.flat_map(|(name, value)| [name.into(), value.into()]));
    words.extend([
        b"-0".to_vec(),
        argv.first().map_or(path, Vec::as_slice).to_vec(),
    ]);
    words.push(path.to_vec());
    words.extend(argv.iter().skip(1).cloned());
    words
}

/// What the launcher reads; see `launcher/main.rs`.
pub fn blob(resolved: &Resolved, command: &[Vec<u8>], envp: &[Vec<u8>]) -> Vec<u8> {
    let (program, command, envp): (String, &[Vec<u8>], Vec<&Vec<u8>>) = match resolved {
        Resolved::Exit(status, prints) => {
            let (none, status) = (0_u64.to_ne_bytes(), status.to_ne_bytes());
            return [&none[..], &status, prints.as_bytes()].concat();
        }
        // qemu would take its own variables from the guest's environment.
        Resolved::Program { qemu, .. } => (
            qemu.guest_path(),
            command,
            envp.iter().filter(|v| !v.starts_with(b"QEMU_")).collect(),
        ),
    };
    let mut blob = [
        (command.len() as u64).to_ne_bytes(),
        (envp.len() as u64).to_ne_bytes(),
    ]
    .concat();
    let mut add = |string: &[u8]| {
        blob.extend_from_slice(string);
        blob.push(0);
    };
    add(program.as_bytes());
    for string in command.iter().chain(envp) {
        add(string);
    }
    blob
}

/// A file that holds what the launcher reads.
pub fn memory_file(contents: &[u8]) -> Result<OwnedFd, Errno> {
    let fd = rustix::fs::memfd_create("exec", MemfdFlags::CLOEXEC)?;
    let mut written = 0;
    while let Some(rest) = contents.get(written..).filter(|rest| !rest.is_empty()) {
        written += rustix::io::pwrite(&fd, rest, written as u64)?;
    }
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::testing::Part;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(Into::into).collect()
    }

    #[test]
    fn the_emulator_is_told_the_programs_own_first_word() {
        let options = vec![("-r", "4.4".to_owned())];
        let command = command_line("httpd", options, b"/usr/sbin/httpd", &words("webs -p 80"));
        assert_eq!(
            command,
            words("/httpd -r 4.4 -0 webs /usr/sbin/httpd -p 80")
        );
    }

    #[test]
    fn the_guests_environment_cannot_steer_the_emulator() {
        let Some(qemu) = Qemu::all().into_iter().next() else {
            panic!("a qemu-user is installed where this is tested");
        };
        let program = Resolved::Program {
            qemu,
            cpu: None,
            path: b"/bin/a".to_vec(),
            argv: words("a"),
            mode: 0,
            library: None,
        };
        let blob = blob(&program, &words("/a"), &words("A=1 QEMU_STRACE=1 B=2"));
        assert_eq!(&blob[8..16], &2_u64.to_ne_bytes());
        assert!(blob.ends_with(b"\0/a\0A=1\0B=2\0"));
    }

    #[test]
    fn the_plans_kernel_release_is_the_guests() {
        let mut guest = Part::new(|plan| plan.kernel_release = Some("2.6.31".into()));
        let Some(qemu) = Qemu::all().into_iter().next() else {
            panic!("a qemu-user is installed where this is tested");
        };
        let options = options(&mut guest, &qemu, Some("cortex-a9"));
        assert_eq!(options[0], ("-r", "2.6.31".to_owned()));
        assert_eq!(options.last(), Some(&("-cpu", "cortex-a9".to_owned())));
    }
}
