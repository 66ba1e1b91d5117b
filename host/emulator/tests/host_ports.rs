//! Which ports of the host a guest gets: none that it chooses itself below 1024, those that the
//! operator names, and none for ever. The guest is a program of this machine's own CPU, and its
//! supervisor a process of its own.

mod support;

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rookery_emulator::UserBackend;
use rookery_records::event::What;
use rookery_runs::backend::Backend;
use rookery_runs::ports::Ports;
use support::native::{self, Data, Step, Test, call};

const TESTS: &[Test] = &[
    ("a_guest_claims_no_privileged_port_of_the_host", privileged),
    (
        "the_operators_ports_are_used_and_one_that_is_taken_is_said",
        named,
    ),
    ("a_port_whose_service_went_is_the_hosts_again", given_back),
    ("a_guest_that_opens_many_ports_holds_few_of_the_hosts", many),
];

fn main() -> ExitCode {
    native::in_processes(TESTS, native::succeeded)
}

fn wait(data: &mut Data, seconds: u64) -> Step {
    let time = data.put(&[seconds.to_le_bytes(), [0; 8]].concat());
    call(libc::SYS_nanosleep, &[time])
}

/// Listen on a port, as the descriptor `fd`.
fn listen(data: &mut Data, fd: u64, port: u16, udp: bool) -> Vec<Step> {
    let [high, low] = port.to_be_bytes();
    let address = data.put(&[2, 0, high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut steps = vec![
        call(libc::SYS_socket, &[2, if udp { 2 } else { 1 }, 0]),
        call(libc::SYS_bind, &[fd, address, 16]),
    ];
    if !udp {
        steps.push(call(libc::SYS_listen, &[fd, 1]));
    }
    steps
}

/// What was forwarded (the guest's port, the host's), and what was noted.
fn run(work: &Path, data: Data, steps: &[Step], ports: Ports) -> (Vec<(u16, u16)>, Vec<String>) {
    let mut plan = native::prepare(work, &native::program(data, steps));
    plan.ports = ports;
    let mut control = support::Recorder::new(|_| None);
    UserBackend.run(&plan, &mut control).unwrap();
    let (mut forwards, mut notes) = (Vec::new(), Vec::new());
    for event in &control.events {
        match &event.what {
            What::Forward {
                port, host_port, ..
            } => forwards.push((*port, *host_port)),
            What::Note(note) => notes.push(note.to_string()),
            _ => {}
        }
    }
    (forwards, notes)
}

fn privileged(work: &Path) {
    let mut data = Data::new();
    let wanted = [22, 53, 80, 443, 1023, 18080];
    let mut steps = Vec::new();
    for (fd, port) in (3..).zip(wanted) {
        steps.extend(listen(&mut data, fd, port, false));
    }
    steps.extend(listen(&mut data, 9, 53, true));
    steps.push(wait(&mut data, 1));
    let (forwards, notes) = run(work, data, &steps, Ports::default());
    let guests: Vec<_> = forwards.iter().map(|(guest, _)| *guest).collect();
    assert_eq!(guests, [&wanted[..], &[53]].concat(), "{notes:?}");
    assert!(
        forwards.iter().all(|(_, host)| *host >= 1024),
        "{forwards:?}"
    );
}

fn named(work: &Path) {
    let mut data = Data::new();
    let mut steps = listen(&mut data, 3, 80, false);
    steps.extend(listen(&mut data, 4, 81, false));
    steps.extend(listen(&mut data, 5, 82, false));
    steps.extend(listen(&mut data, 6, 80, true));
    steps.push(wait(&mut data, 1));
    let unused = TcpListener::bind("127.0.0.1:0").unwrap();
    let exact = unused.local_addr().unwrap().port();
    drop(unused);
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().port();
    let ports = format!("80={exact},81={taken}").parse().unwrap();
    let (forwards, notes) = run(work, data, &steps, ports);
    assert_eq!(forwards.len(), 3, "{forwards:?} {notes:?}");
    assert_eq!((forwards[0], forwards[2]), ((80, exact), (80, exact)));
    assert_eq!(forwards[1].0, 82);
    let said = |note: &String| note.contains("port 81") && note.contains(&taken.to_string());
    assert!(notes.iter().any(said), "{notes:?}");
}

fn given_back(work: &Path) {
    let mut data = Data::new();
    let mut steps = listen(&mut data, 3, 80, false);
    steps.extend(listen(&mut data, 4, 80, true));
    steps.extend([
        wait(&mut data, 1),
        call(libc::SYS_close, &[3]),
        call(libc::SYS_close, &[4]),
        wait(&mut data, 25),
    ]);
    let plan = native::prepare(work, &native::program(data, &steps));
    let (sender, receiver) = mpsc::channel();
    // Another service of the host, that waits for the ports.
    let client = std::thread::spawn(move || {
        let ports: Vec<u16> = receiver.iter().take(2).collect();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(100));
            if ports.len() == 2
                && TcpListener::bind(("127.0.0.1", ports[0])).is_ok()
                && UdpSocket::bind(("127.0.0.1", ports[1])).is_ok()
            {
                return true;
            }
        }
        false
    });
    let mut control = support::Recorder::new(|event| {
        if let What::Forward { host_port, .. } = event.what {
            let _ = sender.send(host_port);
        }
        None
    });
    UserBackend.run(&plan, &mut control).unwrap();
    drop(control);
    assert!(client.join().unwrap(), "the ports were kept");
}

fn many(work: &Path) {
    let mut data = Data::new();
    let mut steps = Vec::new();
    for port in 20_000..20_200 {
        let fd = u64::from(port - 20_000 + 3);
        steps.extend(listen(&mut data, fd, port, false));
    }
    steps.push(wait(&mut data, 1));
    let (forwards, notes) = run(work, data, &steps, Ports::default());
    assert_eq!(forwards.len(), 128);
    assert!(
        notes.iter().any(|note| note.contains("128")),
        "it is said: {notes:?}"
    );
}
