//! What the plan of a program has that wants more than the usual machine.

use rookery_runs::plan::{
    Address, Flash, Held, InterfaceIoctl, Ioctl, IoctlCommand, Plan, Poll, Pseudofile, Read, Time,
    Uplink, Write,
};

/// A program that takes long by itself: tried once, and only where it is asked for.
pub const LONG: &str = "computes";

/// A program for which the plan has models, which is also tried where the guest can have no file
/// system for them.
pub const MODELS: &str = "models";

/// A program for which the plan has flash memory.
pub const FLASH: &str = "flash";

/// Programs for which the plan has network interfaces.
pub const INTERFACES: &str = "interfaces";
pub const OPTIONS: &str = "options";
pub const HOTPLUG: &str = "hotplug";
pub const COLDPLUG: &str = "coldplug";
pub const LINKS: &str = "links";
pub const CAPTURE: &str = "capture";
pub const PPP: &str = "ppp";

/// A program for which the plan has models of drivers of interfaces.
pub const DRIVERS: &str = "drivers";

/// A program for which somebody answers beyond an interface.
pub const UPLINK: &str = "uplink";

/// Where the program's models write to.
pub const WRITTEN: &str = "out/led.txt";

/// Give the plan what a program wants.
pub fn fit(plan: &mut Plan, program: &str) {
    match program {
        LONG => (plan.timeout_s, plan.extended_s) = (17, Some(120)),
        MODELS => plan.pseudofiles = models(),
        FLASH => {
            plan.flash = vec![
                partition(0, "boot", Held::Bytes(b"boot".to_vec())),
                partition(2, "factory", Held::Zeros),
                Flash {
                    write_size: 2048,
                    oob_size: 64,
                    nand: true,
                    ..partition(3, "data", Held::Zeros)
                },
            ];
            let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            plan.uboot_env = vec![
                variable("ethaddr", "00:11:22:33:44:55"),
                variable("bootdelay", "3"),
            ];
        }
        HOTPLUG | COLDPLUG | LINKS => plan.netdevs = vec!["eth0".to_owned()],
        OPTIONS | CAPTURE => {
            plan.capture = program == CAPTURE;
            plan.netdevs = vec!["eth0".to_owned()];
            plan.addresses = vec![address("eth0", [10, 7, 0, 1])];
        }
        INTERFACES => {
            plan.netdevs = ["eth0", "br0", "br9"].map(str::to_owned).into();
            plan.addresses = vec![address("br9", [192, 168, 9, 1])];
        }
        DRIVERS => {
            plan.netdevs = ["eth0", "eth1"].map(str::to_owned).into();
            plan.interface_ioctls = interface_ioctls();
        }
        PPP => plan.netdevs = vec!["ppp0".to_owned()],
        UPLINK => {
            plan.netdevs = vec!["eth0".to_owned()];
            plan.uplink = Some(Uplink {
                interface: "eth1".to_owned(),
                mac: [0x52, 0x54, 0, 0x12, 0x34, 0x56],
                way_out: false,
                dns: Some([192, 0, 2, 77].into()),
                ntp: Some(Time::From(1_700_000_000)),
            });
        }
        _ => {}
    }
}

/// The models of the program that is about them.
fn models() -> Vec<(String, Pseudofile)> {
    let bytes = |bytes: &[u8]| Read::Bytes(bytes.to_vec());
    let sequence = Read::Sequence {
        entries: vec![b"busy\n".to_vec(), b"ready\n".to_vec()],
        wraps: false,
    };
    let commands = vec![(IoctlCommand::Number(0x4004_6e01), Ioctl::Return(5))];
    let plain = |read, write| Pseudofile {
        read,
        write,
        ..Pseudofile::default()
    };
    let polled = |poll| Pseudofile {
        poll,
        ..plain(bytes(b"x"), Write::Discard)
    };
    [
        ("/dev/led", plain(bytes(b"0"), Write::Discard)),
        (
            "/dev/state",
            plain(Read::Stateful(b"off\n".to_vec()), Write::Record),
        ),
        ("/dev/sequence", plain(sequence, Write::Record)),
        (
            "/dev/cycle",
            plain(Read::Cycle(b"ab".to_vec()), Write::Record),
        ),
        ("/dev/unhandled", plain(bytes(b""), Write::Unhandled)),
        ("/dev/broken", plain(bytes(b""), Write::Return(-5))),
        ("/dev/counts", plain(bytes(b""), Write::Return(7))),
        ("/dev/unreadable", plain(Read::Default, Write::Record)),
        ("/dev/binary", plain(bytes(b"\x80\xff\xc3"), Write::Record)),
        (
            "/dev/out",
            plain(Read::Default, Write::ToFile(WRITTEN.into())),
        ),
        ("/proc/vendor/model", plain(bytes(b"X1\n"), Write::Record)),
        ("/dev/never", polled(Poll::Never)),
        ("/dev/ticks", polled(Poll::Periodic(50))),
        ("/dev/serial", plain(bytes(b""), Write::Record)),
        ("/dev/log", plain(Read::Default, Write::Record)),
        (
            "/dev/fixed",
            Pseudofile {
                ioctl: commands,
                ..plain(bytes(b"0123456789"), Write::Record)
            },
        ),
        (
            "/dev/stream",
            Pseudofile {
                unseekable: true,
                ..plain(bytes(b"x"), Write::Record)
            },
        ),
    ]
    .map(|(path, model)| (path.to_owned(), model))
    .into()
}

fn interface_ioctls() -> Vec<InterfaceIoctl> {
    let model = |interface: Option<&str>, command, answer, by_pointer| InterfaceIoctl {
        interface: interface.map(str::to_owned),
        command: IoctlCommand::Number(command),
        answer,
        by_pointer,
    };
    let data = |bytes: &[u8], value| Ioctl::WriteData(bytes.to_vec(), value);
    vec![
        model(None, 0x8B1A, Ioctl::Return(0), false),
        model(Some("eth0"), 0x8B1A, Ioctl::Return(-16), false),
        model(Some("eth0"), 0x89F1, data(b"v1.2\0", 7), true),
        model(Some("eth0"), 0x8BE1, data(b"\x03\0\0\x01", 0), false),
        model(Some("eth0"), 0x6B6F, Ioctl::Return(5), false),
    ]
}

fn partition(number: u32, name: &str, holds: Held) -> Flash {
    Flash {
        number,
        name: name.to_owned(),
        size: 0x2_0000,
        erase_size: 0x1_0000,
        write_size: 1,
        oob_size: 0,
        nand: false,
        read_only: number == 2,
        holds,
    }
}

fn address(interface: &str, ip: [u8; 4]) -> Address {
    Address {
        interface: interface.to_owned(),
        ip: ip.into(),
        prefix: 24,
    }
}
