//! The names under which a firmware expects its console: `ttyAMA0`, `ttyS1`, `tty1`, … A busybox
//! init runs nothing for a line of `inittab` whose terminal does not exist.

use std::collections::BTreeSet;

use rookery_runs::plan::{Plan, StaticFile};

use crate::process::view::{self, View};

/// The files that name terminals whatever else they hold.
const LISTS: [&str; 2] = ["/etc/inittab", "/etc/securetty"];
/// Directories with scripts that may write to a terminal.
const SCRIPTS: [&str; 4] = ["/etc/init.d", "/etc/rc.d", "/etc", "/etc/rcS.d"];

/// What is read of one file, and of how many scripts.
const TEXT_MAX: u64 = 64 * 1024;
const SCRIPTS_MAX: usize = 256;
/// Names that are taken.
const NAMES_MAX: usize = 128;

/// Terminals of modems and of other programs: what is plugged in, or made when it is asked for.
const NOT_CONSOLES: [&str; 4] = ["ttyUSB", "ttyACM", "ttyGS", "ttyp"];

/// The names of a firmware whose unpacked archive `view` shows, below `/dev`.
pub fn of_firmware(view: &View, plan: &Plan) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut add = |name: &str| {
        if is_console(name) && names.len() < NAMES_MAX {
            names.insert(name.to_owned());
        }
    };
    for path in LISTS {
        let own = plan.static_files.iter().find(|(known, _)| known == path);
        let text = match own {
            Some((_, StaticFile::Inline { contents, .. })) => {
                String::from_utf8_lossy(contents).into_owned()
            }
            _ => view.unpacked_text(path, TEXT_MAX).unwrap_or_default(),
        };
        words(&text).for_each(&mut add);
    }
    let appended = plan.kernel_cmdline_append.as_deref().unwrap_or_default();
    for argument in appended.split_whitespace() {
        let console = argument.strip_prefix("console=");
        add(console
            .and_then(|name| name.split(',').next())
            .unwrap_or_default());
    }
    for script in scripts(view) {
        let text = view.unpacked_text(&script, TEXT_MAX).unwrap_or_default();
        let devices = text.split("/dev/").skip(1);
        devices
            .filter_map(|rest| words(rest).next())
            .for_each(&mut add);
    }
    names
}

/// The names in a text: a line of `inittab` begins with one, and its programs are given others.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')))
}

/// `console`, or `tty`, perhaps a driver's name, and a number.
fn is_console(name: &str) -> bool {
    let numbered = || {
        let rest = name.strip_prefix("tty")?;
        let number = rest.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '_');
        let driver = rest.len() - number.len();
        (driver <= 8 && number.len() <= 3 && number.parse::<u16>().is_ok()).then_some(())
    };
    let other = NOT_CONSOLES.iter().any(|other| name.starts_with(other));
    name == "console" || (!other && numbered().is_some())
}

fn scripts(view: &View) -> Vec<String> {
    let mut found = Vec::new();
    for directory in SCRIPTS {
        let listed = view.find_directory(directory).and_then(view::read_unpacked);
        let Some(entries) = listed.ok().and_then(|open| rustix::fs::Dir::new(open).ok()) else {
            continue;
        };
        let names = entries.filter_map(|entry| {
            let name = entry.ok()?.file_name().to_str().ok()?.to_owned();
            let is_script = directory != "/etc" || name.starts_with("rc") || name == "profile";
            (!name.starts_with('.') && is_script).then(|| format!("{directory}/{name}"))
        });
        found.extend(names.take(SCRIPTS_MAX - found.len()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;

    use crate::files::devices::tests::plan;

    #[test]
    fn every_name_by_which_a_firmware_means_its_console_is_known() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "etc/inittab",
            "ttyAMA0::respawn:/sbin/getty 115200 ttyPS1\n#ttyS9::x:y\n::sysinit:/etc/rcS\n",
        );
        write("etc/securetty", "tty1\nttyUSB0\npts/0\n");
        write(
            "etc/init.d/S50",
            "exec >/dev/ttymxc2 2>&1\nstty -F /dev/ttyACM0\n# ttyS8\n",
        );
        let mut plan = plan();
        plan.kernel_cmdline_append = Some("quiet console=ttyHSL0,115200n8".into());
        let directory = std::fs::File::open(root.path()).unwrap();
        let view = View::new(OwnedFd::from(directory), 1);
        let names: Vec<_> = of_firmware(&view, &plan).into_iter().collect();
        assert_eq!(names, ["tty1", "ttyAMA0", "ttyHSL0", "ttyPS1", "ttymxc2"]);
    }

    #[test]
    fn a_link_of_the_firmware_leads_to_no_file_of_the_host() {
        let host = tempfile::tempdir().unwrap();
        std::fs::write(host.path().join("secret"), "ttyS7\n").unwrap();
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let list = root.path().join("etc/inittab");
        std::os::unix::fs::symlink(host.path().join("secret"), list).unwrap();
        let directory = std::fs::File::open(root.path()).unwrap();
        let view = View::new(OwnedFd::from(directory), 1);
        assert!(of_firmware(&view, &plan()).is_empty());
    }
}
