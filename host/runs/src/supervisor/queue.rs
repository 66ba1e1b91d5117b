//! Waiting for a place: a machine takes so many runs at once, and the others wait in their order.

use std::path::Path;

use rookery_project::{Error, Result, regular};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::backend::Request;
use crate::control::Inbox;
use crate::state::record::State;
use crate::state::store::RunDir;
use crate::state::tickets::{Ticket, Turn};

/// The phase of a run that waits.
const QUEUED: &str = "queued";
/// How often is looked whether it is this run's turn.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};
/// Without a word of the operator's: runs for each processor, memory for each run, and never fewer
/// than this.
const FOR_A_PROCESSOR: usize = 32;
const MEMORY: u64 = 256 << 20;
const FEWEST: usize = 4;
/// Runs that are named to one who waits for their end.
const NAMED: usize = 3;

/// The run's place among those of this machine, once it has one; none where it was stopped before.
pub(super) fn wait_for_turn(
    run: &RunDir,
    run_id: &str,
    most: Option<usize>,
    state: &mut State,
    inbox: &mut Inbox,
) -> Result<Option<Ticket>> {
    let state_dir = run.path().ancestors().nth(2).unwrap_or(run.path());
    let ticket = Ticket::take(state_dir, run_id)?;
    let most = most.unwrap_or_else(usual).max(1);
    loop {
        match ticket.turn(most) {
            Some(Turn::Begins) => {
                state.reason = None;
                return Ok(Some(ticket));
            }
            Some(turn) => tell(run, state, &turn, most)?,
            None => {}
        }
        let descriptor = inbox.descriptor();
        // A failure is a look too soon.
        let _ = poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&LOOK));
        while let Some(request) = inbox.next() {
            if matches!(request, Request::Stop) {
                return Ok(None);
            }
            request.refuse(Error::Conflict(
                "the run waits for its turn, so it has no guest yet; run_wait waits for it".into(),
            ));
        }
    }
}

/// Say at which place the run stands, and what it waits for.
fn tell(run: &RunDir, state: &mut State, turn: &Turn, most: usize) -> Result<()> {
    let Turn::Waits { place, of, behind } = turn else {
        return Ok(());
    };
    let named: Vec<_> = behind.iter().take(NAMED).map(String::as_str).collect();
    let reason = format!(
        "it waits at place {place} of {of}: {} runs are under way, and this machine takes {most} \
         at once (runs_at_once); it begins when one of them ends, such as {}",
        behind.len(),
        named.join(", ")
    );
    if state.phase == QUEUED && state.reason.as_ref() == Some(&reason) {
        return Ok(());
    }
    state.phase = QUEUED.into();
    state.reason = Some(reason);
    run.write(state)
}

/// How many runs a machine takes of which nobody says it.
fn usual() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let for_memory = memory().map_or(usize::MAX, |bytes| {
        usize::try_from(bytes / MEMORY).unwrap_or(usize::MAX)
    });
    for_memory.min(processors * FOR_A_PROCESSOR).max(FEWEST)
}

/// Bytes of memory that the machine has.
fn memory() -> Option<u64> {
    let text = regular::read(Path::new("/proc/meminfo"), 64 << 10).ok()?;
    let text = String::from_utf8(text).ok()?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_takes_some_runs_and_none_takes_them_without_end() {
        assert!(memory().is_some_and(|bytes| bytes > 1 << 20));
        assert!((FEWEST..10_000).contains(&usual()), "{}", usual());
    }
}
