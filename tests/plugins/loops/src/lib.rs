//! Never returns.

use rookery_plugin::args::NoArguments;
use rookery_plugin::{Content, Result, plugin, tool};

/// Hostile: loop without end, without calling the host.
#[tool(read_only)]
fn loops(_arguments: NoArguments) -> Result<Content> {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

/// Hostile: sleep without end, in the host's clock.
#[tool(read_only)]
fn sleeps(_arguments: NoArguments) -> Result<Content> {
    loop {
        std::thread::sleep(std::time::Duration::from_hours(1));
    }
}

plugin!(loops, sleeps);
