//! Which program the guest should start first.

use std::collections::BTreeSet;

use rookery_contract::shapes::InitCandidate;

use super::image::Image;
use super::inittab::{self, base};
use super::tree::{Content, Entry, name, shown};
use crate::Result;

/// Where kernels and vendors keep an init, and why, best first. A rank leaves room for what only
/// some images have.
const PLACES: [(&str, u32, &str); 20] = [
    (
        "sbin/init",
        10,
        "the first program that a kernel tries as init",
    ),
    ("sbin/preinit", 15, "a vendor's first program, before init"),
    ("init", 20, "the init of an initial RAM filesystem"),
    (
        "etc/init",
        25,
        "the second program that a kernel tries as init",
    ),
    (
        "bin/init",
        26,
        "the third program that a kernel tries as init",
    ),
    ("linuxrc", 30, "the init of older initial RAM disks"),
    ("preinit", 31, "a vendor's first program, before init"),
    ("preinitMT", 32, "a vendor's first program, before init"),
    ("etc/preinit", 35, "OpenWrt's first script"),
    ("usr/sbin/init", 38, "an init in an unusual place"),
    ("usr/bin/init", 39, "an init in an unusual place"),
    (
        "etc/init.d/rcS",
        40,
        "the start script that init usually runs",
    ),
    (
        "etc/rc.d/rcS",
        41,
        "the start script that init usually runs",
    ),
    ("etc/rcS", 42, "the start script that init usually runs"),
    (
        "etc/rc.sysinit",
        43,
        "the start script that init usually runs",
    ),
    ("etc/rc", 44, "the start script that init usually runs"),
    (
        "etc/rc.d/rc.sysinit",
        45,
        "the start script that init usually runs",
    ),
    ("etc_ro/rcS", 46, "a vendor's start script"),
    ("etc/rc.local", 50, "the script for a device's own services"),
    (
        "etc/init.d/rc.local",
        51,
        "the script for a device's own services",
    ),
];
/// Names that an init has, wherever it lies.
const NAMES: [&str; 6] = [
    "init",
    "preinit",
    "preinitMT",
    "linuxrc",
    "rcS",
    "rc.sysinit",
];
/// Programs that serve a device's pages. Of some devices no more than that is published, with the
/// libraries that it needs.
const SERVERS: [&str; 12] = [
    "httpd",
    "uhttpd",
    "mini_httpd",
    "lighttpd",
    "thttpd",
    "boa",
    "goahead",
    "alphapd",
    "webs",
    "jjhttpd",
    "nginx",
    "web_server",
];
/// Programs that an inittab runs at start and that are plainly no init.
const TOOLS: [&str; 34] = [
    "[", "busybox", "cat", "chmod", "chown", "cp", "date", "dmesg", "echo", "hostname", "hwclock",
    "ifconfig", "insmod", "ip", "klogd", "ln", "loadkmap", "mdev", "mkdir", "mknod", "modprobe",
    "mount", "mv", "rm", "route", "sleep", "swapoff", "swapon", "sync", "sysctl", "syslogd",
    "touch", "udevd", "umount",
];
/// The most candidates that are given.
const MAX: usize = 12;
/// How much of a script is read.
const MAX_SCRIPT: usize = 64 << 10;

/// The programs of `image` that could be its init, best first. `arch` is the architecture that they
/// must have.
pub(crate) fn candidates(image: &Image, arch: Option<&str>) -> Result<Vec<InitCandidate>> {
    let finder = Finder { image, arch };
    let mut found: Vec<(u32, Vec<u8>, String)> = Vec::new();
    for (path, rank, why) in PLACES {
        finder.consider(path.as_bytes(), rank, why, &mut found)?;
    }
    for script in finder.sysinit()? {
        finder.consider(
            &script,
            40,
            "its inittab names it as the start script",
            &mut found,
        )?;
    }
    for (path, _) in image
        .tree
        .iter()
        .filter(|(path, _)| NAMES.iter().any(|n| n.as_bytes() == name(path)))
    {
        let depth = u32::try_from(memchr::memchr_iter(b'/', path).count())
            .unwrap_or(u32::MAX)
            .min(100);
        finder.consider(path, 60 + depth, "it has the name of an init", &mut found)?;
    }
    if found.is_empty() {
        let why = "it serves the device's pages, and there is no init that would start it";
        let has_name = |path: &[u8]| SERVERS.iter().any(|n| n.as_bytes() == name(path));
        for (path, _) in image.tree.iter().filter(|(path, _)| has_name(path)) {
            finder.consider(path, 200, why, &mut found)?;
        }
    }
    found.sort_by(|a, b| (a.0, a.1.len(), &a.1).cmp(&(b.0, b.1.len(), &b.1)));
    let mut files = BTreeSet::new();
    let first_names = found
        .into_iter()
        .filter(|(_, path, _)| files.insert(finder.file(path)));
    Ok(first_names
        .take(MAX)
        .map(|(_, path, why)| InitCandidate {
            path: shown(&path),
            why,
        })
        .collect())
}

struct Finder<'a> {
    image: &'a Image,
    arch: Option<&'a str>,
}

/// What a candidate turned out to be.
struct Program {
    /// In words.
    what: String,
    /// The text of a script.
    script: Option<String>,
    /// Starts by itself: not a script without an interpreter line.
    direct: bool,
}

impl Finder<'_> {
    fn consider(
        &self,
        path: &[u8],
        rank: u32,
        why: &str,
        found: &mut Vec<(u32, Vec<u8>, String)>,
    ) -> Result<()> {
        let path: &[u8] = path.strip_prefix(b"/").unwrap_or(path);
        if found.iter().any(|(_, known, _)| known == path) || !is_plain(path) {
            return Ok(());
        }
        let Some((real, entry)) = self.image.tree.follow(path) else {
            return Ok(());
        };
        let Some(program) = self.program(entry)? else {
            return Ok(());
        };
        let (mut rank, mut why) = (rank, why.to_owned());
        if !program.direct {
            rank += 30;
        }
        if real != path {
            why = format!("{why}; a link to {}", shown(&real));
        }
        why = format!("{why}; {}", program.what);
        if let Some(script) = &program.script {
            (rank, why) = self.judge(path, script, rank, why)?;
        }
        found.push((rank, path.to_vec(), why));
        Ok(())
    }

    /// What the text of a script says about its place.
    fn judge(&self, path: &[u8], script: &str, rank: u32, why: String) -> Result<(u32, String)> {
        if self.hands_over(script)? && self.usable(b"sbin/init")? {
            // A kernel starts /sbin/init by itself, and this only where its command line says so.
            // OpenWrt's procd even runs /etc/preinit itself.
            return Ok((rank.max(35), format!("{why}; hands over to /sbin/init")));
        }
        if path == b"etc/preinit" && self.usable(b"sbin/init")? && !self.exists("sbin/procd") {
            return Ok((
                8,
                format!(
                    "{why}; an OpenWrt without procd, where it prepares the system before \
                     /sbin/init"
                ),
            ));
        }
        if path == b"etc/rc.local" && self.exists("sbin/procd") {
            let services = self.services(script)?;
            if !services.is_empty() {
                // Left by a vendor to be run, not only sourced: OpenWrt's own is a comment and not
                // executable.
                return Ok((
                    5,
                    format!(
                        "{why}; starts the device's own services directly: {}",
                        services.join(", ")
                    ),
                ));
            }
        }
        Ok((rank, why))
    }

    /// Whether a script ends as /sbin/init, by itself or by the parts of the preinit of an
    /// older `OpenWrt`.
    fn hands_over(&self, script: &str) -> Result<bool> {
        let becomes_init = |script: &str| script.lines().any(becomes_init);
        if becomes_init(script) {
            return Ok(true);
        }
        if !script.contains("/lib/preinit") {
            return Ok(false);
        }
        for (_, part) in self.image.tree.children(b"lib/preinit") {
            let text = self.image.read(part, 0, MAX_SCRIPT)?;
            if becomes_init(&String::from_utf8_lossy(&text)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What tells whether two paths are names of one file.
    fn file(&self, path: &[u8]) -> Vec<u8> {
        let found = self.image.tree.follow(path);
        found.map_or_else(
            || path.to_vec(),
            |(real, entry)| match &entry.same_as {
                Some(first) if self.image.tree.is_second_name(entry) => first.clone(),
                _ => real,
            },
        )
    }

    /// Programs of the image that a script starts by their absolute path.
    fn services(&self, script: &str) -> Result<Vec<String>> {
        let mut services = Vec::new();
        for line in script.lines().take(200) {
            let Some(word) = line
                .split_whitespace()
                .next()
                .filter(|word| word.starts_with('/'))
            else {
                continue;
            };
            let Some((_, entry)) = self.image.tree.follow(word.as_bytes()) else {
                continue;
            };
            if services.len() < 5 && is_plain(word.as_bytes()) && self.image.elf(entry)?.is_some() {
                services.push(word.to_owned());
            }
        }
        Ok(services)
    }

    fn exists(&self, path: &str) -> bool {
        self.image.tree.follow(path.as_bytes()).is_some()
    }

    fn usable(&self, path: &[u8]) -> Result<bool> {
        match self.image.tree.follow(path) {
            Some((_, entry)) => Ok(self.program(entry)?.is_some()),
            None => Ok(false),
        }
    }

    /// What an entry is, if the guest can execute it.
    fn program(&self, entry: &Entry) -> Result<Option<Program>> {
        if !matches!(entry.content, Content::File { .. }) || entry.mode & 0o111 == 0 {
            return Ok(None);
        }
        if let Some(elf) = self.image.elf(entry)? {
            let loader_is_there = match &elf.interpreter {
                Some(loader) => self.image.tree.follow(loader).is_some(),
                None => true,
            };
            let fits =
                self.arch.is_none_or(|arch| arch == elf.arch) && elf.executable && loader_is_there;
            let linked = if elf.interpreter.is_some() {
                "dynamic"
            } else {
                "static"
            };
            return Ok(fits.then(|| Program {
                what: format!("a {linked} {} program", elf.arch),
                script: None,
                direct: true,
            }));
        }
        let text = self.image.read(entry, 0, MAX_SCRIPT)?;
        if text.is_empty() || text.contains(&0) {
            return Ok(None);
        }
        let script = String::from_utf8_lossy(&text).into_owned();
        if let Some(line) = text.strip_prefix(b"#!") {
            let line = line
                .split(|b| *b == b'\n')
                .next()
                .unwrap_or_default()
                .trim_ascii();
            let interpreter = line
                .split(u8::is_ascii_whitespace)
                .next()
                .unwrap_or_default();
            let there = self
                .image
                .tree
                .follow(interpreter)
                .is_some_and(|(_, e)| e.mode & 0o111 != 0);
            let what = format!(
                "a script for {}",
                shown(interpreter.strip_prefix(b"/").unwrap_or(interpreter))
            );
            return Ok(there.then_some(Program {
                what,
                script: Some(script),
                direct: true,
            }));
        }
        let what = "a script without an interpreter line, which only a shell can start".to_owned();
        Ok(self.exists("bin/sh").then_some(Program {
            what,
            script: Some(script),
            direct: false,
        }))
    }

    /// The scripts that the inittab has run at start.
    fn sysinit(&self) -> Result<Vec<Vec<u8>>> {
        let lines = inittab::lines(self.image)?;
        let at_start = lines
            .iter()
            .filter(|line| matches!(&*line.action, "sysinit" | "bootwait" | "boot" | "wait"));
        let is_script =
            |program: &&str| program.starts_with('/') && !TOOLS.contains(&base(program));
        let scripts = at_start
            .filter_map(inittab::Line::program)
            .filter(is_script);
        Ok(scripts
            .map(|script| script.as_bytes().to_vec())
            .take(4)
            .collect())
    }
}

/// Whether a line of a script becomes /sbin/init; an older `OpenWrt` has it in a variable.
fn becomes_init(line: &str) -> bool {
    let mut words = line
        .split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')' | '"'))
        .take_while(|word| !word.starts_with('#'));
    words.any(|word| word == "exec")
        && words.any(|word| matches!(word, "/sbin/init" | "$init" | "${init}"))
}

/// Whether a path can stand on the guest's boot command line and in a shell unquoted.
fn is_plain(path: &[u8]) -> bool {
    path.len() <= 255
        && path
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"/._+-@".contains(b))
}
