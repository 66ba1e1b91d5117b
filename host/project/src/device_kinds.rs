//! Device nodes that many machines have, told by their names: what each answers while nobody
//! touches it.
//!
//! A device that is taken for another kind misleads: a button that reads as `0` is often one that
//! is held down. So a made-up answer is the kind's resting state, or there is none.

use serde_json::{Map, Value, json};

use crate::ioctl::{self, Direction};
use crate::penguin::architectures::Architecture;

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// A timer that restarts the machine unless it is written to.
    Watchdog,
    /// The machine's clock.
    Clock,
    /// Pins.
    Gpio,
    /// Lamps.
    Led,
    /// Buttons.
    Button,
    /// A bus to chips, none of which answers.
    I2c,
    /// Settings that outlive a reboot.
    Nvram,
    /// Flash memory.
    Flash,
    /// A whole chip of flash memory, which a vendor's driver reads and writes by ioctls.
    FlashChip,
    /// What manages volumes in flash memory.
    Ubi,
    /// The machine's memory.
    Memory,
}

impl DeviceKind {
    /// The kind of a path; `None` where its name tells none.
    pub fn of_path(path: &str) -> Option<Self> {
        let name = path.strip_prefix("/dev/")?;
        let name = name.strip_prefix("misc/").unwrap_or(name);
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let stem = stem.trim_end_matches(['-', '_', '/']);
        Some(match stem {
            "watchdog" | "wdt" | "wdog" | "hw_watchdog" => Self::Watchdog,
            "rtc" => Self::Clock,
            "gpio" | "gpiochip" | "gpio_drv" | "gpio_dev" | "gpio_ioctl" => Self::Gpio,
            "i2c" | "i2cM" | "i2c_drv" => Self::I2c,
            "mem" | "kmem" | "port" => Self::Memory,
            "ubi" | "ubi_ctrl" => Self::Ubi,
            "input/event" | "input/mice" | "input/mouse" => Self::Button,
            _ if stem.ends_with("flash_chrdev") => Self::FlashChip,
            _ if stem.starts_with("mtd") => Self::Flash,
            _ if stem.contains("nvram") => Self::Nvram,
            _ if has_word(name, &["led", "leds"]) => Self::Led,
            _ if has_word(name, &["button", "buttons", "btn", "reset", "key", "keys"]) => {
                Self::Button
            }
            _ if has_word(name, &["gpio", "gpios"]) => Self::Gpio,
            _ => return None,
        })
    }

    /// The model of a device that nobody touches, as a pseudofile of Penguin's schema; `None` where
    /// a made-up answer would do harm. Without an architecture its commands have no numbers.
    pub fn at_rest(self, arch: Option<&Architecture>) -> Option<Value> {
        let done = || json!({ "model": "return_const", "val": 0 });
        let fixed = |text: &str| json!({ "model": "const_buf", "val": text });
        let discard = json!({ "model": "discard" });
        Some(match self {
            Self::Watchdog => json!({
                "write": discard,
                "ioctl": watchdog(arch),
            }),
            Self::Led => json!({
                "read": fixed("0\n"),
                "write": discard,
                "ioctl": { "*": done() },
            }),
            // A pin that is pulled up, as most are.
            Self::Gpio => json!({
                "read": fixed("1\n"),
                "write": discard,
                "ioctl": { "*": done() },
            }),
            // Nothing happens.
            Self::Button => json!({
                "read": { "model": "empty" },
                "write": discard,
                "poll": { "model": "blocking" },
                "ioctl": { "*": done() },
            }),
            // What it holds no configuration can say.
            Self::FlashChip => json!({
                "read": { "model": "empty" },
                "write": discard,
                "ioctl": { "*": done() },
            }),
            Self::I2c => json!({
                "write": no_chip("const"),
                "ioctl": i2c(arch),
            }),
            Self::Ubi => json!({
                "write": discard,
                "ioctl": ubi(arch),
            }),
            Self::Clock | Self::Nvram | Self::Flash | Self::Memory => return None,
        })
    }
}

/// Whether a name has one of these words: parted by signs and digits.
fn has_word(name: &str, words: &[&str]) -> bool {
    let mut parts = name.split(|c: char| !c.is_ascii_alphabetic());
    parts.any(|part| words.contains(&part))
}

/// No chip acknowledges: `-EREMOTEIO`.
fn no_chip(key: &str) -> Value {
    json!({ "model": "return_const", key: -121 })
}

/// An `int` of the guest's memory. Of one byte, so that it is text.
fn int(arch: &Architecture, value: u8) -> String {
    let value = char::from(value & 0x7F);
    if arch.big_endian {
        format!("\0\0\0{value}")
    } else {
        format!("{value}\0\0\0")
    }
}

/// `linux/watchdog.h`: it was started by nobody, and runs out after a minute.
fn watchdog(arch: Option<&Architecture>) -> Value {
    let mut commands = Map::new();
    if let Some(arch) = arch {
        let mut gives = |direction, number, size, data: String| {
            let command = ioctl::number(arch.has_own_ioctls(), direction, b'W', number, size);
            let answer = json!({ "model": "write_data", "data": data });
            commands.insert(command.to_string(), answer);
        };
        // WDIOF_MAGICCLOSE.
        let about = if arch.big_endian {
            "\0\0\u{1}\0"
        } else {
            "\0\u{1}\0\0"
        };
        let identity = format!("{about}\0\0\0\0{:\0<32}", "watchdog");
        gives(Direction::Read, 0, 40, identity);
        for number in [1, 2] {
            gives(Direction::Read, number, 4, int(arch, 0));
        }
        for (direction, number) in [
            (Direction::ReadWrite, 6),
            (Direction::Read, 7),
            (Direction::Read, 10),
        ] {
            gives(direction, number, 4, int(arch, 60));
        }
    }
    let done = json!({ "model": "return_const", "val": 0 });
    commands.insert("*".to_owned(), done);
    Value::Object(commands)
}

/// `mtd/ubi-user.h`: what is attached is the first device, and all else succeeds. Its volumes are
/// then mounted as any file system that does not exist.
fn ubi(arch: Option<&Architecture>) -> Value {
    let mut commands = Map::new();
    if let Some(arch) = arch {
        // UBI_IOCATT writes the number of the device into the request.
        let attach = ioctl::number(arch.has_own_ioctls(), Direction::Write, b'o', 64, 24);
        let answer = json!({ "model": "write_data", "data": int(arch, 0) });
        commands.insert(attach.to_string(), answer);
    }
    let done = json!({ "model": "return_const", "val": 0 });
    commands.insert("*".to_owned(), done);
    Value::Object(commands)
}

/// `linux/i2c-dev.h`: there is a bus, and nothing on it.
fn i2c(arch: Option<&Architecture>) -> Value {
    let mut commands = Map::new();
    // I2C_RETRIES, I2C_TIMEOUT, I2C_SLAVE, I2C_TENBIT, I2C_SLAVE_FORCE.
    for number in [0x701, 0x702, 0x703, 0x704, 0x706] {
        let done = json!({ "model": "return_const", "val": 0 });
        commands.insert(number.to_string(), done);
    }
    if let Some(arch) = arch {
        let mut can = int(arch, 1);
        if arch.bits == 64 {
            can = if arch.big_endian {
                format!("\0\0\0\0{can}")
            } else {
                format!("{can}\0\0\0\0")
            };
        }
        // I2C_FUNCS: plain transfers.
        commands.insert(
            0x705.to_string(),
            json!({ "model": "write_data", "data": can }),
        );
    }
    // I2C_RDWR, I2C_SMBUS.
    for number in [0x707, 0x720] {
        commands.insert(number.to_string(), no_chip("val"));
    }
    Value::Object(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_told_by_its_name() {
        for (path, kind) in [
            ("/dev/watchdog", Some(DeviceKind::Watchdog)),
            ("/dev/misc/watchdog0", Some(DeviceKind::Watchdog)),
            ("/dev/rtc0", Some(DeviceKind::Clock)),
            ("/dev/gpio", Some(DeviceKind::Gpio)),
            ("/dev/gpiochip1", Some(DeviceKind::Gpio)),
            ("/dev/sc_led", Some(DeviceKind::Led)),
            ("/dev/reset_button", Some(DeviceKind::Button)),
            ("/dev/i2c-0", Some(DeviceKind::I2c)),
            ("/dev/i2c/1", Some(DeviceKind::I2c)),
            ("/dev/nvram", Some(DeviceKind::Nvram)),
            ("/dev/mtdblock3", Some(DeviceKind::Flash)),
            ("/dev/mem", Some(DeviceKind::Memory)),
            ("/dev/ubi_ctrl", Some(DeviceKind::Ubi)),
            ("/dev/ubi0", Some(DeviceKind::Ubi)),
            ("/dev/ubi0_1", None),
            ("/dev/input/event0", Some(DeviceKind::Button)),
            ("/dev/ledger", None),
            ("/dev/monkey", None),
            ("/proc/led", None),
            ("/dev/", None),
        ] {
            assert_eq!(DeviceKind::of_path(path), kind, "{path}");
        }
    }

    #[test]
    fn a_device_at_rest_does_not_look_as_if_it_was_touched() {
        let read = |kind: DeviceKind| kind.at_rest(None).unwrap()["read"].clone();
        assert_eq!(read(DeviceKind::Button), json!({ "model": "empty" }));
        assert_eq!(read(DeviceKind::Gpio)["val"], "1\n");
        assert_eq!(read(DeviceKind::Watchdog), Value::Null);
        for kind in [
            DeviceKind::Nvram,
            DeviceKind::Flash,
            DeviceKind::Memory,
            DeviceKind::Clock,
        ] {
            assert_eq!(kind.at_rest(None), None);
        }
    }

    #[test]
    fn commands_have_the_numbers_and_answers_of_the_architecture() {
        let of = |name: &str| {
            let arch = Architecture::by_name(name).unwrap();
            DeviceKind::Watchdog.at_rest(Some(arch)).unwrap()["ioctl"].clone()
        };
        // WDIOC_GETTIMEOUT.
        assert_eq!(of("armel")["2147768071"]["data"], "<\0\0\0");
        assert_eq!(of("mipseb")["1074026247"]["data"], "\0\0\0<");
        assert_eq!(of("mipsel")["*"]["val"], 0);
        let arch = Architecture::by_name("armel").unwrap();
        let ubi = DeviceKind::Ubi.at_rest(Some(arch)).unwrap();
        // UBI_IOCATT.
        assert_eq!(ubi["ioctl"]["1075343168"]["data"], "\0\0\0\0");
    }
}
