//! What of the guest a handler may touch: one trait each. A handler names in its signature those
//! that it needs, and the compiler holds it to them; a test may give it something smaller than a
//! guest.
//!
//! Invariant 14: a handler reaches only what its signature names.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rookery_records::event::{Argument, Process, What};
use rookery_runs::plan::Plan;
use rustix::fs::Stat;
use rustix::io::Errno;

use crate::files::console::Console;
use crate::files::devices::{Device, Devices};
use crate::files::mounts::Mounts;
use crate::files::private::PrivateFiles;
use crate::guest::clock::Clock;
use crate::guest::emulators::Emulators;
use crate::guest::hooks::Hooks;
use crate::guest::images::Images;
use crate::guest::ipc::Ipc;
use crate::guest::kept::Kept;
use crate::guest::kernel_log::KernelLog;
use crate::guest::nvram::Nvram;
use crate::guest::reboot::Reboot;
use crate::guest::reporter;
use crate::guest::respawns::{FAILURES, PAUSE, Respawns};
use crate::guest::services::Services;
use crate::guest::tree::Found;
use crate::guest::waits::Waits;
use crate::kernel::paths;
use crate::limits::Limits;
use crate::process::call::Call;
use crate::process::look::Look;
use crate::process::memory::{self, Memory};
use crate::process::path_arg::PathArg;
use crate::process::proc_dir::ProcDir;
use crate::process::record::Record;
use crate::process::start::{Key, Start};
use crate::process::table::Table;
use crate::process::view::View;

/// Who calls, and the other processes.
pub trait Callers {
    /// All processes that were seen.
    fn procs(&mut self) -> &mut Table;

    /// The guest's init.
    fn init(&self) -> &ProcDir;

    /// The caller. `None` where it died.
    fn caller(&mut self, call: &Call) -> Option<&mut Record> {
        self.procs().get(call.process?)
    }

    /// The caller's memory.
    fn memory(&mut self, call: &Call) -> Option<Rc<Memory>> {
        self.caller(call)?.memory()
    }

    /// A string of the caller's, by the argument that points to it. `EFAULT` where it is
    /// unreadable.
    fn string(&mut self, call: &Call, argument: usize) -> Result<String, Errno> {
        let memory = self.memory(call).ok_or(Errno::FAULT)?;
        let raw = memory.string(call.arg(argument), memory::PATH_MAX);
        raw.map(|raw| memory::text(&raw)).ok_or(Errno::FAULT)
    }

    /// How the caller sees the file system.
    fn view(&mut self, call: &Call) -> Option<View> {
        self.caller(call)?.view()
    }

    /// Who the caller is in events.
    fn who(&mut self, call: &Call) -> Process {
        self.caller(call)
            .map(|record| record.who.clone())
            .unwrap_or_default()
    }

    /// A process by its pid in the guest, also one that has made no call yet.
    fn process(&mut self, call: &Call, pid: u32) -> Option<&Record> {
        // Looked for only where it is there.
        self.view(call)?.find(&format!("/proc/{pid}")).ok()?;
        let init = self.init().pid();
        self.procs().find(pid, init)
    }
}

/// Reporting what a process did.
pub trait Reports: Callers {
    fn report(&mut self, process: Process, what: What);

    /// Report a look at a path, where such a look is reported.
    fn report_path(&mut self, call: &Call, look: Look<'_>);

    /// Report a look at a path that the supervisor saw fail.
    fn report_missing(
        &mut self,
        call: &Call,
        syscall: &'static str,
        path: &str,
        flags: i32,
        errno: Errno,
    ) {
        let result = Some(-errno.raw_os_error());
        self.report_lookup(call, syscall, path, flags, result);
    }

    /// Report what the caller did.
    fn report_call(&mut self, call: &Call, what: What) {
        if let Some(record) = self.caller(call)
            && let What::Call {
                syscall,
                arguments,
                result,
            } = &what
        {
            record.asked(syscall, &reporter::about(arguments), *result);
        }
        let process = self.who(call);
        self.report(process, what);
    }

    /// Report a call by its first arguments, which are numbers and have these names.
    fn report_numbers(
        &mut self,
        call: &Call,
        syscall: &'static str,
        names: &[&'static str],
        error: Option<Errno>,
    ) {
        let number = |(index, name): (usize, &&'static str)| {
            (*name, Argument::Number(call.int(index).into()))
        };
        let what = What::Call {
            syscall,
            arguments: names.iter().enumerate().map(number).collect(),
            result: error.map(|errno| -errno.raw_os_error()),
        };
        self.report_call(call, what);
    }

    /// Report a look at a path, and keep in mind that the caller has made it: a crash may follow.
    fn report_lookup(
        &mut self,
        call: &Call,
        syscall: &'static str,
        path: &str,
        flags: i32,
        result: Option<i32>,
    ) {
        if let Some(record) = self.caller(call)
            && !reporter::is_emulators_own(path)
        {
            record.asked(syscall, path, result);
        }
        let look = Look {
            syscall,
            path,
            flags,
            result,
        };
        self.report_path(call, look);
    }
}

/// Paths as the caller means them.
pub trait Paths: Callers {
    /// By the machine's own name where it is below a bind of `/dev`, `/proc` or `/sys`.
    fn canonical(&self, path: String) -> String;

    /// What is at a path for the caller, also when a link leads there.
    ///
    /// `follow` is whether a link at the end of the path counts as what it points to.
    fn resolve(&mut self, call: &Call, path: &str, follow: bool) -> Result<Found, Errno>;

    /// Whether the caller gave up root's rights and is therefore surely refused `wanted` of what
    /// has this status at this path.
    fn refuses(&mut self, call: &Call, path: &str, status: &Stat, wanted: u32) -> bool;

    /// A path argument as [`Paths::raw_path`] gives it, by its canonical name.
    fn path(&mut self, call: &Call, argument: PathArg) -> Result<String, Errno> {
        self.raw_path(call, argument)
            .map(|path| self.canonical(path))
    }

    /// A path argument, made absolute by the directory argument where there is one, and normalised.
    /// `EFAULT` where it is unreadable.
    fn raw_path(&mut self, call: &Call, argument: PathArg) -> Result<String, Errno> {
        if self.caller(call).is_none() {
            return Err(Errno::SRCH);
        }
        let text = self.string(call, argument.path)?;
        if text.starts_with('/') {
            return Ok(paths::normalise(&text));
        }
        let directory = argument
            .directory
            .map_or(libc::AT_FDCWD, |index| call.int(index));
        let record = self.caller(call).ok_or(Errno::SRCH)?;
        let base = record.base(directory).ok_or(Errno::BADF)?;
        Ok(paths::join(&base, &text))
    }

    /// Why nothing can be made at a path, where its directory is missing.
    fn lacks_directory(&mut self, call: &Call, path: &str) -> Option<Errno> {
        self.resolve(call, paths::parent(path), true).err()
    }

    /// As [`Paths::resolve`], where only devices matter.
    fn resolve_device(
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
}

/// What is run.
pub trait HasPlan<'a> {
    fn plan(&self) -> &'a Plan;
}

/// The files that the supervisor answers for.
pub trait HasDevices {
    fn devices(&mut self) -> &mut Devices;
}

/// Images that the guest mounts, and its loop devices.
pub trait HasImages {
    fn images(&mut self) -> &mut Images;
}

/// The guest's console.
pub trait HasConsole<'a> {
    fn console(&self) -> &'a Console;
}

/// What the guest believes to be mounted.
pub trait HasMounts {
    fn mounts(&mut self) -> &mut Mounts;

    /// Whether what was found is in `/proc` and belongs to one process.
    fn is_of_process(&self, found: &OwnedFd) -> bool;

    /// A process, by its number in the guest, as the guest's own `/proc` shows it.
    fn in_its_proc(&self, process: &ProcDir, number: u32) -> Result<ProcDir, Errno>;
}

/// Files of the archive that are not for every user, or that give their owner's rights.
pub trait HasOwners {
    fn private(&mut self) -> &mut PrivateFiles;

    /// The set-user-id and set-group-id bits that a program's file has in the archive.
    fn set_id_bits(&self, program: &OwnedFd) -> u32;
}

/// The guest's namespaces, to do something in them.
pub trait HasNamespaces {
    /// Init, as a namespace to join (`setns(2)`).
    fn namespaces(&self) -> Rc<OwnedFd>;
}

/// Its System V IPC.
pub trait HasIpc {
    fn ipc(&mut self) -> &mut Ipc;
}

/// Files whose contents outlive a descriptor, and the host name.
pub trait HasKept {
    fn kept(&mut self) -> &mut Kept;
}

/// Hooks of its calls.
pub trait HasHooks {
    fn hooks(&mut self) -> &mut Hooks;
}

/// Its NVRAM.
pub trait HasNvram {
    fn nvram(&mut self) -> &mut Nvram;
}

/// What the guest's programs run under.
pub trait HasEmulators<'a> {
    fn emulators(&self) -> &Emulators<'a>;
}

/// The guest's network, and what listens there.
pub trait HasServices {
    fn services(&mut self) -> &mut Services;
}

/// What the guest makes the host hold.
pub trait HasLimits {
    fn limits(&mut self) -> &mut Limits;
}

/// The kernel's log as the guest has it.
pub trait HasKernelLog {
    fn kernel_log(&mut self) -> &mut KernelLog;
}

/// Waits for threads that are processes to the guest.
pub trait HasWaits {
    fn waits(&mut self) -> &mut Waits;
}

/// Its clock.
pub trait HasClock {
    fn clock(&mut self) -> &mut Clock;
}

/// Programs that fail and are started again without a pause.
pub trait HasRespawns {
    fn respawns(&mut self) -> &mut Respawns;

    /// A program ended. Gives what there is to say of it.
    fn program_ended(
        &mut self,
        argv: &[String],
        start: Option<Start>,
        failed: bool,
    ) -> Option<What> {
        let waits = self.respawns().ended(start?, failed);
        waits.then(|| held_back(argv, "ended with an error as soon as it was started"))
    }

    /// A process ended that could not execute a program. Gives what there is to say of it.
    fn never_started(&mut self, argv: &[String], key: Key) -> Option<What> {
        let waits = self.respawns().ended(Start::now(key), true);
        waits.then(|| held_back(argv, "could not be executed"))
    }
}

fn held_back(argv: &[String], what: &str) -> What {
    const WORDS_MAX: usize = 80;
    let words: String = argv.join(" ").chars().take(WORDS_MAX).collect();
    let note = format!(
        "`{}` {what}, {FAILURES} times in a row; from now on each of its starts is held back for \
         {} ms",
        words.escape_debug(),
        PAUSE.as_millis()
    );
    What::Note(note.into())
}

/// The guest's end.
pub trait Ends {
    /// The run is over, and why.
    fn end(&mut self, how: String);

    /// The guest is started again, or the run ends.
    fn reboot(&mut self, reboot: Reboot);

    /// Whether init has children that live; orphans are its children too.
    fn has_other_processes(&self) -> bool;

    /// Init's exit waits until nothing else lives.
    fn hold_init(&mut self, exit: Call);
}
