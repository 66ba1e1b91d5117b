//! `plugins.db` of a `FakeHost`: the engine of the real host, without its limits.

use rookery_contract::guest_path::path_of;
use rookery_contract::penguin::DATABASE_TABLES;
use rookery_contract::text::escape;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, Statement};
use serde_json::{Value, json};

use crate::error::{Result, invalid};
use crate::host::QueryOptions;
use crate::shapes::Rows;

/// A database in memory.
pub(super) struct Database(Connection);

impl Database {
    /// A run's tables, with what `statements` put into them. What is wrong with these is the
    /// test's own fault.
    pub(super) fn new(statements: &str) -> Self {
        let made = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_in_memory()?;
            // As in a run's, whose rows need not come in order.
            connection.pragma_update(None, "foreign_keys", "OFF")?;
            connection.execute_batch(DATABASE_TABLES)?;
            connection.execute_batch(statements)?;
            let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
            connection.create_scalar_function("guest_path", -1, flags, |context| {
                let path = (0..context.len()).find_map(|n| match context.get_raw(n) {
                    ValueRef::Text(argument) => path_of(argument),
                    _ => None,
                });
                Ok(path.map(escape))
            })?;
            Ok(connection)
        };
        match made() {
            Ok(connection) => Self(connection),
            Err(error) => panic!("the statements of this FakeHost's database: {error}"),
        }
    }

    pub(super) fn query(&self, sql: &str, params: &Value, options: &QueryOptions) -> Result<Rows> {
        let wrong = |error: rusqlite::Error| invalid(format!("the query is wrong: {error}"));
        let mut statement = self.0.prepare(sql).map_err(wrong)?;
        if statement.column_count() == 0 || !statement.readonly() {
            return Err(invalid("this statement gives no rows: send one SELECT"));
        }
        bind(&mut statement, params).map_err(wrong)?;
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = Rows::default();
        let mut found = statement.raw_query();
        while let Some(row) = found.next().map_err(wrong)? {
            if rows.rows.len() >= options.limit as usize {
                rows.truncated = true;
                break;
            }
            let cells = (0..columns.len()).map(|n| row.get_ref(n).map(cell));
            let cells: rusqlite::Result<Vec<Value>> = cells.collect();
            rows.rows.push(cells.map_err(wrong)?);
        }
        rows.row_count = rows.rows.len() as u64;
        rows.columns = columns;
        Ok(rows)
    }
}

fn bind(statement: &mut Statement<'_>, params: &Value) -> rusqlite::Result<()> {
    match params {
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(n + 1, parameter(value))?;
            }
        }
        Value::Object(values) => {
            for (name, value) in values {
                let named = format!(":{}", name.trim_start_matches(':'));
                let index = statement.parameter_index(&named)?;
                let index = index.ok_or(rusqlite::Error::InvalidParameterName(named))?;
                statement.raw_bind_parameter(index, parameter(value))?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn parameter(value: &Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Bool(is) => SqlValue::Integer((*is).into()),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => SqlValue::Integer(integer),
            (None, real) => SqlValue::Real(real.unwrap_or_default()),
        },
        Value::String(text) => SqlValue::Text(text.clone()),
        other => SqlValue::Text(other.to_string()),
    }
}

/// As the host gives a value; bytes that are not text are written out.
fn cell(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => integer.into(),
        ValueRef::Real(real) => json!(real),
        ValueRef::Text(text) => escape(text).into(),
        ValueRef::Blob(bytes) => json!({ "text": escape(bytes), "bytes": bytes.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::FakeHost;
    use super::*;
    use crate::RunResults as _;

    #[test]
    fn a_query_really_runs_and_a_wrong_one_fails() {
        let host = FakeHost::new().database(
            "INSERT INTO event VALUES (1, 'syscall', 'httpd', 7, 250);
             INSERT INTO syscall (id, name, retno, arg0_repr)
                 VALUES (1, 'sys_open', -2, 'filename=0x7e9f1610(\"/dev/panel\")');",
        );
        let sql = "SELECT procname, guest_path(arg0_repr) AS path FROM syscall \
                   JOIN event USING (id) WHERE retno = ?";
        let query = |sql: &str, params: Value| host.query(sql, &params, &QueryOptions::rows(10));
        let rows = query(sql, json!([-2])).expect("rows");
        assert_eq!(rows.columns, ["procname", "path"]);
        assert_eq!(rows.rows, [[json!("httpd"), json!("/dev/panel")]]);
        let wrong = query("SELECT nowhere FROM syscall", json!([])).expect_err("no column");
        assert!(wrong.to_string().contains("no such column"), "{wrong}");
        assert!(query("DELETE FROM event", json!([])).is_err());
        let none = query(sql, json!([-13])).expect("rows");
        assert_eq!((none.row_count, none.truncated), (0, false));
    }
}
