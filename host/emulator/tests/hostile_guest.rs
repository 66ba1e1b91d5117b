//! The supervisor against a guest that has broken out of its emulator: in the place of qemu stands
//! a program of this machine's own CPU that makes random system calls, many processes at once, each
//! able to change what the others point to.
//!
//! `ROOKERY_FUZZ_SEEDS=1000..2000` tries other sequences than the few of every test run.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rookery_emulator::UserBackend;
use rookery_runs::backend::Backend;
use rookery_runs::plan::{Ioctl, IoctlCommand, Pseudofile, Read};
use support::native::{self, Data, QEMU, survivors};

const RUN_S: u64 = 2;

fn main() -> ExitCode {
    if let Ok(seed) = std::env::var("ROOKERY_TEST_SEED") {
        let seed = seed.parse().expect("a number");
        supervise(&std::env::current_dir().expect("it is there"), seed);
        return ExitCode::SUCCESS;
    }
    let trials = seeds().map(|seed| {
        let name = format!("a_hostile_guest_ends_with_its_run_and_reaches_nothing::{seed}");
        rookery_harness::test(name, move || {
            support::can_run_native()?;
            a_hostile_guest_ends_with_its_run_and_reaches_nothing(seed);
            Ok(())
        })
    });
    rookery_harness::run_in_turn(trials.collect())
}

fn seeds() -> std::ops::Range<u64> {
    let text = std::env::var("ROOKERY_FUZZ_SEEDS").unwrap_or_else(|_| "1..5".into());
    let (first, end) = text.split_once("..").expect("a range such as 1..5");
    first.parse().expect("a number")..end.parse().expect("a number")
}

fn a_hostile_guest_ends_with_its_run_and_reaches_nothing(seed: u64) {
    let work = tempfile::tempdir().unwrap();
    // The guest is another user where this is root.
    std::fs::set_permissions(work.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let outside = work.path().join("outside");
    std::fs::write(&outside, "untouched").unwrap();
    std::fs::set_permissions(&outside, PermissionsExt::from_mode(0o666)).unwrap();
    let bin = work.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let begin = Instant::now();
    let output = Command::new(std::env::current_exe().unwrap())
        .env("ROOKERY_TEST_SEED", seed.to_string())
        .env("PATH", format!("{}:{path}", bin.display()))
        .current_dir(work.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "seed {seed}: {}\n{said}",
        output.status
    );
    assert!(
        begin.elapsed() < Duration::from_secs(RUN_S + 10),
        "seed {seed} went on for {:?}",
        begin.elapsed()
    );
    assert_eq!(
        std::fs::read_to_string(&outside).unwrap(),
        "untouched",
        "seed {seed}"
    );
    assert_eq!(
        survivors(&bin.join(QEMU)),
        Vec::<String>::new(),
        "seed {seed}"
    );
}

/// The supervisor's process: one run in `work`.
fn supervise(work: &Path, seed: u64) {
    let mut plan = native::prepare(work, &hostile_program(seed, work));
    plan.timeout_s = RUN_S;
    plan.netdevs = vec!["eth0".into()];
    let model = Pseudofile {
        read: Read::Bytes(b"model\n".to_vec()),
        ioctl: vec![(IoctlCommand::Any, Ioctl::Return(5))],
        ..Pseudofile::default()
    };
    plan.pseudofiles = vec![
        ("/dev/model".into(), model.clone()),
        ("/proc/model".into(), model),
    ];
    let mut control = support::Recorder::new(|_| None);
    // Whether it comes to its deadline or ends before is the guest's doing.
    let outcome = UserBackend.run(&plan, &mut control).unwrap();
    println!("{outcome:?}, {} events", control.events.len());
    assert!(control.events.len() > 20, "the guest did nothing");
}

const CALLS: usize = 4000;

/// A program that makes random calls.
fn hostile_program(seed: u64, work: &Path) -> Vec<u8> {
    let mut data = Data::new();
    let mut strings: Vec<u64> = STRINGS.iter().map(|text| data.put(text)).collect();
    for way_out in [
        "",
        "/../../../..",
        "/proc/1/root/../../..",
        "/proc/self/cwd/../../..",
    ] {
        strings.push(data.put(format!("{way_out}{}/outside", work.display()).as_bytes()));
    }
    let vectors: Vec<u64> = (0..4)
        .map(|n| {
            let pointers = [strings[n], strings[n + 1], 0x1000, 0];
            data.put(
                &pointers[..4 - n % 2 * 2]
                    .iter()
                    .flat_map(|p| p.to_le_bytes())
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    let scratch = data.put(&[0x2f; 4096]);
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut steps = Vec::new();
    for n in 0..CALLS {
        // A few processes first, so that all the rest happens at the same time.
        let number = if n < 4 {
            libc::SYS_fork
        } else {
            random.of(CALLS_TO_MAKE)
        };
        let mut argument = || match random.below(8) {
            0 | 1 => random.of(&strings),
            2 => random.of(&vectors),
            3 => scratch + random.below(4200),
            4 => random.below(10),
            5 => random.of(ODD),
            6 => random.next(),
            _ => libc::AT_FDCWD.cast_unsigned().into(),
        };
        steps.push((number, std::array::from_fn(|_| argument()), 0));
    }
    native::program(data, &steps)
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).expect("an index")]
    }
}

const LONG: &[u8] = &[b'/'; 5000];

const STRINGS: &[&[u8]] = &[
    b"/",
    b"/init",
    b"/dev/model",
    b"/proc/model",
    b"/dev/missing",
    b"/proc/self/mem",
    b"/proc/self/mounts",
    b"/proc/sys/kernel/panic",
    b"tmpfs",
    b"/proc/self/exe",
    b"/.rookery/log",
    b"/.rookery/qemu-mipsel",
    b"/tmp/a",
    b"/tmp/a/../b",
    b"/dev/mtd0",
    b"/sys/class",
    b"",
    b"\xff\xfe\x01",
    b"proc",
    b"overlay",
    b"#!/init\n",
    // sockaddr_in, port 80; a Unix address; too short
    b"\x02\0\0\x50\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\x01\0/tmp/socket",
    b"\x0a",
    LONG,
];

const ODD: &[u64] = &[
    0,
    1,
    0o4755,
    512,
    0x541B,
    0x8914,
    0x4004_6e01,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0x7FFF_FFFF_FFFF,
    0xFFFF_8000_0000_0000,
    u64::MAX - 1,
];

/// All that the supervisor answers, and some that change what it sees.
#[rustfmt::skip]
const CALLS_TO_MAKE: &[i64] = &[
    libc::SYS_open, libc::SYS_openat, libc::SYS_creat, libc::SYS_stat, libc::SYS_lstat,
    libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_access, libc::SYS_faccessat,
    libc::SYS_faccessat2, libc::SYS_readlink, libc::SYS_readlinkat, libc::SYS_execve,
    libc::SYS_execveat, libc::SYS_bind, libc::SYS_listen, libc::SYS_kill, libc::SYS_tkill,
    libc::SYS_tgkill, libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_swapon,
    libc::SYS_swapoff, libc::SYS_mknod, libc::SYS_mknodat, libc::SYS_chown, libc::SYS_lchown,
    libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid,
    libc::SYS_setregid, libc::SYS_setresuid, libc::SYS_setresgid, libc::SYS_setfsuid,
    libc::SYS_setfsgid, libc::SYS_setgroups, libc::SYS_getuid, libc::SYS_getresuid,
    libc::SYS_getresgid, libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module,
    libc::SYS_ioctl, libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_sethostname,
    libc::SYS_setdomainname, libc::SYS_write, libc::SYS_writev, libc::SYS_pwrite64,
    libc::SYS_syslog, libc::SYS_fork, libc::SYS_chdir, libc::SYS_fchdir, libc::SYS_chroot,
    libc::SYS_close, libc::SYS_dup2, libc::SYS_socket, libc::SYS_unlink, libc::SYS_symlink,
    libc::SYS_rename, libc::SYS_mkdir, libc::SYS_link, libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo, libc::SYS_pidfd_send_signal, libc::SYS_rt_sigaction,
    libc::SYS_setsockopt, libc::SYS_setrlimit, libc::SYS_prlimit64,
];
