//! What a file is to `execve`: an ELF program of some architecture, a script, or neither.

use crate::qemu::arch::Arch;

/// The kernel looks at this much of a file.
pub const HEADER: usize = 256;

/// What the first bytes of a file make of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program for an architecture that qemu runs.
    Elf {
        /// Its architecture.
        arch: &'static Arch,
        /// The processor to emulate, where the emulator's own choice lacks what firmware is
        /// compiled for.
        cpu: Option<&'static str>,
    },
    /// A script, with its interpreter and the one argument that may follow it.
    Script {
        /// The interpreter's path, as written.
        interpreter: Vec<u8>,
        /// Everything after it on the line.
        argument: Option<Vec<u8>>,
    },
    /// `ENOEXEC`.
    Unknown,
}

/// Recognise a file by its first [`HEADER`] bytes, as the kernel does.
pub fn recognise(header: &[u8]) -> Kind {
    if let Some(arch) = Arch::of_elf(header) {
        let cpu = arch.cpu(header);
        return Kind::Elf { arch, cpu };
    }
    let Some(line) = header.strip_prefix(b"#!") else {
        return Kind::Unknown;
    };
    let line = match line.iter().position(|byte| *byte == b'\n') {
        Some(end) => line.get(..end).unwrap_or_default(),
        // A line that is cut off is taken only where the interpreter's path is complete.
        None if header.len() >= HEADER && !trim(line).iter().any(|byte| is_blank(*byte)) => {
            return Kind::Unknown;
        }
        None => line,
    };
    let line = trim(line);
    let line = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let end = line
        .iter()
        .position(|byte| is_blank(*byte))
        .unwrap_or(line.len());
    let (interpreter, rest) = line.split_at(end);
    if interpreter.is_empty() {
        return Kind::Unknown;
    }
    let argument = Some(trim(rest))
        .filter(|rest| !rest.is_empty())
        .map(<[u8]>::to_vec);
    Kind::Script {
        interpreter: interpreter.to_vec(),
        argument,
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim(mut line: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = line
        && is_blank(*first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && is_blank(*last)
    {
        line = rest;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(interpreter: &str, argument: Option<&str>) -> Kind {
        Kind::Script {
            interpreter: interpreter.into(),
            argument: argument.map(Into::into),
        }
    }

    #[test]
    fn shebang_lines_are_read_as_the_kernel_reads_them() {
        for (text, expected) in [
            ("#!/bin/sh\necho", script("/bin/sh", None)),
            ("#! /bin/sh -e \necho", script("/bin/sh", Some("-e"))),
            (
                "#!/bin/sh /etc/rc.common\n",
                script("/bin/sh", Some("/etc/rc.common")),
            ),
            (
                "#!/usr/bin/env  a  b\t\n",
                script("/usr/bin/env", Some("a  b")),
            ),
            ("#!sh", script("sh", None)),
            ("#!/bin/sh\r\n", script("/bin/sh\r", None)),
            ("#!\n/bin/sh", Kind::Unknown),
            ("#!   \n", Kind::Unknown),
            ("#", Kind::Unknown),
            ("", Kind::Unknown),
            ("echo hello\n", Kind::Unknown),
        ] {
            assert_eq!(recognise(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_path_that_is_cut_off_is_not_executed() {
        let long = format!("#!/{}", "a".repeat(400));
        assert_eq!(recognise(&long.as_bytes()[..HEADER]), Kind::Unknown);
        let long = format!("#!/bin/sh {}", "a".repeat(400));
        assert_eq!(
            recognise(&long.as_bytes()[..HEADER]),
            script("/bin/sh", Some(&"a".repeat(HEADER - 10)))
        );
    }
}
