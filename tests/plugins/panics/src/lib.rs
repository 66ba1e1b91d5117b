//! Panics.

use rookery_plugin::{Content, Result, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// What to panic with
    #[serde(default = "usual")]
    message: String,
}

fn usual() -> String {
    "intentional: bad thing 42".to_owned()
}

/// Hostile: panic with a message, which should reach the caller.
#[tool(read_only)]
fn panics(args: Args) -> Result<Content> {
    panic!("{}", args.message)
}

plugin!(panics);
