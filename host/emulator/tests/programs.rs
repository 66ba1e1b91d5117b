//! Programs in C, one a kind of interface, each built for every architecture that this machine has
//! a compiler for and run as the init of a guest. A line that begins with `no ` is a promise that
//! was broken; an event that a comment of the source names, `// event: connect /tmp/x -2`, is one,
//! too. What a comment `// before: mkdir etc` has is done in the root filesystem first, and
//! `// node: /dev/mem 1 1` is a device node there. `// only: mips64el -march=octeon` names an
//! architecture for which alone the program is built, and how.

mod support;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use rookery_emulator::UserBackend;
use rookery_harness::Skip;
use rookery_records::event::{Argument, Event, Operation, What};
use rookery_runs::backend::Backend;
use rookery_runs::plan::{
    Address, Flash, Held, Ioctl, IoctlCommand, Poll, Pseudofile, Read, StaticFile, Write,
};
use support::Recorder;

/// Debian's name for programs of `armel` that pass numbers in the registers of the FPU.
const HARD_FLOAT: &str = "armhf";

/// Penguin's name of an architecture, Debian's of its compiler, and whether `scripts/setup`
/// installs that.
const COMPILERS: &[(&str, &str, bool)] = &[
    ("mipsel", "mipsel-linux-gnu-gcc", true),
    ("aarch64", "aarch64-linux-gnu-gcc", true),
    ("mipseb", "mips-linux-gnu-gcc", false),
    ("armel", "arm-linux-gnueabi-gcc", false),
    (HARD_FLOAT, "arm-linux-gnueabihf-gcc", false),
    ("powerpc", "powerpc-linux-gnu-gcc", false),
    ("mips64el", "mips64el-linux-gnuabi64-gcc", false),
    ("riscv64", "riscv64-linux-gnu-gcc", false),
];

/// Where the programs are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs");

/// A program that waits for others, tried once: it is about what the host does.
const SLOW: &str = "services";

/// A program that takes long by itself: tried once, and only where it is asked for.
const LONG: &str = "computes";

/// A program for which the plan has models, which is also tried where the guest can have no file
/// system for them.
const MODELS: &str = "models";

/// A program for which the plan has flash memory.
const FLASH: &str = "flash";

/// Programs for which the plan has network interfaces.
const INTERFACES: &str = "interfaces";
const OPTIONS: &str = "options";
const HOTPLUG: &str = "hotplug";
const CAPTURE: &str = "capture";

/// What the name of a test ends with in which models are files in memory.
const IN_MEMORY: &str = ", in memory";

/// What models in memory break of what that program promises.
const BROKEN_IN_MEMORY: &[&str] = &[
    "a cycle never ends",
    "writes fail",
    "a file without positions says so",
    "epoll takes",
    "is never ready",
    "becomes ready time after time",
    "written /dev/unhandled",
];

/// Which test a process is for: a supervisor has one run only where it was started as root.
const TEST: &str = "ROOKERY_TEST";

/// What the name of a test ends with whose program needs a loader and libraries.
const DYNAMIC: &str = ", dynamic";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == rookery_images::READ_IMAGE)
    {
        return rookery_images::read_image(arguments);
    }
    if let Ok(test) = std::env::var(TEST) {
        let (program, arch) = test
            .split_once(" on ")
            .expect("a program and an architecture");
        let arch = arch.strip_suffix(IN_MEMORY).unwrap_or(arch);
        match arch.strip_suffix(DYNAMIC) {
            Some(arch) => run(program, arch, true),
            None => run(program, arch, false),
        }
        return ExitCode::SUCCESS;
    }
    let mut programs: Vec<_> = std::fs::read_dir(SOURCES)
        .unwrap()
        .filter_map(|entry| {
            Some(
                entry
                    .ok()?
                    .file_name()
                    .to_str()?
                    .strip_suffix(".c")?
                    .to_owned(),
            )
        })
        .collect();
    programs.sort();
    let mut trials = Vec::new();
    for &(arch, compiler, installed) in COMPILERS {
        let linked = programs
            .iter()
            .flat_map(|program| [(program, ""), (program, DYNAMIC)]);
        for (program, linked) in linked {
            let once = program == SLOW || program == LONG;
            if once && (arch != "mipsel" || !linked.is_empty()) {
                continue;
            }
            let Some(options) = options(&source(program), arch) else {
                continue;
            };
            if !linked.is_empty() && options.iter().any(|option| option == "-nostdlib") {
                continue;
            }
            let name = format!("{program} on {arch}{linked}");
            let is_long = program == LONG;
            let trial =
                rookery_harness::test(name.clone(), move || try_one(compiler, installed, &name));
            trials.push(trial.with_ignored_flag(is_long));
        }
    }
    let name = format!("{MODELS} on mipsel{IN_MEMORY}");
    trials.push(rookery_harness::test(name.clone(), move || {
        try_one("mipsel-linux-gnu-gcc", true, &name)
    }));
    rookery_harness::run_in_turn(trials)
}

fn source(program: &str) -> String {
    std::fs::read_to_string(format!("{SOURCES}/{program}.c")).unwrap()
}

/// What a program's compiler is told for an architecture, if it is for that one.
fn options(source: &str, arch: &str) -> Option<Vec<String>> {
    let mut only = source
        .lines()
        .filter_map(|line| {
            let (_, only) = line.split_once("// only: ")?;
            Some(only.split(' ').map(str::to_owned))
        })
        .peekable();
    if only.peek().is_none() {
        return Some(Vec::new());
    }
    only.find_map(|mut only| (only.next()? == arch).then(|| only.collect()))
}

/// Try a program in a process of its own.
fn try_one(compiler: &str, installed: bool, name: &str) -> anyhow::Result<()> {
    support::can_run()?;
    if Command::new(compiler).arg("--version").output().is_err() {
        let reason = format!("{compiler} is not installed");
        let skip = if installed {
            Skip::missing
        } else {
            Skip::elsewhere
        };
        return Err(skip(reason).into());
    }
    let in_memory = name.ends_with(IN_MEMORY);
    let device = || {
        std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
    };
    if name.starts_with(MODELS) && !in_memory && device().is_err() {
        return Err(Skip::elsewhere("/dev/fuse cannot be opened".to_owned()).into());
    }
    let own = std::env::current_exe()?;
    let mut command = Command::new(&own);
    if in_memory {
        command = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let hidden = "mount --bind /dev/null /dev/fuse 2>/dev/null; exec \"$0\"";
        command.args(["--mount", "sh", "-c", hidden]).arg(own);
    }
    let status = command.env(TEST, name).status()?;
    anyhow::ensure!(status.success(), "{status}");
    Ok(())
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

/// A device node that a comment of a source wants: `// node: /dev/mem 1 1`.
fn node(line: &str) -> Option<(String, StaticFile)> {
    let mut words = line.split_once("// node: ")?.1.split(' ');
    let path = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    let (major, minor) = (number()?, number()?);
    let node = StaticFile::Device {
        block: false,
        major,
        minor,
        mode: 0o600,
    };
    Some((path, node))
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

/// Where the program's models write to.
const WRITTEN: &str = "out/led.txt";

/// Where programs find their loader, whatever its name is elsewhere.
const LOADER: &str = "/lib/ld.so";

/// Give a root filesystem the loader and the C library of a compiler.
fn add_libraries(compiler: &str, root: &Path) {
    let asked = Command::new(compiler)
        .arg("-print-file-name=libc.so.6")
        .output()
        .unwrap();
    let library = std::path::PathBuf::from(String::from_utf8(asked.stdout).unwrap().trim());
    let from = library.parent().unwrap();
    std::fs::create_dir_all(root.join("lib")).unwrap();
    for name in ["libc.so.6", "libpthread.so.0"] {
        std::fs::copy(from.join(name), root.join("lib").join(name)).unwrap();
    }
    let is_loader = |name: &str| {
        let starts = ["ld.so.", "ld-linux", "ld64.so."];
        starts.iter().any(|start| name.starts_with(start))
    };
    // Debian has that of some architectures with 64 bits beside it.
    let places = [from.to_owned(), from.join("../lib64")];
    let loader = places
        .iter()
        .filter_map(|place| std::fs::read_dir(place).ok())
        .flatten()
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_str().is_some_and(is_loader))
        .unwrap();
    std::fs::copy(loader.path(), root.join(LOADER.trim_start_matches('/'))).unwrap();
}

/// Build a program and run it as init.
fn run(program: &str, arch: &str, dynamic: bool) {
    let known = COMPILERS.iter().find(|(known, ..)| *known == arch);
    let (_, compiler, _) = known.unwrap();
    let work = tempfile::tempdir().unwrap();
    let root = work.path().join("root");
    for directory in ["sbin", "etc", "proc", "sys", "dev", "tmp"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    let text = source(program);
    let mut linking = vec!["-static".to_owned()];
    if dynamic {
        linking = vec![format!("-Wl,--dynamic-linker={LOADER},-rpath,/lib")];
        add_libraries(compiler, &root);
    }
    let built = Command::new(compiler)
        .args(linking)
        .args(["-O1", "-Wall", "-Werror"])
        .args(options(&text, arch).unwrap())
        .arg("-o")
        .arg(root.join("sbin/init"))
        .arg(format!("{SOURCES}/{program}.c"))
        .status()
        .unwrap();
    assert!(built.success(), "{program}.c for {arch}");
    for line in text.lines() {
        if let Some((_, command)) = line.split_once("// before: ") {
            let mut shell = Command::new("sh");
            let done = shell.args(["-ec", command]).current_dir(&root).output();
            let done = done.unwrap();
            let said = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{command}: {said}");
        }
    }
    let archive = work.path().join("fs.tar.gz");
    let packed = Command::new("tar")
        .arg("-czf")
        .arg(&archive)
        .arg("-C")
        .arg(&root)
        .arg(".")
        .status()
        .unwrap();
    assert!(packed.success());
    let penguins = if arch == HARD_FLOAT { "armel" } else { arch };
    let mut plan = support::plan(work.path(), &archive, penguins, "/sbin/init");
    match program {
        LONG => (plan.timeout_s, plan.extended_s) = (17, Some(120)),
        MODELS => plan.pseudofiles = models(),
        FLASH => {
            plan.flash = vec![
                partition(0, "boot", Held::Bytes(b"boot".to_vec())),
                partition(2, "factory", Held::Zeros),
            ];
            let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            plan.uboot_env = vec![
                variable("ethaddr", "00:11:22:33:44:55"),
                variable("bootdelay", "3"),
            ];
        }
        HOTPLUG => plan.netdevs = vec!["eth0".to_owned()],
        OPTIONS | CAPTURE => {
            plan.capture = program == CAPTURE;
            plan.netdevs = vec!["eth0".to_owned()];
            plan.addresses = vec![address("eth0", [10, 7, 0, 1])];
        }
        INTERFACES => {
            plan.netdevs = ["eth0", "br0", "br9"].map(str::to_owned).into();
            plan.addresses = vec![address("br9", [192, 168, 9, 1])];
        }
        _ => {}
    }
    plan.static_files.extend(text.lines().filter_map(node));
    support::unpack_with_tar(&plan);
    let mut control = Recorder::new(|_| None);
    let begin = Instant::now();
    let outcome = UserBackend.run(&plan, &mut control).unwrap();
    if program == LONG {
        let seconds = begin.elapsed().as_secs();
        assert!((32..70).contains(&seconds), "it took {seconds} s");
    }
    let console = format!("{}{outcome:?}", control.console());
    let in_memory = std::env::var(TEST).is_ok_and(|test| test.ends_with(IN_MEMORY));
    let known = |line: &str| in_memory && BROKEN_IN_MEMORY.iter().any(|text| line.contains(text));
    let broken = console
        .lines()
        .filter(|line| line.starts_with("no ") && !known(line));
    assert_eq!(broken.count(), 0, "{console}");
    if program == MODELS && !in_memory {
        let written = std::fs::read(plan.results_dir.join("written").join(WRITTEN)).unwrap();
        assert_eq!(written, b"written by the guest\n");
    }
    if program == CAPTURE {
        let file = std::fs::read(plan.results_dir.join("vpn.pcap")).unwrap();
        is_recorded(&file);
    }
    assert!(console.contains("the end"), "{console}");
    let events: Vec<_> = control.events.iter().filter_map(describe).collect();
    for line in text.lines() {
        let expected = line.split_once("// event: ").map(|(_, event)| event);
        assert!(
            expected.is_none_or(|event| known(event) || events.iter().any(|told| told == event)),
            "no event {expected:?} in:\n{}",
            events.join("\n")
        );
    }
}

/// Read a record of packets as its readers do (`pcap-savefile(5)`, with `LINUX_SLL2`): what was
/// sent by an interface is there, by its number, and what the guest sent itself has come in only.
fn is_recorded(file: &[u8]) {
    const OUTGOING: u8 = 4;
    let long = |bytes: &[u8], at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((long(file, 0), long(file, 20)), (0xA1B2_C3D4, 276));
    let (mut rest, mut seen) = (&file[24..], std::collections::HashMap::new());
    while !rest.is_empty() {
        let (held, length) = (long(rest, 8) as usize, long(rest, 12) as usize);
        assert!(held <= length);
        let (packet, others) = rest[16..].split_at(held);
        for text in ["to-myself", "to-everybody"] {
            if packet.ends_with(text.as_bytes()) {
                let interface = u32::from_be_bytes(packet[4..8].try_into().unwrap());
                let direction = packet[10];
                assert_eq!(packet[..2], [8, 0], "it is of IPv4");
                *seen.entry((text, interface, direction)).or_insert(0) += 1;
            }
        }
        rest = others;
    }
    assert!(seen.contains_key(&("to-myself", 1, 0)), "{seen:?}");
    assert!(!seen.contains_key(&("to-myself", 1, OUTGOING)), "{seen:?}");
    let out = |(text, interface, direction): &(&str, u32, u8)| {
        *text == "to-everybody" && *interface > 1 && *direction == OUTGOING
    };
    assert!(seen.keys().any(out), "{seen:?}");
}

/// An event as the sources name it: which call, what about, with what result.
fn describe(event: &Event) -> Option<String> {
    let result = |result: Option<i32>| result.map_or("?".to_owned(), |value| value.to_string());
    match &event.what {
        What::Path {
            syscall,
            path,
            result: value,
            ..
        } => Some(format!("{syscall} {path} {}", result(*value))),
        What::Call {
            syscall,
            arguments,
            result: value,
        } => {
            let argument = |(_, argument): &(_, Argument)| match argument {
                Argument::Text(text) => text.clone(),
                Argument::Number(number) => number.to_string(),
            };
            let texts = arguments
                .iter()
                .any(|(_, argument)| matches!(argument, Argument::Text(_)));
            let shown = arguments
                .iter()
                .filter(|(_, argument)| !texts || matches!(argument, Argument::Text(_)));
            let arguments: Vec<_> = shown.map(argument).collect();
            Some(format!(
                "{syscall} {} {}",
                arguments.join(","),
                result(*value)
            ))
        }
        What::Answered {
            port,
            at_end,
            answer,
            ..
        } => {
            let when = if *at_end { "end" } else { "start" };
            let status = answer.status.map(|status| status.to_string());
            let text = answer.title.as_ref().or(answer.banner.as_ref());
            Some(format!(
                "answered {port} {when} {} {} {}",
                answer.kind,
                status.as_deref().unwrap_or("-"),
                text.map_or("-", String::as_str)
            ))
        }
        What::Nvram {
            operation,
            key,
            value,
        } => {
            let told = format!("nvram {operation:?} {key} {value}").to_lowercase();
            Some(told.trim_end().to_owned())
        }
        What::Unmodelled {
            path,
            operation: Operation::Write(written),
        } => Some(format!(
            "written {path} {:?} {}",
            String::from_utf8_lossy(&written.payload),
            written.bytes
        )),
        What::InterfaceMissing { name, result, .. } => Some(format!("interface {name} {result}")),
        What::BindFailed {
            ip, port, result, ..
        } => Some(format!("bind {ip}:{port} {result}")),
        What::Crash { signal, last, .. } => {
            let last = last.last().map_or("", |call| &call.about);
            Some(format!("crash {last} {signal}"))
        }
        _ => None,
    }
}
