//! What processes of a real guest do to each other: signals, identities, execs. One thread and no
//! test harness: a supervisor forks.

#[macro_use]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use rookery_emulator::UserBackend;
use rookery_records::event::{Event, What};
use rookery_runs::backend::{Backend, Outcome};
use rookery_runs::plan::{Plan, StaticFile};

fn main() -> ExitCode {
    let tests = named![
        what_init_has_no_handler_for_comes_to_nothing,
        an_init_that_crashes_ends_the_run_as_a_panic,
        a_blocked_signal_is_neither_delivered_nor_waited_for,
        programs_run_in_a_chroot_as_outside,
        the_root_can_be_changed_to_a_file_system_that_the_guest_made,
        switch_root_leaves_the_first_root_for_what_was_mounted,
        a_kernel_module_seems_to_be_loaded,
        a_program_is_executed_by_its_descriptor,
        a_process_that_is_killed_has_not_exited,
        a_script_is_executed_whatever_its_name,
        tables_without_rules_are_listed,
        limits_are_raised_as_far_as_they_can_be_and_lowered_at_will,
        a_set_user_id_program_of_the_archive_has_roots_rights,
        a_mips_program_may_use_dsp_instructions,
        a_program_runs_on_the_processor_that_the_project_names,
        a_processor_that_the_emulator_has_not_is_a_note,
        a_reboot_starts_init_again_and_the_fourth_ends_the_run,
        a_program_that_fails_at_once_is_not_started_again_without_a_pause,
    ];
    support::run_in_turn(&[(support::can_run_vendor_image, tests)])
}

struct Run {
    outcome: Outcome,
    console: String,
    events: Vec<Event>,
    took: Duration,
}

impl Run {
    fn says(&self, expected: &str) {
        assert!(
            self.console.contains(expected),
            "no {expected:?} in:\n{}",
            self.console
        );
    }
}

/// Run `script` as init.
fn run(script: &str, change: impl FnOnce(&mut Plan)) -> Run {
    let work = tempfile::tempdir().unwrap();
    let archive = support::vendor_image().expect("it was there");
    let mut plan = support::plan(work.path(), &archive, "mipsel", "/etc/try");
    plan.timeout_s = 20;
    let contents = format!("#!/bin/sh\n{script}").into_bytes();
    plan.static_files = vec![(
        "/etc/try".into(),
        StaticFile::Inline {
            contents,
            mode: 0o755,
        },
    )];
    change(&mut plan);
    support::unpack_with_tar(&plan);
    let mut control = support::Recorder::new(|_| None);
    let begin = Instant::now();
    let outcome = UserBackend.run(&plan, &mut control).unwrap();
    Run {
        outcome,
        console: control.console().replace('\r', ""),
        events: std::mem::take(&mut control.events),
        took: begin.elapsed(),
    }
}

fn what_init_has_no_handler_for_comes_to_nothing() {
    let script = "kill -USR2 $$; (kill -ALRM 1; kill -PIPE 1); echo lives\n\
        trap 'echo handled' USR1; kill -USR1 1\nsh -c 'kill -USR2 $$'; echo child $?\n\
        kill -TERM $$; echo goes on\n";
    let run = run(script, |_| {});
    for expected in ["lives\n", "handled\n", "child 145\n"] {
        run.says(expected);
    }
    // This shell has set the default action itself, which qemu before 8.2 cannot be kept from
    // carrying out.
    let advised =
        matches!(&run.outcome, Outcome::GuestEnded { how } if how.contains("block_signal 15"));
    assert!(
        advised || run.console.contains("goes on\n"),
        "{:?}",
        run.outcome
    );
}

fn an_init_that_crashes_ends_the_run_as_a_panic() {
    let run = run("sleep 60 &\nkill -SEGV $$\nsleep 60\n", |_| {});
    assert!(
        matches!(&run.outcome, Outcome::GuestEnded { how } if how.contains("killed by signal \
            11") && how.contains("panic")),
        "{:?}",
        run.outcome
    );
    assert!(run.took < Duration::from_secs(15), "{:?}", run.took);
    run.says("Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\n");
    let crash = |event: &Event| matches!(event.what, What::Crash { signal: 11, .. });
    assert_eq!(run.events.iter().filter(|event| crash(event)).count(), 1);
}

fn a_blocked_signal_is_neither_delivered_nor_waited_for() {
    // The last dies of a signal that nobody sends with a system call.
    let script = "sh -c 'kill -ABRT $$; kill -TERM $$; echo survives'\n\
        sh -c 'ulimit -f 0; echo x > /tmp/big'; echo limit $?\nyes | sed q; echo after\n";
    let run = run(script, |plan| {
        plan.blocked_signals = vec![libc::SIGABRT, libc::SIGTERM, libc::SIGPIPE, libc::SIGXFSZ];
    });
    run.says("survives\n");
    run.says("after\n");
    assert!(run.took < Duration::from_secs(15), "{:?}", run.took);
    assert!(
        !run.events
            .iter()
            .any(|event| matches!(event.what, What::Crash { .. })),
        "{}",
        run.console
    );
    for wanted in [libc::SIGABRT, libc::SIGTERM] {
        let blocked = run.events.iter().any(|event| match event.what {
            What::Signal {
                signal,
                blocked: true,
                syscall: "kill",
                ..
            } => signal == wanted,
            _ => false,
        });
        assert!(blocked, "signal {wanted}");
    }
}

fn programs_run_in_a_chroot_as_outside() {
    let script = r"
mkdir -p /nr/etc; cp -a /bin /lib /nr/
printf '#!/bin/sh\necho script $0\n' > /nr/etc/script; chmod 755 /nr/etc/script
chroot /nr /bin/sh -c 'cd /etc; ./script; ../bin/cat /dev/zero && echo leak'
echo outside
";
    let run = run(script, |_| {});
    run.says("script ./script\n");
    run.says("can't open '/dev/zero'");
    run.says("outside\n");
}

fn the_root_can_be_changed_to_a_file_system_that_the_guest_made() {
    // As the early init of many a firmware does it.
    let script = r"
mkdir /new; pivot_root /new /new 2>/dev/null || echo refused
mount -t tmpfs -o size=64m ram /new; mkdir /new/old; cp -a /bin /lib /usr /new/
mknod /new/zero c 1 5
umount /proc; cd /new; pivot_root . old; mount -t proc proc /proc
[ -d /old/etc ] && [ -d /proc/1/root/old ] && echo both roots
head -c 2 /zero | wc -c; echo x >/dev/null && echo null
[ -e /old/proc/1 ] || echo moved
grep ' / \| /old ' /proc/mounts
exec chroot . sh -c 'head -c 4 /bin/busybox | tail -c 3; echo; echo pivoted'
";
    let run = run(script, |_| {});
    for line in [
        "refused\n",
        "both roots\n",
        "2\n",
        "null\n",
        "moved\n",
        "ELF\n",
        "pivoted\n",
    ] {
        run.says(line);
    }
    run.says("rootfs /old rootfs");
    run.says("ram / tmpfs");
}

fn switch_root_leaves_the_first_root_for_what_was_mounted() {
    let next = b"#!/bin/sh\necho now $$ $(ls /)\n\
                 mount -t proc proc /proc; grep -v /dev /proc/mounts\n\
                 ls /etc/try /newroot; echo x >/dev/null && echo the end\n";
    let script = "mkdir /newroot; mount -t tmpfs fresh /newroot; cd /\n\
                  cp -a bin lib /newroot; mkdir /newroot/proc /newroot/dev /newroot/sys\n\
                  mv /etc/next /newroot/next\n\
                  exec switch_root /newroot /next\n";
    let run = run(script, |plan| {
        for (path, contents) in [("/etc/next", &next[..]), ("/init", b"")] {
            let contents = contents.to_vec();
            let mode = 0o755;
            plan.static_files
                .push((path.into(), StaticFile::Inline { contents, mode }));
        }
    });
    run.says("now 1 bin dev lib next proc sys\n");
    run.says("fresh / tmpfs rw");
    run.says("/etc/try: No such file or directory");
    run.says("/newroot: No such file or directory");
    run.says("the end");
    assert!(!run.console.contains("rootfs"), "{}", run.console);
}

fn a_kernel_module_seems_to_be_loaded() {
    // This busybox has no such applets.
    let script = "busybox insmod /lib/nf-nat.ko; busybox insmod /lib/usb.ko && busybox rmmod usb \
        && cat /proc/modules\n";
    let run = run(script, |_| {});
    run.says("nf_nat 16384 0 - Live");
    assert!(!run.console.contains("usb"), "{}", run.console);
}

fn a_program_is_executed_by_its_descriptor() {
    let script = r"
printf '#!/bin/sh\necho ran $1\n' > /tmp/named; cp /bin/busybox /tmp/gone; chmod 755 /tmp/named
exec 5</tmp/named; exec 6</tmp/gone; rm /tmp/gone
/proc/self/fd/5 named
/proc/self/fd/6
/proc/self/fd/0; echo terminal $?
";
    let run = run(script, |_| {});
    run.says("ran named\n");
    // What this busybox says when it is called by a number.
    run.says("6: applet not found\n");
    run.says("terminal 126\n");
}

fn a_process_that_is_killed_has_not_exited() {
    let script =
        "sleep 60 & victim=$!\nsleep 1; kill -9 $victim\nwait $victim; echo wait $?\nsleep 1\n";
    let run = run(script, |_| {});
    run.says("wait 137\n");
    let killed = |event: &Event| {
        let signal = Some(libc::SIGKILL);
        matches!(event.what, What::Exit { code: None, signal: of } if of == signal)
    };
    let ends: Vec<_> = run.events.iter().filter(|event| killed(event)).collect();
    assert_eq!(ends.len(), 1, "{}", run.console);
}

fn a_script_is_executed_whatever_its_name() {
    let script = "mkdir /tmp/d; printf '#!/bin/sh\\necho own script $1\\n' >/tmp/d/iptables; chmod \
        755 /tmp/d/iptables; /tmp/d/iptables start\n";
    run(script, |_| {}).says("own script start\n");
}

fn tables_without_rules_are_listed() {
    let script = "cp /bin/busybox /tmp/iptables\n/tmp/iptables -t raw -S | sed 's/^/rule /'\n\
                  /tmp/iptables -A INPUT -j DROP && echo taken\n";
    let run = run(script, |_| {});
    run.says("rule -P PREROUTING ACCEPT\n");
    run.says("rule -P OUTPUT ACCEPT\ntaken\n");
}

fn limits_are_raised_as_far_as_they_can_be_and_lowered_at_will() {
    let script = "
(ulimit -n 64; echo few $(ulimit -n); ls -d /tmp && echo executed)
ulimit -n 65535 && echo many $(ulimit -n)
ulimit -c unlimited && echo core
(ulimit -n 100; ulimit -n 65535; echo own limit $(ulimit -n))
";
    let run = run(script, |_| {});
    for line in [
        "few 64\n",
        "executed\n",
        "many 4096\n",
        "core\n",
        "own limit 100\n",
    ] {
        run.says(line);
    }
}

fn executable(code: &[u32], path: &str) -> StaticFile {
    StaticFile::Inline {
        contents: support::mips::program(code, path),
        mode: 0o755,
    }
}

fn a_set_user_id_program_of_the_archive_has_roots_rights() {
    use support::mips::{A0, A1, A2, PATH, V0, add, call, load};
    const SETUID: u32 = 4023;
    const EXECVE: u32 = 4011;
    const GETEUID: u32 = 4049;
    const EXIT: u32 = 4001;
    let drops = |path| {
        let code = [
            &load(A0, 99)[..],
            &call(SETUID),
            &load(A0, PATH),
            &load(A1, 0),
            &load(A2, 0),
            &call(EXECVE),
        ];
        executable(&code.concat(), path)
    };
    let tells = || {
        let code = [&call(GETEUID)[..], &[add(A0, V0, 0)], &call(EXIT)];
        executable(&code.concat(), "")
    };
    let script = "/etc/to_set_id; echo with $?; /etc/to_plain; echo without $?; rm /etc/set_id; cp \
        /etc/plain /etc/set_id; /etc/to_set_id; echo replaced $?\n";
    let run = run(script, |plan| {
        plan.static_files.extend([
            ("/etc/to_set_id".into(), drops("/etc/set_id")),
            ("/etc/to_plain".into(), drops("/etc/plain")),
            ("/etc/set_id".into(), tells()),
            ("/etc/plain".into(), tells()),
        ]);
        support::unpack_with_tar(plan);
        support::give_set_id(plan, "/etc/set_id");
    });
    run.says("with 0\n");
    run.says("without 99\n");
    run.says("replaced 99\n");
}

fn a_mips_program_may_use_dsp_instructions() {
    assert_eq!(dsp_on(None), "gave 7\n");
}

fn a_program_runs_on_the_processor_that_the_project_names() {
    // This one has none of them: SIGILL.
    assert_eq!(dsp_on(Some("24Kc")), "gave 132\n");
}

fn a_processor_that_the_emulator_has_not_is_a_note() {
    assert_eq!(dsp_on(Some("cortex-a9")), "gave 7\ncore.cpu");
}

/// What a program with instructions of the DSP extension gives on a processor, and whether there is
/// a note of it.
fn dsp_on(cpu: Option<&str>) -> String {
    use support::mips::{A0, call, load};
    const ADDU_QB: u32 = 0x7d2a_4010;
    let code = [&[ADDU_QB][..], &load(A0, 7), &call(4001)];
    let run = run("/etc/dsp 2>/dev/null; echo gave $?\n", |plan| {
        plan.cpu = cpu.map(str::to_owned);
        plan.static_files
            .push(("/etc/dsp".into(), executable(&code.concat(), "")));
    });
    let gave = run.console.lines().find(|line| line.starts_with("gave "));
    let told = |event: &Event| matches!(&event.what, What::Note(note) if note.contains("core.cpu"));
    let note = if run.events.iter().any(told) {
        "core.cpu"
    } else {
        ""
    };
    format!("{}\n{note}", gave.unwrap_or(&run.console))
}

fn a_reboot_starts_init_again_and_the_fourth_ends_the_run() {
    use support::mips::{A0, A1, A2, call, load};
    let code = [
        &load(A0, 0xfee1_dead)[..],
        &load(A1, 0x2812_1969),
        &load(A2, 0x0123_4567),
        &call(4088),
    ];
    // One that waits, one that is busy, and what was mounted and written.
    let script = "echo x >>/etc/starts; n=$(wc -l </etc/starts)\n\
                  echo start $n: $(grep -c ' /mnt ' /proc/mounts) mounted, $$ is init\n\
                  mkdir -p /mnt; mount -t tmpfs t /mnt\n\
                  sleep 60 & while :; do :; done &\n\
                  sleep 1; ps | grep -c '[s]leep 60'\n\
                  (/etc/restart; echo no way here)\nsleep 60\n";
    let run = run(script, |plan| {
        plan.static_files
            .push(("/etc/restart".into(), executable(&code.concat(), "")));
    });
    for start in 1..=4 {
        run.says(&format!("start {start}: 0 mounted, 1 is init\n1\n"));
    }
    assert!(!run.console.contains("no way here"), "{}", run.console);
    let Outcome::Rebooted { how, program } = &run.outcome else {
        panic!("{:?}", run.outcome);
    };
    assert!(
        program == "/etc/restart"
            && how.starts_with("the guest called reboot (reboot): /etc/restart (pid ")
            && how.contains("/etc/try (pid 1)")
            && how.ends_with("; it was started again 3 times before"),
        "{how}"
    );
    let again = |event: &&Event| match &event.what {
        What::Faked { syscall, detail } => *syscall == "reboot" && detail == "/etc/restart",
        _ => false,
    };
    assert_eq!(run.events.iter().filter(again).count(), 3);
}

fn a_program_that_fails_at_once_is_not_started_again_without_a_pause() {
    let script = "often() { n=$1; shift; while [ $n -gt 0 ]; do \"$@\"; n=$((n - 1)); done; }\n\
                  answers() { echo a | grep -q b; }\n\
                  often 30 answers; often 30 /etc/missing 2>/dev/null\n\
                  often 30 /etc/fails; echo the end\n";
    let run = run(script, |plan| {
        let contents = b"#!/bin/sh\nexit 3\n".to_vec();
        let mode = 0o755;
        plan.static_files
            .push(("/etc/fails".into(), StaticFile::Inline { contents, mode }));
    });
    run.says("the end");
    let notes: Vec<_> = run
        .events
        .iter()
        .filter_map(|event| match &event.what {
            What::Note(note) if note.contains("held back") => Some(note),
            _ => None,
        })
        .collect();
    assert!(
        matches!(notes[..], [one, other]
            if one.contains("missing` could not be executed, 20 times")
                && other.contains("fails` ended with an error") && other.contains(", 20 times")),
        "{notes:?}"
    );
    // Ten starts of each, each after a fifth of a second.
    assert!(run.took > Duration::from_secs(4), "{:?}", run.took);
}
