//! What a run needs before its guest's world is built.

use std::collections::BTreeSet;
use std::time::Instant;

use rookery_project::{Cancel, Error, Result};
use rookery_runs::plan::Plan;
use rustix::fs::{Mode, OFlags};

use crate::files::consoles::of_firmware;
use crate::process::view::View;
use crate::qemu::emulator::Qemu;
use crate::sandbox::guest_user;
use crate::sandbox::rootfs::{self, Rootfs};

/// The firmware's root filesystem, unpacked.
pub fn unpacked(plan: &Plan, deadline: Instant) -> Result<Rootfs> {
    let (uid, cancel) = (guest_user::uid(), Cancel::at(deadline));
    rootfs::prepare(&plan.cache_dir, &plan.archive, uid, &cancel).map_err(|error| match error {
        Error::Cancelled => Error::Backend(format!(
            "the deadline of {} s passed while the root filesystem was unpacked, which happens \
             only once; give the run more time",
            plan.timeout_s
        )),
        error => error,
    })
}

/// The names by which the firmware means its console.
pub fn consoles(plan: &Plan, rootfs: &Rootfs) -> BTreeSet<String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(&rootfs.directory, flags, Mode::empty());
    root.map(|root| of_firmware(&View::new(root, 1), plan))
        .unwrap_or_default()
}

/// The plan's own emulator first, then those for whatever else the firmware may hold.
pub fn emulators(plan: &Plan) -> Result<Vec<Qemu>> {
    if !cfg!(target_arch = "x86_64") {
        return Err(Error::unavailable(
            "the embedded backend",
            "it runs on x86-64 hosts only",
            "Use --backend penguin.",
        ));
    }
    let own = Qemu::for_plan(&plan.arch)?;
    let others = Qemu::all().into_iter().filter(|qemu| qemu.arch != own.arch);
    Ok(std::iter::once(own.clone()).chain(others).collect())
}

/// The environment of init: the plan's, and what the kernel gives.
pub fn environment(plan: &Plan) -> Vec<String> {
    let defaults = [
        ("HOME", "/"),
        ("TERM", "linux"),
        ("PATH", "/sbin:/bin:/usr/sbin:/usr/bin"),
    ];
    let missing = defaults
        .into_iter()
        .filter(|(name, _)| !plan.env.iter().any(|(known, _)| known == name));
    let own = plan
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    missing
        .chain(own)
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}
