//! A part of a guest to try handlers on: this process is its only one, and what is reported is
//! kept.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rookery_records::event::{Process, What};
use rookery_runs::plan::Plan;
use rustix::fs::Stat;
use rustix::io::Errno;

use crate::files::devices::{Devices, tests::plan};
use crate::files::mounts::Mounts;
use crate::guest::access::{
    Callers, Ends, HasClock, HasDevices, HasEmulators, HasImages, HasIpc, HasKept, HasKernelLog,
    HasMounts, HasNamespaces, HasNvram, HasPlan, HasRespawns, HasServices, HasWaits, Paths,
    Reports,
};
use crate::guest::clock::Clock;
use crate::guest::emulators::Emulators;
use crate::guest::images::Images;
use crate::guest::ipc::Ipc;
use crate::guest::kept::Kept;
use crate::guest::kernel_log::KernelLog;
use crate::guest::nvram::Nvram;
use crate::guest::reboot::Reboot;
use crate::guest::respawns::Respawns;
use crate::guest::services::Services;
use crate::guest::tree::Found;
use crate::guest::waits::Waits;
use crate::kernel::paths;
use crate::process::call::Call;
use crate::process::look::Look;
use crate::process::proc_dir::{PidNamespace, ProcDir};
use crate::process::table::Table;
use crate::qemu::arch::Arch;
use crate::qemu::prepare::Prepared;

pub struct Part {
    pub plan: &'static Plan,
    pub reported: Vec<What>,
    pub ended: Option<String>,
    pub reboot: Option<Reboot>,
    /// The exit of init, where it was kept waiting.
    pub held: Option<Call>,
    pub others_live: bool,
    pub ipc: Ipc,
    pub nvram: Nvram,
    images: Images,
    clock: Clock,
    respawns: Respawns,
    procs: Table,
    init: ProcDir,
    devices: Devices,
    mounts: Mounts,
    kept: Kept,
    services: Services,
    kernel_log: KernelLog,
    waits: Waits,
    emulators: Emulators<'static>,
}

impl Part {
    /// With what a change makes of a plan that has nothing.
    pub fn new(change: impl FnOnce(&mut Plan)) -> Self {
        let mut plan = plan();
        change(&mut plan);
        let plan: &'static Plan = Box::leak(Box::new(plan));
        let own = std::process::id();
        let namespace = PidNamespace::of(own).unwrap();
        Self {
            reported: Vec::new(),
            ended: None,
            reboot: None,
            held: None,
            others_live: false,
            ipc: Ipc::default(),
            nvram: Nvram::default(),
            images: Images::default(),
            clock: Clock::default(),
            respawns: Respawns::default(),
            init: ProcDir::of_thread(own, &namespace).unwrap(),
            procs: Table::new(namespace),
            devices: Devices::new(
                plan,
                &[],
                &BTreeSet::new(),
                Arch::by_name(&plan.arch).unwrap(),
            ),
            mounts: Mounts::default(),
            kept: Kept::default(),
            services: Services::new(None),
            kernel_log: KernelLog::default(),
            waits: Waits::default(),
            emulators: Emulators::new(&[], Prepared::default()),
            plan,
        }
    }

    /// A call of this process, which is then known.
    pub fn call(&mut self, number: i64, args: &[u64]) -> Call {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        let mut call = Call::of_this_thread(number, all);
        call.process = Some(self.procs.identify(call.thread()).unwrap());
        call
    }
}

/// An argument that points to a string of this process.
pub fn pointer(text: &std::ffi::CStr) -> u64 {
    text.as_ptr().addr() as u64
}

impl Callers for Part {
    fn procs(&mut self) -> &mut Table {
        &mut self.procs
    }
    fn init(&self) -> &ProcDir {
        &self.init
    }
}

impl Reports for Part {
    fn report(&mut self, _: Process, what: What) {
        self.reported.push(what);
    }
    fn report_path(&mut self, _: &Call, look: Look<'_>) {
        self.reported.push(look.event());
    }
}

impl Paths for Part {
    fn canonical(&self, path: String) -> String {
        self.mounts.canonical(path)
    }
    fn resolve(&mut self, call: &Call, path: &str, _: bool) -> Result<Found, Errno> {
        if let Some(device) = self.devices.get(path) {
            return Ok(Found::Device(path.to_owned(), device.clone()));
        }
        let found = self.view(call).ok_or(Errno::SRCH)?.find(path)?;
        Ok(Found::File(path.to_owned(), paths::status(&found)?))
    }
    fn refuses(&mut self, _: &Call, _: &str, _: &Stat, _: u32) -> bool {
        false
    }
}

impl HasPlan<'static> for Part {
    fn plan(&self) -> &'static Plan {
        self.plan
    }
}

impl HasDevices for Part {
    fn devices(&mut self) -> &mut Devices {
        &mut self.devices
    }
}

impl HasMounts for Part {
    fn mounts(&mut self) -> &mut Mounts {
        &mut self.mounts
    }
    fn is_of_process(&self, _: &OwnedFd) -> bool {
        false
    }
    fn in_its_proc(&self, process: &ProcDir, _: u32) -> Result<ProcDir, Errno> {
        let namespace = PidNamespace::of(std::process::id())?;
        ProcDir::of_thread(process.pid(), &namespace)
    }
}

impl HasNamespaces for Part {
    fn namespaces(&self) -> Rc<OwnedFd> {
        let own = rustix::process::getpid();
        Rc::new(rustix::process::pidfd_open(own, rustix::process::PidfdFlags::empty()).unwrap())
    }
}

impl HasIpc for Part {
    fn ipc(&mut self) -> &mut Ipc {
        &mut self.ipc
    }
}

impl HasClock for Part {
    fn clock(&mut self) -> &mut Clock {
        &mut self.clock
    }
}

impl HasImages for Part {
    fn images(&mut self) -> &mut Images {
        &mut self.images
    }
}

impl HasRespawns for Part {
    fn respawns(&mut self) -> &mut Respawns {
        &mut self.respawns
    }
}

impl HasNvram for Part {
    fn nvram(&mut self) -> &mut Nvram {
        &mut self.nvram
    }
}

impl HasKept for Part {
    fn kept(&mut self) -> &mut Kept {
        &mut self.kept
    }
}

impl HasServices for Part {
    fn services(&mut self) -> &mut Services {
        &mut self.services
    }
}

impl HasEmulators<'static> for Part {
    fn emulators(&self) -> &Emulators<'static> {
        &self.emulators
    }
}

impl HasKernelLog for Part {
    fn kernel_log(&mut self) -> &mut KernelLog {
        &mut self.kernel_log
    }
}

impl HasWaits for Part {
    fn waits(&mut self) -> &mut Waits {
        &mut self.waits
    }
}

impl Ends for Part {
    fn end(&mut self, how: String) {
        self.ended = Some(how);
    }
    fn reboot(&mut self, reboot: Reboot) {
        self.reboot = Some(reboot);
    }
    fn has_other_processes(&self) -> bool {
        self.others_live
    }
    fn hold_init(&mut self, exit: Call) {
        self.held = Some(exit);
    }
}
