//! `rehost`: a tool that plays the loop, written as anybody could write it. What it knows lies in a
//! note of the project (`ledger`), since nothing of an instance survives its call; `play` decides
//! what to do next, `watch` when a run has answered its question, `hypothesis` what may be tried.

mod answer;
mod args;
mod hypothesis;
mod ledger;
mod play;
mod settings;
mod together;
mod watch;

use rookery_plugin::{
    Config, ConfigMutation, Emulation, Firmware, Notes, Result, Results, plugin, tool,
};

use crate::answer::Told;
use crate::args::Args;
use crate::play::play;

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
