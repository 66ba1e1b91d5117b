//! Programs in C, one a kind of interface, each built for every architecture that this machine has
//! a compiler for and run as the init of a guest. A line that begins with `no ` is a promise that
//! was broken; an event that a comment of the source names, `// event: connect /tmp/x -2`, is one,
//! too. What a comment `// before: mkdir etc` has is done in the root filesystem first, and
//! `// node: /dev/mem 1 1` is a device node there. `// only: mips64el -march=octeon` names an
//! architecture for which alone the program is built, and how.

mod plans;
#[path = "../support/mod.rs"]
mod support;
mod told;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use rookery_emulator::UserBackend;
use rookery_harness::Skip;
use rookery_records::event::{Event, What};
use rookery_runs::backend::Backend;
use rookery_runs::plan::StaticFile;

use self::plans::{CAPTURE, LONG, MODELS, WRITTEN};
use self::support::Recorder;
use self::told::{describe, is_recorded};

/// Debian's name for programs of `armel` that pass numbers in the registers of the FPU.
const HARD_FLOAT: &str = "armhf";

/// The one whose numbers begin with their highest byte that is tried with each run of the tests.
const BIG_ENDIAN: &str = "mipseb";

/// Penguin's name of an architecture, Debian's of its compiler, and whether `scripts/setup`
/// installs that.
const COMPILERS: &[(&str, &str, bool)] = &[
    ("mipsel", "mipsel-linux-gnu-gcc", true),
    ("aarch64", "aarch64-linux-gnu-gcc", true),
    (BIG_ENDIAN, "mips-linux-gnu-gcc", false),
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

/// What the name of a test ends with in which models are sockets, or files in memory.
const IN_MEMORY: &str = ", in memory";

/// What models without a file system break of what that program promises.
const BROKEN_IN_MEMORY: &[&str] = &[
    // The kernel says EINVAL of a file that has no `write`, whatever the model says.
    "writes fail as is said",
    // It says so before anybody has seen what was written.
    "written /dev/unhandled",
    // A model with content is memory, for which nobody can wait.
    "epoll takes it",
    // A socket is full only where nobody takes what is written, and who writes then waits.
    "one that blocks is never ready to be written",
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
    let name_of = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        Some(name.strip_suffix(".c")?.to_owned())
    };
    let sources = std::fs::read_dir(SOURCES).unwrap();
    let mut programs: Vec<String> = sources.filter_map(name_of).collect();
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
            let is_extra = program == LONG || !is_usual(arch, installed, linked);
            let trial =
                rookery_harness::test(name.clone(), move || try_one(compiler, installed, &name));
            trials.push(trial.with_ignored_flag(is_extra));
        }
    }
    for &(arch, compiler, installed) in COMPILERS {
        for linked in ["", DYNAMIC] {
            let name = format!("{MODELS} on {arch}{linked}{IN_MEMORY}");
            let is_extra = !is_usual(arch, installed, linked);
            let trial =
                rookery_harness::test(name.clone(), move || try_one(compiler, installed, &name));
            trials.push(trial.with_ignored_flag(is_extra));
        }
    }
    rookery_harness::run_in_turn(trials)
}

/// Whether a trial belongs to each run of the tests: the architectures whose compilers are surely
/// there, and one of the other byte order. All others together take minutes.
fn is_usual(arch: &str, installed: bool, linked: &str) -> bool {
    installed || arch == BIG_ENDIAN && linked.is_empty()
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

/// What models in memory are known to break is broken, and the run says when it makes files of
/// models that would be sockets.
fn breaks_what_is_known(console: &str, control: &Recorder) {
    for text in BROKEN_IN_MEMORY {
        let kept = console
            .lines()
            .any(|line| line.starts_with("yes") && line.contains(text));
        assert!(!kept, "{text} is kept: {console}");
    }
    let is_told = |event: &Event| match &event.what {
        What::Note(text) => text.contains("more device models open"),
        _ => false,
    };
    assert!(control.events.iter().any(is_told), "{console}");
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
    plans::fit(&mut plan, program);
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
    if in_memory {
        breaks_what_is_known(&console, &control);
    }
    let broken = console
        .lines()
        .filter(|line| line.starts_with("no ") && !known(line));
    assert_eq!(broken.count(), 0, "{console}");
    if program == MODELS {
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
