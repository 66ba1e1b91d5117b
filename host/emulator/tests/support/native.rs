//! A guest that has broken out of its emulator: in the place of qemu stands a static program of
//! this machine's own CPU.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rookery_runs::plan::Plan;

/// The emulator whose place it takes.
pub const QEMU: &str = "qemu-mipsel-static";

/// What makes a file a program of a little-endian MIPS.
const MIPS_HEADER: &[u8] = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x08\0\x01\0\0\0";

const BASE: u64 = 0x40_0000;
const CODE: u64 = 64 + 56;
const DATA: usize = 0x1000;
const LAST_CALL: u64 = u64::MAX;

/// A test's name, and the supervisor's part of it, in a directory of its own.
pub type Test = (&'static str, fn(&Path));

/// What came of the supervisor's part of a test.
pub struct Ended {
    pub name: &'static str,
    pub output: std::process::Output,
    pub after: Duration,
}

/// The name of the test whose supervisor a process is.
const TEST: &str = "ROOKERY_TEST_GUEST";

/// Run each test's supervisor in a process of its own, and give what came of it to `check`. In that
/// process, this is its part.
pub fn in_processes(tests: &'static [Test], check: fn(&Ended)) -> ExitCode {
    if let Ok(name) = std::env::var(TEST) {
        let test = tests.iter().find(|(known, _)| *known == name);
        test.expect("it is a test").1(&std::env::current_dir().expect("it is there"));
        return ExitCode::SUCCESS;
    }
    let trials = tests.iter().map(|(name, _)| {
        rookery_harness::test(*name, move || {
            super::can_run_native()?;
            in_process(name, check);
            Ok(())
        })
    });
    rookery_harness::run_in_turn(trials.collect())
}

fn in_process(name: &'static str, check: fn(&Ended)) {
    let work = tempfile::tempdir().unwrap();
    // The guest is another user where this is root.
    std::fs::set_permissions(work.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let bin = work.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let begin = Instant::now();
    let output = Command::new(std::env::current_exe().unwrap())
        .env(TEST, name)
        .env("PATH", format!("{}:{path}", bin.display()))
        .current_dir(work.path())
        .output()
        .unwrap();
    let after = begin.elapsed();
    check(&Ended {
        name,
        output,
        after,
    });
    assert_eq!(survivors(&bin.join(QEMU)), Vec::<String>::new(), "{name}");
}

/// The supervisor came to the end of its part.
pub fn succeeded(ended: &Ended) {
    let said = String::from_utf8_lossy(&ended.output.stderr);
    let (name, status) = (ended.name, ended.output.status);
    assert!(status.success(), "{name}: {status}\n{said}");
}

/// Processes that run `program`.
pub fn survivors(program: &Path) -> Vec<String> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let process = entry.ok()?.path();
            let runs = std::fs::read_link(process.join("exe")).ok()?;
            (runs == program).then(|| process.display().to_string())
        })
        .collect()
}

/// A call that is followed by the next.
pub fn call(number: i64, arguments: &[u64]) -> Step {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    (number, all, 0)
}

/// A system call, its arguments, and by how many calls to go on from the next where it gives 0.
pub type Step = (i64, [u64; 6], i64);

/// Make `work` a place to run in: a root with `/init`, and `bin` with `program` as the emulator,
/// which must be in the `PATH`.
pub fn prepare(work: &Path, program: &[u8]) -> Plan {
    let root = work.join("root");
    for directory in ["dev", "proc", "sys", "tmp", "etc"] {
        std::fs::create_dir_all(root.join(directory)).unwrap();
    }
    let mut init = MIPS_HEADER.to_vec();
    init.resize(128, 0);
    std::fs::write(root.join("init"), init).unwrap();
    std::fs::set_permissions(root.join("init"), PermissionsExt::from_mode(0o755)).unwrap();
    let archive = work.join("root.tar");
    let made = Command::new("tar")
        .arg("-cf")
        .args([&archive, Path::new("-C"), &root, Path::new(".")])
        .status()
        .unwrap();
    assert!(made.success());
    let qemu = work.join("bin").join(QEMU);
    std::fs::write(&qemu, program).unwrap();
    std::fs::set_permissions(&qemu, PermissionsExt::from_mode(0o755)).unwrap();
    super::plan(work, &archive, "mipsel", "/init")
}

/// A program that makes calls one after the other, and exits after the last.
pub fn program(mut data: Data, steps: &[Step]) -> Vec<u8> {
    let mut table = Vec::new();
    for (number, arguments, jump) in steps {
        table.push(number.cast_unsigned());
        table.extend(arguments);
        table.push((jump * 64).cast_unsigned());
    }
    table.push(LAST_CALL);
    let table = data.put(
        &table
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<_>>(),
    );

    #[rustfmt::skip]
    let mut code = vec![
        0x48, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, // mov rbx, table
        0x48, 0x8b, 0x03,                   // next: mov rax, [rbx]
        0x48, 0x83, 0xf8, 0xff,             // cmp rax, -1
        0x74, 0x29,                         // je end
        0x48, 0x8b, 0x7b, 0x08,             // mov rdi, [rbx+8]
        0x48, 0x8b, 0x73, 0x10,             // mov rsi, [rbx+16]
        0x48, 0x8b, 0x53, 0x18,             // mov rdx, [rbx+24]
        0x4c, 0x8b, 0x53, 0x20,             // mov r10, [rbx+32]
        0x4c, 0x8b, 0x43, 0x28,             // mov r8, [rbx+40]
        0x4c, 0x8b, 0x4b, 0x30,             // mov r9, [rbx+48]
        0x0f, 0x05,                         // syscall
        0x48, 0x85, 0xc0,                   // test rax, rax
        0x75, 0x04,                         // jnz on
        0x48, 0x03, 0x5b, 0x38,             // add rbx, [rbx+56]
        0x48, 0x83, 0xc3, 0x40,             // on: add rbx, 64
        0xeb, 0xce,                         // jmp next
        0xb8, 0xe7, 0, 0, 0,                // end: mov eax, exit_group
        0x0f, 0x05,                         // syscall
    ];
    code[2..10].copy_from_slice(&table.to_le_bytes());

    let size = (DATA + data.0.len()) as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for word in [BASE + CODE, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([1, 0, 0, 0, 7, 0, 0, 0]);
    for word in [0, BASE, BASE, size, size, 0x1000_u64] {
        file.extend(word.to_le_bytes());
    }
    assert_eq!(file.len() as u64, CODE);
    file.extend(code);
    file.resize(DATA, 0);
    file.extend(data.0);
    file
}

/// What the program points to.
pub struct Data(Vec<u8>);

impl Data {
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// The address of `bytes`, which a NUL follows.
    pub fn put(&mut self, bytes: &[u8]) -> u64 {
        self.0.resize(self.0.len().next_multiple_of(16), 0);
        let address = BASE + (DATA + self.0.len()) as u64;
        self.0.extend(bytes);
        self.0.extend([0; 8]);
        address
    }
}
