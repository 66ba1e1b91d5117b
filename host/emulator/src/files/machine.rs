//! What `/proc` says of the machine: a device's, where the kernel's own would be the host's.

use rookery_runs::plan::Plan;

use crate::qemu::arch::Arch;
use crate::qemu::emulator::DEFAULT_KERNEL_RELEASE;

/// The files, and what they hold.
pub fn files(plan: &Plan, arch: &Arch) -> Vec<(&'static str, String)> {
    vec![
        ("/proc/cmdline", command_line(plan)),
        ("/proc/version", version(plan)),
        ("/proc/cpuinfo", arch.cpuinfo()),
        ("/proc/mtd", "dev:    size   erasesize  name\n".to_owned()),
        ("/proc/filesystems", FILE_SYSTEMS.to_owned()),
        ("/proc/modules", String::new()),
        ("/proc/kallsyms", String::new()),
        (
            "/proc/partitions",
            "major minor  #blocks  name\n\n".to_owned(),
        ),
        // Of the host's disks, memory and interrupts a guest knows nothing.
        ("/proc/diskstats", String::new()),
        (
            "/proc/swaps",
            "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n".to_owned(),
        ),
        ("/proc/interrupts", "           CPU0       \n".to_owned()),
        ("/proc/iomem", String::new()),
        ("/proc/ioports", String::new()),
        ("/proc/locks", String::new()),
        ("/proc/keys", String::new()),
        ("/proc/key-users", String::new()),
        ("/proc/timer_list", String::new()),
        (
            "/proc/consoles",
            "ttyS0                -W- (EC   a)    4:64\n".to_owned(),
        ),
        ("/proc/sys/kernel/osrelease", format!("{}\n", release(plan))),
        ("/proc/sys/kernel/version", "#1 SMP\n".to_owned()),
        (
            "/proc/sys/kernel/random/boot_id",
            "8f1c1a5e-6f63-4c0e-9b6e-2d0f5b3c7a11\n".to_owned(),
        ),
        ("/proc/sys/kernel/hotplug", "\n".to_owned()),
        ("/proc/sys/kernel/modprobe", "/sbin/modprobe\n".to_owned()),
        // The kernel shows these in the host's own network namespace only.
        ("/proc/sys/net/core/rmem_max", "212992\n".to_owned()),
        ("/proc/sys/net/core/wmem_max", "212992\n".to_owned()),
        ("/proc/sys/net/core/rmem_default", "212992\n".to_owned()),
        ("/proc/sys/net/core/wmem_default", "212992\n".to_owned()),
        ("/proc/sys/net/core/netdev_max_backlog", "1000\n".to_owned()),
        ("/proc/sys/net/core/optmem_max", "20480\n".to_owned()),
    ]
}

/// What a guest can mount. Those with a disk are in the order in which programs try them, first
/// those whose images are recognised.
const FILE_SYSTEMS: &str = "nodev\tsysfs\n\
                            nodev\trootfs\n\
                            nodev\tramfs\n\
                            nodev\tbdev\n\
                            nodev\tproc\n\
                            nodev\ttmpfs\n\
                            nodev\tdevtmpfs\n\
                            nodev\tdebugfs\n\
                            nodev\tsockfs\n\
                            nodev\tpipefs\n\
                            nodev\tdevpts\n\
                            \text3\n\
                            \text2\n\
                            \text4\n\
                            \tsquashfs\n\
                            \tcramfs\n\
                            \tvfat\n\
                            nodev\tnfs\n\
                            nodev\tjffs2\n\
                            nodev\toverlay\n\
                            nodev\tubifs\n";

/// Variables of the plan that only the environment holds.
const NOT_BOOTED_WITH: &[&str] = &["TERM", "LD_LIBRARY_PATH"];

/// The boot arguments as the guest's kernel would show them.
fn command_line(plan: &Plan) -> String {
    let mut line = format!("root=/dev/vda init={} console=ttyS0", plan.init);
    let boot = |(name, _): &&(String, String)| !NOT_BOOTED_WITH.contains(&name.as_str());
    for (name, value) in plan.env.iter().filter(boot) {
        line.push(' ');
        line.push_str(name);
        if !value.is_empty() {
            line.push('=');
            line.push_str(value);
        }
    }
    if let Some(more) = &plan.kernel_cmdline_append {
        line.push(' ');
        line.push_str(more);
    }
    line.push('\n');
    line
}

/// The kernel that the guest believes to run on.
fn release(plan: &Plan) -> &str {
    let own = plan.kernel_release.as_deref();
    own.unwrap_or(DEFAULT_KERNEL_RELEASE)
}

fn version(plan: &Plan) -> String {
    let release = release(plan);
    format!("Linux version {release} (builder@host) (gcc version 12.2.0) #1 SMP\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::devices::tests::plan;

    #[test]
    fn boot_arguments_are_the_plans_environment_and_what_is_appended() {
        let mut plan = plan();
        plan.env.push(("TERM".into(), "vt100".into()));
        plan.kernel_cmdline_append = Some("mtdparts=x:1m(a)".into());
        assert_eq!(
            command_line(&plan),
            "root=/dev/vda init=/sbin/init console=ttyS0 board=x1 quiet mtdparts=x:1m(a)\n"
        );
    }
}
