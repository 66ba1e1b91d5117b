use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rookery_contract::shapes::CommandOutput;
use rookery_project::{Error, Result};

use super::files;
use super::guesthopper::{Fault, Guesthopper};
use crate::live::CommandRequest;
use crate::penguin::live::command::execute;
use crate::penguin::live::vsock::Way;

const LIMIT: Duration = Duration::from_secs(4);

struct Guest {
    directory: tempfile::TempDir,
    hopper: Guesthopper,
}

impl Guest {
    fn with(shell: &str, fault: Fault) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let hopper = Guesthopper::start(directory.path(), shell, LIMIT, fault);
        Self { directory, hopper }
    }

    fn new() -> Self {
        Self::with("sh", Fault::None)
    }

    fn run_by(&self, way: &Way, argv: &[&str], ms: u64, max_bytes: usize) -> Result<CommandOutput> {
        let files = files(self.directory.path(), &self.hopper.runtime());
        let request = CommandRequest {
            argv: argv.iter().map(ToString::to_string).collect(),
            timeout: Duration::from_millis(ms),
            max_bytes,
        };
        execute(&files, way, &request)
    }

    fn run(&self, argv: &[&str]) -> CommandOutput {
        self.run_by(&Way::Here, argv, 30_000, 65_536).unwrap()
    }

    fn sh(&self, line: &str) -> CommandOutput {
        self.run(&["sh", "-c", line])
    }
}

#[test]
fn the_code_and_both_streams_of_a_command_come_back() {
    let guest = Guest::new();
    let output = guest.sh("echo out; echo err >&2; exit 3");
    assert_eq!(output.exit_code, Some(3), "{output:?}");
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("out\n", "err\n")
    );
    assert!(!output.truncated && !output.timed_out);
    assert_eq!(guest.sh("true").exit_code, Some(0));
    // A shell's way to tell of a signal.
    assert_eq!(guest.sh("kill -9 $$").exit_code, Some(137));
    assert_eq!(guest.run(&["/no/such"]).exit_code, Some(127));
    guest.sh(": a mark of this test");
    let left = fs::read_dir("/tmp").unwrap().flatten().any(|entry| {
        let script = fs::read_to_string(entry.path().join("s")).unwrap_or_default();
        entry.file_name().to_string_lossy().starts_with(".rookery-")
            && script.contains("a mark of this test")
    });
    assert!(!left, "files were left in the guest");
}

#[test]
fn arguments_reach_the_program_as_they_are() {
    let guest = Guest::new();
    let odd = ["a b", "'", "$HOME `id` \\", "", "ü\n*", "\"x\" #"];
    let argv: Vec<_> = ["printf", "[%s]"].into_iter().chain(odd).collect();
    let expected = format!("[{}]", odd.join("]["));
    assert_eq!(guest.run(&argv).stdout, expected);
}

#[test]
fn a_command_that_takes_longer_than_guesthopper_waits_has_its_own_code() {
    let guest = Guest::new();
    let output = guest.sh("sleep 6; echo late; exit 7");
    assert_eq!(
        (output.exit_code, output.stdout.as_str()),
        (Some(7), "late\n")
    );
    assert!(!output.timed_out);
    assert!(
        guest.hopper.asked.load(Ordering::SeqCst) > 1,
        "it was asked again"
    );
}

#[test]
fn a_command_that_does_not_end_is_killed_and_what_it_printed_is_given() {
    let guest = Guest::new();
    let mark = format!("{:?}", Instant::now());
    let line = format!("echo before; sleep 300 & sleep 300; : '{mark}'");
    let begun = Instant::now();
    let output = guest
        .run_by(&Way::Here, &["sh", "-c", &line], 1500, 4096)
        .unwrap();
    assert!(output.timed_out && output.exit_code.is_none(), "{output:?}");
    assert_eq!(output.stdout, "before\n");
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    let alive = fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&mark)
    });
    assert!(!alive, "the command was not killed");
}

#[test]
fn output_larger_than_a_pipe_does_not_block_and_is_cut_where_it_was_asked() {
    let guest = Guest::new();
    let flood = ["sh", "-c", "yes x | head -c 3000000; echo done >&2; exit 5"];
    let output = guest.run_by(&Way::Here, &flood, 30_000, 40_000).unwrap();
    assert_eq!(
        (output.exit_code, output.stderr.as_str()),
        (Some(5), "done\n")
    );
    assert_eq!(output.stdout.len(), 40_000);
    assert!(output.truncated && !output.timed_out);
    let all = ["sh", "-c", "yes x | head -c 100000"];
    let output = guest.run_by(&Way::Here, &all, 30_000, 1 << 20).unwrap();
    assert_eq!((output.stdout.len(), output.truncated), (100_000, false));
}

#[test]
fn output_that_is_not_text_comes_back() {
    let guest = Guest::new();
    let output = guest.sh("printf 'a\\377\\000b'; printf '\\200' >&2; exit 1");
    assert_eq!(output.exit_code, Some(1));
    assert_eq!(output.stdout, "a\u{fffd}\0b");
    assert_eq!(output.stderr, "\u{fffd}");
}

#[test]
fn a_process_in_the_background_stays_and_holds_nothing_up() {
    let guest = Guest::new();
    let begun = Instant::now();
    let output = guest.sh("sleep 20 & echo $!");
    assert_eq!(output.exit_code, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(15));
    let pid: i32 = output.stdout.trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again_and_the_command_is_not_repeated() {
    let guest = Guest::with("sh", Fault::LosesTheFirst);
    let file = guest.directory.path().join("times");
    let output = guest.sh(&format!("echo x >>'{0}'; cat '{0}'", file.display()));
    assert_eq!((output.exit_code, output.stdout.as_str()), (Some(0), "x\n"));
}

#[test]
fn a_guest_that_does_not_answer_is_said_in_words() {
    let guest = Guest::with("sh", Fault::Hangs);
    let answer = guest.run_by(&Way::Here, &["true"], 300, 4096);
    let Err(Error::Backend(why)) = answer else {
        panic!("{answer:?}")
    };
    assert!(why.contains("did not answer"), "{why}");
    let guest = Guest::with("sh", Fault::Absent);
    let answer = guest.run_by(&Way::Here, &["true"], 300, 4096);
    let Err(Error::Unavailable(missing)) = answer else {
        panic!("{answer:?}")
    };
    assert!(missing.why.contains("does not listen"), "{missing:?}");
    assert!(missing.how_to_enable.contains("run_wait"), "{missing:?}");
    let files = files(
        guest.directory.path(),
        "guest_cmd: false\nvsock_uds_path: null\n",
    );
    let request = CommandRequest {
        argv: vec!["true".into()],
        timeout: LIMIT,
        max_bytes: 10,
    };
    let Err(Error::Unavailable(off)) = execute(&files, &Way::Here, &request) else {
        panic!("it is off")
    };
    assert!(off.how_to_enable.contains("\"core.guest_cmd\""), "{off:?}");
}

#[test]
fn a_command_that_is_longer_than_the_guest_reads_is_not_sent_in_part() {
    let guest = Guest::new();
    let answer = guest.run_by(&Way::Here, &["echo", &"x".repeat(70_000)], 5000, 10);
    assert!(
        matches!(answer, Err(Error::InvalidArgument(_))),
        "{answer:?}"
    );
    assert_eq!(guest.hopper.asked.load(Ordering::SeqCst), 0);
}

#[test]
fn from_a_host_the_socket_in_the_container_is_reached_by_the_engine() {
    let guest = Guest::new();
    let engine = guest.directory.path().join("docker");
    let calls = guest.directory.path().join("calls");
    let script = format!(
        "#!/bin/sh\necho \"$1 $2 $3 $4\" >>'{}'\n\
         [ \"$3\" = up ] || exit 125\nshift 3\nexec \"$@\"\n",
        calls.display()
    );
    fs::write(&engine, script).unwrap();
    fs::set_permissions(&engine, fs::Permissions::from_mode(0o755)).unwrap();
    let way = |name: &str| Way::Container {
        engine: engine.clone(),
        name: name.to_owned(),
    };
    let argv = ["sh", "-c", "yes | head -c 20000; exit 4"];
    let output = guest.run_by(&way("up"), &argv, 30_000, 65_536).unwrap();
    assert_eq!((output.exit_code, output.stdout.len()), (Some(4), 20_000));
    assert!(
        fs::read_to_string(calls)
            .unwrap()
            .starts_with("exec -i up python3\n")
    );
    let answer = guest.run_by(&way("gone"), &argv, 3000, 10);
    let Err(Error::Unavailable(missing)) = answer else {
        panic!("{answer:?}")
    };
    assert!(missing.why.contains("125"), "{missing:?}");
}
