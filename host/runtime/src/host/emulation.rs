//! `emulation`: run a project.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rookery_contract::options::{self, StartOptions, WaitOptions};
use rookery_contract::shapes::RunStatus;
use rookery_project::Error;
use rookery_runs::waiting::Waiting;

use super::stand_in::stand_in;
use super::{HostError, HostResult, State, to_json};
use crate::host::bindings::emulation;
use crate::meter::{Paused, WallClock};
use crate::seats::NoPlace;

/// How often progress is reported while an instance waits for a run.
const SLICE: Duration = Duration::from_secs(1);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often progress is reported while one is waited for.
const REPORTED: Duration = Duration::from_secs(5);

impl emulation::Host for State {
    async fn start(&mut self, project: String, options: String) -> HostResult<String> {
        stand_in!(self, "emulation.start", project, options);
        let aside = self.step_aside();
        let (progress, meter) = (self.progress.clone(), Arc::clone(&self.meter));
        let caller = self.caller.clone();
        let started = self
            .blocking("emulation.start", move |host, cancel| {
                let options: StartOptions = options::parse("options", &options)?;
                if options.fragment.is_some() && !caller.may_change {
                    return Err(no_trial(&caller.plugin));
                }
                let project = host.roots.project(&project)?;
                // From here on the id is in whatever is said of the call, also where the caller
                // does not hear of its end.
                let mut run_id = None;
                let named = |run: &str| {
                    meter.run_named(run);
                    progress.report(0.0, &format!("{run} starting"));
                    run_id = Some(run.to_owned());
                };
                let started = host.runs.start(&project, &options, named, cancel);
                match (&started, run_id) {
                    (Ok(_) | Err(Error::Cancelled), _) | (_, None) => {}
                    (Err(_), Some(run)) => meter.run_refused(&run),
                }
                started
            })
            .await;
        self.step_back(aside).await?;
        started
    }

    async fn status(&mut self, run: String) -> HostResult<String> {
        stand_in!(self, "emulation.status", run);
        self.json("emulation.status", move |host, _| host.runs.status(&run))
            .await
    }

    async fn wait(&mut self, run: String, milliseconds: u32) -> HostResult<String> {
        stand_in!(self, "emulation.wait", run, milliseconds);
        let aside = self.wait_aside()?;
        let status = self
            .wait_in_slices(run, Duration::from_millis(milliseconds.into()))
            .await;
        self.step_back(aside).await?;
        Ok(to_json(&status?)?)
    }

    async fn wait_until(
        &mut self,
        run: String,
        condition: String,
        milliseconds: u32,
    ) -> HostResult<String> {
        stand_in!(self, "emulation.wait-until", run, condition, milliseconds);
        let options: WaitOptions = options::parse("condition", &condition)?;
        let waiting = Waiting::new(&options)?;
        let longest = if self.progress.is_wanted() {
            WaitOptions::LONGEST_S
        } else {
            WaitOptions::UNTOLD_S
        };
        let total = Duration::from_millis(milliseconds.into());
        let total = total.min(Duration::from_secs(longest.into()));
        let aside = self.wait_aside()?;
        let status = self.until(run, waiting, total).await;
        self.step_back(aside).await?;
        Ok(to_json(&status?)?)
    }

    async fn stop(&mut self, run: String) -> HostResult<String> {
        stand_in!(self, "emulation.stop", run);
        let aside = self.step_aside();
        let status = self
            .json("emulation.stop", move |host, _| host.runs.stop(&run))
            .await;
        self.step_back(aside).await?;
        status
    }
}

/// What is tried is a change, if only for one run.
fn no_trial(plugin: &str) -> Error {
    Error::Denied(format!(
        "a run with a `fragment` tries a change, which the plugin {plugin} was not granted; the \
         operator would add \"config-mutation\" to `grant` of [plugin.{plugin:?}] in the policy"
    ))
}

fn no_place(NoPlace(waiting): NoPlace) -> Error {
    Error::Limit(format!(
        "{waiting} calls wait already, and no more of this plugin may wait at the same time. The \
         run goes on. Ask again when some of them have ended, or now without waiting (`wait_s` 0); \
         the operator may raise `waiting_calls` in the policy"
    ))
}

impl State {
    /// An instance that waits for a run uses neither its wall clock nor a seat. Starting and
    /// stopping are soon over: where no more calls may wait, they keep the seat.
    fn step_aside(&mut self) -> Paused {
        let _ = self.chair.leave();
        WallClock::pause(&self.meter)
    }

    /// The same for a wait that may be long, which never keeps a seat.
    fn wait_aside(&mut self) -> HostResult<Paused> {
        self.chair.leave().map_err(no_place)?;
        Ok(WallClock::pause(&self.meter))
    }

    async fn step_back(&mut self, aside: Paused) -> HostResult<()> {
        let seated = self.chair.sit().await;
        seated.map_err(|closed| HostError::Trap(closed.into()))?;
        drop(aside);
        Ok(())
    }

    async fn wait_in_slices(&mut self, run: String, total: Duration) -> HostResult<RunStatus> {
        let end = Instant::now() + total;
        self.count_host_call().map_err(HostError::Trap)?;
        loop {
            let slice = end.saturating_duration_since(Instant::now()).min(SLICE);
            let id = run.clone();
            let status = self
                .uncounted("emulation.wait", move |host, cancel| {
                    host.runs.wait(&id, slice, cancel)
                })
                .await?;
            if !status.is_running() || Instant::now() >= end {
                return Ok(status);
            }
            self.report(&status);
        }
    }

    async fn until(
        &mut self,
        run: String,
        mut waiting: Waiting,
        total: Duration,
    ) -> HostResult<RunStatus> {
        let end = Instant::now() + total;
        let mut told = Instant::now();
        self.count_host_call().map_err(HostError::Trap)?;
        let mut slice = Duration::ZERO;
        loop {
            let id = run.clone();
            let (status, met);
            (status, met, waiting) = self
                .uncounted("emulation.wait-until", move |host, cancel| {
                    let status = host.runs.wait(&id, slice, cancel)?;
                    let met = waiting.is_met(&status);
                    Ok((status, met, waiting))
                })
                .await?;
            let now = Instant::now();
            if met || !status.is_running() || now >= end {
                return Ok(RunStatus {
                    waited_for: Some(waiting.name().to_owned()),
                    met: Some(met),
                    ..status
                });
            }
            if now >= told {
                told = now + REPORTED;
                self.report(&status);
            }
            slice = LOOK.min(end - now);
        }
    }

    /// Tell the client how far the run is.
    fn report(&mut self, status: &RunStatus) {
        let (run, phase) = (&status.run_id, status.phase.as_deref().unwrap_or_default());
        let elapsed = status.elapsed_s.unwrap_or(0.0);
        let timeout = status
            .timeout_s
            .map_or(0.0, |seconds| Duration::from_secs(seconds).as_secs_f64());
        if phase == "starting" || timeout <= 0.0 {
            self.progress
                .report(0.0, &format!("{run} {phase} for {elapsed:.0} s"));
        } else {
            self.progress.report(
                (elapsed / timeout).clamp(0.0, 1.0),
                &format!("{run} {phase}: {elapsed:.0} of at most {timeout:.0} s"),
            );
        }
    }
}
