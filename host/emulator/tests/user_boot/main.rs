//! Real guests under the embedded backend. One thread and no test harness: a supervisor forks.

mod ioctls;
#[macro_use]
#[path = "../support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rookery_emulator::UserBackend;
use rookery_records::event::{Operation, What};
use rookery_runs::backend::{Backend, Outcome, Reply, Request};
use rookery_runs::live::{CommandRequest, ReachRequest};
use rookery_runs::plan::{
    Ioctl, IoctlCommand, Plan, Pseudofile, Read as ReadModel, StaticFile, Write as WriteModel,
};

use ioctls::{
    a_model_of_any_ioctl_answers_at_the_first_call,
    ioctls_that_qemu_does_not_know_reach_their_models,
};

fn main() -> ExitCode {
    if let Some(work) = std::env::var_os("ROOKERY_TEST_BOOT") {
        boot_until_killed(Path::new(&work));
        return ExitCode::SUCCESS;
    }
    let with_image = named![
        a_mips_firmware_answers_http_through_forwarded_ports,
        a_guest_that_took_its_loopback_down_is_still_reached,
        models_devices_and_static_files_are_what_the_guest_sees,
        ioctls_that_qemu_does_not_know_reach_their_models,
        a_model_of_any_ioctl_answers_at_the_first_call,
        an_init_that_is_missing_is_an_error_that_names_it,
        nothing_survives_a_killed_supervisor,
    ];
    support::run_in_turn(&[
        (support::can_run_vendor_image, with_image),
        (
            support::can_run,
            named![a_command_that_is_not_there_ends_as_in_a_shell],
        ),
    ])
}

fn dv_plan(work: &Path) -> Plan {
    let image = support::vendor_image().expect("it was there");
    let mut plan = support::plan(work, &image, "mipsel", "/etc/rc.local");
    plan.netdevs = vec!["eth0".into()];
    support::unpack_with_tar(&plan);
    plan
}

fn http_status(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    Some(line)
}

fn a_mips_firmware_answers_http_through_forwarded_ports() {
    let work = tempfile::tempdir().unwrap();
    let plan = dv_plan(work.path());
    let answers = Rc::new(RefCell::new(Vec::new()));
    let clients = Rc::new(RefCell::new(Vec::new()));
    let reached = Rc::new(RefCell::new(None));
    let mut control = support::Recorder::new(|event| match &event.what {
        What::Forward {
            proto: "tcp",
            port,
            host_port,
            ..
        } => {
            // A thread of its own: the supervisor must go on while the client waits.
            let (port, host_port) = (*port, *host_port);
            clients
                .borrow_mut()
                .push(std::thread::spawn(move || (port, http_status(host_port))));
            let reached = Rc::clone(&reached);
            (port == 8080).then(|| {
                let request = ReachRequest {
                    proto: "tcp".into(),
                    host: "127.0.0.1".into(),
                    port: 8080,
                    send: b"GET / HTTP/1.0\r\n\r\n".to_vec(),
                    // The server keeps the connection open.
                    timeout: Duration::from_secs(2),
                    idle: None,
                    max_bytes: 4096,
                };
                Request::Reach(
                    request,
                    Reply::new(move |answer| *reached.borrow_mut() = Some(answer)),
                )
            })
        }
        What::Exit { .. } | What::Console(_) | What::Unlisten { .. } => {
            let mut clients = clients.borrow_mut();
            let done = clients.len() == 2
                && clients.iter().all(std::thread::JoinHandle::is_finished)
                && reached.borrow().is_some();
            done.then(|| {
                answers
                    .borrow_mut()
                    .extend(clients.drain(..).map(|client| client.join().unwrap()));
                Request::Stop
            })
        }
        _ => None,
    });
    let outcome = UserBackend.run(&plan, &mut control).unwrap();
    let events = std::mem::take(&mut control.events);
    drop(control);
    let mut answers = answers.take();
    answers.extend(
        clients
            .take()
            .into_iter()
            .map(|client| client.join().unwrap()),
    );
    answers.sort();
    assert_eq!(
        answers.iter().map(|(port, _)| *port).collect::<Vec<_>>(),
        [80, 8080],
        "{outcome:?}"
    );
    for (port, status) in &answers {
        assert!(
            status.as_deref().is_some_and(|line| line.contains(" 200")),
            "port {port}: {status:?}"
        );
    }
    let reached = reached.take().expect("the reach was answered").unwrap();
    assert!(reached.connected);
    assert!(
        reached.received.text.as_deref().unwrap().contains(" 200"),
        "{reached:?}"
    );
    let listener = events
        .iter()
        .find(|event| {
            matches!(
                event.what,
                What::Listen {
                    port: 8080,
                    proto: "tcp",
                    ..
                }
            )
        })
        .unwrap();
    assert_eq!(
        (
            listener.process.name.as_str(),
            listener.process.program.as_str()
        ),
        ("lightsrv", "/usr/bin/lightsrv")
    );
}

/// As the network daemon of `OpenWrt` does. What it says every second lets the test end when its
/// client has.
fn a_guest_that_took_its_loopback_down_is_still_reached() {
    let work = tempfile::tempdir().unwrap();
    let mut plan = dv_plan(work.path());
    let script = "#!/bin/sh\n/etc/rc.local &\nsleep 1\nifconfig lo 0.0.0.0\nifconfig lo down\n\
        while sleep 1; do echo still here; done\n";
    plan.init = "/etc/down".into();
    plan.static_files = vec![(
        "/etc/down".into(),
        StaticFile::Inline {
            contents: script.into(),
            mode: 0o755,
        },
    )];
    let client = Rc::new(RefCell::new(None));
    let mut control = support::Recorder::new(|event| {
        let mut client = client.borrow_mut();
        match (&event.what, client.as_ref()) {
            (
                What::Forward {
                    port: 80,
                    host_port,
                    ..
                },
                _,
            ) => {
                let host_port = *host_port;
                *client = Some(std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_secs(2));
                    http_status(host_port)
                }));
                None
            }
            (_, Some(thread)) if std::thread::JoinHandle::is_finished(thread) => {
                Some(Request::Stop)
            }
            _ => None,
        }
    });
    plan.timeout_s = 15;
    UserBackend.run(&plan, &mut control).unwrap();
    drop(control);
    let status = client.take().expect("port 80 is forwarded").join().unwrap();
    assert!(
        status.as_deref().is_some_and(|line| line.contains(" 200")),
        "{status:?}"
    );
}

const SCRIPT: &str = r#"#!/bin/sh
echo "arg $1 pid $$"
ls -l /dev/model /dev/console
cat /dev/model /proc/model
cat /proc/cmdline
cat /dev/nothing
mknod /tmp/null c 1 3 && echo x > /tmp/null && cat /tmp/null && echo null works
chown 7:7 /etc/hello && echo chown works
/etc/nested one two
exec /bin/busybox sleep 60
"#;

fn models_devices_and_static_files_are_what_the_guest_sees() {
    let work = tempfile::tempdir().unwrap();
    let mut plan = dv_plan(work.path());
    let file = |text: &str, mode| StaticFile::Inline {
        contents: text.into(),
        mode,
    };
    plan.init = "/etc/hello".into();
    plan.env = vec![("board".into(), "x9".into())];
    plan.static_files = vec![
        ("/etc/hello".into(), file(SCRIPT, 0o755)),
        ("/etc/nested".into(), file("#!/etc/interpreter -x\n", 0o755)),
        (
            "/etc/interpreter".into(),
            file("#!/bin/sh\necho nested $0 $1 $2 $3 $4\n", 0o755),
        ),
    ];
    let model = |text: &str| Pseudofile {
        read: ReadModel::Bytes(text.into()),
        write: WriteModel::Discard,
        ioctl: vec![(IoctlCommand::Number(0x4004_6e01), Ioctl::Return(5))],
        ..Pseudofile::default()
    };
    plan.pseudofiles = vec![
        ("/dev/model".into(), model("device contents\n")),
        ("/proc/model".into(), model("proc contents\n")),
    ];
    let answer = Rc::new(RefCell::new(None));
    let mut control = support::Recorder::new(|event| match &event.what {
        What::Exec {
            argv, result: 0, ..
        } if argv.iter().any(|argument| argument == "sleep") => {
            let answer = Rc::clone(&answer);
            let argv = ["sh", "-c", "echo $((6 * 7)); cat /dev/model; exit 3"]
                .map(str::to_owned)
                .to_vec();
            let request = CommandRequest {
                argv,
                timeout: Duration::from_secs(20),
                max_bytes: 1000,
            };
            Some(Request::Command(
                request,
                Reply::new(move |result| *answer.borrow_mut() = Some(result)),
            ))
        }
        _ => None,
    });
    plan.timeout_s = 6;
    assert_eq!(
        UserBackend.run(&plan, &mut control).unwrap(),
        Outcome::Deadline
    );
    let console = control.console();
    let events = std::mem::take(&mut control.events);
    drop(control);
    for expected in [
        "pid 1\n",
        "device contents",
        "proc contents",
        "board=x9",
        "null works",
        "chown works",
        "nested /etc/interpreter -x /etc/nested one two",
    ] {
        assert!(console.contains(expected), "no {expected:?} in:\n{console}");
    }
    let device = console
        .lines()
        .find(|line| line.contains("/dev/model") && line.contains("root"))
        .unwrap_or_default();
    assert!(
        device.starts_with('c') && device.contains("240,"),
        "{console}"
    );
    let answer = answer.take().expect("the command was answered").unwrap();
    assert_eq!(
        (answer.exit_code, answer.stdout.as_str()),
        (Some(3), "42\ndevice contents\n"),
        "{answer:?}"
    );
    let missing = |wanted: &str| {
        let open = Operation::Open { write: false };
        events.iter().any(|event| match &event.what {
            What::Unmodelled { path, operation } => path == wanted && *operation == open,
            _ => false,
        })
    };
    assert!(missing("/dev/nothing"));
    assert!(!missing("/dev/model"));
}

fn a_command_that_is_not_there_ends_as_in_a_shell() {
    let work = tempfile::tempdir().unwrap();
    let plan = support::script_plan(work.path(), "sleep 2");
    let answer = Rc::new(RefCell::new(None));
    let mut control = support::Recorder::new(|event| match &event.what {
        What::Exec {
            argv, result: 0, ..
        } if argv.iter().any(|argument| argument == "sleep") => {
            let answer = Rc::clone(&answer);
            let request = CommandRequest {
                argv: vec!["no-such-program".into(), "x".into()],
                timeout: Duration::from_secs(20),
                max_bytes: 1000,
            };
            let keep = move |result| *answer.borrow_mut() = Some(result);
            Some(Request::Command(request, Reply::new(keep)))
        }
        _ => None,
    });
    UserBackend.run(&plan, &mut control).unwrap();
    drop(control);
    let answer = answer.take().expect("the command was answered").unwrap();
    assert_eq!(answer.exit_code, Some(127), "{answer:?}");
    assert!(
        answer.stderr.starts_with("no-such-program: No such file"),
        "{answer:?}"
    );
}

fn an_init_that_is_missing_is_an_error_that_names_it() {
    let work = tempfile::tempdir().unwrap();
    let mut plan = dv_plan(work.path());
    plan.init = "/sbin/no-such-init".into();
    let mut control = support::Recorder::new(|_| None);
    let error = UserBackend
        .run(&plan, &mut control)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("/sbin/no-such-init") && error.contains("No such file"),
        "{error}"
    );
}

/// Another process's life: see [`nothing_survives_a_killed_supervisor`].
fn boot_until_killed(work: &Path) {
    let plan = dv_plan(work);
    let mut control = support::Recorder::new(|event| {
        if matches!(event.what, What::Forward { port: 8080, .. }) {
            println!("up");
        }
        None
    });
    let _ = UserBackend.run(&plan, &mut control);
}

fn nothing_survives_a_killed_supervisor() {
    let work = tempfile::tempdir().unwrap();
    for wait_for_service in [true, false] {
        let mut supervisor = Command::new(std::env::current_exe().unwrap())
            .env("ROOKERY_TEST_BOOT", work.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        if wait_for_service {
            let mut first = [0_u8; 3];
            supervisor
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut first)
                .unwrap();
        } else {
            std::thread::sleep(Duration::from_millis(60));
        }
        let family = descendants(supervisor.id());
        assert!(!wait_for_service || family.len() >= 3, "{family:?}");
        supervisor.kill().unwrap();
        supervisor.wait().unwrap();
        let begin = Instant::now();
        while family.iter().any(|pid| is_running(*pid)) {
            assert!(
                begin.elapsed() < Duration::from_secs(5),
                "some of {family:?} live on"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn stat(pid: u32) -> Option<(char, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}

fn descendants(of: u32) -> Vec<u32> {
    let all: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, stat(pid)?.1)))
        .collect();
    let mut found = vec![of];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(
            all.iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        at += 1;
    }
    found.split_off(1)
}
