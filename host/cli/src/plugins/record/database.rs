//! The rows of a run's `plugins.db`, as the statements of a case.

use std::fmt::Write as _;

use anyhow::Context;
use rookery_contract::options::QueryOptions;
use rookery_contract::penguin::DATABASE_TABLES;
use rookery_contract::shapes::Rows;
use rookery_project::{Cancel, Results};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::private::Private;

/// Columns that hold what programs have read and written.
const CONTENTS: [&str; 1] = ["buffer"];

/// What was made of the database.
pub(super) struct Statements {
    pub(super) sql: String,
    /// How many events are there, and how many of them are in the statements.
    pub(super) events: u64,
    pub(super) kept: u64,
}

/// The oldest `limit` events of the run, with what belongs to them. None where it has no database.
pub(super) fn statements(
    results: &Results,
    limit: u32,
    private: &mut Private,
) -> anyhow::Result<Option<Statements>> {
    let Ok(events) = number(results, "SELECT count(*) FROM event") else {
        return Ok(None);
    };
    let last = format!("SELECT max(id) FROM (SELECT id FROM event ORDER BY id LIMIT {limit})");
    let last = number(results, &last).unwrap_or(0);
    let mut statements = Statements {
        sql: String::new(),
        events,
        kept: 0,
    };
    for (table, ours) in tables()? {
        // Not every run has every table, and Penguin's have no times.
        let Ok(theirs) = query(results, &format!("SELECT * FROM {table}"), 1) else {
            continue;
        };
        let columns = theirs.columns.iter().filter(|column| ours.contains(column));
        let names: Vec<&str> = columns.map(String::as_str).collect();
        let listed = names.join(", ");
        let quoted: Vec<String> = names
            .iter()
            .map(|column| {
                if CONTENTS.contains(column) {
                    "quote('')".to_owned()
                } else {
                    format!("quote({column})")
                }
            })
            .collect();
        let select = format!(
            "SELECT {} FROM {table} WHERE id <= {last} ORDER BY id",
            quoted.join(", ")
        );
        let rows = query(results, &select, limit)?.rows;
        if table == "event" {
            statements.kept = rows.len() as u64;
        }
        for row in rows {
            let values = row.iter().map(|value| literal(value, private));
            let values = values.collect::<Vec<_>>().join(", ");
            writeln!(
                statements.sql,
                "INSERT INTO {table} ({listed}) VALUES ({values});"
            )?;
        }
    }
    Ok(Some(statements))
}

/// A value as a statement has it. Bytes that are not text may be anybody's.
fn literal(quoted: &Value, private: &mut Private) -> String {
    let quoted = quoted.as_str().unwrap_or("NULL");
    let text = quoted
        .strip_prefix('\'')
        .and_then(|text| text.strip_suffix('\''));
    match text {
        Some(text) => format!("'{}'", private.scrub(text)),
        None if quoted.starts_with("X'") => "X''".to_owned(),
        None => quoted.to_owned(),
    }
}

/// The tables of a case's database whose rows belong to an event, with their columns.
fn tables() -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let empty = Connection::open_in_memory()?;
    empty.execute_batch(DATABASE_TABLES)?;
    let mut names = empty.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
    let names: Vec<String> = names
        .query_map((), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut tables = Vec::new();
    for name in names {
        let mut columns = empty.prepare("SELECT name FROM pragma_table_info(?)")?;
        let columns: Vec<String> = columns
            .query_map([&name], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if columns.iter().any(|column| column == "id") {
            tables.push((name, columns));
        }
    }
    Ok(tables)
}

fn query(results: &Results, sql: &str, limit: u32) -> anyhow::Result<Rows> {
    let options = QueryOptions {
        max_bytes: Some(QueryOptions::MAX_BYTES),
        ..QueryOptions::rows(limit)
    };
    Ok(results.query(sql, &json!([]), &options, &Cancel::default())?)
}

fn number(results: &Results, sql: &str) -> anyhow::Result<u64> {
    let rows = query(results, sql, 1)?.rows;
    let value = rows.first().and_then(|row| row.first());
    value.and_then(Value::as_u64).context("it is not a number")
}
