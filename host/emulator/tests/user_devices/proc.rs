//! `/proc` and the table of mounts.

use rookery_records::event::{Event, What};
use rookery_runs::plan::{Pseudofile, Read};

use crate::{has, missing, support};

pub fn a_mount_is_in_the_table_until_it_is_undone() {
    let work = tempfile::tempdir().unwrap();
    let script = "
cd /tmp; mkdir a b c
mount -t jffs2 /dev/mtdblock4 a; mount -t tmpfs -o size=1m,mode=1777 memory b; mount --bind /dev c
mount -t no/type none a || echo unknown
echo table $(grep -c /tmp /proc/mounts) $(grep -c rookery /proc/mounts) $(grep jffs2 \
/proc/self/mounts)
echo space $(df -k b | grep -c 1024) $(ls -ld b | cut -c1-10)
cat c/model
for i in a b c /proc; do n=0; while umount $i; do n=$((n+1)); done; echo $i undone $n times; done
";
    let mut plan = support::script_plan(work.path(), script);
    plan.pseudofiles = vec![(
        "/dev/model".into(),
        Pseudofile {
            read: Read::Bytes("of the bound device\n".into()),
            ..Pseudofile::default()
        },
    )];
    let (console, events) = support::run(&plan);
    has(
        &console,
        &[
            "unknown",
            "space 1 drwxrwxrwt",
            "of the bound device",
            "a undone 1 times",
            "b undone 1 times",
            "c undone 1 times",
            "/proc undone 1 times",
        ],
    );
    let table = console.lines().find(|line| line.starts_with("table"));
    let table = table.unwrap_or_default();
    assert!(
        table.contains(" 0 /dev/mtdblock4 /tmp/a jffs2 "),
        "{console}"
    );
    let faked: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Mount {
                target,
                faked: true,
                ..
            } => Some(target.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(faked, ["/tmp/a"]);
}

pub fn a_process_has_the_numbers_and_users_that_the_guest_knows() {
    let work = tempfile::tempdir().unwrap();
    let script = "
echo stat $(cut -d' ' -f1-6 /proc/1/stat)
echo status $(grep -E '^(Name|Pid|PPid|Uid|Gid|Seccomp):' /proc/1/status)
";
    let plan = support::script_plan(work.path(), script);
    let (console, _) = support::run(&plan);
    has(
        &console,
        &[
            "stat 1 (script) S 0 1 1",
            "status Name: script Pid: 1 PPid: 0 Uid: 0 0 0 0 Gid: 0 0 0 0",
        ],
    );
}

pub fn models_of_proc_have_directories_and_interfaces_tell_the_truth() {
    let work = tempfile::tempdir().unwrap();
    let script = "
echo /proc/vendor/*; [ -d /proc/vendor ] && echo directory; cat /proc/vendor/model
cat /proc/cmdline; echo TERM $TERM
ifconfig eth0 mtu 1400
busybox brctl addbr lan && busybox brctl addif lan eth0 && busybox brctl delif lan eth0 && busybox \
brctl delbr lan && echo bridged
busybox brctl delbr eth0
echo mtu $(cat /sys/class/net/eth0/mtu) address $(cat /sys/class/net/eth0/address)
ifconfig eth0 | grep HWaddr
";
    let mut plan = support::script_plan(work.path(), script);
    plan.netdevs = vec!["eth0".into()];
    plan.env = vec![("TERM".into(), "vt100".into())];
    plan.kernel_cmdline_append = Some("board=x".into());
    plan.pseudofiles = vec![(
        "/proc/vendor/model".into(),
        Pseudofile {
            read: Read::Bytes("model of proc\n".into()),
            ..Pseudofile::default()
        },
    )];
    let (console, events) = support::run(&plan);
    has(
        &console,
        &[
            "/proc/vendor/model",
            "directory",
            "model of proc",
            "root=/dev/vda init=/etc/script console=ttyS0 board=x",
            "TERM vt100",
            "mtu 1400 address 52:54:00:12:34:56",
        ],
    );
    assert!(console.contains("HWaddr 52:54:00:12:34:56"), "{console}");
    // Not every host's kernel has bridges.
    let bridged = ["bridged", "not supported"];
    assert!(
        bridged.iter().any(|text| console.contains(text)),
        "{console}"
    );
    let refused = |event: &Event| match &event.what {
        What::InterfaceMissing {
            name,
            command: 0x89A1,
            result: -1,
        } => name == "eth0",
        _ => false,
    };
    assert!(events.iter().any(refused), "{console}");
    assert!(!missing(&events).contains(&"/proc/vendor"));
}

/// The most that the supervisor, which is this process, ever held.
fn peak_of_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() * 1024
}

pub fn what_stands_in_the_place_of_a_file_is_never_read_for_it() {
    let work = tempfile::tempdir().unwrap();
    let script = "
ln -s /proc/$$/mounts /etc/mtab
for name in mounts mountinfo status stat comm cmdline; do
  mount -o bind /dev/zero /proc/$$/$name; echo $name $(head -c 4 /proc/$$/$name | wc -c)
done
echo table $(head -c 4 /etc/mtab | wc -c)
mount -o bind /proc/kallsyms /proc/$$/mounts
[ \"$(head -n 2 /proc/kallsyms)\" = \"$(head -n 2 /etc/mtab)\" ] && echo no more than itself
mkfifo /tmp/fifo; mount -o bind /tmp/fifo /proc/1/comm; mkdir -p /tmp/n; mount -o bind /tmp/n \
/sys/class/net; ls /sys/class/net/none
chmod 755 /tmp/fifo; mount -o bind /tmp/fifo /bin/nothing 2>/dev/null; /tmp/fifo || echo no program
i=0; while [ $i -lt 600 ]; do mount -o bind /tmp /tmp/n || break; i=$((i+1)); done; echo bound $i \
times; wc -c </proc/mounts
";
    let plan = support::script_plan(work.path(), script);
    let (console, _) = support::run(&plan);
    for name in [
        "mounts",
        "mountinfo",
        "status",
        "stat",
        "comm",
        "cmdline",
        "table",
    ] {
        has(&console, &[&format!("{name} 4")]);
    }
    has(&console, &["no more than itself", "no program"]);
    let times = console
        .split_once("bound ")
        .unwrap()
        .1
        .split_once(' ')
        .unwrap()
        .0;
    assert!(times.parse::<u32>().unwrap() < 600, "{console}");
    assert!(peak_of_memory() < 100 << 20, "{}", peak_of_memory());
}

pub fn no_way_into_proc_leads_to_facts_of_the_host() {
    let work = tempfile::tempdir().unwrap();
    let script = "
mkdir -p /tmp/a/b /tmp/c; mount -o bind /proc /tmp/a/b; mv /tmp/a /tmp/d
cd /proc/self/root/proc; ln -s /proc/1/root/proc/version /tmp/link
for way in /proc /proc/1/root/proc /proc/self/root/proc/1/root/proc /tmp/d/b \
/proc/1/task/1/root/proc .; do
  [ \"$(cat $way/cmdline)\" = \"$(cat /proc/cmdline)\" ] && [ \"$(cat $way/version)\" = \"$(cat \
  /proc/version)\" ] && echo $way is the same
  echo $way disks $(wc -c <$way/diskstats) group $(cat $way/self/cgroup) bus $(ls $way/bus | wc -l)
  grep -l 'lowerdir\\|rookery' $way/self/mountinfo $way/1/mounts $way/self/task/*/mountinfo \
  $way/1/mountstats
done
cat /tmp/link
mount -o bind /proc/1 /tmp/c || echo no process elsewhere
mount -o bind /proc/self/mountinfo /tmp/link || echo no file of one
";
    let mut plan = support::script_plan(work.path(), script);
    plan.kernel_release = Some("3.3.8".into());
    let (console, _) = support::run(&plan);
    let same = console
        .lines()
        .filter(|line| line.ends_with(" is the same"))
        .count();
    let hidden = console
        .lines()
        .filter(|line| line.contains("disks 0 group 0::/ bus 0"))
        .count();
    assert_eq!((same, hidden), (6, 6), "{console}");
    has(&console, &["no process elsewhere", "no file of one"]);
    assert!(console.contains("Linux version 3.3.8"), "{console}");
    for leak in ["mountinfo\n", "mounts\n", "mountstats\n"] {
        assert!(!console.replace('\r', "").contains(leak), "{console}");
    }
}
