//! Programs whose work qemu-user cannot pass on to any kernel: they succeed without effect.

use crate::guest::access::{Callers, HasDevices};
use crate::handlers::listed;
use crate::kernel::paths;
use crate::process::call::Call;
use crate::process::memory;

/// With the system call that they are for.
const PROGRAMS: &[(&str, &str)] = &[
    ("insmod", "init_module"),
    ("modprobe", "init_module"),
    ("rmmod", "delete_module"),
    ("kmodloader", "init_module"),
    ("depmod", "init_module"),
    ("iptables", "setsockopt"),
    ("ip6tables", "setsockopt"),
    ("iptables-restore", "setsockopt"),
    ("ip6tables-restore", "setsockopt"),
    ("iptables-save", "setsockopt"),
    ("ip6tables-save", "setsockopt"),
    ("ebtables", "setsockopt"),
    ("ebtables-restore", "setsockopt"),
    ("ebtables-save", "setsockopt"),
    ("arptables", "setsockopt"),
    ("arptables-restore", "setsockopt"),
    ("ipset", "setsockopt"),
    ("tc", "setsockopt"),
    ("ipvsadm", "setsockopt"),
    ("fw3", "setsockopt"),
    ("nft", "setsockopt"),
];

/// What `/proc/modules` may come to hold.
const MODULES_MAX: usize = 16 * 1024;

/// One of these programs as it was called.
#[derive(Debug, PartialEq, Eq)]
pub struct Called {
    name: &'static str,
    /// The system call that it would have made.
    pub syscall: &'static str,
    arguments: Vec<String>,
}

/// Whether a path names busybox.
pub fn names_busybox(path: &str) -> bool {
    paths::basename(path).starts_with("busybox")
}

/// Whether `path` leads the caller to busybox.
pub fn is_busybox(guest: &mut impl Callers, call: &Call, path: &str) -> bool {
    let found = guest.view(call).and_then(|view| view.find(path).ok());
    let real = found.and_then(paths::of_descriptor);
    names_busybox(real.as_deref().unwrap_or(path))
}

/// What of several programs in one file, such as `xtables-nft-multi`, says which one is meant: the
/// ending that tells how the tables are reached is left out.
fn plain(name: &str) -> String {
    name.replace("-legacy", "").replace("-nft", "")
}

/// Whether a file holds several of these programs, by its name.
fn holds_several(name: &str) -> bool {
    name.starts_with("xtables") && name.ends_with("multi")
}

/// Whether the program at `path` is one of these, under its own name or as an applet of busybox.
pub fn called(path: &str, busybox: bool, argv: &[Vec<u8>]) -> Option<Called> {
    let argv: Vec<String> = argv.iter().map(|word| memory::text(word)).collect();
    let word = |index: usize| argv.get(index).map_or("", |word| paths::basename(word));
    let known = |name: &str| {
        let name = plain(name);
        PROGRAMS.iter().find(|(known, _)| *known == name)
    };
    let own = known(paths::basename(path)).map(|program| (program, 1));
    let several = holds_several(paths::basename(path));
    let ((name, syscall), first) = match own {
        None if several && holds_several(word(0)) => (known(word(1))?, 2),
        None if several => (known(word(0))?, 1),
        None if busybox && names_busybox(word(0)) => (known(word(1))?, 2),
        None if busybox => (known(word(0))?, 1),
        own => own?,
    };
    Some(Called {
        name,
        syscall,
        arguments: argv.iter().skip(first).cloned().collect(),
    })
}

impl Called {
    /// What it prints.
    pub fn prints(&self) -> String {
        listed::printed(self.name, &self.arguments)
    }

    /// Let `/proc/modules` show what was loaded and unloaded.
    pub fn show(&self, guest: &mut impl HasDevices) {
        let Some(modules) = guest.devices().modules() else {
            return;
        };
        let mut names = self
            .arguments
            .iter()
            .filter(|argument| !argument.starts_with('-'))
            .filter_map(|argument| module_name(argument));
        let removes = self.arguments.iter().any(|argument| argument == "-r");
        match self.name {
            "insmod" | "modprobe" if !removes => {
                if let Some(name) = names.next() {
                    load(modules, &name);
                }
            }
            "rmmod" | "modprobe" => names.for_each(|name| unload(modules, &name)),
            _ => {}
        }
    }
}

/// The name of the module in a file, or of one that is named as such.
fn module_name(argument: &str) -> Option<String> {
    let name = paths::basename(argument)
        .split('.')
        .next()?
        .replace('-', "_");
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    ((1..=56).contains(&name.len()) && name.bytes().all(is_name)).then_some(name)
}

fn load(modules: &mut Vec<u8>, name: &str) {
    unload(modules, name);
    if modules.len() < MODULES_MAX {
        // The newest comes first.
        let line = format!("{name} 16384 0 - Live 0x0000000000000000\n");
        modules.splice(0..0, line.into_bytes());
    }
}

fn unload(modules: &mut Vec<u8>, name: &str) {
    let start = [name.as_bytes(), b" "].concat();
    *modules = modules
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(&start))
        .flatten()
        .copied()
        .collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str, busybox: bool, line: &str) -> Option<&'static str> {
        let argv: Vec<Vec<u8>> = line
            .split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect();
        called(path, busybox, &argv).map(|called| called.name)
    }

    #[test]
    fn a_program_is_known_by_its_name_and_an_applet_by_how_it_is_called() {
        assert_eq!(name("/sbin/insmod", true, "anything a.ko"), Some("insmod"));
        assert_eq!(
            name("/bin/busybox", true, "/sbin/insmod a.ko"),
            Some("insmod")
        );
        assert_eq!(name("/bin/busybox", true, "busybox rmmod a"), Some("rmmod"));
        for (path, line) in [
            ("/usr/sbin/iptables-legacy", "iptables-legacy -L"),
            (
                "/usr/sbin/xtables-nft-multi",
                "xtables-nft-multi iptables -L",
            ),
            ("/usr/sbin/xtables-multi", "iptables -L"),
        ] {
            assert_eq!(name(path, false, line), Some("iptables"));
        }
        assert_eq!(name("/usr/sbin/xtables-nft-multi", false, "nothing"), None);
        assert_eq!(name("/sbin/tc", false, "tc qdisc show"), Some("tc"));
        assert_eq!(name("/bin/busybox", true, "busybox"), None);
        assert_eq!(name("/bin/busybox", true, "ls insmod"), None);
        assert_eq!(name("/bin/sh", true, "insmod a.ko"), Some("insmod"));
        assert_eq!(name("/bin/ls", false, "insmod"), None);
    }

    #[test]
    fn modules_come_and_go() {
        let mut modules = Vec::new();
        for file in ["/lib/modules/4.4/nf-nat.ko", "usb.ko.gz", "usb"] {
            load(&mut modules, &module_name(file).unwrap());
        }
        let text = |modules: &[u8]| String::from_utf8(modules.to_vec()).unwrap();
        assert_eq!(
            text(&modules),
            "usb 16384 0 - Live 0x0000000000000000\nnf_nat 16384 0 - Live 0x0000000000000000\n"
        );
        unload(&mut modules, "usb");
        assert!(text(&modules).starts_with("nf_nat "));
        assert_eq!(module_name("a b"), None);
        assert_eq!(module_name(""), None);
    }
}
