//! What to do next. Each decision is in the ledger before it has an effect: a call that is cut off
//! anywhere is taken up by the next one.

use rookery_diagnosis::compare;
use rookery_plugin::running::Backend;
use rookery_plugin::shapes::{ResultsState, RunStatus};
use rookery_plugin::{
    ApplyOptions, Config, ConfigMutation, Emulation, Error, Firmware, Notes, Result, Results,
    RunListOptions, StartOptions,
};
use serde_json::{Value, json};

use crate::answer::Told;
use crate::args::{Args, AtLeast};
use crate::hypothesis::Found;
use crate::ledger::{Budget, Current, Effect, Goal, Hypothesis, Ledger, State, Tried};
use crate::watch::{self, Looked, look, watch};

/// Play for as long as the call may take.
pub fn play<H>(host: &H, args: &Args) -> Result<Told>
where
    H: Config + ConfigMutation + Notes + Emulation + Results + Firmware,
{
    let project = &args.project_dir;
    let (ledger, revision) = Ledger::read(host, project, args.again)?;
    let mut player = Player {
        host,
        args,
        port: args.goal.port()?,
        kept: ledger.clone(),
        taken_up: ledger
            .current
            .as_ref()
            .is_some_and(|current| current.run_id.is_none()),
        has_begun_it: false,
        ledger,
        revision,
        left_ms: args.wait_s * 1000,
    };
    player.begin()?;
    while player.ledger.state == State::Working && player.step()? {}
    let left = match (&player.ledger.base, player.ledger.state) {
        (Some(base), State::Stuck | State::Spent) => {
            let looked = look(host, base)?;
            Found::of(host, &looked, &player.ledger, project, args.sure).left
        }
        _ => Vec::new(),
    };
    Ok(Told::of(&player.ledger, left, project, again(args)))
}

/// The arguments that go on with the loop.
fn again(args: &Args) -> Value {
    let mut again = json!({ "project_dir": args.project_dir });
    if args.goal != Goal::default() {
        again["goal"] = json!(args.goal);
    }
    if args.budget != Budget::default() {
        again["budget"] = json!(args.budget);
    }
    if args.sure != AtLeast::default() {
        again["sure"] = json!(args.sure);
    }
    if args.backend != Backend::default() {
        again["backend"] = json!(args.backend);
    }
    again
}

struct Player<'a, H> {
    host: &'a H,
    args: &'a Args,
    port: Option<u16>,
    ledger: Ledger,
    /// What the note holds, and its revision.
    kept: Ledger,
    revision: u32,
    /// Another call decided on the run that is to be started, and did not come back.
    taken_up: bool,
    /// This call began the run that is under way.
    has_begun_it: bool,
    /// What is left of this call.
    left_ms: u32,
}

impl<H> Player<'_, H>
where
    H: Config + ConfigMutation + Notes + Emulation + Results + Firmware,
{
    /// What a new call changes: another goal, a project that was changed, a larger budget.
    fn begin(&mut self) -> Result<()> {
        let patch = self.patch()?;
        let ledger = &mut self.ledger;
        if ledger.patch != patch && ledger.current.is_none() {
            ledger.begin_anew(patch);
        }
        let other_goal = ledger.goal != self.args.goal;
        let is_open = matches!(ledger.state, State::Stuck | State::Spent);
        ledger.goal = self.args.goal;
        if is_open || other_goal {
            ledger.state = State::Working;
        }
        if other_goal && ledger.current.is_none() {
            ledger.base = None;
        }
        self.keep()
    }

    /// The newest revision of the patch.
    fn patch(&self) -> Result<Option<u64>> {
        let patch = self.host.patch(&self.args.project_dir)?;
        Ok(patch.history.first().map(|revision| revision.revision))
    }

    fn keep(&mut self) -> Result<()> {
        if self.ledger != self.kept {
            let (host, project) = (self.host, &self.args.project_dir);
            self.revision = self.ledger.write(host, project, self.revision)?;
            self.kept = self.ledger.clone();
        }
        Ok(())
    }

    /// One decision, or a part of a run. Gives whether there is time for more.
    fn step(&mut self) -> Result<bool> {
        match self.ledger.current.clone() {
            None => self.decide()?,
            Some(Current { run_id: None, .. }) => self.start()?,
            Some(Current {
                run_id: Some(run), ..
            }) => {
                let Some(status) = self.watch(&run)? else {
                    return Ok(false);
                };
                self.judge(&status)?;
            }
        }
        Ok(self.left_ms > 0)
    }

    /// What the next run is for.
    fn decide(&mut self) -> Result<()> {
        let budget = self.args.budget;
        let spent =
            self.ledger.runs >= budget.runs || self.ledger.seconds >= f64::from(budget.seconds);
        if spent {
            self.ledger.state = State::Spent;
            return self.keep();
        }
        let hypothesis = match &self.ledger.base {
            None => None,
            Some(base) => {
                let (looked, args) = (look(self.host, base)?, self.args);
                let (project, sure) = (&args.project_dir, args.sure);
                let found = Found::of(self.host, &looked, &self.ledger, project, sure);
                let Some(next) = found.next(&self.ledger) else {
                    self.ledger.state = State::Stuck;
                    return self.keep();
                };
                Some(next)
            }
        };
        self.ledger.current = Some(Current {
            hypothesis,
            ..Current::default()
        });
        self.keep()
    }

    fn start(&mut self) -> Result<()> {
        let Some(current) = &mut self.ledger.current else {
            return Ok(());
        };
        let (host, project) = (self.host, &self.args.project_dir);
        let left = f64::from(self.args.budget.seconds) - self.ledger.seconds;
        let mut options = StartOptions {
            timeout_s: Some(watch::timeout_s(left)),
            backend: self.args.backend.name().to_owned(),
            ..StartOptions::default()
        };
        if let Some(hypothesis) = &current.hypothesis {
            options.fragment = hypothesis.fragment.as_object().cloned();
            options.replace.clone_from(&hypothesis.replace);
        }
        current.run_id = match host.start(project, &options) {
            Ok(run) => Some(run),
            // A call that was cut off between its decision and this may have started it.
            Err(Error::Conflict(why)) if self.taken_up => {
                Some(under_way(host, project)?.ok_or(Error::Conflict(why))?)
            }
            // A change that the project does not take is none.
            Err(Error::InvalidArgument(_)) if current.hypothesis.is_some() => {
                return self.close(Effect::Failed, String::new(), 0.0);
            }
            Err(error) => return Err(error),
        };
        self.taken_up = false;
        self.has_begun_it = true;
        self.keep()
    }

    /// The run's status once it is over.
    fn watch(&mut self, run: &str) -> Result<Option<RunStatus>> {
        let Some(mut current) = self.ledger.current.take() else {
            return Ok(None);
        };
        let over = watch(self.host, run, &mut current, self.port, &mut self.left_ms);
        self.ledger.current = Some(current);
        // A run whose record is gone cannot be waited for.
        if let Err(Error::NotFound(_)) = &over {
            self.ledger.current = None;
        }
        self.keep()?;
        over
    }

    fn judge(&mut self, status: &RunStatus) -> Result<()> {
        let seconds = status.elapsed_s.unwrap_or_default();
        self.ledger.runs += 1;
        self.ledger.seconds += seconds;
        if status.results_dir.is_none() && !self.has_begun_it {
            return self.start_again();
        }
        let dir = status.results_dir.clone().unwrap_or_default();
        let looked = look(self.host, &dir).ok();
        let looked = looked.filter(|now| now.evidence.status.state == ResultsState::Completed);
        match (looked, &self.ledger.base) {
            (None, None) => {
                self.ledger.current = None;
                self.keep()?;
                Err(failed(status))
            }
            (Some(now), None) => {
                if now.standing.answers(self.port) {
                    self.ledger.state = State::Reached;
                }
                self.ledger.base = Some(dir);
                self.ledger.current = None;
                self.keep()
            }
            (None, Some(_)) => self.close(Effect::Failed, dir, seconds),
            (Some(now), Some(base)) => {
                let effect = self.effect(&now, base)?;
                self.close(effect, dir, seconds)
            }
        }
    }

    /// A run that was cut off with the call that began it says nothing of the project.
    fn start_again(&mut self) -> Result<()> {
        let current = self.ledger.current.take().unwrap_or_default();
        self.ledger.current = Some(Current {
            hypothesis: current.hypothesis,
            ..Current::default()
        });
        self.keep()
    }

    fn effect(&self, now: &Looked, base: &str) -> Result<Effect> {
        if now.standing.answers(self.port) {
            return Ok(Effect::Goal);
        }
        let then = look(self.host, base)?.standing;
        let now = &now.standing;
        let current = self.ledger.current.as_ref();
        let hypothesis = current.and_then(|current| current.hypothesis.as_ref());
        // Behind what was in the way may stand the next thing: that is progress, too.
        let is_gone = hypothesis.is_some_and(|hypothesis| {
            let mut keys = hypothesis.keys();
            keys.any(|key| then.is_blocked_by(key) && !now.is_blocked_by(key))
        });
        Ok(match compare(now, &then).verdict() {
            "better" => Effect::Better,
            _ if is_gone && now.has_all_of(&then) => Effect::Better,
            "same" => Effect::Same,
            _ => Effect::Worse,
        })
    }

    /// End a trial: keep its change where it helped.
    fn close(&mut self, effect: Effect, results_dir: String, seconds: f64) -> Result<()> {
        let current = self.ledger.current.take();
        let Some(hypothesis) = current.and_then(|current| current.hypothesis) else {
            return self.keep();
        };
        let kept = effect.helps() && !hypothesis.asks;
        if kept {
            self.apply(&hypothesis)?;
            self.ledger.base = Some(results_dir.clone());
            self.ledger.patch = self.patch()?;
        }
        if kept && effect == Effect::Goal {
            self.ledger.state = State::Reached;
        }
        self.ledger.tried.push(Tried {
            hypothesis,
            effect,
            kept,
            results_dir,
            seconds,
        });
        self.keep()
    }

    fn apply(&self, hypothesis: &Hypothesis) -> Result<()> {
        let options = ApplyOptions {
            replace: hypothesis.replace.clone(),
            ..ApplyOptions::default()
        };
        let project = &self.args.project_dir;
        self.host.apply(project, &hypothesis.fragment, &options)?;
        Ok(())
    }
}

/// The run of the project that is going on.
fn under_way(host: &impl Results, project: &str) -> Result<Option<String>> {
    let newest = RunListOptions {
        limit: 1,
        ..RunListOptions::default()
    };
    let runs = host.runs(project, &newest)?.runs.into_iter();
    let mut running = runs.filter(|run| run.state == ResultsState::Running);
    Ok(running.next().and_then(|run| run.run_id))
}

/// A project that does not run as it is gives nothing to compare with.
fn failed(status: &RunStatus) -> Error {
    let why = status.reason.as_deref().unwrap_or("it left no results");
    Error::Backend(format!(
        "the project's own run {} did not get to its end: {why}. Call run_wait {}.",
        status.run_id,
        json!({ "run_id": status.run_id })
    ))
}
