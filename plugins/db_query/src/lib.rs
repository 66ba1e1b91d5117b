//! `db_query`

use rookery_plugin::answer::{budget, fitting, shorten};
use rookery_plugin::args::RunSelector;
use rookery_plugin::{Answer, QueryOptions, Result, Results, RunResults, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A cell is given up to this many bytes.
const LONGEST_CELL: usize = 1000;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// One `SELECT` or `WITH` (`SQLite`)
    sql: String,
    #[serde(flatten)]
    run: RunSelector,
    /// Maximum number of rows
    #[serde(default = "usual_rows")]
    #[schemars(range(min = 1, max = 1000))]
    limit: u32,
}

fn usual_rows() -> u32 {
    100
}

#[derive(Serialize, JsonSchema)]
struct Queried {
    columns: Vec<String>,
    rows: Vec<Map<String, Value>>,
    row_count: usize,
    truncated: bool,
    file: String,
    /// That another run is newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Query a run's events with SQL, for what no other tool answers. Tables, joined by `id`:
/// event(type, procname, proc_id, time_ms), syscall(name, retno, arg0_repr…), exec(argv, envp),
/// proc_start, proc_exit. `guest_path(arg0_repr, …)` is a syscall's path.
#[tool(
    read_only,
    idempotent,
    title = "Query the events",
    example(project_dir = "fw", sql = "SELECT argv FROM exec")
)]
fn db_query(host: &impl Results, args: Args) -> Result<Answer<Queried>> {
    Answer::from_result(query(host, &args))
}

fn query(host: &impl Results, args: &Args) -> Result<Queried> {
    let run = host.open_results(&args.run)?;
    let mut found = run.query(&args.sql, &json!([]), &QueryOptions::rows(args.limit))?;
    let mut cut = false;
    for cell in found.rows.iter_mut().flatten() {
        cut |= shorten(cell, LONGEST_CELL);
    }
    let kept = fitting(&found.rows, budget(args.limit));
    let dropped = kept < found.rows.len();
    found.rows.truncate(kept);
    let columns = distinct(found.columns);
    let named = |row: Vec<Value>| columns.iter().cloned().zip(row).collect();
    let status = run.status()?;
    Ok(Queried {
        truncated: found.truncated || dropped || cut,
        row_count: found.rows.len(),
        rows: found.rows.into_iter().map(named).collect(),
        columns,
        file: status.path_of("plugins.db"),
        note: status.note,
    })
}

/// Column names as keys of a row: of equal names the later ones get a number, so that no cell is
/// lost.
fn distinct(columns: Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut candidates = (2..).map(|n| format!("{column}_{n}"));
        let mut name = column.clone();
        while names.contains(&name) {
            name = candidates.next().unwrap_or_default();
        }
        names.push(name);
    }
    names
}

plugin!(db_query);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};
    use rookery_plugin::{Error, Unavailable, invalid};

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<db_query>();
    }

    #[test]
    fn rows_keep_their_columns_even_of_equal_names() {
        let host = FakeHost::new().answer(
            "run-results.query",
            json!({
                "columns": ["id", "id"],
                "rows": [[1, null], [2, { "text": "x", "bytes": 1 }]],
                "row_count": 2,
                "truncated": false,
                "elapsed_ms": 3
            }),
        );
        let answer =
            call::<db_query>(&host, json!({ "sql": "SELECT 1", "project_dir": "p" })).unwrap();
        assert_eq!(
            (&answer["columns"], &answer["rows"][0], &answer["truncated"]),
            (
                &json!(["id", "id_2"]),
                &json!({ "id": 1, "id_2": null }),
                &json!(false)
            )
        );
        let asked = &host.calls("run-results.query")[0];
        assert_eq!(
            (&asked["sql"], &asked["options"]["limit"]),
            (&json!("SELECT 1"), &json!(100))
        );
    }

    #[test]
    fn big_cells_and_many_rows_are_cut_and_said_to_be() {
        let rows = vec![vec![json!("a".repeat(5000))]; 100];
        let host = FakeHost::new().answer(
            "run-results.query",
            json!({ "columns": ["a"], "rows": rows, "row_count": 100, "truncated": false }),
        );
        let answer =
            call::<db_query>(&host, json!({ "sql": "SELECT 1", "project_dir": "p" })).unwrap();
        assert!(answer.to_string().len() < 10_000);
        assert_eq!(
            (
                &answer["truncated"],
                answer["rows"].as_array().unwrap().len()
            ),
            (&json!(true), 7)
        );
    }

    #[test]
    fn no_database_says_how_to_get_one() {
        let missing = Unavailable {
            what: "plugins.db".into(),
            why: "no logger".into(),
            how_to_enable: "enable db".into(),
        };
        let host = FakeHost::new().fail("run-results.query", Error::Unavailable(missing));
        let answer =
            call::<db_query>(&host, json!({ "sql": "SELECT 1", "project_dir": "p" })).unwrap();
        assert_eq!(
            answer,
            json!({
                "available": false,
                "what": "plugins.db",
                "why": "no logger",
                "how_to_enable": "enable db"
            })
        );
    }

    #[test]
    fn wrong_sql_is_an_error() {
        let host =
            FakeHost::new().fail("run-results.query", invalid("near \"SELEC\": syntax error"));
        assert!(matches!(
            call::<db_query>(&host, json!({ "sql": "SELEC", "project_dir": "p" })),
            Err(Error::InvalidArgument(_))
        ));
    }
}
