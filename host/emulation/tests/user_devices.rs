//! What a guest's shell sees of its devices, of `/proc` and of its mounts. One thread and no test harness: a supervisor forks.

mod support;

use rookery_emulation::event::{Event, Operation, What};
use rookery_emulation::plan::{Pseudofile, Read, Write};

fn main() {
    if !support::can_run() {
        return;
    }
    let tests: &[(&str, fn())] = &[
        (
            "the_console_is_reached_by_every_name_of_its_descriptor",
            the_console_is_reached_by_every_name_of_its_descriptor,
        ),
        (
            "a_write_to_a_model_changes_nothing_but_a_stateful_one",
            a_write_to_a_model_changes_nothing_but_a_stateful_one,
        ),
        (
            "what_only_the_host_may_answer_fails_nowhere",
            what_only_the_host_may_answer_fails_nowhere,
        ),
    ];
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
}

fn missing(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| match &event.what {
            What::Unmodelled {
                path,
                operation: Operation::Open { .. },
            } => Some(path.as_str()),
            _ => None,
        })
        .collect()
}

fn has(console: &str, expected: &[&str]) {
    let console = console.replace('\r', "");
    for line in expected {
        assert!(
            console.lines().any(|known| known == *line),
            "no line {line:?} in:\n{console}"
        );
    }
}

fn the_console_is_reached_by_every_name_of_its_descriptor() {
    let work = tempfile::tempdir().unwrap();
    let script = "
for i in /dev/stdout /dev/stderr /proc/self/fd/1 /dev/fd/1; do echo by $i >$i; done
echo link $(readlink /proc/$$/fd/2)
busybox tty
";
    let Some(plan) = support::script_plan(work.path(), script) else {
        return;
    };
    let (console, events) = support::run(&plan);
    has(
        &console,
        &[
            "by /dev/stdout",
            "by /dev/stderr",
            "by /proc/self/fd/1",
            "by /dev/fd/1",
            "link /dev/console",
            "/dev/console",
        ],
    );
    assert_eq!(missing(&events), Vec::<&str>::new(), "{console}");
}

fn a_write_to_a_model_changes_nothing_but_a_stateful_one() {
    let work = tempfile::tempdir().unwrap();
    let script = "
dd if=/dev/zero of=/dev/const bs=4 count=1 conv=notrunc 2>/dev/null && echo written
echo read $(cat /dev/const)
echo state $(cat /dev/state); echo NEW >/dev/state; echo state $(cat /dev/state)
printf x >/dev/unhandled 2>/dev/null || echo unhandled fails
cat /dev/empty 2>/dev/null || echo unreadable
(echo x >&3) 3</dev/const 2>/dev/null || echo read only
";
    let Some(mut plan) = support::script_plan(work.path(), script) else {
        return;
    };
    let model = |read, write| Pseudofile {
        read,
        write,
        ..Pseudofile::default()
    };
    let text = |text: &str| Read::Bytes(text.into());
    plan.pseudofiles = vec![
        ("/dev/const".into(), model(text("hello\n"), Write::Discard)),
        (
            "/dev/state".into(),
            model(Read::Stateful("OLD\n".into()), Write::Discard),
        ),
        ("/dev/unhandled".into(), model(text(""), Write::Unhandled)),
        ("/dev/empty".into(), model(Read::Default, Write::Discard)),
    ];
    let (console, _) = support::run(&plan);
    has(
        &console,
        &[
            "written",
            "read hello",
            "state OLD",
            "state NEW",
            "unhandled fails",
            "unreadable",
            "read only",
        ],
    );
}

fn what_only_the_host_may_answer_fails_nowhere() {
    let work = tempfile::tempdir().unwrap();
    let script = "
busybox dmesg && echo dmesg works
echo x >/dev/shm/file && echo shm works
echo x >/proc/nothing
";
    let Some(plan) = support::script_plan(work.path(), script) else {
        return;
    };
    let (console, events) = support::run(&plan);
    has(&console, &["dmesg works", "shm works"]);
    assert_eq!(missing(&events), ["/proc/nothing"], "{console}");
}
