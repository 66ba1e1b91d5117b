//! Events as rows of `plugins.db`, in the words of Penguin's syscall and exec loggers.
//!
//! The backend does not see the guest's pointers, so they are 0 here; what a pointer leads to is
//! given as Penguin gives it: `filename=0x0("/dev/dsa")`. Strings are not escaped, as they are not
//! there.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::collect::errno;
use crate::event::{self, Operation, What};

/// `AT_FDCWD`, as a 32-bit guest passes it.
const AT_FDCWD: i64 = 0xffff_ff9c;

/// A value and its representation.
pub(super) type Argument = (i64, String);

/// One row of the table `syscall`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Syscall {
    pub(super) name: String,
    /// `None` where the kernel answered unseen.
    pub(super) result: Option<i64>,
    pub(super) arguments: Vec<Argument>,
}

impl Syscall {
    pub(super) fn result_text(&self) -> String {
        self.result.map(errno::describe).unwrap_or_default()
    }
}

/// The syscall that an event stands for, if it stands for one.
pub(super) fn syscall(what: &What) -> Option<Syscall> {
    match what {
        What::Path {
            syscall,
            path,
            flags,
            result,
        } => Some(path_call(syscall, path, *flags, *result)),
        What::Call {
            syscall,
            arguments,
            result,
        } => Some(Syscall {
            name: format!("sys_{syscall}"),
            result: result.map(i64::from),
            arguments: arguments
                .iter()
                .map(|(name, argument)| match argument {
                    event::Argument::Number(value) => number(name, *value),
                    event::Argument::Text(value) => text(name, value),
                })
                .collect(),
        }),
        What::Exec {
            path,
            argv,
            envp,
            result,
        } => Some(Syscall {
            name: "sys_execve".into(),
            result: Some((*result).into()),
            arguments: vec![
                text("filename", path),
                list("argv", argv),
                list("envp", envp),
            ],
        }),
        What::Listen { ip, port, .. } => Some(bind(SocketAddr::new(*ip, *port), 0)),
        What::BindFailed {
            ip, port, result, ..
        } => Some(bind(SocketAddr::new(*ip, *port), *result)),
        What::Mount {
            source,
            target,
            fstype,
            result,
            ..
        } => Some(Syscall {
            name: "sys_mount".into(),
            result: Some((*result).into()),
            arguments: vec![
                text("dev_name", source),
                text("dir_name", target),
                text("type", fstype),
                number("flags", 0),
            ],
        }),
        What::InterfaceMissing {
            name,
            command,
            result,
        } => Some(ioctl("", *command, *result, text("arg", name))),
        What::Unmodelled {
            path,
            operation: Operation::Ioctl { command },
        } => Some(ioctl(path, *command, -libc::ENOTTY, number("arg", 0))),
        What::Signal {
            syscall,
            signal,
            target,
            ..
        } => Some(Syscall {
            name: format!("sys_{syscall}"),
            result: Some(0),
            arguments: vec![
                number("pid", (*target).into()),
                number("sig", (*signal).into()),
            ],
        }),
        What::Repeated { what, .. } => syscall(what),
        _ => None,
    }
}

fn path_call(name: &str, path: &str, flags: i32, result: Option<i32>) -> Syscall {
    let name_of_path = match name {
        "readlink" | "readlinkat" | "truncate" => "path",
        "statfs" | "mkdir" | "mkdirat" | "inotify_add_watch" => "pathname",
        "link" | "linkat" | "symlink" | "symlinkat" | "rename" | "renameat" | "renameat2" => {
            "newname"
        }
        _ => "filename",
    };
    let relative = name.ends_with("at")
        && !matches!(name, "stat" | "lstat" | "fstat" | "newstat" | "newlstat")
        || matches!(name, "openat2" | "statx" | "faccessat2" | "fstatat64");
    let mut arguments = Vec::new();
    if relative {
        arguments.push(number("dfd", AT_FDCWD));
    }
    arguments.push(text(name_of_path, path));
    if name.starts_with("open") {
        arguments.push(number("flags", flags.into()));
        arguments.push(number("mode", 0));
    } else if name.starts_with("access") || name.starts_with("faccess") {
        arguments.push(number("mode", 0));
    } else if name.contains("stat") {
        arguments.push((
            0,
            if name == "statx" {
                "buffer=0x0(struct statx)"
            } else {
                "statbuf=0x0(struct stat)"
            }
            .into(),
        ));
    }
    Syscall {
        name: format!("sys_{name}"),
        result: result.map(i64::from),
        arguments,
    }
}

/// On the file `path`, where it is known.
fn ioctl(path: &str, command: u32, result: i32, argument: Argument) -> Syscall {
    let path = if path.is_empty() { "[???]" } else { path };
    Syscall {
        name: "sys_ioctl".into(),
        result: Some(result.into()),
        arguments: vec![
            (-1, format!("fd=0xffffffff({path})")),
            number("cmd", command.into()),
            argument,
        ],
    }
}

/// Penguin does not say which address it is.
fn bind(address: SocketAddr, result: i32) -> Syscall {
    let fd = (-1, "fd=0xffffffff([???])".to_owned());
    let length = if address.is_ipv6() { 28 } else { 16 };
    let address = text("umyaddr", &address.to_string());
    Syscall {
        name: "sys_bind".into(),
        result: Some(result.into()),
        arguments: vec![fd, address, number("addrlen", length)],
    }
}

fn text(name: &str, value: &str) -> Argument {
    (0, format!("{name}=0x0(\"{value}\")"))
}

fn number(name: &str, value: i64) -> Argument {
    (value, format!("{name}={}", errno::hexadecimal(value)))
}

fn list(name: &str, values: &[String]) -> Argument {
    (0, format!("{name}=0x0({})", python_list(values)))
}

/// `['/bin/sh', '-c']`, as Python writes a list of strings.
pub(super) fn python_list(values: &[String]) -> String {
    let items: Vec<_> = values.iter().map(|value| python_string(value)).collect();
    format!("[{}]", items.join(", "))
}

/// The texts of such a list, also of one whose end was cut off.
pub fn python_texts(list: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = list.chars();
    while let Some(quote) = rest.by_ref().find(|c| matches!(c, '\'' | '"')) {
        let mut text = String::new();
        while let Some(character) = rest.next() {
            match character {
                '\\' => text.extend(escaped(&mut rest)),
                _ if character == quote => break,
                _ => text.push(character),
            }
        }
        texts.push(text);
    }
    texts
}

/// The character that an escape stands for, behind its backslash.
fn escaped(rest: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match rest.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'x' => {
            let digits: String = rest.by_ref().take(2).collect();
            char::from(u8::from_str_radix(&digits, 16).ok()?)
        }
        other => other,
    })
}

/// `{'PATH': '/sbin'}`, as Python writes a dictionary; `variables` are `NAME=value`.
pub(super) fn python_dict(variables: &[String]) -> String {
    let item = |variable: &String| {
        let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
        format!("{}: {}", python_string(name), python_string(value))
    };
    let items: Vec<_> = variables.iter().map(item).collect();
    format!("{{{}}}", items.join(", "))
}

fn python_string(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut quoted = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            _ if character == quote => {
                quoted.push('\\');
                quoted.push(character);
            }
            _ if character.is_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push(quote);
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(syscall: &'static str, result: Option<i32>) -> Syscall {
        path_call(syscall, "/dev/dsa", 2, result)
    }

    #[test]
    fn the_path_stands_where_penguin_has_it() {
        let at_0 = [
            "open", "stat", "stat64", "lstat", "lstat64", "newstat", "access", "readlink", "chdir",
            "mkdir", "unlink", "statfs",
        ];
        let at_1 = [
            "openat",
            "openat2",
            "newfstatat",
            "fstatat64",
            "faccessat",
            "faccessat2",
            "statx",
            "readlinkat",
            "mkdirat",
            "unlinkat",
            "mknodat",
            "execveat",
            "utimensat",
        ];
        for (position, names) in [(0, &at_0[..]), (1, &at_1[..])] {
            for name in names {
                let call = path(name, Some(-2));
                assert!(
                    call.arguments[position].1.ends_with("=0x0(\"/dev/dsa\")"),
                    "{name}: {:?}",
                    call.arguments
                );
                assert_eq!(
                    call.arguments.first().unwrap().1 == "dfd=0xffffff9c",
                    position == 1,
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn a_failed_open_reads_as_in_penguin() {
        let call = path("openat", Some(-2));
        assert_eq!(call.name, "sys_openat");
        assert_eq!(
            (call.result, call.result_text().as_str()),
            (Some(-2), "ENOENT(No such file or directory)")
        );
        let texts: Vec<_> = call
            .arguments
            .iter()
            .map(|(_, text)| text.as_str())
            .collect();
        assert_eq!(
            texts,
            [
                "dfd=0xffffff9c",
                "filename=0x0(\"/dev/dsa\")",
                "flags=0x2",
                "mode=0x0"
            ]
        );
        assert_eq!(path("open", None).result_text(), "");
    }

    #[test]
    fn an_ioctl_without_a_model_names_its_file() {
        let call = syscall(&What::Unmodelled {
            path: "/dev/gpio".into(),
            operation: Operation::Ioctl {
                command: 0x4004_6e01,
            },
        })
        .unwrap();
        assert_eq!((call.name.as_str(), call.result), ("sys_ioctl", Some(-25)));
        let texts: Vec<_> = call.arguments.iter().map(|(_, text)| &**text).collect();
        assert_eq!(
            texts,
            ["fd=0xffffffff(/dev/gpio)", "cmd=0x40046e01", "arg=0x0"]
        );
    }

    #[test]
    fn an_ioctl_on_an_interface_names_it() {
        let call = syscall(&What::InterfaceMissing {
            name: "br0".into(),
            command: 0x8915,
            result: -19,
        })
        .unwrap();
        let texts: Vec<_> = call.arguments.iter().map(|(_, text)| &**text).collect();
        assert_eq!(
            texts,
            ["fd=0xffffffff([???])", "cmd=0x8915", "arg=0x0(\"br0\")"]
        );
    }

    #[test]
    fn strings_are_quoted_as_python_does() {
        let strings = ["plain", "it's", "\"both\" it's", "tab\tline\n\u{1}\\"].map(str::to_owned);
        assert_eq!(
            python_list(&strings),
            r#"['plain', "it's", '"both" it\'s', 'tab\tline\n\x01\\']"#
        );
        assert_eq!(python_texts(&python_list(&strings)), strings);
        assert_eq!(python_texts("['/bin/sh', '/etc/in"), ["/bin/sh", "/etc/in"]);
        let variables = ["PATH=/sbin:/bin", "sxid=", "odd"].map(str::to_owned);
        assert_eq!(
            python_dict(&variables),
            "{'PATH': '/sbin:/bin', 'sxid': '', 'odd': ''}"
        );
    }
}
