//! What a guest's shell sees of its devices, of `/proc` and of its mounts. One thread and no test
//! harness: a supervisor forks.

mod proc;
#[macro_use]
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use rookery_emulator::UserBackend;
use rookery_records::event::{Event, Operation, What};
use rookery_runs::backend::Backend;
use rookery_runs::plan::{Pseudofile, Read, StaticFile, Write};

use proc::{
    a_mount_is_in_the_table_until_it_is_undone,
    a_process_has_the_numbers_and_users_that_the_guest_knows,
    models_of_proc_have_directories_and_interfaces_tell_the_truth,
    no_way_into_proc_leads_to_facts_of_the_host,
    what_stands_in_the_place_of_a_file_is_never_read_for_it,
};

fn main() -> ExitCode {
    let tests = named![
        the_console_is_reached_by_every_name_of_its_descriptor,
        a_write_to_a_model_changes_nothing_but_a_stateful_one,
        what_only_the_host_may_answer_fails_nowhere,
        a_mount_is_in_the_table_until_it_is_undone,
        a_process_has_the_numbers_and_users_that_the_guest_knows,
        models_of_proc_have_directories_and_interfaces_tell_the_truth,
        what_happens_too_often_is_counted,
        the_number_of_files_that_cost_memory_is_limited,
        what_could_not_be_made_before_the_start_is_noted,
        a_device_node_is_where_its_file_is,
        a_device_node_is_where_its_file_is_though_nothing_is_recorded,
        a_firmwares_own_terminal_nodes_make_terminals,
        an_interface_that_the_guest_makes_has_its_directory,
        the_host_name_is_what_was_written_to_its_setting,
        what_stands_in_the_place_of_a_file_is_never_read_for_it,
        no_way_into_proc_leads_to_facts_of_the_host,
        a_program_is_executed_from_a_directory_deeper_than_a_path,
        a_supervisor_keeps_no_capability,
    ];
    support::run_in_turn(&[(support::can_run, tests)])
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
busybox tty | grep -q 'not a tty' || echo a terminal
";
    let plan = support::script_plan(work.path(), script);
    let (console, events) = support::run(&plan);
    has(
        &console,
        &[
            "by /dev/stdout",
            "by /dev/stderr",
            "by /proc/self/fd/1",
            "by /dev/fd/1",
            "link /dev/console",
            "a terminal",
        ],
    );
    assert_eq!(missing(&events), Vec::<&str>::new(), "{console}");
}

/// A program that opens `device` for both, writes four bytes, and exits with the first byte that it
/// then reads.
fn write_and_read(device: &str) -> Vec<u8> {
    use support::mips::{self, A0, A1, A2, BUFFER, PATH, S0, V0};
    let transfer = |number, address| {
        [
            &[mips::add(A0, S0, 0)][..],
            &mips::load(A1, address),
            &mips::load(A2, 4),
            &mips::call(number),
        ]
        .concat()
    };
    let code = [
        &mips::load(A0, PATH)[..],
        &mips::load(A1, 2),
        &mips::call(4005),
        &[mips::add(S0, V0, 0)],
        &transfer(4004, PATH),
        &transfer(4003, BUFFER),
        &mips::load_byte(A0, BUFFER),
        &mips::call(4246),
    ];
    mips::program(&code.concat(), device)
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
/etc/both; echo first byte $?
";
    let mut plan = support::script_plan(work.path(), script);
    let model = |read, write| Pseudofile {
        read,
        write,
        ..Pseudofile::default()
    };
    let text = |text: &str| Read::Bytes(text.into());
    let both = StaticFile::Inline {
        contents: write_and_read("/dev/const"),
        mode: 0o755,
    };
    plan.static_files.push(("/etc/both".into(), both));
    plan.pseudofiles = vec![
        ("/dev/const".into(), model(text("hello\n"), Write::Discard)),
        (
            "/dev/state".into(),
            model(Read::Stateful("OLD\n".into()), Write::Record),
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
            "first byte 104",
        ],
    );
}

fn what_only_the_host_may_answer_fails_nowhere() {
    let work = tempfile::tempdir().unwrap();
    let script = "
busybox dmesg && echo dmesg works
for i in kernel/panic kernel/core_pattern vm/overcommit_memory net/core/rmem_max \
net/ipv4/ip_forward; do
    echo 1 >/proc/sys/$i && echo $i $(cat /proc/sys/$i)
done
echo x >/dev/shm/file && echo shm works
echo x >/proc/nothing
";
    let plan = support::script_plan(work.path(), script);
    let (console, events) = support::run(&plan);
    has(
        &console,
        &[
            "dmesg works",
            "shm works",
            "kernel/panic 1",
            "kernel/core_pattern 1",
            "vm/overcommit_memory 1",
            "net/core/rmem_max 1",
            "net/ipv4/ip_forward 1",
        ],
    );
    assert_eq!(missing(&events), ["/proc/nothing"], "{console}");
}

fn what_happens_too_often_is_counted() {
    let work = tempfile::tempdir().unwrap();
    let script = "i=0; while [ $i -lt 250 ]; do [ -e /dev/missing ]; i=$((i+1)); done";
    let plan = support::script_plan(work.path(), script);
    let (_, events) = support::run(&plan);
    let hits =
        |what: &What| matches!(what, What::Unmodelled { path, .. } if path == "/dev/missing");
    let counted: u64 = events
        .iter()
        .map(|event| match &event.what {
            What::Repeated { what, times } if hits(what) => *times,
            what => u64::from(hits(what)),
        })
        .sum();
    assert_eq!(counted, 250);
}

fn the_number_of_files_that_cost_memory_is_limited() {
    let work = tempfile::tempdir().unwrap();
    let script = "
mkdir -p /tmp/small; busybox mount -t tmpfs -o size=4k none /tmp/small
busybox stat -f -c '%n %c' /tmp /dev /sys /tmp/small
mkdir /tmp/small/$(seq -s ' /tmp/small/' 1030) 2>/dev/null || echo full
";
    let plan = support::script_plan(work.path(), script);
    let (console, _) = support::run(&plan);
    let limits = ["/tmp 65536", "/dev 16384", "/sys 16384", "/tmp/small 1024"];
    has(&console, &limits);
    has(&console, &["full"]);
}

fn what_could_not_be_made_before_the_start_is_noted() {
    let work = tempfile::tempdir().unwrap();
    let mut plan = support::script_plan(work.path(), "");
    let file = StaticFile::Move {
        from: "/missing".into(),
        mode: None,
    };
    plan.static_files.push(("/etc/moved".into(), file));
    let (_, events) = support::run(&plan);
    let noted = |event: &Event| match &event.what {
        What::Note(note) => note.contains("/etc/moved: No such file"),
        _ => false,
    };
    assert!(events.iter().any(noted));
}

fn a_device_node_is_where_its_file_is() {
    device_nodes(true);
}

fn a_device_node_is_where_its_file_is_though_nothing_is_recorded() {
    device_nodes(false);
}

fn device_nodes(record_events: bool) {
    let work = tempfile::tempdir().unwrap();
    let script = "
cd /tmp; mkdir a
mknod n c 1 3; echo text >n; mv n m; echo renamed $(wc -c <m); echo text >n; echo replaced $(cat n)
rm m; [ -e m ] || echo removed
ln -s /dev/ttyS0 tty; echo by a link >tty
mount -t tmpfs memory a; mknod a/n c 1 3; umount a; mount -t tmpfs memory a; : >a/n; echo text \
>a/n; echo another $(cat a/n)
cat /dev/model; rm /dev/model; [ -e /dev/model ] || echo no model
mknod /dev/model c 127 0; cat /dev/model; [ -c /dev/model ] && echo a model again
";
    let mut plan = support::script_plan(work.path(), script);
    plan.record_events = record_events;
    plan.pseudofiles = vec![(
        "/dev/model".into(),
        Pseudofile {
            read: Read::Bytes("contents\n".into()),
            ..Pseudofile::default()
        },
    )];
    let (console, _) = support::run(&plan);
    has(
        &console,
        &[
            "renamed 0",
            "replaced text",
            "removed",
            "by a link",
            "another text",
            "contents",
            "no model",
            "a model again",
        ],
    );
    assert_eq!(console.matches("contents").count(), 2, "{console}");
}

fn a_firmwares_own_terminal_nodes_make_terminals() {
    let work = tempfile::tempdir().unwrap();
    let script = "
: <>/dev/ptmx && echo the archives
rm /dev/ptmx; mknod /dev/ptmx c 5 2 && : <>/dev/ptmx && echo one made later
";
    let mut plan = support::script_plan(work.path(), script);
    let node = StaticFile::Device {
        block: false,
        major: 5,
        minor: 2,
        mode: 0o666,
    };
    plan.static_files.push(("/dev/ptmx".into(), node));
    let (console, _) = support::run(&plan);
    has(&console, &["the archives", "one made later"]);
}

fn an_interface_that_the_guest_makes_has_its_directory() {
    let work = tempfile::tempdir().unwrap();
    let script = "
cd /sys/class/net
if busybox brctl addbr br7; then
    [ -d br7/bridge ] && echo made among *
    busybox brctl delbr br7; [ -e br7 ] || echo removed from *
else
    echo no bridges here
fi
";
    let plan = support::script_plan(work.path(), script);
    let (console, _) = support::run(&plan);
    // Not every host's kernel has bridges.
    if !console.contains("no bridges here") {
        has(&console, &["made among br7 lo", "removed from lo"]);
    }
}

fn the_host_name_is_what_was_written_to_its_setting() {
    let work = tempfile::tempdir().unwrap();
    let script = "
echo router >/proc/sys/kernel/hostname; echo name $(uname -n)
busybox hostname other; echo setting $(cat /proc/sys/kernel/hostname) name $(uname -n)
";
    let plan = support::script_plan(work.path(), script);
    let (console, _) = support::run(&plan);
    has(&console, &["name router", "setting other name other"]);
}

fn a_program_is_executed_from_a_directory_deeper_than_a_path() {
    let work = tempfile::tempdir().unwrap();
    let script = "
cd /tmp; name=$(printf '%0200d' 0); i=0
while [ $i -lt 25 ]; do mkdir $name; cd $name; i=$((i+1)); done
cp /bin/busybox busybox; ./busybox echo from below; ln -s busybox link; ./link echo by a link
";
    let plan = support::script_plan(work.path(), script);
    let (console, _) = support::run(&plan);
    has(&console, &["from below"]);
}

fn a_supervisor_keeps_no_capability() {
    let work = tempfile::tempdir().unwrap();
    let plan = support::script_plan(work.path(), "echo up");
    let mut status = None;
    let mut control = support::Recorder::new(|event| {
        if matches!(event.what, What::Exec { .. }) && status.is_none() {
            status = std::fs::read_to_string("/proc/self/status").ok();
        }
        None
    });
    UserBackend.run(&plan, &mut control).unwrap();
    drop(control);
    let status = status.expect("something was executed");
    for line in [
        "CapInh:\t0000000000000000\n",
        "CapPrm:\t0000000000000000\n",
        "CapEff:\t0000000000000000\n",
        "CapAmb:\t0000000000000000\n",
        "NoNewPrivs:\t1\n",
    ] {
        assert!(status.contains(line), "no {line:?} in {status}");
    }
}
