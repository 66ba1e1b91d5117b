//! `console`

use rookery_plugin::answer::{budget, fitting};
use rookery_plugin::args::RunSelector;
use rookery_plugin::{Answer, Next, Result, Results, RunResults, SearchOptions, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
struct Args {
    #[serde(flatten)]
    run: RunSelector,
    /// Regular expression; default: all lines
    #[serde(default)]
    pattern: String,
    /// Number of newest lines
    #[serde(default = "usual_lines")]
    #[schemars(range(min = 1, max = 1000))]
    max_lines: u32,
}

fn usual_lines() -> u32 {
    100
}

#[derive(Serialize, JsonSchema)]
struct Console {
    /// The newest that match, in file order.
    lines: Vec<String>,
    /// Of each line.
    line_numbers: Vec<u64>,
    /// Lines that match.
    total: u64,
    truncated: bool,
    /// Lines of the file.
    file_lines: u64,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    /// That another run is newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Search the guest's console, to see why something failed. Gives the newest matching `lines` and
/// their `total`. Next: `missing_files` for files that a line says are missing.
#[tool(
    read_only,
    idempotent,
    title = "Search the console",
    example(project_dir = "fw", pattern = "(?i)no such|panic", max_lines = 50)
)]
fn console(host: &impl Results, args: Args) -> Result<Answer<Console>> {
    Answer::from_result(search(host, &args))
}

fn search(host: &impl Results, args: &Args) -> Result<Console> {
    let run = host.open_results(&args.run)?;
    let mut found = run.search(
        "console.log",
        &args.pattern,
        &SearchOptions::newest(args.max_lines),
    )?;
    let kept = fitting(
        found.matches.iter().rev().map(|line| &line.text),
        budget(args.max_lines),
    );
    let dropped = found.matches.len().saturating_sub(kept);
    found.matches.drain(..dropped);
    let status = run.status()?;
    let nothing = found.total == 0 && found.lines > 0;
    Ok(Console {
        truncated: found.truncated || dropped > 0,
        total: found.total,
        file_lines: found.lines,
        file: status.path_of("console.log"),
        note: status.note,
        line_numbers: found.matches.iter().map(|line| line.line).collect(),
        lines: found
            .matches
            .into_iter()
            .map(|line| {
                if line.cut {
                    format!("{}…", line.text)
                } else {
                    line.text
                }
            })
            .collect(),
        next: nothing.then(|| Next::call("console", json!(args.run))),
    })
}

plugin!(console);

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<console>();
    }

    #[test]
    fn the_newest_matches_are_given_in_order() {
        let host = FakeHost::new().text("console.log", "boot\nerror 1\nok\nerror 2\nerror 3\n");
        let answer = call::<console>(
            &host,
            json!({ "results_dir": "r", "pattern": "error", "max_lines": 2 }),
        )
        .unwrap();
        assert_eq!(answer["lines"], json!(["error 2", "error 3"]));
        assert_eq!(answer["line_numbers"], json!([4, 5]));
        assert_eq!(
            (
                &answer["total"],
                &answer["truncated"],
                &answer["file_lines"]
            ),
            (&json!(3), &json!(true), &json!(5))
        );
        assert_eq!(host.calls("results.open"), [json!({ "results_dir": "r" })]);
    }

    #[test]
    fn long_lines_are_cut_and_many_of_them_fit_the_budget() {
        let mut log = String::new();
        for number in 0..100 {
            writeln!(log, "{number:0>900}").unwrap();
        }
        let answer = call::<console>(
            &FakeHost::new().text("console.log", &log),
            json!({ "project_dir": "p" }),
        )
        .unwrap();
        assert!(answer.to_string().len() < 10_000);
        assert_eq!(
            (&answer["truncated"], &answer["total"]),
            (&json!(true), &json!(100))
        );
        assert_eq!(
            answer["line_numbers"].as_array().unwrap().last(),
            Some(&json!(100)),
            "the newest line is kept"
        );
    }

    #[test]
    fn no_match_suggests_to_look_at_everything() {
        let answer = call::<console>(
            &FakeHost::new().text("console.log", "boot\n"),
            json!({ "project_dir": "p", "pattern": "zzz" }),
        )
        .unwrap();
        assert_eq!(
            (&answer["lines"], &answer["next"]),
            (
                &json!([]),
                &json!({ "tool": "console", "arguments": { "project_dir": "p" } })
            )
        );
    }

    #[test]
    fn a_run_without_a_console_says_how_to_get_one() {
        let answer = call::<console>(&FakeHost::new(), json!({ "project_dir": "p" })).unwrap();
        assert_eq!(
            (&answer["available"], &answer["what"]),
            (&json!(false), &json!("console.log"))
        );
        assert!(answer["how_to_enable"].is_string());
    }

    #[test]
    fn a_newer_run_is_told_of() {
        let host = FakeHost::new()
            .text("console.log", "boot\n")
            .note("run 3 is newer and died");
        let answer = call::<console>(&host, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(answer["note"], "run 3 is newer and died");
    }

    #[test]
    fn a_bad_pattern_is_an_error() {
        let host = FakeHost::new().text("console.log", "a\n");
        assert!(matches!(
            call::<console>(&host, json!({ "project_dir": "p", "pattern": "(" })),
            Err(Error::InvalidArgument(_))
        ));
    }
}
