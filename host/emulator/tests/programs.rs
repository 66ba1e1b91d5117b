//! Programs in C, one a kind of interface, each built for every architecture that this machine has
//! a compiler for and run as the init of a guest. A line that begins with `no ` is a promise that
//! was broken.

mod support;

use std::path::Path;
use std::process::Command;

use rookery_emulator::UserBackend;
use rookery_runs::backend::Backend;
use support::Recorder;

/// Penguin's name of an architecture, and Debian's of its compiler.
const COMPILERS: &[(&str, &str)] = &[
    ("mipsel", "mipsel-linux-gnu-gcc"),
    ("mipseb", "mips-linux-gnu-gcc"),
    ("armel", "arm-linux-gnueabi-gcc"),
    ("aarch64", "aarch64-linux-gnu-gcc"),
    ("powerpc", "powerpc-linux-gnu-gcc"),
    ("mips64el", "mips64el-linux-gnuabi64-gcc"),
    ("riscv64", "riscv64-linux-gnu-gcc"),
];

fn main() {
    if let Ok(test) = std::env::var("ROOKERY_TEST") {
        let (program, arch) = test.split_once(' ').expect("a program and an architecture");
        return run(program, arch);
    }
    if !support::can_run() {
        return;
    }
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs");
    let mut programs: Vec<_> = std::fs::read_dir(sources)
        .unwrap()
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    programs.sort();
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for (arch, compiler) in COMPILERS {
        if Command::new(compiler).arg("--version").output().is_err() {
            eprintln!("SKIPPED: programs for {arch}: {compiler} is not installed");
            continue;
        }
        for test in programs.iter().map(|program| format!("{program} {arch}")) {
            if !test.contains(&wanted) {
                continue;
            }
            // A supervisor has one run only where it was started as root.
            let status = Command::new(std::env::current_exe().unwrap())
                .env("ROOKERY_TEST", &test)
                .status()
                .unwrap();
            assert!(status.success(), "{test} failed: {status}");
            println!("test {test} ... ok");
        }
    }
}

/// Build a program and run it as init.
fn run(program: &str, arch: &str) {
    let (_, compiler) = COMPILERS.iter().find(|(known, _)| *known == arch).unwrap();
    let work = tempfile::tempdir().unwrap();
    let root = work.path().join("root");
    for directory in ["sbin", "etc", "proc", "sys", "dev", "tmp"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    let source = format!("{}/tests/programs/{program}.c", env!("CARGO_MANIFEST_DIR"));
    let built = Command::new(compiler)
        .args(["-static", "-O1", "-Wall", "-Werror", "-o"])
        .arg(root.join("sbin/init"))
        .arg(source)
        .status()
        .unwrap();
    assert!(built.success(), "{program}.c for {arch}");
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
    let plan = support::plan(work.path(), &archive, arch, "/sbin/init");
    support::unpack_with_tar(&plan);
    let mut control = Recorder::new(|_| None);
    UserBackend.run(&plan, &mut control).unwrap();
    let console = control.console();
    let broken = console.lines().filter(|line| line.starts_with("no "));
    assert_eq!(broken.count(), 0, "{console}");
    assert!(console.contains("the end"), "{console}");
}
