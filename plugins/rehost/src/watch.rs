//! A run, until it has answered its question: whether the goal answers, or nothing more happens.

use rookery_diagnosis::{Evidence, Standing, steps};
use rookery_plugin::args::RunSelector;
use rookery_plugin::shapes::RunStatus;
use rookery_plugin::{Emulation, Firmware, Result, Results, WaitOptions};

use crate::ledger::Current;
use crate::settings::{self, Setting};

/// A run is looked at so often, in milliseconds.
const LOOK_MS: u32 = 3000;
/// Looking at what a busy guest left takes time: at most one part in so many of a call.
const LOOKS: u32 = 4;
/// A run in which nothing new is seen for so long has settled, in seconds.
const SETTLED_S: f64 = 15.0;
/// A trial in whose way the same stands is over sooner.
const SAME_S: f64 = 8.0;
/// A run that goes on making news, as a slow boot does, is given so long, in seconds.
const LONGEST_S: u32 = 240;
/// A guest that was told to end is waited for so long, in milliseconds, and then by the next call.
const END_MS: u32 = 5000;

/// What a run left, and how it stands.
pub struct Looked {
    pub evidence: Evidence,
    pub standing: Standing,
    /// Boot arguments, and keys of the NVRAM, that nobody set.
    pub settings: Vec<Setting>,
}

/// Look at what a run left so far.
pub fn look(host: &(impl Results + Firmware), results_dir: &str) -> Result<Looked> {
    let which = RunSelector {
        project_dir: None,
        results_dir: Some(results_dir.to_owned()),
    };
    let run = host.open_results(&which)?;
    let evidence = Evidence::gather(host, &run, &which)?;
    let standing = Standing::of(&run, &evidence)?;
    Ok(Looked {
        settings: settings::missing(&run, &evidence.blockers),
        evidence,
        standing,
    })
}

/// Watch for at most `left_ms`, which are counted down, and end the run where its question is
/// answered. Gives its status once it is over.
pub fn watch(
    host: &(impl Emulation + Results + Firmware),
    run_id: &str,
    current: &mut Current,
    port: Option<u16>,
    left_ms: &mut u32,
) -> Result<Option<RunStatus>> {
    let until = WaitOptions {
        until: "answers".into(),
        port,
        ..WaitOptions::default()
    };
    let mut status = host.status(run_id)?;
    let mut pause = LOOK_MS;
    while status.is_running() && *left_ms > 0 {
        let slice = pause.min(*left_ms);
        status = host.wait_until(run_id, &until, slice)?;
        *left_ms -= slice;
        if !status.is_running() {
            break;
        }
        let answered = status.met == Some(true);
        if answered || has_settled(host, &status, current) {
            host.stop(run_id)?;
            status = host.wait(run_id, END_MS)?;
            continue;
        }
        let looked_ms = since_ms(&status, &host.status(run_id)?);
        *left_ms = left_ms.saturating_sub(looked_ms);
        pause = LOOK_MS.max(looked_ms.saturating_mul(LOOKS));
    }
    Ok((!status.is_running()).then_some(status))
}

/// The deadline of a run, where so much of the budget is left: it is ended sooner, once it has
/// settled.
pub fn timeout_s(left_s: f64) -> u32 {
    let left = std::time::Duration::from_secs_f64(left_s.clamp(1.0, LONGEST_S.into()));
    u32::try_from(left.as_secs()).unwrap_or(LONGEST_S)
}

/// How long the run went on between two looks at its status.
fn since_ms(then: &RunStatus, now: &RunStatus) -> u32 {
    let elapsed = |status: &RunStatus| status.elapsed_s.unwrap_or_default().max(0.0);
    let seconds = (elapsed(now) - elapsed(then)).clamp(0.0, 3600.0);
    std::time::Duration::from_secs_f64(seconds)
        .as_millis()
        .try_into()
        .unwrap_or(u32::MAX)
}

/// Whether nothing new was seen for long enough. What cannot be read yet is no news.
fn has_settled(
    host: &(impl Results + Firmware),
    status: &RunStatus,
    current: &mut Current,
) -> bool {
    let looked = status.results_dir.as_deref().map(|dir| look(host, dir));
    let Some(Ok(Looked {
        evidence, standing, ..
    })) = looked
    else {
        return false;
    };
    let now = status.elapsed_s.unwrap_or_default();
    let timeline = evidence.timeline.as_ref();
    let signature = format!("{} {}", timeline.map_or(0, steps), standing.signature());
    if signature != current.signature {
        current.signature = signature;
        current.since = now;
        return false;
    }
    let blockers = &evidence.blockers;
    let same = current.hypothesis.as_ref().is_some_and(|hypothesis| {
        blockers
            .iter()
            .any(|blocker| blocker.key() == hypothesis.key)
    });
    let long_enough = if same { SAME_S } else { SETTLED_S };
    let starting = blockers.iter().any(rookery_diagnosis::Blocker::is_of_start);
    !starting && now - current.since >= long_enough
}
