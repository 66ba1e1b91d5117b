//! How many runs there are on a machine at once, and who is next: a ticket for each, a file that
//! its supervisor holds locked.
//!
//! The kernel gives a lock back with its process, so who was killed leaves no place taken. Looking
//! and taking a place is done by one at a time.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rookery_project::{Error, Result, regular, try_lock};

use super::{id, process};

const FOLDER: &str = "tickets";
const GUARD: &str = "guard";
const PATIENCE: Duration = Duration::from_secs(10);
/// What begins the name of a ticket.
const WAITS: &str = "waits-";
const RUNS: &str = "runs-";

/// The ticket of this process.
pub(crate) struct Ticket {
    folder: PathBuf,
    /// `ORDER-RUN_ID`
    name: String,
    /// Locked as long as this lives.
    _held: File,
}

/// What a look at the queue found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The run may begin, and counts as one that does.
    Begins,
    /// Others come first.
    Waits {
        /// From 1.
        place: usize,
        /// How many wait.
        of: usize,
        /// The runs that are under way.
        behind: Vec<String>,
    },
}

impl Ticket {
    /// Stand at the end of the queue of `state_dir`.
    pub(crate) fn take(state_dir: &Path, run_id: &str) -> Result<Self> {
        let folder = state_dir.join(FOLDER);
        let io = |error: &std::io::Error| Error::io("stand in the queue in", &folder, error);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| io(&error))?;
        let _alone = guard(&folder).map_err(|error| io(&error))?;
        let name = format!("{:020}-{run_id}", order());
        let held = regular::create(&folder.join(WAITS.to_owned() + &name));
        let held = held.and_then(|file| try_lock(&file).map(|()| file));
        Ok(Self {
            _held: held.map_err(|error| io(&error))?,
            folder,
            name,
        })
    }

    /// Begin where less than `most` runs are under way and nobody waits for longer; `None` where
    /// another process looks just now.
    pub(crate) fn turn(&self, most: usize) -> Option<Turn> {
        let guard = regular::create(&self.folder.join(GUARD)).ok()?;
        try_lock(&guard).ok()?;
        let (waiting, running) = self.others();
        let before = waiting.iter().filter(|name| **name < self.name).count();
        if before == 0 && running.len() < most {
            let path = |kind: &str| self.folder.join(kind.to_owned() + &self.name);
            fs::rename(path(WAITS), path(RUNS)).ok()?;
            return Some(Turn::Begins);
        }
        let run_id = |name: &String| name.split_once('-').map(|(_, run_id)| run_id.to_owned());
        Some(Turn::Waits {
            place: before + 1,
            of: waiting.len() + 1,
            behind: running.iter().filter_map(run_id).collect(),
        })
    }

    /// The names of the tickets of others that live: those that wait, and those that are under way.
    /// The others are removed.
    fn others(&self) -> (Vec<String>, Vec<String>) {
        let (mut waiting, mut running) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let (ticket, list) = match (name.strip_prefix(WAITS), name.strip_prefix(RUNS)) {
                (Some(ticket), _) => (ticket, &mut waiting),
                (_, Some(ticket)) => (ticket, &mut running),
                _ => continue,
            };
            if ticket == self.name || !is_ticket(ticket) {
                continue;
            }
            match regular::open(&entry.path()).and_then(try_lock) {
                Ok(()) => drop(fs::remove_file(entry.path())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    list.push(ticket.to_owned());
                }
                // It was given back just now.
                Err(_) => {}
            }
        }
        running.sort();
        (waiting, running)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        for kind in [WAITS, RUNS] {
            let _ = fs::remove_file(self.folder.join(kind.to_owned() + &self.name));
        }
    }
}

/// Be the only one who looks at the tickets, or makes one. Nobody does that for long.
fn guard(folder: &Path) -> io::Result<File> {
    let guard = regular::create(&folder.join(GUARD))?;
    let begun = Instant::now();
    loop {
        match try_lock(&guard) {
            Err(error) if begun.elapsed() > PATIENCE => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
            Ok(()) => return Ok(guard),
        }
    }
}

/// Microseconds since the machine started: later tickets have larger numbers.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is never negative"
)]
fn order() -> u64 {
    (process::uptime() * 1e6) as u64
}

fn is_ticket(name: &str) -> bool {
    name.split_once('-').is_some_and(|(order, run_id)| {
        order.bytes().all(|byte| byte.is_ascii_digit()) && id::is_valid(run_id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_id(number: usize) -> String {
        format!("run-router-{number:013x}")
    }

    fn waits(place: usize, of: usize, behind: &[usize]) -> Turn {
        let behind = behind.iter().map(|number| run_id(*number)).collect();
        Turn::Waits { place, of, behind }
    }

    #[test]
    fn who_comes_first_begins_first_and_nobody_begins_beyond_the_bound() {
        let dir = tempfile::tempdir().unwrap();
        let mut tickets: Vec<Option<Ticket>> = Vec::new();
        for number in 0..4 {
            tickets.push(Some(Ticket::take(dir.path(), &run_id(number)).unwrap()));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let turn =
            |tickets: &[Option<Ticket>], number: usize| tickets[number].as_ref().unwrap().turn(2);
        assert_eq!(turn(&tickets, 3), Some(waits(4, 4, &[])));
        assert_eq!(turn(&tickets, 0), Some(Turn::Begins));
        assert_eq!(turn(&tickets, 1), Some(Turn::Begins));
        assert_eq!(turn(&tickets, 3), Some(waits(2, 2, &[0, 1])));
        assert_eq!(turn(&tickets, 2), Some(waits(1, 2, &[0, 1])));
        // One ends, and one who waited first gives up: neither leaves a hole.
        tickets[0] = None;
        tickets[2] = None;
        assert_eq!(turn(&tickets, 3), Some(Turn::Begins));
        let left = fs::read_dir(dir.path().join(FOLDER)).unwrap().count();
        assert_eq!(left, 3, "two tickets and the guard");
    }

    #[test]
    fn the_ticket_of_one_who_was_killed_counts_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let ticket = Ticket::take(dir.path(), &run_id(1)).unwrap();
        let left = |kind: &str, number| {
            let name = format!("{kind}{:020}-{}", 0, run_id(number));
            let path = dir.path().join(FOLDER).join(name);
            fs::write(&path, "").unwrap();
            path
        };
        let dead = [left(WAITS, 2), left(RUNS, 3)];
        assert_eq!(ticket.turn(1), Some(Turn::Begins));
        assert!(dead.iter().all(|path| !path.exists()));
    }

    #[test]
    fn while_one_looks_the_others_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let ticket = Ticket::take(dir.path(), &run_id(1)).unwrap();
        let guard = regular::create(&dir.path().join(FOLDER).join(GUARD)).unwrap();
        try_lock(&guard).unwrap();
        assert_eq!(ticket.turn(1), None);
        drop(guard);
        assert_eq!(ticket.turn(1), Some(Turn::Begins));
    }
}
