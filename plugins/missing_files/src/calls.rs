//! The recorded system calls, in whichever layout a run wrote them.

use rookery_plugin::shapes::{ResultsStatus, Rows};
use rookery_plugin::{Error, Next, QueryOptions, Result, RunResults, Unavailable, optional};
use serde_json::{Value, json};

/// Tells what matters from what does not, where the tables say how processes ended.
const RANKED: &str = include_str!("ranked.sql");
/// Does with fewer tables.
const QUERY: &str = include_str!("query.sql");
/// What the query reads of a call's arguments; older tables have fewer.
const ARGUMENTS: &str = "s.arg0_repr, s.arg1_repr, s.arg2_repr, s.arg3_repr";
/// Why the host refuses a query that the tables do not fit.
const LAYOUT: &str = "plugins.db has no table of system calls with a known layout";

/// The rows of the query. That nothing was recorded is not that nothing was missed.
pub fn missing(run: &impl RunResults, parameters: &Value, limit: u32) -> Result<Rows> {
    let ask = |sql: &str| run.query(sql, parameters, &QueryOptions::rows(limit));
    let found = match ask(RANKED) {
        // Older tables, or too many rows to rank.
        Err(Error::InvalidArgument(_) | Error::Limit(_)) => ask(QUERY),
        found => found,
    };
    let found = match found {
        Err(Error::InvalidArgument(_)) => match arguments(run)? {
            Some(arguments) => {
                ask(&QUERY.replace(ARGUMENTS, &arguments)).map_err(|error| match error {
                    Error::InvalidArgument(_) => not_recorded(run, LAYOUT),
                    other => other,
                })?
            }
            None => return Err(not_recorded(run, LAYOUT)),
        },
        found => found?,
    };
    if found.rows.is_empty() {
        let any = "SELECT 1 FROM syscall LIMIT 1";
        if run
            .query(any, &json!({}), &QueryOptions::rows(1))?
            .rows
            .is_empty()
        {
            return Err(not_recorded(run, "plugins.db has no system calls"));
        }
    }
    Ok(found)
}

/// The columns that the table has for arguments, as the query names them.
fn arguments(run: &impl RunResults) -> Result<Option<String>> {
    let sql = "SELECT name FROM pragma_table_info('syscall')";
    let columns = run.query(sql, &json!({}), &QueryOptions::rows(100))?;
    let there: Vec<&str> = ARGUMENTS
        .split(", ")
        .filter(|argument| {
            let name = argument.trim_start_matches("s.");
            columns
                .rows
                .iter()
                .any(|row| row.first().and_then(Value::as_str) == Some(name))
        })
        .collect();
    Ok((!there.is_empty()).then(|| there.join(", ")))
}

fn not_recorded(run: &impl RunResults, what: &str) -> Error {
    let plugins = optional(run.read_yaml("core_plugins.yaml"))
        .ok()
        .flatten()
        .unwrap_or_default();
    let logger = plugins.get("syscalls_logger");
    let on = logger.is_some_and(|arguments| arguments.get("enabled") != Some(&json!(false)));
    let status = run.status().ok();
    let project = status.as_ref().and_then(ResultsStatus::project_dir);
    let call = |tool: &str, mut arguments: Value| {
        if let Some(project) = project {
            arguments["project_dir"] = project.into();
        }
        Next::call(tool, arguments)
    };
    let again = call("run", json!({}));
    let (why, how) = if on {
        (
            "though the plugin syscalls_logger was on",
            format!("Call {again} for longer: give a timeout"),
        )
    } else {
        let enable = call("set_config", json!({ "preset": "diagnostics" }));
        (
            "the plugin syscalls_logger was off in this run",
            format!("Call {enable}, then {again}"),
        )
    };
    Error::Unavailable(Unavailable {
        what: "system calls".into(),
        why: format!("{what}: {why}"),
        how_to_enable: how,
    })
}
