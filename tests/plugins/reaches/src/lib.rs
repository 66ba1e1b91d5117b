//! Only reaches into a run that somebody else started: such a tool needs no right to start any.

use rookery_plugin::{Content, Live, Result, plugin, tool};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// The run to ask
    run_id: String,
}

/// Say what a run can be asked while it goes on.
#[tool(read_only, example(run_id = "run-x"))]
fn reaches(host: &impl Live, args: Args) -> Result<Content> {
    let offered = host.capabilities(&args.run_id)?;
    Ok(Content::new().text(&format!("{offered:?}")))
}

plugin!(reaches);
