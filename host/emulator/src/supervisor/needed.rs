//! What a run needs before its guest's world is built.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rookery_project::{Error, Result};
use rookery_runs::plan::notes::Notes;
use rookery_runs::plan::{Plan, StaticFile};
use rustix::fs::{Mode, OFlags};

use crate::files::consoles::of_firmware;
use crate::files::flash::Partitions;
use crate::files::{older_threads, uboot_env};
use crate::guest::links::Links;
use crate::handlers;
use crate::kernel::notify::Instruction;
use crate::kernel::paths;
use crate::limits::Handle;
use crate::models::{Models, Written};
use crate::network::capture::Capture;
use crate::network::uplink::Uplink;
use crate::network::wanted::Elsewhere;
use crate::process::view::View;
use crate::qemu::arch::Arch;
use crate::qemu::emulator::Qemu;
use crate::qemu::prepare::Prepared;
use crate::sandbox::filter;
use crate::sandbox::guest_user;
use crate::sandbox::parent::World;
use crate::sandbox::rootfs::Rootfs;

/// The names by which the firmware means its console.
pub fn consoles(plan: &Plan, rootfs: &Rootfs) -> BTreeSet<String> {
    let firmware = firmware(rootfs);
    firmware.map_or_else(BTreeSet::new, |view| of_firmware(&view, plan))
}

/// The plan, with what the firmware itself says of the machine: the devices that it has nodes of,
/// and where it keeps its U-Boot environment.
pub fn complete(plan: &Plan, rootfs: &Rootfs, arch: &Arch) -> Plan {
    let mut plan = plan.clone();
    let configured = plan.static_files.iter();
    let configured = configured
        .filter_map(|(path, file)| matches!(file, StaticFile::Device { .. }).then_some(path));
    let nodes = rootfs.nodes.iter().map(|node| &node.path);
    let paths: Vec<_> = nodes
        .chain(configured)
        .map(|path| paths::normalise(path))
        .collect();
    plan.add_usual_devices(paths.iter().map(String::as_str));
    let mut partitions = std::mem::take(&mut plan.flash);
    let firmware = firmware(rootfs);
    uboot_env::place(
        &plan,
        arch.is_big_endian(),
        firmware.as_ref(),
        &mut partitions,
    );
    plan.flash = partitions;
    plan
}

/// How large the firmware's programs need their stacks, where that is unusual.
pub fn stack(rootfs: &Rootfs) -> Option<u64> {
    let firmware = firmware(rootfs)?;
    older_threads::are_in(&firmware).then_some(older_threads::STACK)
}

fn firmware(rootfs: &Rootfs) -> Option<View> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(&rootfs.directory, flags, Mode::empty());
    root.ok().map(|root| View::new(root, 1))
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

/// The architecture of the plan's own emulator.
pub fn own_arch(qemus: &[Qemu]) -> Result<&'static Arch> {
    let own = qemus.first().map(|qemu| qemu.arch);
    own.ok_or_else(|| Error::Internal("no emulator".into()))
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

/// What of the guest's calls comes to the supervisor. `has_nvram` is whether a driver of one does.
pub fn filter_of(plan: &Plan, has_nvram: bool) -> Vec<Instruction> {
    let models = || plan.pseudofiles.iter();
    let watched = filter::Options {
        model_ioctls: !plan.interface_ioctls.is_empty()
            || models().any(|(_, model)| !model.ioctl.is_empty()),
        model_files: has_nvram || !plan.pseudofiles.is_empty(),
        model_devices: has_nvram
            || !plan.flash.is_empty()
            || models().any(|(path, _)| path.starts_with("/dev/")),
        record: plan.record_events,
    };
    let recorded = handlers::also_recorded().filter(|_| plan.record_events);
    let modelled = handlers::also_modelled().filter(|_| watched.model_files);
    filter::build(
        watched,
        handlers::always_answered().chain(recorded).chain(modelled),
    )
}

/// The guest's interfaces, which others can stand in for.
pub fn links(plan: &Plan, world: &mut World) -> Links {
    Links::new(plan, elsewhere(world))
}

/// Where the other ends of interface pairs are; `None` where the host is short of descriptors.
fn elsewhere(world: &mut World) -> Option<Elsewhere> {
    let is_outside = |(handle, _): &(Handle, OwnedFd)| *handle == Handle::Outside;
    let at = world.handles.iter().position(is_outside)?;
    let (_, network) = world.handles.swap_remove(at);
    Some(Elsewhere {
        namespace: world.outside.try_clone().ok()?.into(),
        network: network.into(),
    })
}

/// What is beside the guest in its network: who records its packets into a file, where there is
/// one, and who answers beyond it.
pub fn beside(
    plan: &Plan,
    world: &mut World,
    packets: Option<io::Result<File>>,
    notes: &mut Notes,
) {
    world.capture = captured(world, packets, notes);
    world.uplink = uplink(plan, world, notes);
}

/// The process that records what goes over the guest's interfaces into a file, where there is one.
fn captured(world: &World, file: Option<io::Result<File>>, notes: &mut Notes) -> Option<Capture> {
    let started = file?.and_then(|file| Capture::start(&world.pidfd, &file));
    started
        .inspect_err(|error| notes.about("no packets are recorded", error.to_string()))
        .ok()
}

/// The interface behind which something answers, where the plan has one.
fn uplink(plan: &Plan, world: &World, notes: &mut Notes) -> Option<Uplink> {
    const NO_WAY_OUT: &str = "network.external is not honoured, and the guest has no way out of \
                              its network";
    let wanted = plan.uplink.as_ref()?;
    match Uplink::start(&world.pidfd, wanted, guest_user::uid()) {
        Ok((uplink, missing)) => {
            if let Some(why) = missing {
                notes.about(NO_WAY_OUT, why);
            }
            Some(uplink)
        }
        Err(error) => {
            let interface = &wanted.interface;
            notes.about(
                "nothing answers beyond the guest's own network, because the interface for it \
                 could not be made",
                format!("{interface}: {error}"),
            );
            None
        }
    }
}

/// Make use of the file systems that have no place in the guest's tree: fill that of flash memory;
/// that of the models, if any, is given, to be served. What a file of the project holds is read
/// with the supervisor's own rights.
pub fn fill_detached(
    world: &mut World,
    partitions: &mut Partitions,
    written: Written,
    notes: &mut Notes,
) -> Models {
    if let Some(root) = world.flash.take() {
        let read = |path: &Path| world.privileges.as_self(|| File::open(path));
        if let Err(error) = partitions.fill(root, read) {
            notes.about("flash partitions could not be filled", error.to_string());
        }
    }
    Models::new(Rc::clone(&world.pidfd), world.models.take(), written)
}

/// What the guest does without: as its world's builder tells it, of the files that models write to,
/// and of its emulator.
pub fn not_to_be_had(world: &World, unwritten: Vec<String>, emulator: &Prepared) -> Notes {
    const UNWRITTEN: &str = "files that models write to and that could not be made";
    let mut notes = Notes::default();
    let warnings = world.warnings.iter();
    for (kind, which) in warnings.filter_map(|text| text.split_once(": ")) {
        notes.about(kind, which);
    }
    for path in unwritten {
        notes.about(UNWRITTEN, path);
    }
    emulator.notes.iter().for_each(|note| notes.once(note));
    notes
}
