//! The running guest as the supervisor knows it. Each part is a thing of its own; a handler that
//! needs one is given that one.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use rookery_records::event::{Process, What};
use rookery_runs::plan::Plan;
use rustix::fs::Stat;
use rustix::io::Errno;

use crate::files::devices::Device;
use crate::files::interfaces::CLASS;
use crate::guest::changeable::Changeable;
use crate::guest::emulators::Emulators;
use crate::guest::interfaces;
use crate::guest::reporter::Reporter;
use crate::guest::services::Services;
use crate::guest::tree::{Found, Tree};
use crate::kernel::paths;
use crate::limits::Limits;
use crate::process::call::Call;
use crate::process::path_arg::PathArg;
use crate::process::proc_dir::{PidNamespace, ProcDir};
use crate::process::table::{Record, Table};
use crate::process::view::View;
use crate::process::{memory, table};
use crate::qemu::signals;

/// The guest.
pub struct Guest<'a> {
    /// What is run.
    pub plan: &'a Plan,
    /// Where events go.
    pub reporter: Reporter<'a>,
    /// Its processes.
    pub procs: Table,
    /// What its file system holds beside files.
    pub tree: Tree<'a>,
    /// What its programs run under.
    pub emulators: Emulators<'a>,
    /// Its network, and what listens there.
    pub services: Services,
    /// What it makes the host hold.
    pub limits: Limits,
    /// Its init. It is this process's child and not yet waited for, so its number stays its own.
    pub init: Rc<ProcDir>,
    /// Its init, as a namespace to join.
    pub pidfd: Rc<OwnedFd>,
    /// Why it ended, once it asked to.
    pub ended: Option<String>,
    /// The exit of init, kept waiting because other processes live on.
    pub init_exit: Option<Call>,
    /// Readers of the kernel's log, which wait since when: nothing is ever logged there.
    pub log_readers: Vec<(Instant, Call)>,
    /// Files whose contents outlive a descriptor, by path: stateful models, and settings of the
    /// kernel that the guest only believes to change.
    pub kept: HashMap<String, Rc<OwnedFd>>,
    /// Files that the guest was given to read and write.
    pub changeable: Changeable,
    /// Its host name, once it was given one.
    pub host_name: Vec<u8>,
}

/// The parts of a guest that are made before it.
pub struct Parts<'a> {
    pub plan: &'a Plan,
    pub reporter: Reporter<'a>,
    pub tree: Tree<'a>,
    pub emulators: Emulators<'a>,
    pub services: Services,
    pub limits: Limits,
    pub pidfd: Rc<OwnedFd>,
}

impl<'a> Guest<'a> {
    /// A guest whose `init`, a child of this process, is about to start.
    pub fn new(parts: Parts<'a>, init: rustix::process::Pid) -> Result<Self, Errno> {
        let init = init.as_raw_nonzero().get().cast_unsigned();
        let namespace = PidNamespace::of(init)?;
        let init = Rc::new(ProcDir::of_thread(init, &namespace)?);
        Ok(Self {
            plan: parts.plan,
            reporter: parts.reporter,
            procs: Table::new(namespace),
            tree: parts.tree,
            emulators: parts.emulators,
            services: parts.services,
            limits: parts.limits,
            init,
            pidfd: parts.pidfd,
            ended: None,
            init_exit: None,
            log_readers: Vec::new(),
            kept: HashMap::new(),
            changeable: Changeable::default(),
            host_name: Vec::new(),
        })
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

    /// Whether init has children that live; orphans are its children too.
    pub fn has_other_processes(&self) -> bool {
        table::children(&self.init)
            .into_iter()
            .any(|pid| self.procs.is_alive(pid))
    }

    /// Report what a process did.
    pub fn report(&mut self, process: Process, what: What) {
        self.reporter.report(process, what);
    }

    /// The number that the host's `signal` has in the guest, and in the configuration.
    pub fn signal(&self, signal: i32) -> i32 {
        signals::in_guest(&self.plan.arch, self.emulators.abort, signal)
    }

    /// Report what the caller did.
    pub fn report_call(&mut self, call: &Call, what: What) {
        let process = self.who(call);
        self.report(process, what);
    }

    /// A path argument as [`Guest::raw_path`] gives it, by the machine's own name where it is below
    /// a bind of `/dev`, `/proc` or `/sys`.
    pub fn path(&mut self, call: &Call, argument: PathArg) -> Result<String, Errno> {
        self.raw_path(call, argument)
            .map(|path| self.tree.mounts.canonical(path))
    }

    /// A path argument, made absolute by the directory argument where there is one, and normalised.
    /// `EFAULT` where it is unreadable.
    pub fn raw_path(&mut self, call: &Call, argument: PathArg) -> Result<String, Errno> {
        let record = self.caller(call).ok_or(Errno::SRCH)?;
        let memory = record.memory().ok_or(Errno::FAULT)?;
        let raw = memory
            .string(call.arg(argument.path), memory::PATH_MAX)
            .ok_or(Errno::FAULT)?;
        let text = memory::text(&raw);
        if text.starts_with('/') {
            return Ok(paths::normalise(&text));
        }
        let directory = argument
            .directory
            .map_or(libc::AT_FDCWD, |index| call.int(index));
        let base = record.base(directory).ok_or(Errno::BADF)?;
        Ok(paths::join(&base, &text))
    }

    /// How the caller sees the file system.
    pub fn view(&mut self, call: &Call) -> Option<View> {
        self.caller(call)?.view()
    }

    /// As [`Guest::resolve`], where only devices matter.
    pub fn resolve_device(
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
        if paths::is_below(path, CLASS) {
            interfaces::refresh(&self.init, &self.pidfd, self.services.network());
        }
        let caller = call.process.and_then(|process| self.procs.get(process));
        let caller = caller.ok_or(Errno::SRCH)?;
        self.tree.resolve(caller, &self.init, path, follow)
    }

    /// Whether the caller gave up root's rights and is therefore surely refused `wanted` of what
    /// has this status at this path.
    pub fn refuses(&mut self, call: &Call, path: &str, status: &Stat, wanted: u32) -> bool {
        let caller = call.process.and_then(|process| self.procs.get(process));
        caller.is_some_and(|caller| self.tree.refuses(caller, path, status, wanted))
    }

    /// Report a look at a path that the supervisor saw fail.
    pub fn report_missing(
        &mut self,
        call: &Call,
        syscall: &'static str,
        path: &str,
        flags: i32,
        errno: Errno,
    ) {
        let who = self.who(call);
        self.reporter.missing(who, syscall, path, flags, errno);
    }

    /// Report a look at a path that went well, or was left to the kernel.
    pub fn report_lookup(
        &mut self,
        call: &Call,
        syscall: &'static str,
        path: &str,
        flags: i32,
        result: Option<i32>,
    ) {
        if self.reporter.wants_look(path) {
            let path = path.to_owned();
            let what = What::Path {
                syscall,
                path,
                flags,
                result,
            };
            self.report_call(call, what);
        }
    }
}
