//! What `/proc/PID/…` tells about a process of the guest: as a machine would tell it, without the
//! emulator, the sandbox and the host.

use std::fmt::Write as _;

use rustix::io::Errno;

use crate::files::mounts::Mounts;
use crate::process::proc_dir::ProcDir;

/// A file about a process that is not left to the kernel.
#[derive(Debug, PartialEq, Eq)]
pub struct ProcessFile {
    /// The process, as the guest numbers it.
    pub pid: u32,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    CommandLine,
    Comm,
    Stat,
    Status,
    Mounts,
    MountInfo,
    MountStats,
    /// The same for every process of a machine without containers.
    Fixed(&'static str),
}

/// The files, by their names in a directory of a process or of a thread.
const FILES: &[(&str, Kind)] = &[
    ("cmdline", Kind::CommandLine),
    ("comm", Kind::Comm),
    ("stat", Kind::Stat),
    ("status", Kind::Status),
    ("mounts", Kind::Mounts),
    ("mountinfo", Kind::MountInfo),
    ("mountstats", Kind::MountStats),
    ("cgroup", Kind::Fixed("0::/\n")),
    ("cpuset", Kind::Fixed("/\n")),
    ("loginuid", Kind::Fixed("4294967295")),
    ("sessionid", Kind::Fixed("4294967295")),
    ("uid_map", Kind::Fixed(EVERYBODY)),
    ("gid_map", Kind::Fixed(EVERYBODY)),
];

/// A user namespace that maps every user, as a machine's own does.
const EVERYBODY: &str = "         0          0 4294967295\n";

/// How the kernel calls every process that runs an emulator.
const EMULATOR: &str = "qemu-";

impl ProcessFile {
    /// The file with this path, which is one of a `/proc` that may be seen anywhere: what it is,
    /// the path's end tells.
    pub fn named(path: &str) -> Option<Self> {
        let mut parts = path.rsplit('/');
        let name = parts.next()?;
        let kind = FILES.iter().find(|(known, _)| *known == name)?.1;
        let number: u32 = parts.next()?.parse().ok()?;
        let pid = match parts.next() {
            Some("task") => parts.next()?.parse().ok()?,
            _ => number,
        };
        Some(Self { pid, kind })
    }

    /// What it holds, of a process in the guest's own `/proc`. `None` where the kernel's text is as
    /// good.
    pub fn contents(
        &self,
        process: &ProcDir,
        about: &About,
        mounts: &Mounts,
    ) -> Result<Option<Vec<u8>>, Errno> {
        let text = |name: &str| {
            let text = process.text(name);
            text.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
        };
        Ok(match self.kind {
            // Of a process that was never seen to execute anything nothing better is known.
            Kind::CommandLine | Kind::Comm | Kind::Stat if about.argv.is_empty() => None,
            Kind::CommandLine => {
                let words = about.argv.iter().flat_map(|word| [word.as_bytes(), &[0]]);
                Some(words.flatten().copied().collect())
            }
            Kind::Comm => rename(&text("comm")?, &about.name).map(String::into_bytes),
            Kind::Stat => rename(&text("stat")?, &about.name).map(String::into_bytes),
            Kind::Status => Some(about.status(&text("status")?).into_bytes()),
            Kind::Mounts => Some(mounts.table(&text("mounts")?).into_bytes()),
            Kind::MountInfo => Some(mounts.info(&text("mountinfo")?).into_bytes()),
            Kind::MountStats => Some(statistics(&mounts.table(&text("mounts")?)).into_bytes()),
            Kind::Fixed(text) => Some(text.into()),
        })
    }
}

/// What the guest believes of a process.
#[derive(Debug, Default)]
pub struct About {
    /// The name of its program.
    pub name: String,
    pub argv: Vec<String>,
    /// Real, effective and saved.
    pub uid: [u32; 3],
    pub gid: [u32; 3],
}

/// Lines of `status` that tell of the sandbox.
const OF_THE_SANDBOX: &[&str] = &["NoNewPrivs:", "Seccomp", "Speculation"];

impl About {
    /// `status` as a machine would tell it: with the guest's users, its program and no sandbox.
    fn status(&self, text: &str) -> String {
        let mut told = String::new();
        let renamed = rename(text, &self.name).filter(|_| !self.name.is_empty());
        for line in renamed.as_deref().unwrap_or(text).lines() {
            let ids = |[real, effective, saved]: [u32; 3]| {
                format!("{real}\t{effective}\t{saved}\t{effective}")
            };
            let _ = match line.split_once(':') {
                Some(("Uid", _)) => writeln!(told, "Uid:\t{}", ids(self.uid)),
                Some(("Gid", _)) => writeln!(told, "Gid:\t{}", ids(self.gid)),
                _ if OF_THE_SANDBOX.iter().any(|start| line.starts_with(start)) => Ok(()),
                _ => writeln!(told, "{line}"),
            };
        }
        told
    }
}

/// `/proc/PID/comm`, `stat` or `status` with another name than the emulator's. `None` where the
/// guest gave the process a name.
fn rename(text: &str, name: &str) -> Option<String> {
    let at = text.find(EMULATOR)?;
    let (before, after) = text.split_at(at);
    let alone =
        before.is_empty() || before == "Name:\t" || before.ends_with(" (") && !before.contains(')');
    let end = after.find(['\n', ')']).filter(|_| alone)?;
    Some(format!("{before}{name}{}", after.get(end..)?))
}

/// `mountstats` of file systems that keep no statistics, from the table of mounts.
fn statistics(table: &str) -> String {
    let mut text = String::new();
    for line in table.lines() {
        let mut fields = line.split(' ');
        if let (Some(source), Some(target), Some(kind)) =
            (fields.next(), fields.next(), fields.next())
        {
            let _ = writeln!(
                text,
                "device {source} mounted on {target} with fstype {kind}"
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_wherever_proc_is_seen() {
        let pid = |path| ProcessFile::named(path).map(|file| file.pid);
        assert_eq!(pid("/proc/7/mountinfo"), Some(7));
        assert_eq!(pid("/tmp/p/7/cgroup"), Some(7));
        assert_eq!(pid("/proc/7/task/9/mounts"), Some(7));
        assert_eq!(pid("/proc/7/maps"), None);
        assert_eq!(pid("/proc/mounts"), None);
        assert_eq!(pid("mounts"), None);
    }

    #[test]
    fn a_process_has_the_name_of_its_program() {
        for (text, expected) in [
            ("qemu-arm\n", Some("httpd\n")),
            (
                "Name:\tqemu-arm\nUmask:\t0022\n",
                Some("Name:\thttpd\nUmask:\t0022\n"),
            ),
            ("7 (qemu-mipsel-sta) S 1", Some("7 (httpd) S 1")),
            ("7 (x) (qemu-x) S 1", None),
            ("worker\n", None),
        ] {
            assert_eq!(rename(text, "httpd").as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_status_has_the_guests_users_and_no_sandbox() {
        let about = About {
            name: "httpd".into(),
            uid: [0, 33, 0],
            ..About::default()
        };
        let text = "Name:\tqemu-arm\nPid:\t7\nUid:\t9\t9\t9\t9\nGid:\t9\t9\t9\t9\n\
                    Seccomp:\t2\nSeccomp_filters:\t1\nThreads:\t1\n";
        assert_eq!(
            about.status(text),
            "Name:\thttpd\nPid:\t7\nUid:\t0\t33\t0\t33\nGid:\t0\t0\t0\t0\nThreads:\t1\n"
        );
    }

    #[test]
    fn statistics_list_what_the_table_lists() {
        let table = "rootfs / rootfs rw 0 0\nproc /proc proc rw 0 0\n";
        assert_eq!(
            statistics(table),
            "device rootfs mounted on / with fstype rootfs\n\
             device proc mounted on /proc with fstype proc\n"
        );
    }
}
