//! What is reported of the guest, and how much of what repeats itself.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::BorrowedFd;
use std::time::Instant;

use crate::kernel::paths::{self, is_machine};
use crate::process::look::Look;
use rookery_records::event::{Argument, Event, Operation, Process, What};
use rookery_runs::backend::{Control, Request};

/// Events of one kind about one thing by one program are only counted beyond this many.
const SAME_EVENTS: u32 = 200;
/// As `SAME_EVENTS`, of those that cost the guest as much as us: programs that start and end.
const SAME_PROGRAMS: u32 = 20_000;
/// Things that are only counted before that is reported.
const REPEATED_MAX: usize = 1000;
/// Different things that are counted; beyond, all are dropped.
const DIFFERENT_EVENTS: usize = 200_000;

/// Where events go.
pub struct Reporter<'a> {
    control: &'a mut dyn Control,
    /// When init was started.
    started: Instant,
    /// Every look at a path is an event, not only those that fail.
    looks: bool,
    /// When a program was last started that had not been started before, or a service began to
    /// listen.
    news: Instant,
    /// How often each thing has happened, by a hash of it.
    seen: HashMap<u64, u32>,
    /// What is only counted: the first of its kind, and how many there were since they were last
    /// reported.
    repeated: HashMap<u64, (Process, What, u64)>,
}

impl<'a> Reporter<'a> {
    /// Events go to `control`; `looks` is whether those of every look at a path do.
    pub fn new(control: &'a mut dyn Control, looks: bool) -> Self {
        Self {
            control,
            started: Instant::now(),
            looks,
            news: Instant::now(),
            seen: HashMap::new(),
            repeated: HashMap::new(),
        }
    }

    /// Init starts now.
    pub fn start(&mut self) {
        self.started = Instant::now();
    }

    /// The run goes on until so many seconds after its start.
    pub fn lasts(&mut self, timeout_s: u64) {
        self.control.lasts(timeout_s);
    }

    /// Since when the guest has done nothing that it had not done before.
    pub fn news(&self) -> Instant {
        self.news
    }

    /// Readable while a request waits.
    pub fn requests(&self) -> BorrowedFd<'_> {
        self.control.requests()
    }

    /// The next request to the supervisor.
    pub fn next_request(&mut self) -> Option<Request> {
        self.control.next_request()
    }

    /// Report what a process did.
    pub fn report(&mut self, process: Process, what: What) {
        match self.only_counted(&process, &what) {
            None => self.send(process, what),
            Some(key) => self.repeats(key, || (process, what)),
        }
    }

    /// Once more something that is only counted, `what` of `process`.
    fn repeats(&mut self, key: u64, event: impl FnOnce() -> (Process, What)) {
        let first = || {
            let (process, what) = event();
            (process, what, 0)
        };
        self.repeated.entry(key).or_insert_with(first).2 += 1;
        if self.repeated.len() > REPEATED_MAX {
            self.report_repeated();
        }
    }

    /// Report a look at a path: every one where looks are reported, else those at what a machine
    /// lacks. Programs look all the time: what is only counted costs no more than that.
    pub fn path(&mut self, who: &Process, look: Look<'_>) {
        if is_emulators_own(look.path) {
            return;
        }
        let errno = look
            .result
            .filter(|result| *result < 0)
            .map(|result| -result);
        // What is shared by its name there is no device (`shm_overview(7)`).
        let is_device = is_machine(look.path) && !paths::is_below(look.path, "/dev/shm");
        if is_device && matches!(errno, Some(libc::ENOENT | libc::ENXIO)) {
            let write = look.flags & libc::O_ACCMODE != libc::O_RDONLY;
            let what = What::Unmodelled {
                path: look.path.to_owned(),
                operation: Operation::Open { write },
            };
            self.report(who.clone(), what);
        }
        if !self.looks && (errno.is_none() || !is_machine(look.path)) {
            return;
        }
        let (kind, key) = number_of_look(who, look.syscall, look.path);
        match self.count(kind, key, SAME_EVENTS, false) {
            None => self.send(who.clone(), look.event()),
            Some(key) => self.repeats(key, || (who.clone(), look.event())),
        }
    }

    fn send(&mut self, process: Process, what: What) {
        if matches!(what, What::Listen { .. }) {
            self.news = Instant::now();
        }
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

    /// Under which number an event is only counted, where there were too many like it.
    fn only_counted(&mut self, process: &Process, what: &What) -> Option<u64> {
        if let What::Path { path, syscall, .. } = what {
            let (kind, key) = number_of_look(process, syscall, path);
            return self.count(kind, key, SAME_EVENTS, false);
        }
        let mut hasher = DefaultHasher::new();
        std::mem::discriminant(what).hash(&mut hasher);
        let kind = hasher.finish();
        process.program.hash(&mut hasher);
        match what {
            What::Call {
                syscall, arguments, ..
            } => (syscall, arguments).hash(&mut hasher),
            What::Unmodelled { path, operation } => (path, operation).hash(&mut hasher),
            What::Exec { path, .. } => path.hash(&mut hasher),
            What::EnvMissing { name } | What::InterfaceMissing { name, .. } => {
                name.hash(&mut hasher);
            }
            What::Nvram { operation, key, .. } => (operation, key).hash(&mut hasher),
            What::Compared { value } => value.hash(&mut hasher),
            What::Mount { target, .. } => target.hash(&mut hasher),
            What::Faked { syscall, .. } => syscall.hash(&mut hasher),
            What::Signal { .. }
            | What::Crash { .. }
            | What::Exit { .. }
            | What::BindFailed { .. } => {}
            What::Path { .. }
            | What::Console(_)
            | What::Listen { .. }
            | What::Unlisten { .. }
            | What::Answered { .. }
            | What::Note(_)
            | What::Repeated { .. }
            | What::Hooked { .. }
            | What::Forward { .. } => return None,
        }
        let most = if matches!(what, What::Exec { .. } | What::Exit { .. }) {
            SAME_PROGRAMS
        } else {
            SAME_EVENTS
        };
        let is_start = matches!(what, What::Exec { result: 0, .. });
        self.count(kind, hasher.finish(), most, is_start)
    }

    /// Count an event by its number. Gives under which it is only counted, where there were more
    /// than `most`. `is_start` is whether a program starts: the first time, that is news.
    fn count(&mut self, kind: u64, key: u64, most: u32, is_start: bool) -> Option<u64> {
        let full = self.seen.len() >= DIFFERENT_EVENTS;
        match self.seen.get_mut(&key) {
            Some(count) => {
                *count = count.saturating_add(1);
                (*count > most).then_some(key)
            }
            // One number for all of a kind, so that these are bounded, too.
            None if full => Some(kind),
            None => {
                if is_start {
                    self.news = Instant::now();
                }
                self.seen.insert(key, 1);
                None
            }
        }
    }
}

/// The numbers by which looks at paths are counted: of all, and of a program's at one path.
fn number_of_look(who: &Process, syscall: &str, path: &str) -> (u64, u64) {
    let mut hasher = DefaultHasher::new();
    "a look at a path".hash(&mut hasher);
    let kind = hasher.finish();
    (&who.program, path, syscall).hash(&mut hasher);
    (kind, hasher.finish())
}

/// What a call is about, in short: the text among its arguments, else the numbers.
pub fn about(arguments: &[(&'static str, Argument)]) -> String {
    let text = arguments.iter().find_map(|(_, argument)| match argument {
        Argument::Text(text) => Some(text.clone()),
        Argument::Number(_) => None,
    });
    let number = |(name, argument): &(&str, Argument)| match argument {
        Argument::Number(value) => Some(format!("{name} {value:#x}")),
        Argument::Text(_) => None,
    };
    let numbers = || arguments.iter().filter_map(number).collect::<Vec<_>>();
    text.unwrap_or_else(|| numbers().join(", "))
}

/// What qemu looks at for itself when it starts.
pub fn is_emulators_own(path: &str) -> bool {
    [
        "/etc/qemu-binfmt",
        "/usr/gnemul",
        "/.rookery",
        "/proc/sys/vm/mmap_min_addr",
    ]
    .iter()
    .any(|own| paths::is_below(path, own))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what it is told.
    #[derive(Default)]
    struct Kept(Vec<Event>);

    impl Control for Kept {
        fn event(&mut self, event: Event) {
            self.0.push(event);
        }
        fn requests(&self) -> BorrowedFd<'_> {
            unreachable!("nothing is asked")
        }
        fn next_request(&mut self) -> Option<Request> {
            None
        }
    }

    fn faked(syscall: &'static str) -> What {
        let detail = String::new();
        What::Faked { syscall, detail }
    }

    #[test]
    fn what_repeats_itself_is_reported_up_to_a_number_and_then_counted() {
        let mut kept = Kept::default();
        let mut reporter = Reporter::new(&mut kept, false);
        for _ in 0..SAME_EVENTS + 7 {
            reporter.report(Process::default(), faked("mount"));
        }
        reporter.report(Process::default(), faked("swapon"));
        reporter.report_repeated();
        reporter.report_repeated();
        assert_eq!(kept.0.len(), SAME_EVENTS as usize + 2);
        let last = &kept.0.last().unwrap().what;
        assert!(matches!(last, What::Repeated { times: 7, .. }), "{last:?}");
    }

    #[test]
    fn a_missing_device_is_reported_even_where_looks_are_not() {
        let mut kept = Kept::default();
        let mut reporter = Reporter::new(&mut kept, false);
        let mut missing = |path| {
            let (syscall, result) = ("open", Some(-libc::ENOENT));
            let look = Look {
                syscall,
                path,
                flags: 0,
                result,
            };
            reporter.path(&Process::default(), look);
        };
        missing("/etc/passwd");
        missing("/.rookery/log");
        missing("/dev/shm/cfg");
        missing("/dev/mtd0");
        let whats: Vec<_> = kept.0.iter().map(|event| &event.what).collect();
        assert!(
            matches!(
                whats[..],
                [
                    What::Path { .. },
                    What::Unmodelled { .. },
                    What::Path { .. }
                ]
            ),
            "{whats:?}"
        );
    }
}
