//! The running guest as the supervisor knows it: what every handler works on.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Instant;

use rookery_project::SetId;
use rustix::fs::Stat;
use rustix::io::Errno;

use crate::files::console::Console;
use crate::files::devices::{Device, Devices, FileId};
use crate::files::mounts::Mounts;
use crate::files::private::PrivateFiles;
use crate::files::process_file::ProcessFile;
use crate::files::{devices, interfaces, private};
use crate::guest::changeable::Changeable;
use crate::kernel::netlink::Netlink;
use crate::kernel::paths;
use crate::kernel::paths::is_machine;
use crate::limits::Limits;
use crate::network::endpoint::Endpoint;
use crate::network::forward::Forwarder;
use crate::process::call::Call;
use crate::process::proc_dir::{PidNamespace, ProcDir};
use crate::process::table::{Record, Table};
use crate::process::view::View;
use crate::process::{memory, table};
use crate::qemu::emulator::Qemu;
use crate::qemu::signals;
use crate::sandbox::rootfs::Rootfs;
use rookery_records::event::{Event, Operation, Process, What};
use rookery_runs::backend::Control;
use rookery_runs::plan::Plan;

/// Events of one kind about one thing by one program are only counted beyond this many.
const SAME_EVENTS: u32 = 200;
/// As `SAME_EVENTS`, of those that cost the guest as much as us: programs that start and end.
const SAME_PROGRAMS: u32 = 20_000;
/// Where the guest finds its console.
pub const CONSOLE: &str = "/dev/console";
/// Things that are only counted before that is reported.
const REPEATED_MAX: usize = 1000;
/// Different things that are counted; beyond, all are dropped.
const DIFFERENT_EVENTS: usize = 200_000;

/// What a path leads to.
#[derive(Debug)]
pub enum Found {
    /// A file that the supervisor answers for, and its path.
    Device(String, Device),
    /// What `/proc` tells about a process.
    OfProcess(ProcessFile),
    /// Any other file, where it is and what it is.
    File(String, Stat),
    /// What only the kernel can reach for the caller.
    Other,
}

/// The guest.
pub struct Guest<'a> {
    /// What is run.
    pub plan: &'a Plan,
    /// Where events go.
    pub control: &'a mut dyn Control,
    /// When init was started.
    pub started: Instant,
    /// Its processes.
    pub procs: Table,
    /// The files that the supervisor answers for.
    pub devices: Devices,
    /// Its emulators, the plan's own first.
    pub qemus: &'a [Qemu],
    /// Ioctl commands that the emulator's table was given in advance.
    pub patched: HashSet<u32>,
    /// Where the emulator's ioctl table lies in its file, and the entries that may be overwritten.
    pub ioctl_table: Option<crate::qemu::ioctl_table::Table>,
    /// The emulator logs every system call before it makes it, for models of any command.
    pub announces_ioctls: bool,
    /// The host's number under which the guest's `SIGABRT` is sent.
    pub abort: i32,
    /// Its console.
    pub console: &'a Console,
    /// Its init. It is this process's child and not yet waited for, so its number stays its own.
    pub init: Rc<ProcDir>,
    /// Its init, as a namespace to join.
    pub pidfd: Rc<OwnedFd>,
    /// Ports of the host that lead to it; `None` where the helper could not be started.
    pub forwarder: Option<Forwarder>,
    /// What it makes the host hold.
    pub limits: Limits,
    /// What listens, and who.
    pub listening: HashMap<Endpoint, Process>,
    /// Why it ended, once it asked to.
    pub ended: Option<String>,
    /// The exit of init, kept waiting because other processes live on.
    pub init_exit: Option<Call>,
    /// Readers of the kernel's log, which wait since when: nothing is ever logged there.
    pub log_readers: Vec<(Instant, Call)>,
    /// What it believes to be mounted.
    pub mounts: Mounts,
    /// Files whose contents outlive a descriptor, by path: stateful models, and settings of the kernel that the guest only believes to change.
    pub kept: HashMap<String, Rc<OwnedFd>>,
    /// Files of the archive that are not for every user.
    pub private: PrivateFiles,
    /// Files that the guest was given to read and write.
    pub changeable: Changeable,
    /// Programs of the archive that give their owner's rights, and how; their files do not show it.
    pub set_ids: HashMap<FileId, u32>,
    /// Its host name, once it was given one.
    pub host_name: Vec<u8>,
    /// The file system that is its `/proc`, wherever it is seen.
    proc_device: Option<u64>,
    network: Option<Netlink>,
    seen: HashMap<u64, u32>,
    /// What is only counted: the first of its kind, and how many there were since they were last reported.
    repeated: HashMap<u64, (Process, What, u64)>,
}

impl<'a> Guest<'a> {
    /// A guest whose init is about to start.
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of a run come together here once"
    )]
    pub fn new(
        plan: &'a Plan,
        control: &'a mut dyn Control,
        qemus: &'a [Qemu],
        devices: Devices,
        console: &'a Console,
        init: rustix::process::Pid,
        pidfd: Rc<OwnedFd>,
        forwarder: Option<Forwarder>,
        limits: Limits,
    ) -> Result<Self, Errno> {
        let init = init.as_raw_nonzero().get().cast_unsigned();
        let namespace = PidNamespace::of(init)?;
        let init = Rc::new(ProcDir::of_thread(init, &namespace)?);
        Ok(Self {
            plan,
            control,
            started: Instant::now(),
            procs: Table::new(namespace),
            devices,
            qemus,
            patched: HashSet::new(),
            ioctl_table: None,
            announces_ioctls: false,
            abort: libc::SIGABRT,
            console,
            init,
            pidfd,
            forwarder,
            limits,
            listening: HashMap::new(),
            ended: None,
            init_exit: None,
            log_readers: Vec::new(),
            mounts: Mounts::default(),
            kept: HashMap::new(),
            changeable: Changeable::default(),
            repeated: HashMap::new(),
            set_ids: HashMap::new(),
            private: PrivateFiles::default(),
            host_name: Vec::new(),
            proc_device: None,
            network: None,
            seen: HashMap::new(),
        })
    }

    /// Learn whose call it is, before anything else is done for it. `SRCH` where the caller is gone.
    pub fn identify(&mut self, call: &mut Call) -> Result<(), Errno> {
        let mut found = self.procs.identify(call.thread());
        if matches!(found, Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM)) {
            self.procs.close_memories();
            found = self.procs.identify(call.thread());
        }
        call.process = Some(found?);
        Ok(())
    }

    /// The caller. `None` where it died.
    pub fn caller(&mut self, call: &Call) -> Option<&mut Record> {
        self.procs.get(call.process?)
    }

    /// A process by its pid in the guest, also one that has made no call yet.
    pub fn process(&mut self, call: &Call, pid: u32) -> Option<&Record> {
        // Looked for only where it is there.
        self.view(call)?.find(&format!("/proc/{pid}")).ok()?;
        self.procs.find(pid, self.init.pid())
    }

    /// Who the caller is in events.
    pub fn who(&mut self, call: &Call) -> Process {
        self.caller(call)
            .map(|record| record.who.clone())
            .unwrap_or_default()
    }

    /// Its network namespace.
    pub fn network(&mut self) -> Option<&Netlink> {
        if self.network.is_none() {
            self.network = self.forwarder.as_ref()?.network().ok();
        }
        self.network.as_ref()
    }

    /// Whether init has children that live; orphans are its children too.
    pub fn has_other_processes(&self) -> bool {
        table::children(&self.init)
            .into_iter()
            .any(|pid| self.procs.is_alive(pid))
    }

    /// Report what a process did.
    pub fn report(&mut self, process: Process, what: What) {
        match self.is_flood(&process, &what) {
            None => self.send(process, what),
            Some(key) => {
                self.repeated.entry(key).or_insert((process, what, 0)).2 += 1;
                if self.repeated.len() > REPEATED_MAX {
                    self.report_repeated();
                }
            }
        }
    }

    fn send(&mut self, process: Process, what: What) {
        let at = self.started.elapsed();
        self.control.event(Event { at, process, what });
    }

    /// Report how often has happened what was only counted since.
    pub fn report_repeated(&mut self) {
        for (process, what, times) in std::mem::take(&mut self.repeated).into_values() {
            let what = Box::new(what);
            self.send(process, What::Repeated { what, times });
        }
    }

    /// The number that the host's `signal` has in the guest, and in the configuration.
    pub fn signal(&self, signal: i32) -> i32 {
        signals::in_guest(&self.plan.arch, self.abort, signal)
    }

    /// Report what the caller did.
    pub fn report_call(&mut self, call: &Call, what: What) {
        let process = self.who(call);
        self.report(process, what);
    }

    /// Under which number an event is only counted, where there were too many like it.
    fn is_flood(&mut self, process: &Process, what: &What) -> Option<u64> {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        std::mem::discriminant(what).hash(&mut hasher);
        let kind = hasher.finish();
        process.program.hash(&mut hasher);
        match what {
            What::Path { path, syscall, .. } => (path, syscall).hash(&mut hasher),
            What::Unmodelled { path, operation } => (path, operation).hash(&mut hasher),
            What::Exec { path, .. } => path.hash(&mut hasher),
            What::EnvMissing { name } | What::InterfaceMissing { name, .. } => {
                name.hash(&mut hasher);
            }
            What::Mount { target, .. } => target.hash(&mut hasher),
            What::Faked { syscall, .. } => syscall.hash(&mut hasher),
            What::Signal { .. }
            | What::Crash { .. }
            | What::Exit { .. }
            | What::BindFailed { .. } => {}
            What::Console(_)
            | What::Listen { .. }
            | What::Unlisten { .. }
            | What::Note(_)
            | What::Repeated { .. }
            | What::Forward { .. } => return None,
        }
        let most = if matches!(what, What::Exec { .. } | What::Exit { .. }) {
            SAME_PROGRAMS
        } else {
            SAME_EVENTS
        };
        let (key, full) = (hasher.finish(), self.seen.len() >= DIFFERENT_EVENTS);
        match self.seen.get_mut(&key) {
            Some(count) => {
                *count = count.saturating_add(1);
                (*count > most).then_some(key)
            }
            // One number for all of a kind, so that these are bounded, too.
            None if full => Some(kind),
            None => {
                self.seen.insert(key, 1);
                None
            }
        }
    }

    /// A path argument as [`Guest::raw_path`] gives it, by the machine's own name where it is below a bind of `/dev`, `/proc` or `/sys`.
    pub fn path(
        &mut self,
        call: &Call,
        directory: Option<usize>,
        argument: usize,
    ) -> Result<String, Errno> {
        self.raw_path(call, directory, argument)
            .map(|path| self.mounts.canonical(path))
    }

    /// A path argument, made absolute by the directory argument where there is one, and normalised. `EFAULT` where it is unreadable.
    pub fn raw_path(
        &mut self,
        call: &Call,
        directory: Option<usize>,
        argument: usize,
    ) -> Result<String, Errno> {
        let record = self.caller(call).ok_or(Errno::SRCH)?;
        let memory = record.memory().ok_or(Errno::FAULT)?;
        let raw = memory
            .string(call.arg(argument), memory::PATH_MAX)
            .ok_or(Errno::FAULT)?;
        let text = memory::text(&raw);
        if text.starts_with('/') {
            return Ok(paths::normalise(&text));
        }
        let directory = directory.map_or(libc::AT_FDCWD, |index| call.int(index));
        let base = record.base(directory).ok_or(Errno::BADF)?;
        Ok(paths::join(&base, &text))
    }

    /// How the caller sees the file system.
    pub fn view(&mut self, call: &Call) -> Option<View> {
        self.caller(call)?.view()
    }

    /// As [`Guest::resolve`], where only devices matter.
    pub fn look(
        &mut self,
        call: &Call,
        path: &str,
        follow: bool,
    ) -> Result<Option<(String, Device)>, Errno> {
        Ok(match self.resolve(call, path, follow)? {
            Found::Device(path, device) => Some((path, device)),
            Found::OfProcess(_) | Found::File(..) | Found::Other => None,
        })
    }

    /// What is at a path for the caller, also when a link leads there.
    ///
    /// `follow` is whether a link at the end of the path counts as what it points to.
    pub fn resolve(&mut self, call: &Call, path: &str, follow: bool) -> Result<Found, Errno> {
        let own = self.caller(call).map_or(0, |record| record.who.pid);
        let spelled = paths::own_proc(path, own);
        for path in [path, &spelled] {
            if let Some(device) = self.devices.without_file(path).cloned()
                && self.is_of_first_root(call, path)
            {
                return Ok(Found::Device(path.to_owned(), device));
            }
        }
        if paths::is_below(path, interfaces::CLASS) {
            super::interfaces::refresh(self);
        }
        let view = self.view(call).ok_or(Errno::SRCH)?;
        let found = if follow {
            view.find(path)
        } else {
            view.find_link(path)
        };
        let found = match found {
            Ok(found) => found,
            // Beyond what the supervisor resolves for it: another user's, or a file without a name.
            Err(Errno::ACCESS | Errno::XDEV) => return Ok(Found::Other),
            Err(Errno::NOENT) if let Some(directory) = self.devices.directory(path) => {
                return Ok(Found::Device(path.to_owned(), directory));
            }
            Err(error) => return Err(error),
        };
        let status = paths::status(&found)?;
        if let Some((path, device)) = self.devices.of_file(devices::id(&status)) {
            return Ok(Found::Device(path, device));
        }
        let real = paths::of_descriptor(found.as_fd()).map(|real| self.mounts.canonical(real));
        // A descriptor of the console, by `/proc/self/fd`, `/dev/stdout` and the like.
        let terminal = real
            .as_ref()
            .is_some_and(|real| paths::is_below(real, "/dev/pts"));
        if terminal
            && self.console.is_behind(&status)
            && let Some(device) = self.devices.get(CONSOLE)
        {
            return Ok(Found::Device(CONSOLE.to_owned(), device.clone()));
        }
        let Some(real) = real else {
            return Ok(Found::Other);
        };
        if real != path
            && let Some(device) = self.devices.without_file(&real)
        {
            return Ok(Found::Device(real, device.clone()));
        }
        let on_proc = Some(status.st_dev) == self.proc_device;
        Ok(match ProcessFile::named(&real).filter(|_| on_proc) {
            Some(file) => Found::OfProcess(file),
            None => Found::File(real, status),
        })
    }

    /// Whether what was found is in `/proc` and belongs to one process.
    pub fn is_of_process(&self, found: &OwnedFd) -> bool {
        let on_proc =
            paths::status(found).is_ok_and(|status| Some(status.st_dev) == self.proc_device);
        let path = paths::of_descriptor(found).map(|path| self.mounts.canonical(path));
        on_proc && path.is_none_or(|path| paths::process(&path).is_some())
    }

    /// Whether the caller means by `path` what it means without a `chroot`.
    fn is_of_first_root(&mut self, call: &Call, path: &str) -> bool {
        let Some(record) = self.caller(call).filter(|record| record.is_in_chroot()) else {
            return true;
        };
        let own = record.view();
        let pid = record.who.pid;
        let first = self
            .init
            .target("root")
            .ok()
            .map(|root| View::new(root, pid));
        let directory = |view: Option<View>| {
            let found = view?.find(paths::parent(path)).ok()?;
            paths::status(found).ok().map(|status| devices::id(&status))
        };
        let (own, first) = (directory(own), directory(first));
        own.is_some() && own == first
    }

    /// Learn, before init is started, which files stand for the devices, and what the files of the archive
    /// do not show that they were unpacked to.
    pub fn find_files(&mut self, rootfs: &Rootfs) {
        let Ok(root) = self.init.target("root") else {
            return;
        };
        let view = View::new(root, 1);
        let status = |path: &str| paths::status(view.find_link(path).ok()?).ok();
        let find = |path: &str| status(path).map(|status| devices::id(&status));
        self.proc_device = find("/proc").map(|(device, _)| device);
        for (path, _) in self.devices.placeholders() {
            if let Some(file) = find(&path) {
                self.devices.place(&path, file);
            }
        }
        for path in self.devices.of_the_kernel() {
            if let Some(file) = find(&path) {
                self.devices.add_file(&path, file);
            }
        }
        let found = |program: &SetId| Some((find(&program.path)?, program.bits));
        self.set_ids = rootfs.set_ids.iter().filter_map(found).collect();
        for private in &rootfs.private {
            if let Some(status) = status(&private.path) {
                self.private.add(private, &status);
            }
        }
    }

    /// Whether the caller gave up root's rights and is therefore surely refused `wanted` of what has this
    /// status at this path.
    pub fn refuses(&mut self, call: &Call, path: &str, status: &Stat, wanted: u32) -> bool {
        let Some(record) = self.caller(call) else {
            return false;
        };
        let (uid, view) = match record.uid {
            Some([_, uid, _]) if uid != 0 => (uid, record.view()),
            _ => return false,
        };
        let closed = |directory: &str| {
            let found = view
                .as_ref()
                .and_then(|view| view.find_link(directory).ok());
            found
                .and_then(|found| paths::status(found).ok())
                .is_some_and(|status| self.private.refuses(uid, &status, private::EXECUTE))
        };
        self.private.refuses(uid, status, wanted) || self.private.above(path).any(closed)
    }

    /// The set-user-id and set-group-id bits that a program's file has in the archive.
    pub fn set_id_bits(&self, program: &OwnedFd) -> u32 {
        let status = paths::status(program).ok();
        let bits = status.and_then(|status| self.set_ids.get(&devices::id(&status)));
        bits.copied().unwrap_or(0)
    }

    /// Report a look at a path that the supervisor saw fail.
    pub fn missing(
        &mut self,
        call: &Call,
        syscall: &'static str,
        path: &str,
        flags: i32,
        errno: Errno,
    ) {
        if is_machine(path)
            && !is_emulators_own(path)
            && matches!(errno, Errno::NOENT | Errno::NXIO)
        {
            let write = flags & libc::O_ACCMODE != libc::O_RDONLY;
            let what = What::Unmodelled {
                path: path.to_owned(),
                operation: Operation::Open { write },
            };
            self.report_call(call, what);
        }
        if is_emulators_own(path) || !(is_machine(path) || self.plan.record_events) {
            return;
        }
        let what = What::Path {
            syscall,
            path: path.to_owned(),
            flags,
            result: Some(-errno.raw_os_error()),
        };
        self.report_call(call, what);
    }

    /// Report a look at a path that went well, or was left to the kernel.
    pub fn looked(
        &mut self,
        call: &Call,
        syscall: &'static str,
        path: &str,
        flags: i32,
        result: Option<i32>,
    ) {
        if self.plan.record_events && !is_emulators_own(path) {
            self.report_call(
                call,
                What::Path {
                    syscall,
                    path: path.to_owned(),
                    flags,
                    result,
                },
            );
        }
    }
}

/// What qemu looks at for itself when it starts.
fn is_emulators_own(path: &str) -> bool {
    [
        "/etc/qemu-binfmt",
        "/usr/gnemul",
        "/.rookery",
        "/proc/sys/vm/mmap_min_addr",
    ]
    .iter()
    .any(|own| paths::is_below(path, own))
}
