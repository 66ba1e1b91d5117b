//! Commands of device files that the emulator itself does not know.

use rookery_emulator::UserBackend;
use rookery_records::event::{Event, Operation, What};
use rookery_runs::backend::Backend;
use rookery_runs::plan::{Ioctl, IoctlCommand, Pseudofile, StaticFile};

use crate::{dv_plan, support};

/// A program that opens `device`, makes one ioctl, and exits with its result (or errno) plus the
/// first byte that it wrote.
fn ioctl_program(device: &str, command: u32) -> Vec<u8> {
    use crate::support::mips::{self, A0, A1, A2, BUFFER, PATH, T1, V0};
    let code = [
        &mips::load(A0, PATH)[..],
        &mips::load(A1, 2),
        &mips::load(A2, 0),
        &mips::call(4005),
        &[mips::add(A0, V0, 0)],
        &mips::load(A1, command),
        &mips::load(A2, BUFFER),
        &mips::call(4054),
        &[mips::add(A0, V0, 0)],
        &mips::load_byte(T1, BUFFER),
        &[mips::add(A0, A0, T1)],
        &mips::call(4246),
    ];
    mips::program(&code.concat(), device)
}

pub fn ioctls_that_qemu_does_not_know_reach_their_models() {
    let (console, events) = run_ioctls(None);
    // ENOTTY; qemu 7.2 itself says ENOSYS.
    let refused = ["other gave 25\n", "other gave 89\n"];
    assert!(console.contains("number gave 37\n"), "{console}");
    assert!(
        refused.iter().any(|line| console.contains(line)),
        "{console}"
    );
    let unmodelled = |event: &Event| {
        matches!(
            &event.what,
            What::Unmodelled {
                path,
                operation: Operation::Ioctl {
                    command: 0x4004_6e77
                },
            } if path == "/dev/number"
        )
    };
    assert!(events.iter().any(unmodelled));
}

pub fn a_model_of_any_ioctl_answers_at_the_first_call() {
    let (console, _) = run_ioctls(Some(Ioctl::Return(9)));
    assert!(
        console.contains("number gave 37\n") && console.contains("any gave 9\n"),
        "{console}"
    );
}

/// Make three ioctls, of which one has a model; `any` is what another device answers to every
/// command.
fn run_ioctls(any: Option<Ioctl>) -> (String, Vec<Event>) {
    let work = tempfile::tempdir().unwrap();
    let mut plan = dv_plan(work.path());
    let program = |device: &str, command| StaticFile::Inline {
        contents: ioctl_program(device, command),
        mode: 0o755,
    };
    let script = "#!/bin/sh\nfor i in number other any; do /etc/$i; echo $i gave $?; done\n";
    plan.init = "/etc/try".into();
    plan.static_files = vec![
        (
            "/etc/try".into(),
            StaticFile::Inline {
                contents: script.into(),
                mode: 0o755,
            },
        ),
        ("/etc/number".into(), program("/dev/number", 0x4004_6e01)),
        ("/etc/other".into(), program("/dev/number", 0x4004_6e77)),
        ("/etc/any".into(), program("/dev/any", 0x8004_7a05)),
    ];
    let model = |command, answer| Pseudofile {
        ioctl: vec![(command, answer)],
        ..Pseudofile::default()
    };
    let number = (
        "/dev/number".into(),
        model(
            IoctlCommand::Number(0x4004_6e01),
            Ioctl::WriteData(vec![30], 7),
        ),
    );
    plan.pseudofiles = vec![number];
    let any = any.map(|answer| ("/dev/any".into(), model(IoctlCommand::Any, answer)));
    plan.pseudofiles.extend(any);
    let mut control = support::Recorder::new(|_| None);
    UserBackend.run(&plan, &mut control).unwrap();
    (control.console(), std::mem::take(&mut control.events))
}
