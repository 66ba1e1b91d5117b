//! Pins and lamps in `/sys`: their directories come to be when somebody looks for one, as plain
//! files, which keep what is written.
//!
//! Which of them a machine has, only its kernel knows. A pin that is not there makes scripts fail;
//! one that nobody asks for is not listed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::kernel::enter;

/// Directories that are made; each takes some of the few files that `/sys` may have.
const MADE_MAX: usize = 128;
const PINS_MAX: u32 = 1024;
const NAME_MAX: usize = 64;

const PINS: &str = "/sys/class/gpio/";
const LAMPS: &str = "/sys/class/leds/";

/// A pin that is an input and pulled up (`Documentation/admin-guide/gpio/sysfs.rst`).
const PIN: &[(&str, &str)] = &[
    ("value", "1\n"),
    ("direction", "in\n"),
    ("edge", "none\n"),
    ("active_low", "0\n"),
];
/// A lamp that is off (`Documentation/leds/leds-class.rst`).
const LAMP: &[(&str, &str)] = &[
    ("brightness", "0\n"),
    ("max_brightness", "255\n"),
    ("trigger", "[none] timer heartbeat default-on\n"),
    ("delay_on", "500\n"),
    ("delay_off", "500\n"),
];
/// What makes a pin appear and disappear: the pins here are there already.
const EXPORT: &[(&str, &str)] = &[("export", ""), ("unexport", "")];

/// The directories that were made.
#[derive(Debug, Default)]
pub struct SysDevices {
    made: BTreeSet<String>,
}

impl SysDevices {
    /// Somebody looks for a path: the directory that it is in comes to be, where it is that of a
    /// pin or a lamp.
    pub fn look(&mut self, path: &str, guest: &OwnedFd) {
        if let Some((directory, files)) = of_path(path)
            && self.made.len() < MADE_MAX
            && self.made.insert(directory.to_owned())
        {
            // The guest may have made it itself.
            let _ = enter::run(guest, || {
                let _ = make(Path::new(directory), files);
                Ok(())
            });
        }
    }
}

type Files = &'static [(&'static str, &'static str)];

/// The directory that a path is or lies in, and its files.
fn of_path(path: &str) -> Option<(&str, Files)> {
    let name_of = |class: &str| {
        path.strip_prefix(class)
            .and_then(|rest| rest.split('/').next())
    };
    let directory = |class: &str, name: &str| path.get(..class.len() + name.len());
    if let Some(name) = name_of(PINS) {
        if matches!(name, "export" | "unexport") {
            return Some((PINS, EXPORT));
        }
        let number: u32 = name.strip_prefix("gpio")?.parse().ok()?;
        return (number < PINS_MAX).then_some((directory(PINS, name)?, PIN));
    }
    let name = name_of(LAMPS).filter(|name| is_lamp(name))?;
    Some((directory(LAMPS, name)?, LAMP))
}

/// As `devicename:color:function`, or a part of it; no pattern of a shell.
fn is_lamp(name: &str) -> bool {
    // Whoever asks for events of all devices looks for one of the class itself.
    let is_other = name.starts_with('.') || name == "uevent";
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.');
    (1..=NAME_MAX).contains(&name.len()) && name.chars().all(legal) && !is_other
}

fn make(directory: &Path, files: Files) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for (name, value) in files {
        // Whatever a guest has put there meanwhile, nothing waits for its reader.
        fs::File::create_new(directory.join(name))?.write_all(value.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_and_a_lamp_are_told_by_their_paths() {
        for (path, directory) in [
            (
                "/sys/class/gpio/gpio17/value",
                Some("/sys/class/gpio/gpio17"),
            ),
            ("/sys/class/gpio/gpio17", Some("/sys/class/gpio/gpio17")),
            ("/sys/class/gpio/export", Some("/sys/class/gpio/")),
            (
                "/sys/class/leds/a:b:c/trigger",
                Some("/sys/class/leds/a:b:c"),
            ),
            ("/sys/class/gpio/gpio99999/value", None),
            ("/sys/class/gpio/gpio-1", None),
            ("/sys/class/gpio", None),
            ("/sys/class/leds/*/trigger", None),
            ("/sys/class/leds/../net", None),
            ("/sys/class/leds/", None),
            ("/sys/class/leds/uevent", None),
            ("/sys/class/net/eth0", None),
        ] {
            assert_eq!(
                of_path(path).map(|(directory, _)| directory),
                directory,
                "{path}"
            );
        }
    }

    #[test]
    fn a_directory_that_is_there_keeps_its_files() {
        let work = tempfile::tempdir().unwrap();
        let pin = work.path().join("gpio5");
        make(&pin, PIN).unwrap();
        assert_eq!(fs::read(pin.join("value")).unwrap(), b"1\n");
        fs::write(pin.join("value"), "0\n").unwrap();
        assert!(make(&pin, PIN).is_err());
        assert_eq!(fs::read(pin.join("value")).unwrap(), b"0\n");
    }
}
