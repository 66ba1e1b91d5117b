//! `rehost`: a tool that plays the loop, written as anybody could write it. What it knows lies in a
//! note of the project (`ledger`), since nothing of an instance survives its call; `play` decides
//! what to do next, `watch` when a run has answered its question, `hypothesis` what may be tried.

mod answer;
mod arguments;
mod hypothesis;
mod ledger;
mod play;
mod together;
mod watch;

use rookery_diagnosis::Sure;
use rookery_plugin::{
    Config, ConfigMutation, Emulation, Firmware, Notes, Result, Results, plugin, tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::Told;
use crate::ledger::{Budget, Goal};
use crate::play::play;

/// Seconds of a call where nobody says more: clients give up after a minute.
const USUAL_WAIT_S: u32 = 40;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// Project
    project_dir: String,
    /// `port` that is to answer; default: any
    #[serde(default)]
    goal: Goal,
    #[serde(default)]
    budget: Budget,
    /// Changes less certain than this are not tried
    #[serde(default)]
    sure: AtLeast,
    /// Seconds of this call
    #[serde(default = "usual_wait")]
    #[schemars(range(min = 0, max = 50))]
    wait_s: u32,
    /// Forget what was tried
    #[serde(default)]
    again: bool,
}

fn usual_wait() -> u32 {
    USUAL_WAIT_S
}

/// The least certainty of a change that is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum AtLeast {
    High,
    #[default]
    Medium,
    Low,
}

impl AtLeast {
    fn takes(self, sure: Sure) -> bool {
        sure <= match self {
            Self::High => Sure::High,
            Self::Medium => Sure::Medium,
            Self::Low => Sure::Low,
        }
    }
}

/// Play the loop by itself: run, try a fix of what is in the way, keep what helped, until the goal
/// answers. Gives `state` (`working`: call it again), `kept`, `tried` and `in_the_way`.
#[tool(title = "Rehost by itself", example(project_dir = "fw"))]
fn rehost(
    host: &(impl Config + ConfigMutation + Notes + Emulation + Results + Firmware),
    args: Args,
) -> Result<Told> {
    play(host, &args)
}

plugin!(rehost);

#[cfg(test)]
mod tests;
