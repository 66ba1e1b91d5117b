//! The steps of a boot: what is executed for the first time. A loop executes the same again, or
//! asks with other words each time.

use std::collections::HashSet;

use crate::blockers::noise::only_asks;
use crate::timeline::{Process, Timeline};

/// How many there are: a boot has new ones to its end.
pub fn steps(timeline: &Timeline) -> usize {
    let steps = timeline.processes.iter().filter(|one| is_step(one));
    steps.map(|one| &one.argv).collect::<HashSet<_>>().len()
}

/// The last `late` milliseconds' programs that were not executed before.
pub(super) fn new_since(timeline: &Timeline, late: i64) -> HashSet<&[String]> {
    let since = timeline.over - late;
    let steps = timeline.processes.iter().filter(|one| is_step(one));
    let (before, new): (Vec<_>, Vec<_>) = steps.partition(|one| one.started < since);
    let before: HashSet<_> = before.iter().map(|one| one.argv.as_slice()).collect();
    let new = new.iter().map(|one| one.argv.as_slice());
    new.filter(|words| !before.contains(words)).collect()
}

fn is_step(process: &Process) -> bool {
    let pauses = matches!(process.name(), "sleep" | "usleep");
    process.executed.is_some() && !pauses && !only_asks(process)
}
