//! `my_tool`

use rookery_plugin::args::RunSelector;
use rookery_plugin::{Answer, Next, Result, Results, RunResults, SearchOptions, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

const TROUBLE: &str = "(?i)error|fail|not found";

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    run: RunSelector,
}

/// Counts come first: they tell an agent whether to read on.
#[derive(Serialize, JsonSchema)]
struct Trouble {
    /// Lines that look like trouble.
    total: u64,
    /// Lines of the console.
    file_lines: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

/// Count the console lines that look like trouble, after a run that did not come up. Gives the
/// newest of them.
#[tool(read_only, idempotent, title = "Trouble on the console", example(project_dir = "fw"))]
fn my_tool(host: &impl Results, args: Args) -> Result<Answer<Trouble>> {
    Answer::from_result(count(host, &args))
}

fn count(host: &impl Results, args: &Args) -> Result<Trouble> {
    let run = host.open_results(&args.run)?;
    let found = run.search("console.log", TROUBLE, &SearchOptions::newest(1))?;
    let mut next = json!(args.run);
    next["pattern"] = json!(TROUBLE);
    Ok(Trouble {
        total: found.total,
        file_lines: found.lines,
        next: (found.total > 0).then(|| Next::call("console", next)),
        newest: found.matches.into_iter().last().map(|line| line.text),
    })
}

plugin!(my_tool);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<my_tool>();
    }

    #[test]
    fn nothing_is_proposed_where_nothing_looks_like_trouble() {
        let host = FakeHost::new().text("console.log", "boot\nready\n");
        let answer = call::<my_tool>(&host, json!({ "project_dir": "fw" })).unwrap();
        assert_eq!((&answer["total"], &answer["file_lines"]), (&json!(0), &json!(2)));
        assert_eq!(answer.get("next"), None);
    }
}
