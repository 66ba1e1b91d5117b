//! The guest's state. Nobody outside this folder reaches its fields: handlers are given what
//! [`crate::guest::access`] names, the supervisor what is below.

use std::collections::BTreeSet;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rookery_records::Outcome;
use rookery_records::event::{Process, What};
use rookery_runs::backend::Request;
use rookery_runs::plan::Plan;
use rustix::fs::Stat;
use rustix::io::Errno;

use crate::files::console::Console;
use crate::files::devices::Devices;
use crate::files::interfaces::CLASS;
use crate::files::mount_names;
use crate::files::mounts::Mounts;
use crate::files::private::PrivateFiles;
use crate::guest::access::{
    Callers, Ends, HasClock, HasConsole, HasDevices, HasEmulators, HasHooks, HasImages, HasIpc,
    HasKept, HasKernelLog, HasLimits, HasMounts, HasNamespaces, HasNvram, HasOwners, HasPlan,
    HasRespawns, HasServices, HasWaits, Paths, Reports,
};
use crate::guest::clock::Clock;
use crate::guest::emulators::Emulators;
use crate::guest::hooks::Hooks;
use crate::guest::images::Images;
use crate::guest::init::Init;
use crate::guest::interfaces::Shown;
use crate::guest::ipc::Ipc;
use crate::guest::kept::Kept;
use crate::guest::kernel_log::KernelLog;
use crate::guest::links::Links;
use crate::guest::nvram::Nvram;
use crate::guest::reboot::{REBOOTS_MAX, Reboot};
use crate::guest::reporter::Reporter;
use crate::guest::respawns::Respawns;
use crate::guest::services::Services;
use crate::guest::sys_devices::SysDevices;
use crate::guest::tree::{Found, Tree};
use crate::guest::waits::Waits;
use crate::kernel::paths;
use crate::limits::Limits;
use crate::process::call::{Action, Call};
use crate::process::look::Look;
use crate::process::proc_dir::ProcDir;
use crate::process::table::{self, Table};
use crate::sandbox::rootfs::Rootfs;

/// The guest.
pub struct Guest<'a> {
    plan: &'a Plan,
    reporter: Reporter<'a>,
    procs: Table,
    /// What its file system holds beside files.
    tree: Tree<'a>,
    /// What its programs run under.
    emulators: Emulators<'a>,
    /// Its network, and what listens there.
    services: Services,
    /// What it makes the host hold.
    limits: Limits,
    /// A child of this process that is not yet waited for, so its number stays its own.
    init: ProcDir,
    /// Init, as a namespace to join.
    pidfd: Rc<OwnedFd>,
    /// Why it ended, once it asked to.
    ended: Option<Outcome>,
    /// A reboot that it asked for, and how many there were before.
    reboot: Option<Reboot>,
    reboots: u32,
    /// What the sandbox has mounted, by the kernel's numbers.
    mounted: BTreeSet<u64>,
    /// The exit of init, kept waiting because other processes live on.
    init_exit: Option<Call>,
    kernel_log: KernelLog,
    waits: Waits,
    ipc: Ipc,
    images: Images,
    clock: Clock,
    respawns: Respawns,
    /// Files of the supervisor's that it writes to.
    kept: Kept,
    sys_devices: SysDevices,
    interfaces: Shown,
    nvram: Nvram,
    hooks: Hooks,
}

impl<'a> Guest<'a> {
    /// A guest whose `init` is about to start.
    pub fn new(
        plan: &'a Plan,
        reporter: Reporter<'a>,
        tree: Tree<'a>,
        emulators: Emulators<'a>,
        services: Services,
        limits: Limits,
        init: Init,
    ) -> Self {
        Self {
            plan,
            reporter,
            procs: Table::new(init.namespace),
            tree,
            emulators,
            services,
            limits,
            init: init.process,
            pidfd: init.pidfd,
            ended: None,
            reboot: None,
            reboots: 0,
            mounted: BTreeSet::new(),
            init_exit: None,
            kernel_log: KernelLog::default(),
            waits: Waits::default(),
            ipc: Ipc::default(),
            images: Images::default(),
            clock: Clock::default(),
            respawns: Respawns::default(),
            kept: Kept::default(),
            sys_devices: SysDevices::default(),
            interfaces: Shown::default(),
            nvram: Nvram::default(),
            hooks: Hooks::default(),
        }
    }

    /// Learn, before init is started, which files stand for the devices.
    pub fn find_files(&mut self, rootfs: &Rootfs) {
        self.tree.find_files(&self.init, rootfs);
    }

    /// Give it these interfaces and this NVRAM, before init is started.
    pub fn give(&mut self, links: Links, nvram: Nvram) {
        self.services.give_links(links);
        self.nvram = nvram;
    }

    /// Init starts now.
    pub fn start(&mut self) {
        self.mounted = self.mounts_there().into_iter().map(|(id, _)| id).collect();
        self.reporter.start();
    }

    /// The kernel's numbers of what is mounted, and where, the newest last.
    fn mounts_there(&self) -> Vec<(u64, String)> {
        let table = self.init.text("mountinfo").unwrap_or_default();
        mount_names::places(&table)
    }

    /// A reboot that it asked for.
    pub fn take_reboot(&mut self) -> Option<Reboot> {
        self.reboot.take()
    }

    /// Forget what ends with a start, before the next one. Gives what the guest has mounted, the
    /// newest first.
    pub fn forget_start(&mut self) -> Vec<String> {
        if let Some(call) = self.init_exit.take() {
            call.answer(&Errno::INTR.into());
        }
        self.kernel_log.wake_all();
        self.waits.interrupt(|_| true);
        self.procs.killed(&Process::default(), -1);
        if let Some(init) = self.procs.get(self.init.pid()) {
            (init.uid, init.gid) = (None, None);
        }
        self.tree.mounts.forget_start();
        self.images.forget_start();
        self.services.forget_start();
        self.tree.mounts.promise(0);
        let mut own = self.mounts_there();
        own.retain(|(id, _)| !self.mounted.contains(id));
        own.into_iter().rev().map(|(_, place)| place).collect()
    }

    /// End all processes but init.
    pub fn end_others(&self) {
        self.procs.end_descendants(&self.init);
    }

    /// Learn whose call it is, before anything else is done for it. `SRCH` where the caller is
    /// gone.
    pub fn identify(&mut self, call: &mut Call) -> Result<(), Errno> {
        let mut found = self.procs.identify(call.thread());
        if matches!(found, Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM)) {
            self.procs.close_memories();
            found = self.procs.identify(call.thread());
        }
        call.process = Some(found?);
        Ok(())
    }

    /// The run goes on until so many seconds after its start.
    pub fn lasts(&mut self, timeout_s: u64) {
        self.reporter.lasts(timeout_s);
    }

    /// Since when it has done nothing that it had not done before.
    pub fn news(&self) -> Instant {
        self.reporter.news()
    }

    /// How long its processes computed, all together.
    pub fn computed(&self) -> Duration {
        self.limits.computed()
    }

    /// Readable while a request waits.
    pub fn requests(&self) -> BorrowedFd<'_> {
        self.reporter.requests()
    }

    /// The next request to the supervisor.
    pub fn next_request(&mut self) -> Option<Request> {
        self.reporter.next_request()
    }

    /// Why it ended, where it asked to.
    pub fn take_end(&mut self) -> Option<Outcome> {
        self.ended.take()
    }

    /// What it has too much of, in words.
    pub fn excess(&mut self) -> Option<String> {
        let written = self.kept.bytes() + self.tree.devices.flash().held();
        self.limits.excess(&self.init, &self.tree.mounts, written)
    }

    /// When to look for an excess again, where nothing happens.
    pub fn due(&self) -> Instant {
        self.limits.due()
    }

    /// Readable when an image is unpacked.
    pub fn unpacked(&self) -> Option<BorrowedFd<'_>> {
        self.images.done()
    }

    /// When a program that was held back may start.
    pub fn start_due(&self) -> Option<Instant> {
        self.respawns.due()
    }

    /// Those that may start now.
    pub fn take_due(&mut self) -> Vec<Call> {
        self.respawns.take_due()
    }

    /// Readable when what it makes the host hold has changed.
    pub fn changes(&self) -> BorrowedFd<'_> {
        self.limits.changes()
    }

    /// What is done once in a while: ends that nobody saw are reported, who waited long is woken,
    /// and what grew too large is cut.
    pub fn tidy(&mut self) {
        for record in self.procs.sweep() {
            let signal = record.fatal;
            // Of one that was killed from outside nobody knows whether it would have failed.
            let failed = signal.is_some_and(|signal| signal != libc::SIGKILL);
            let note = self.program_ended(&record.argv, record.start, failed);
            self.report(record.who.clone(), What::Exit { code: None, signal });
            if let Some(note) = note {
                self.report(record.who, note);
            }
        }
        self.kernel_log.wake();
        let procs = &self.procs;
        self.waits
            .interrupt(|call| procs.is_signalled(call.thread()));
        self.reporter.report_repeated();
        self.release_init();
        self.kept.trim();
    }

    /// Report how often has happened what was only counted.
    pub fn report_repeated(&mut self) {
        self.reporter.report_repeated();
    }

    /// Let init end once nothing else lives.
    fn release_init(&mut self) {
        if self.init_exit.is_some()
            && !self.has_other_processes()
            && let Some(call) = self.init_exit.take()
        {
            call.answer(&Action::Continue);
        }
    }
}

impl Callers for Guest<'_> {
    fn procs(&mut self) -> &mut Table {
        &mut self.procs
    }

    fn init(&self) -> &ProcDir {
        &self.init
    }
}

impl Reports for Guest<'_> {
    fn report(&mut self, process: Process, what: What) {
        self.reporter.report(process, what);
    }

    fn report_path(&mut self, call: &Call, look: Look<'_>) {
        let caller = call.process.and_then(|process| self.procs.get(process));
        if let Some(caller) = caller {
            self.reporter.path(&caller.who, look);
        }
    }
}

impl Paths for Guest<'_> {
    fn canonical(&self, path: String) -> String {
        self.tree.mounts.canonical(path)
    }

    fn resolve(&mut self, call: &Call, path: &str, follow: bool) -> Result<Found, Errno> {
        if paths::is_below(path, CLASS) {
            let services = &mut self.services;
            self.interfaces.refresh(&self.init, &self.pidfd, services);
        }
        self.sys_devices.look(path, &self.pidfd);
        let caller = call.process.and_then(|process| self.procs.get(process));
        let caller = caller.ok_or(Errno::SRCH)?;
        self.tree
            .resolve(caller, &self.init, path, follow, &self.kept)
    }

    fn refuses(&mut self, call: &Call, path: &str, status: &Stat, wanted: u32) -> bool {
        let caller = call.process.and_then(|process| self.procs.get(process));
        caller.is_some_and(|caller| self.tree.refuses(caller, path, status, wanted))
    }
}

impl<'a> HasPlan<'a> for Guest<'a> {
    fn plan(&self) -> &'a Plan {
        self.plan
    }
}

impl HasDevices for Guest<'_> {
    fn devices(&mut self) -> &mut Devices {
        &mut self.tree.devices
    }
}

impl<'a> HasConsole<'a> for Guest<'a> {
    fn console(&self) -> &'a Console {
        self.tree.console
    }
}

impl HasMounts for Guest<'_> {
    fn mounts(&mut self) -> &mut Mounts {
        &mut self.tree.mounts
    }

    fn is_of_process(&self, found: &OwnedFd) -> bool {
        self.tree.is_of_process(found)
    }

    fn in_its_proc(&self, process: &ProcDir, number: u32) -> Result<ProcDir, Errno> {
        self.tree.in_its_proc(process, number)
    }
}

impl HasOwners for Guest<'_> {
    fn private(&mut self) -> &mut PrivateFiles {
        &mut self.tree.private
    }

    fn set_id_bits(&self, program: &OwnedFd) -> u32 {
        self.tree.set_id_bits(program)
    }
}

impl HasNamespaces for Guest<'_> {
    fn namespaces(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.pidfd)
    }
}

impl HasIpc for Guest<'_> {
    fn ipc(&mut self) -> &mut Ipc {
        &mut self.ipc
    }
}

impl HasClock for Guest<'_> {
    fn clock(&mut self) -> &mut Clock {
        &mut self.clock
    }
}

impl HasImages for Guest<'_> {
    fn images(&mut self) -> &mut Images {
        &mut self.images
    }
}

impl HasRespawns for Guest<'_> {
    fn respawns(&mut self) -> &mut Respawns {
        &mut self.respawns
    }
}

impl HasKept for Guest<'_> {
    fn kept(&mut self) -> &mut Kept {
        &mut self.kept
    }
}

impl HasHooks for Guest<'_> {
    fn hooks(&mut self) -> &mut Hooks {
        &mut self.hooks
    }
}

impl HasNvram for Guest<'_> {
    fn nvram(&mut self) -> &mut Nvram {
        &mut self.nvram
    }
}

impl<'a> HasEmulators<'a> for Guest<'a> {
    fn emulators(&self) -> &Emulators<'a> {
        &self.emulators
    }
}

impl HasServices for Guest<'_> {
    fn services(&mut self) -> &mut Services {
        &mut self.services
    }
}

impl HasLimits for Guest<'_> {
    fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }
}

impl HasKernelLog for Guest<'_> {
    fn kernel_log(&mut self) -> &mut KernelLog {
        &mut self.kernel_log
    }
}

impl HasWaits for Guest<'_> {
    fn waits(&mut self) -> &mut Waits {
        &mut self.waits
    }
}

impl Ends for Guest<'_> {
    fn end(&mut self, how: String) {
        self.ended = Some(Outcome::GuestEnded { how });
    }

    fn reboot(&mut self, reboot: Reboot) {
        if self.reboots >= REBOOTS_MAX || self.tree.mounts.has_pivoted() {
            let before = match self.reboots {
                0 => String::new(),
                times => format!("; it was started again {times} times before"),
            };
            self.ended = Some(reboot.as_end(&before));
            return;
        }
        self.reboots += 1;
        self.reboot = Some(reboot);
    }

    fn has_other_processes(&self) -> bool {
        table::children(&self.init)
            .into_iter()
            .any(|pid| self.procs.is_alive(pid))
    }

    fn hold_init(&mut self, exit: Call) {
        self.init_exit = Some(exit);
    }
}
