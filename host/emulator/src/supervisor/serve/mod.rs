//! A run from its start to its end: one thread, one loop, no step of which waits for the guest.
//!
//! Invariant 10: nothing a run started outlives its supervisor.

mod wait;

use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rookery_project::{Error, Result};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::Signal;

use crate::files::console::Console;
use crate::files::devices::Devices;
use crate::files::flash::Partitions;
use crate::guest::access::{HasKept, HasPlan, HasServices, Reports};
use crate::guest::emulators::Emulators;
use crate::guest::init::Init;
use crate::guest::kept::Kept;
use crate::guest::reboot::Reboot;
use crate::guest::reporter::Reporter;
use crate::guest::services::Services;
use crate::guest::state::Guest;
use crate::guest::tree::Tree;
use crate::handlers;
use crate::kernel::ending::await_end;
use crate::kernel::notify::Instruction;
use crate::kernel::{process, program, shortage};
use crate::limits::Limits;
use crate::limits::cgroup::Group;
use crate::models::written_files;
use crate::network::capture;
use crate::network::forward::Forwarder;
use crate::network::reach::Reach;
use crate::process::call::Listener;
use crate::qemu::prepare::Prepared;
use crate::sandbox::child::Setup;
use crate::sandbox::guest_user;
use crate::sandbox::parent::World;
use crate::sandbox::privileges::OwnFiles;
use crate::sandbox::static_files;
use crate::supervisor::asking::Asking;
use crate::supervisor::command::Command;
use crate::supervisor::init;
use crate::supervisor::lasting::Lasting;
use crate::supervisor::needed::{
    beside, complete, consoles, emulators, environment, fill_detached, filter_of, links,
    not_to_be_had, own_arch, stack,
};
use crate::supervisor::nvram;
use crate::supervisor::pace::Pace;
use crate::supervisor::reboot;
use crate::supervisor::resting::Resting;
use crate::supervisor::tracing::Tracing;
use crate::supervisor::unpacking::unpacked;
use rookery_records::event::{Process, What};
use rookery_runs::backend::{Control, Outcome, Request};
use rookery_runs::live::{LiveAnswer, LiveRequest};
use rookery_runs::plan::Plan;

/// After its deadline, a run is over this much later, whatever is still to be done: then its
/// supervisor ends itself, and takes the guest along.
pub const OVER_WITHIN: Duration = Duration::from_millis(1500);
/// The kernel takes the guest's processes apart for this long before what they did is written down
/// without them.
const TAKEN_APART_WITHIN: Duration = Duration::from_millis(500);
/// How many calls of one listener are answered before anything else is looked at.
const CALLS_IN_A_ROW: usize = 16;
/// Reads of the console at the end: it holds less, but a process that does not end may go on
/// writing.
const LAST_READS: usize = 64;

/// Run a plan to its end.
pub fn run(plan: &Plan, control: &mut dyn Control) -> Result<Outcome> {
    let timeout = Duration::from_secs(plan.timeout_s);
    let lasting = Lasting::new(plan);
    let deadline = lasting.deadline();
    process::end_after(timeout + OVER_WITHIN)
        .map_err(|error| Error::Backend(format!("cannot set the run's deadline: {error}")))?;
    let qemus = emulators(plan)?;
    let arch = own_arch(&qemus)?;
    let Some(rootfs) = unpacked(plan, deadline, control)? else {
        return Ok(Outcome::Stopped);
    };
    let plan = &complete(plan, &rootfs, arch);
    let mut devices = Devices::new(plan, &rootfs.nodes, &consoles(plan, &rootfs), arch);
    let partitions = Partitions::new(plan.flash.clone());
    let flash = (!partitions.all().is_empty()).then(|| partitions.bytes());
    devices.add_flash(partitions, rootfs.nvram.flash);
    let has_nvram = rootfs.nvram.driver && crate::files::nvram::add(&mut devices, plan);
    let of_nvram = handlers::NVRAM_COMMANDS.into_iter().filter(|_| has_nvram);
    let commands = handlers::commands(arch).chain(of_nvram);
    let mut emulator = Prepared::new(plan, &qemus, commands)?;
    emulator.stack = stack(&rootfs);
    let console = Console::open(guest_user::uid())
        .map_err(|error| Error::Backend(format!("cannot open a terminal: {error}")))?;
    let filter = filter_of(plan, has_nvram);

    let envp = environment(plan);
    let setup = Setup {
        init: &plan.init,
        envp: envp.clone(),
        netdevs: &plan.netdevs,
        addresses: &plan.addresses,
        changes: static_files::load(&plan.static_files)?,
        placeholders: devices.placeholders(),
        sys_devices: devices.in_sys(),
        has_models: !plan.pseudofiles.is_empty(),
        flash,
        qemus: &qemus,
        changed: emulator.keep(&plan.cache_dir),
        filter,
        console: console.guest.as_fd(),
        budget: plan.memory_max,
    };
    // While the supervisor may still have them.
    let reserved = plan.ports.reserve();
    let (written, unwritten) = written_files(plan);
    let packets = plan.capture.then(|| capture::file(&plan.results_dir));
    let mut world = World::build(&rootfs, &setup, deadline)?;
    let links = links(plan, &mut world);
    let handles = std::mem::take(&mut world.handles);
    let limits = Limits::new(handles, plan.netdevs.len(), plan.memory_max)?;
    let filter = setup.filter;
    let mut notes = not_to_be_had(&world, unwritten, &emulator);
    let forwarder = Forwarder::start(&world.pidfd, plan.ports.clone(), reserved)
        .inspect_err(|error| notes.about("no port of the guest is forwarded", error.to_string()))
        .ok();
    beside(plan, &mut world, packets, &mut notes);
    let models = fill_detached(&mut world, devices.flash(), written, &mut notes);
    let (asking, error) = Asking::new(&world.pidfd);
    if let Some(error) = error {
        notes.about("no service is asked whether it answers", error.to_string());
    }
    let mut control = OwnFiles {
        control,
        privileges: Rc::clone(&world.privileges),
    };
    world.privileges.check_results(&plan.results_dir)?;
    let init = Init::new(world.init, Rc::clone(&world.pidfd))
        .map_err(|error| Error::Backend(format!("cannot look at the guest's init: {error}")))?;
    let mut guest = Guest::new(
        plan,
        Reporter::new(&mut control, plan.record_events),
        Tree::new(devices, &console),
        Emulators::new(&qemus, emulator),
        Services::new(forwarder),
        limits,
        init,
    );
    *guest.kept() = Kept::new(Some(models));
    guest.give(links, nvram::of(plan, &rootfs.nvram, &mut notes));
    guest.find_files(&rootfs);
    world.start()?;
    guest.start();
    for note in notes.into_vec() {
        guest.report(Process::default(), What::Note(note.into()));
    }
    let mut supervisor = Supervisor {
        guest,
        world,
        console: &console,
        filter,
        envp,
        listeners: Vec::new(),
        commands: Vec::new(),
        reaches: Vec::new(),
        tracing: Tracing::default(),
        asking,
        starting: true,
        lasting,
    };
    supervisor.asking.start();
    let outcome = supervisor.serve();
    supervisor.finish();
    outcome
}

struct Supervisor<'a> {
    guest: Guest<'a>,
    world: World,
    console: &'a Console,
    filter: Vec<Instruction>,
    envp: Vec<String>,
    /// Those of commands; they outlive them where a command left processes behind.
    listeners: Vec<Rc<Listener>>,
    commands: Vec<Command>,
    reaches: Vec<Reach>,
    tracing: Tracing,
    asking: Asking,
    /// Init was not yet seen to be executed.
    starting: bool,
    lasting: Lasting,
}

impl Supervisor<'_> {
    fn serve(&mut self) -> Result<Outcome> {
        let (mut pace, mut resting) = (Pace::new(), Resting::default());
        let (mut network_changed, mut is_quiet) = (false, true);
        loop {
            let now = Instant::now();
            if now >= self.lasting.deadline() {
                return Ok(Outcome::Deadline);
            }
            if self.lasting.has_stopped(now, self.asking.is_over()) {
                return Ok(Outcome::Stopped);
            }
            if self.lasting.end_begins(now) {
                self.begin_end(now);
            }
            if pace.ticks(now, is_quiet && !self.asking.is_waiting()) {
                if resting.begins(is_quiet) {
                    program::give_back();
                }
                is_quiet = true;
                self.housekeeping();
                let guest = &self.guest;
                self.lasting.watch(now, || guest.computed());
            }
            let due = self.guest.due();
            if (network_changed || now >= due)
                && let Some(what) = self.guest.excess()
            {
                return Ok(Outcome::Exceeded { what });
            }
            let start_due = self.guest.start_due().unwrap_or(due);
            let ready = self.wait(self.lasting.due().min(pace.until(due)).min(start_due));
            for call in self.guest.take_due() {
                handlers::answer(&mut self.guest, call);
            }
            network_changed = ready.network;
            is_quiet &= ready.listeners.is_empty() && !network_changed;
            self.answer_calls(&ready.listeners);
            if ready.console {
                self.read_console();
            }
            if ready.image {
                handlers::image_unpacked(&mut self.guest);
            }
            if self.starting {
                self.await_init()?;
            }
            while ready.requests
                && let Some(request) = self.guest.next_request()
            {
                self.take(request);
            }
            self.commands.retain_mut(Command::advance);
            self.reaches.retain_mut(Reach::advance);
            if ready.answers {
                self.asking.advance(&mut self.guest);
            }
            if ready.traced {
                self.tracing.advance(&mut self.guest);
            }
            self.tracing.follow(&mut self.guest);
            if let Some(reboot) = self.guest.take_reboot()
                && let Some(end) = self.start_again(&reboot)
            {
                return Ok(end);
            }
            if let Some(end) = self.guest.take_end() {
                return Ok(end);
            }
            if ready.init
                && let Some(how) = init::ended(self.world.init)
            {
                if self.world.group.as_ref().is_some_and(Group::was_exceeded) {
                    let what = format!(
                        "the guest used more memory than the {} MiB that are allowed, and the \
                         kernel ended it; the operator can allow more with --guest-memory, or in \
                         the policy under [serve]: guest_memory_mib = {}",
                        self.guest.plan().memory_max >> 20,
                        self.guest.plan().memory_max >> 19
                    );
                    return Ok(Outcome::Exceeded { what });
                }
                return Ok(Outcome::GuestEnded { how });
            }
        }
    }

    /// The deadline is near: the run goes on where it may, else its services are asked a last time.
    fn begin_end(&mut self, now: Instant) {
        let asking = &self.asking;
        let (answered, waiting) = (asking.has_answer(), asking.is_waiting());
        let later = self.lasting.goes_on(answered, waiting, self.guest.news());
        let left = self.lasting.deadline().saturating_duration_since(now);
        if let Some(seconds) = later {
            // Where this fails, the supervisor still ends itself at the old deadline.
            let _ = process::end_after(left + OVER_WITHIN);
            self.guest.lasts(seconds);
        } else {
            self.asking.ask_at_end(&mut self.guest, left);
        }
    }

    /// The guest has asked for a reboot. Gives how the run ends, where it does.
    fn start_again(&mut self, reboot: &Reboot) -> Option<Outcome> {
        // Its init is stopped by the same means.
        self.tracing.stop();
        let (listener, call) = (&self.world.listener, reboot.call());
        let guest = &mut self.guest;
        let init = guest.plan().init.clone();
        match reboot::start_again(
            guest,
            listener,
            call,
            &init,
            &self.envp,
            self.lasting.deadline(),
        ) {
            Ok(()) => {
                let note = format!("{}; its init was started again", reboot.what());
                let asked = What::Faked {
                    syscall: "reboot",
                    detail: reboot.program().to_owned(),
                };
                for what in [What::Note(note.into()), asked] {
                    self.guest.report(Process::default(), what);
                }
                None
            }
            Err(error) => Some(reboot.as_end(&format!("; it could not be started again: {error}"))),
        }
    }

    /// Answer calls of each listener that has any: a few, so that none waits for another's.
    fn answer_calls(&mut self, listeners: &[(Rc<Listener>, PollFlags)]) {
        for (listener, events) in listeners {
            if !events.contains(PollFlags::IN) {
                // Nobody is left whose calls could arrive here.
                self.listeners.retain(|known| !Rc::ptr_eq(known, listener));
                continue;
            }
            // One call is mostly followed by the next, and to look for everything else costs as
            // much as to answer it.
            for _ in 0..CALLS_IN_A_ROW {
                match listener.receive() {
                    Ok(Some(call)) => handlers::answer(&mut self.guest, call),
                    Ok(None) => {}
                    Err(error) => {
                        tracing::error!(%error, "system calls of the guest cannot be received");
                    }
                }
                if !listener.has_call() {
                    break;
                }
            }
        }
    }

    fn read_console(&mut self) {
        if let Some(bytes) = self.console.read() {
            self.guest.report(Process::default(), What::Console(bytes));
        }
    }

    /// The socket closes when init is executed; a message says why it was not.
    fn await_init(&mut self) -> Result<()> {
        if init::readiness(self.world.socket.as_fd()).is_empty() {
            return Ok(());
        }
        let mut buffer = [0_u8; 4096];
        match rustix::net::recv(
            &self.world.socket,
            buffer.as_mut_slice(),
            rustix::net::RecvFlags::DONTWAIT,
        ) {
            Ok((length, _)) if length > 1 => Err(Error::Backend(
                buffer
                    .get(1..length)
                    .map(String::from_utf8_lossy)
                    .unwrap_or_default()
                    .into_owned(),
            )),
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            _ => {
                self.starting = false;
                Ok(())
            }
        }
    }

    fn take(&mut self, request: Request) {
        match request {
            Request::Stop => {
                let until = self.asking.ask_at_stop(&mut self.guest);
                self.lasting.stop_by(until);
            }
            Request::Command(request, reply) => {
                let left = self
                    .lasting
                    .deadline()
                    .saturating_duration_since(Instant::now());
                match Command::start(&self.world.pidfd, &self.filter, &self.envp, &request, left) {
                    Ok((command, listener)) => {
                        self.commands.push(command.answers(reply));
                        self.listeners.push(Rc::new(listener));
                    }
                    Err(error) => reply.send(Err(error)),
                }
            }
            Request::Live(LiveRequest::Model(options), reply) => {
                let notes = handlers::set_model(&mut self.guest, &options);
                reply.send(notes.map(LiveAnswer::Model));
            }
            Request::Live(request, reply) => {
                reply.send(handlers::take_hook_request(&mut self.guest, &request));
            }
            Request::Reach(request, reply) => {
                match Reach::begin(self.guest.services().forwarder().as_deref(), &request) {
                    Ok(reach) => self.reaches.push(reach.answers(reply)),
                    Err(error) => reply.send(Err(error)),
                }
            }
            Request::Connect(request, reply) => {
                match Reach::begin(self.guest.services().forwarder().as_deref(), &request) {
                    Ok(reach) => self.reaches.push(reach.hands_over(reply)),
                    Err(error) => reply.send(Err(error)),
                }
            }
        }
    }

    fn housekeeping(&mut self) {
        self.guest.tidy();
        handlers::tidy_images(&mut self.guest);
        handlers::report_sent(&mut self.guest);
        crate::supervisor::listening::sweep(&mut self.guest);
        self.asking.tick(&mut self.guest);
        self.note_shortage();
    }

    fn note_shortage(&mut self) {
        if let Some(shortage) = shortage::seen() {
            let note = What::Note(shortage.note().into());
            self.guest.report(Process::default(), note);
        }
    }

    fn finish(mut self) {
        for command in &self.commands {
            command.kill();
        }
        // The death of a pid namespace's init takes every process in it along.
        let _ = rustix::process::kill_process(self.world.init, Signal::KILL);
        if let Some(forwarder) = self.guest.services().take_forwarder() {
            forwarder.stop();
        }
        self.asking.stop();
        self.tracing.stop();
        handlers::report_sent(&mut self.guest);
        if let Some(capture) = self.world.capture.take() {
            capture.stop();
        }
        if let Some(uplink) = self.world.uplink.take() {
            uplink.stop();
        }
        if let Some(models) = self.guest.kept().models() {
            models.stop();
        }
        if !await_end(self.world.init, TAKEN_APART_WITHIN) {
            let note = "some processes of the guest had not ended completely when the run ended";
            self.guest
                .report(Process::default(), What::Note(note.into()));
        }
        // Its directory is the supervisor's, not the guest's.
        let group = self.world.group.take();
        self.world.privileges.as_self(|| drop(group));
        for bytes in std::iter::from_fn(|| self.console.read()).take(LAST_READS) {
            self.guest.report(Process::default(), What::Console(bytes));
        }
        self.guest.report_repeated();
        self.note_shortage();
    }
}
