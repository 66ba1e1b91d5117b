//! Executing programs: the kernel is made to run the launcher, which asks what to run instead.

use std::rc::Rc;

use rustix::fs::Stat;
use rustix::io::Errno;

use crate::files::private;
use crate::guest::access::{
    Callers, HasDevices, HasEmulators, HasHooks, HasNvram, HasOwners, HasPlan, HasRespawns, Paths,
    Reports,
};
use crate::handlers::launch::{Resolved, blob, command_line, memory_file, options};
use crate::handlers::program_file::{IMAGE, ProgramFile};
use crate::handlers::{boot_arguments, preload, pretend, program_file};
use crate::kernel::paths;
use crate::process::call::{Action, Call};
use crate::process::first_program::{FirstProgram, SEARCH};
use crate::process::memory;
use crate::process::memory::ARGUMENTS_MAX;
use crate::process::path_arg::PathArg;
use crate::process::record::{self, PendingExec};
use crate::process::start::{Key, Start};
use crate::qemu::program::Kind;
use crate::sandbox::programs::LAUNCHER_PATH;
use rookery_records::event::What;

/// The path that the launcher opens to learn what to execute.
pub const REQUEST: &str = "/.rookery/exec";

/// Where the emulators are in the guest.
const EMULATORS: &[u8] = b"/.rookery/qemu-";

/// A script whose interpreter is a script, and so on, this often.
const DEPTH: usize = 5;

/// What executing a program needs.
pub trait Executes<'a>:
    Reports + Paths + HasPlan<'a> + HasDevices + HasOwners + Starts<'a>
{
}

impl<'a, T> Executes<'a> for T where
    T: Reports + Paths + HasPlan<'a> + HasDevices + HasOwners + Starts<'a>
{
}

/// What is known of how programs start.
pub trait Starts<'a>: HasEmulators<'a> + HasRespawns + HasNvram + HasHooks {}

impl<'a, T> Starts<'a> for T where T: HasEmulators<'a> + HasRespawns + HasNvram + HasHooks {}

/// `execve`, `execveat`.
pub fn execute<'a>(guest: &mut impl Executes<'a>, call: &Call, file: PathArg) -> Action {
    let Some(record) = guest.caller(call) else {
        return Errno::SRCH.into();
    };
    let Some(memory) = record.memory() else {
        return Errno::FAULT.into();
    };
    let Some(raw) = memory.string(call.arg(file.path), memory::PATH_MAX) else {
        return Errno::FAULT.into();
    };
    if raw.starts_with(EMULATORS) {
        started(guest, call);
        return Action::Continue;
    }
    let mut budget = ARGUMENTS_MAX;
    let arguments = memory.strings(call.arg(file.after(1)), &mut budget);
    let environment = memory.strings(call.arg(file.after(2)), &mut budget);
    let (argv, envp) = match (arguments, environment) {
        (Ok(argv), Ok(envp)) => (argv, preload::without(envp)),
        (Err(errno), _) | (_, Err(errno)) => return errno.into(),
    };
    let program = match program_file::named(guest, call, file, &raw) {
        Ok(program) => program,
        Err(errno) => return errno.into(),
    };
    let busybox = pretend::is_busybox(guest, call, &program.path);
    let request = Request {
        name: name_of(&program.path, busybox, &argv),
        busybox,
        file: program,
        argv,
        envp,
    };
    let key = request.key(guest, call);
    if key.is_some_and(|key| guest.respawns().hold(key, call)) {
        return Action::Later;
    }
    match request.resolve(guest, call) {
        Err(errno) => {
            let what = request.event(-errno.raw_os_error());
            guest.report_call(call, what);
            let words = request.argv.iter().map(Vec::as_slice);
            let unstarted = key.map(|key| (key, memory::texts(words)));
            if let Some(record) = guest.caller(call) {
                record.unstarted = unstarted;
            }
            errno.into()
        }
        Ok(resolved) => redirect(guest, call, call.arg(file.path), &request, &resolved),
    }
}

/// Whether the caller reads what another program writes: then it is started with each of these,
/// and its status is an answer, not a failure.
fn is_in_pipeline(guest: &mut impl Callers, call: &Call) -> bool {
    let status = guest.caller(call).map(|record| record.held_status(0));
    let kind = |status: Stat| status.st_mode & libc::S_IFMT;
    matches!(status, Some(Ok(status)) if kind(status) == libc::S_IFIFO)
}

/// What the process is called: as the file that is executed. A busybox that executes itself for an
/// applet would be `exe` to a kernel, but takes its applet's name at once.
fn name_of(path: &str, busybox: bool, argv: &[Vec<u8>]) -> String {
    let called = argv
        .first()
        .filter(|_| busybox)
        .map(|word| memory::text(word));
    let called = called.as_deref().map(|word| word.trim_start_matches('-'));
    record::name_of(called.filter(|word| !word.is_empty()).unwrap_or(path))
}

/// What the guest wants to execute.
struct Request {
    /// What the process will be called.
    name: String,
    /// The program is busybox, under whichever name.
    busybox: bool,
    file: ProgramFile,
    argv: Vec<Vec<u8>>,
    envp: Vec<Vec<u8>>,
}

impl Request {
    /// To execute what a process of the supervisor's own is to become.
    fn of(guest: &mut impl Callers, call: &Call, program: &FirstProgram) -> Self {
        let raw = program.argv.first().cloned().unwrap_or_default();
        let name = memory::text(&raw);
        let view = guest.view(call);
        let exists = |path: &String| view.as_ref().is_some_and(|view| view.find(path).is_ok());
        let mut candidates = SEARCH.iter().map(|directory| format!("{directory}/{name}"));
        let path = match candidates.find(exists) {
            Some(path) if !name.contains('/') => path,
            _ => paths::join("/", &name),
        };
        let busybox = pretend::is_busybox(guest, call, &path);
        Self {
            name: name_of(&path, busybox, &program.argv),
            busybox,
            file: ProgramFile::at(path),
            argv: program.argv.clone(),
            envp: program.envp.clone(),
        }
    }

    fn resolve<'a>(&self, guest: &mut impl Executes<'a>, call: &Call) -> Result<Resolved, Errno> {
        let view = guest.view(call).ok_or(Errno::SRCH)?;
        let (mut path, mut argv) = (self.file.raw.clone(), self.argv.clone());
        let mut absolute = self.file.path.clone();
        let mut file = self.file.open(&view)?;
        if argv.is_empty() {
            argv.push(path.clone());
        }
        for depth in 0..=DEPTH {
            let (kind, mode) = program_file::recognise(&file)?;
            let real = paths::of_descriptor(&file).unwrap_or_default();
            if guest.refuses(call, &real, &paths::status(&file)?, private::EXECUTE) {
                return Err(Errno::ACCESS);
            }
            // A script of such a name is somebody's own.
            if depth == 0
                && matches!(kind, Kind::Elf { .. })
                && let Some(called) = pretend::called(&absolute, self.busybox, &self.argv)
            {
                let words: Vec<_> = self.argv.iter().map(|word| memory::text(word)).collect();
                called.show(guest);
                guest.report_call(
                    call,
                    What::Faked {
                        syscall: called.syscall,
                        detail: words.join(" "),
                    },
                );
                return Ok(Resolved::Exit(0, called.prints()));
            }
            match kind {
                Kind::Elf { arch, cpu } => {
                    let qemu = guest.emulators().of(arch).ok_or(Errno::NOEXEC)?.clone();
                    let is_asked = guest.nvram().is_asked();
                    let library = is_asked.then(|| preload::library(guest, &file, arch));
                    return Ok(Resolved::Program {
                        qemu,
                        cpu,
                        path,
                        argv,
                        mode: mode | guest.set_id_bits(&file),
                        library: library.flatten(),
                    });
                }
                Kind::Script {
                    interpreter,
                    argument,
                } => {
                    let mut words = vec![interpreter.clone()];
                    words.extend(argument);
                    words.push(path);
                    words.extend(argv.into_iter().skip(1));
                    argv = words;
                    let base = guest
                        .caller(call)
                        .and_then(|record| record.base(libc::AT_FDCWD))
                        .unwrap_or_default();
                    absolute = paths::join(&base, &memory::text(&interpreter));
                    file = view.find(&absolute)?;
                    path = interpreter;
                }
                Kind::Unknown => return Err(Errno::NOEXEC),
            }
        }
        Err(Errno::LOOP)
    }

    fn key(&self, guest: &mut impl Callers, call: &Call) -> Option<Key> {
        let parent = guest.who(call).ppid;
        (!is_in_pipeline(guest, call)).then(|| Key::of(parent, &self.file.path, &self.argv))
    }

    fn event(&self, result: i32) -> What {
        let strings = |all: &[Vec<u8>]| memory::texts(all.iter().map(Vec::as_slice));
        What::Exec {
            path: self.file.path.clone(),
            argv: strings(&self.argv),
            envp: strings(&self.envp),
            result,
        }
    }
}

/// What all command lines may take that launchers have not fetched yet: the supervisor holds them.
const WAITING_MAX: usize = 16 << 20;

/// Overwrite only the path string; argument and environment arrays stay the guest's.
fn redirect<'a>(
    guest: &mut (impl Callers + HasPlan<'a> + HasEmulators<'a>),
    call: &Call,
    address: u64,
    request: &Request,
    resolved: &Resolved,
) -> Action {
    let mut pending = prepare(guest, call, request, resolved);
    if guest.procs().waiting() + pending.blob.len() > WAITING_MAX {
        return Errno::NOMEM.into();
    }
    let Some(memory) = guest.memory(call) else {
        return Errno::FAULT.into();
    };
    let replacement = [LAUNCHER_PATH.as_bytes(), &[0]].concat();
    let mut original = vec![0; replacement.len()];
    if memory.read(address, &mut original).is_err()
        || memory.write(call, address, &replacement).is_err()
    {
        return Errno::FAULT.into();
    }
    (pending.address, pending.original) = (address, original);
    if let Some(record) = guest.caller(call) {
        record.exec = Some(Rc::new(pending));
        // Whether the next call finds this program's memory or the launcher's tells how the exec
        // went.
        record.forget_memory();
    }
    Action::Continue
}

/// What the launcher will be told, and what is known of the program then. Nothing was overwritten
/// for it.
fn prepare<'a>(
    guest: &mut (impl Callers + HasPlan<'a> + HasEmulators<'a>),
    call: &Call,
    request: &Request,
    resolved: &Resolved,
) -> PendingExec {
    let (command, mode, library) = match resolved {
        Resolved::Program {
            qemu,
            cpu,
            path,
            argv,
            mode,
            library,
        } => {
            let options = options(guest, qemu, *cpu);
            (
                command_line(&request.name, options, path, argv),
                *mode,
                library.clone(),
            )
        }
        Resolved::Exit(..) => (Vec::new(), 0, None),
    };
    let envp = request.envp.clone();
    let envp = match &library {
        Some(_) => preload::with(envp),
        None => envp,
    };
    let blob = blob(resolved, &command, &envp);
    let program = match resolved {
        Resolved::Program { path, .. } if path != IMAGE.as_bytes() => {
            let base = guest
                .caller(call)
                .and_then(|record| record.base(libc::AT_FDCWD))
                .unwrap_or_default();
            paths::join(&base, &memory::text(path))
        }
        _ => request.file.path.clone(),
    };
    let texts = |all: &[Vec<u8>]| memory::texts(all.iter().map(Vec::as_slice));
    PendingExec {
        thread: call.thread(),
        address: 0,
        original: Vec::new(),
        blob,
        program,
        mode,
        library,
        image: request.file.image.clone(),
        name: request.name.clone(),
        path: request.file.path.clone(),
        argv: texts(&request.argv),
        envp: texts(&request.envp),
        key: request.key(guest, call),
    }
}

/// A process of the supervisor's own becomes a program: its launcher asks which. One that cannot be
/// executed ends as a shell would end for it.
fn become_first<'a>(
    guest: &mut impl Executes<'a>,
    call: &Call,
    program: &FirstProgram,
) -> PendingExec {
    program.take();
    let request = Request::of(guest, call, program);
    let resolved = request.resolve(guest, call).unwrap_or_else(|errno| {
        program.fail(errno);
        guest.report_call(call, request.event(-errno.raw_os_error()));
        Resolved::Exit(if errno == Errno::NOENT { 127 } else { 126 }, String::new())
    });
    prepare(guest, call, &request, &resolved)
}

/// The launcher asks.
pub fn hand_over<'a>(guest: &mut impl Executes<'a>, call: &Call) -> Action {
    let first = call.first_program();
    if let Some(program) = &first {
        let pending = Rc::new(become_first(guest, call, program));
        if let Some(record) = guest.caller(call) {
            record.exec = Some(pending);
        }
    }
    let pending = guest.caller(call).and_then(|record| record.exec.clone());
    let Some(pending) = pending else {
        return Errno::NOENT.into();
    };
    if pending.blob.get(..8) == Some(&0_u64.to_ne_bytes()) {
        started(guest, call);
    } else if let Some(record) = guest.caller(call) {
        // The guest's memory is gone; the launcher's is of no interest.
        record.changed_program();
    }
    match memory_file(&pending.blob) {
        Ok(fd) => Action::Give {
            fd: Rc::new(fd),
            number: None,
            close_on_exec: true,
        },
        Err(errno) => errno.into(),
    }
}

/// The launcher executes the emulator: the guest's exec has worked.
fn started<'a>(guest: &mut (impl Reports + HasHooks + HasPlan<'a>), call: &Call) {
    let Some(record) = guest.caller(call) else {
        return;
    };
    record.changed_program();
    let Some(pending) = record.exec.take() else {
        return;
    };
    record.who.program.clone_from(&pending.program);
    record.who.name.clone_from(&pending.name);
    record.image = pending
        .image
        .clone()
        .map(|image| (pending.path.clone(), image));
    record.library.clone_from(&pending.library);
    record.take_rights(pending.mode);
    record.argv.clone_from(&pending.argv);
    record.start = pending.key.map(Start::now);
    let (who, process) = (record.who.clone(), record.process.pid());
    guest.hooks().named(process, &who.name);
    boot_arguments::looks_for_variables(guest, &who, &pending.argv);
    let what = What::Exec {
        path: pending.path.clone(),
        argv: pending.argv.clone(),
        envp: pending.envp.clone(),
        result: 0,
    };
    guest.report(who, what);
}

/// A redirected exec that failed after all shows by the caller's next call: then its string gets
/// back what it was.
pub fn settle(guest: &mut impl Reports, call: &Call) {
    let Some(record) = guest.caller(call) else {
        return;
    };
    let Some(pending) = record.exec.clone() else {
        return;
    };
    // Whose memory is found may have changed with any call, until it is known how the exec went.
    record.forget_memory();
    if call.thread() != pending.thread {
        return;
    }
    let Some(memory) = record.memory() else {
        return;
    };
    let path = match call.number() {
        libc::SYS_open | libc::SYS_execve => memory.string(call.arg(0), memory::PATH_MAX),
        _ => None,
    };
    if path.is_some_and(|path| path == REQUEST.as_bytes() || path.starts_with(EMULATORS)) {
        return;
    }
    record.exec = None;
    let who = record.who.clone();
    let _ = memory.write(call, pending.address, &pending.original);
    let result = -Errno::NOEXEC.raw_os_error();
    let what = What::Exec {
        path: pending.path.clone(),
        argv: pending.argv.clone(),
        envp: pending.envp.clone(),
        result,
    };
    guest.report(who, what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_applet_that_its_shell_executes_as_itself_has_its_own_name() {
        let name = |path, busybox, word: &str| name_of(path, busybox, &[word.as_bytes().to_vec()]);
        assert_eq!(name("/bin/sh", true, "httpd"), "httpd");
        assert_eq!(name("/bin/sh", true, "-sh"), "sh");
        assert_eq!(name("/usr/sbin/dropbear", false, "sshd"), "dropbear");
        assert_eq!(name_of("/bin/busybox", true, &[]), "busybox");
    }
}
