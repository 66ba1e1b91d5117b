//! `console`

use rookery_plugin::answer::{budget, fitting};
use rookery_plugin::args::RunSelector;
use rookery_plugin::shapes::Match;
use rookery_plugin::{
    Answer, CsvOptions, Next, Result, Results, RunResults, SearchOptions, optional, plugin, tool,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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
    /// The newest that match, in file order; one that came again and again stands once, with how
    /// often: `… (5 times)`.
    lines: Vec<String>,
    /// Of each line.
    line_numbers: Vec<u64>,
    /// When each came, in milliseconds since init was started; none of what was not timed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    times_ms: Vec<u64>,
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

/// Search the guest's console, to see why something failed. Gives the newest matching `lines`,
/// their times and their `total`.
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
    let (lines, line_numbers) = folded(found.matches);
    Ok(Console {
        truncated: found.truncated || dropped > 0,
        total: found.total,
        file_lines: found.lines,
        file: status.path_of("console.log"),
        note: status.note,
        times_ms: times(&run, &line_numbers)?,
        line_numbers,
        lines,
        next: nothing.then(|| Next::call("console", json!(args.run))),
    })
}

/// Lines and their numbers, those that repeat the one before them folded into it.
fn folded(matches: Vec<Match>) -> (Vec<String>, Vec<u64>) {
    let mut runs: Vec<(String, u64, u64)> = Vec::new();
    for line in matches {
        match runs.last_mut() {
            // Lines that are cut may differ where nobody sees it.
            Some((last, _, times)) if *last == line.text && !line.cut => *times += 1,
            _ if line.cut => runs.push((format!("{}…", line.text), line.line, 1)),
            _ => runs.push((line.text, line.line, 1)),
        }
    }
    runs.into_iter()
        .map(|(text, line, times)| match times {
            1 => (text, line),
            _ => (format!("{text} ({times} times)"), line),
        })
        .unzip()
}

/// When each line came, as `console_times.csv` says: a line that is not there came with the one
/// before it.
fn times(run: &impl RunResults, lines: &[u64]) -> Result<Vec<u64>> {
    let Some(first) = lines.first() else {
        return Ok(Vec::new());
    };
    let known = known_times(run, *first)?;
    let time = |line: &u64| {
        let after = known.partition_point(|(first, _)| first <= line);
        let (_, time) = after.checked_sub(1).and_then(|index| known.get(index))?;
        Some(*time)
    };
    // All or none: a list that lacks one says nothing of which.
    let times: Option<Vec<u64>> = lines.iter().map(time).collect();
    Ok(times.unwrap_or_default())
}

/// Lines and their times, at least from `first` on: read from the end, which most questions are
/// about, and nothing where that is too far away.
fn known_times(run: &impl RunResults, first: u64) -> Result<Vec<(u64, u64)>> {
    const ROWS: u32 = 5000;
    const READS: usize = 4;
    let read = |offset: u32, limit: u32| {
        let options = CsvOptions {
            offset: Some(offset),
            limit: Some(limit),
            ..CsvOptions::default()
        };
        optional(run.read_csv("console_times.csv", &options))
    };
    let number = |row: &Map<String, Value>, name: &str| row.get(name)?.as_str()?.parse().ok();
    let total = read(0, 0)?.map_or(0, |table| table.total);
    let mut begin = u32::try_from(total).unwrap_or(u32::MAX);
    let mut known: Vec<(u64, u64)> = Vec::new();
    for _ in 0..READS {
        let end = begin;
        begin = end.saturating_sub(ROWS);
        let rows = read(begin, end - begin)?.map(|table| table.rows);
        let rows = rows.iter().flatten();
        let before: Vec<_> = rows
            .filter_map(|row| Some((number(row, "line")?, number(row, "time_ms")?)))
            .collect();
        known.splice(0..0, before);
        if begin == 0 || known.first().is_some_and(|(line, _)| *line <= first) {
            return Ok(known);
        }
    }
    Ok(Vec::new())
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
    fn a_line_that_comes_again_and_again_stands_once_and_each_has_its_time() {
        let host = FakeHost::new()
            .text("console.log", "boot\nwait\nwait\nwait\nok\n")
            .text("console_times.csv", "line,time_ms\n1,5\n2,700\n5,900\n");
        let answer = call::<console>(&host, json!({ "results_dir": "r" })).unwrap();
        assert_eq!(answer["lines"], json!(["boot", "wait (3 times)", "ok"]));
        assert_eq!(answer["line_numbers"], json!([1, 2, 5]));
        assert_eq!(answer["times_ms"], json!([5, 700, 900]));
    }

    #[test]
    fn the_newest_lines_have_their_times_however_many_came_before() {
        let (mut log, mut times) = (String::new(), String::from("line,time_ms\n"));
        for number in 1..=30_000 {
            writeln!(log, "line {number}").unwrap();
            writeln!(times, "{number},{}", number * 10).unwrap();
        }
        let host = FakeHost::new()
            .text("console.log", &log)
            .text("console_times.csv", &times);
        let ask = |arguments| call::<console>(&host, arguments).unwrap();
        let newest = ask(json!({ "results_dir": "r", "max_lines": 2 }));
        assert_eq!(newest["times_ms"], json!([299_990, 300_000]));
        let early = ask(json!({ "results_dir": "r", "pattern": "line 16000$" }));
        assert_eq!(early["times_ms"], json!([160_000]));
        let far = ask(json!({ "results_dir": "r", "pattern": "line 7$" }));
        assert!(far.get("times_ms").is_none(), "not a wrong one");
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
