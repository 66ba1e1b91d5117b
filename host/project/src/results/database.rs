//! Read-only SQL on `plugins.db`, under limits.
//!
//! Three walls, each enough alone: the file is opened read-only, an authorizer refuses every action but reading, and no
//! extension or other database can be attached. Memory and time are bounded by limits and by a progress handler.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement, ffi};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::guest_path::path_of;
use super::text;
use crate::{Cancel, Error, Result};

/// The database's file name.
pub(super) const FILE: &str = "plugins.db";
/// The most rows of one answer.
const MAX_ROWS: usize = 10_000;
/// The most that one answer may hold, in bytes.
const MAX_OUTPUT: usize = 8 << 20;
/// A longer value is cut.
const MAX_VALUE: usize = 64 << 10;
/// The longest value that a query may build, in bytes.
const MAX_SQL_VALUE: i32 = 64 << 20;
/// The largest database that is copied to roll back an interrupted transaction, in bytes.
const MAX_COPY: u64 = 4 << 30;
/// The length of a database's header, in bytes.
const HEADER: u64 = 100;
/// How long to wait for a writer to finish its transaction.
const BUSY: Duration = Duration::from_secs(3);
/// Steps of the query's program between two looks at the clock.
const STEPS: i32 = 20_000;

/// A private copy of a database that its writer left in the middle of a transaction, rolled back.
pub(super) type Recovered = OnceLock<TempDir>;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Options {
    limit: usize,
    timeout_ms: u64,
    max_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limit: 100,
            timeout_ms: 10_000,
            max_bytes: 1 << 20,
        }
    }
}

pub(super) struct Database<'a> {
    pub dir: &'a Path,
    pub bytes: u64,
    pub recovered: &'a Recovered,
}

impl Database<'_> {
    pub(super) fn query(
        &self,
        sql: &str,
        params: &Value,
        options: &Options,
        cancel: &Cancel,
    ) -> Result<Value> {
        // SQLite takes what is shorter than its header for an empty database.
        if self.bytes < HEADER {
            let why = if self.bytes == 0 {
                "the run recorded nothing yet"
            } else {
                "the file was cut off"
            };
            return Err(Error::Unavailable {
                what: FILE.into(),
                why: why.into(),
                how_to_enable:
                    "Events are written every few seconds: wait, or run the project again".into(),
            });
        }
        let started = Instant::now();
        let run = Run {
            sql,
            params,
            options,
            cancel,
            deadline: started + Duration::from_millis(options.timeout_ms),
        };
        let outcome = match self.recovered.get() {
            Some(copy) => run.on(&copy.path().join(FILE), OpenFlags::SQLITE_OPEN_READ_ONLY),
            None => match run.on(&self.dir.join(FILE), OpenFlags::SQLITE_OPEN_READ_ONLY) {
                Err(Failure::Sql(error)) if needs_recovery(&error) => self
                    .recover()
                    .and_then(|copy| run.on(&copy, OpenFlags::SQLITE_OPEN_READ_WRITE)),
                outcome => outcome,
            },
        };
        let mut answer = outcome.map_err(|failure| failure.explain(&run))?;
        answer["elapsed_ms"] = u64::try_from(started.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .into();
        Ok(answer)
    }

    /// Copy the database with its journal, so that opening the copy can roll back what was interrupted.
    fn recover(&self) -> Result<PathBuf, Failure> {
        if self.bytes > MAX_COPY {
            return Err(Failure::Error(Error::Limit(format!(
                "the run was killed in the middle of a transaction, and {FILE} ({} bytes) is too large to recover a copy of; \
                 open it once with the sqlite3 shell where it may be written",
                self.bytes
            ))));
        }
        let internal = |e: std::io::Error| {
            Failure::Error(Error::Internal(format!(
                "cannot copy {FILE} to recover it: {e}"
            )))
        };
        let copy = tempfile::Builder::new()
            .prefix("rookery-db-")
            .tempdir()
            .map_err(internal)?;
        for suffix in ["", "-journal", "-wal"] {
            let name = format!("{FILE}{suffix}");
            let from = self.dir.join(&name);
            if from
                .symlink_metadata()
                .is_ok_and(|m| m.is_file() && m.len() <= MAX_COPY)
            {
                let to = copy.path().join(&name);
                std::fs::copy(&from, &to).map_err(internal)?;
                let writable = std::os::unix::fs::PermissionsExt::from_mode(0o600);
                std::fs::set_permissions(&to, writable).map_err(internal)?;
            }
        }
        Ok(self.recovered.get_or_init(|| copy).path().join(FILE))
    }
}

/// A journal that must be rolled back, or a write-ahead log that must be replayed, cannot be read through a read-only file.
fn needs_recovery(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|e| {
        matches!(e.code, ErrorCode::ReadOnly | ErrorCode::CannotOpen)
            || e.extended_code == ffi::SQLITE_READONLY_ROLLBACK
    })
}

enum Failure {
    Sql(rusqlite::Error),
    Error(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Failure {
    fn explain(self, run: &Run<'_>) -> Error {
        let error = match self {
            Self::Error(error) => return error,
            Self::Sql(error) => error,
        };
        let words = text::escape(error.to_string().as_bytes());
        if matches!(error, rusqlite::Error::MultipleStatement) {
            return Error::InvalidArgument(
                "more than one SQL statement: send one at a time, without text after the semicolon"
                    .into(),
            );
        }
        let Some(code) = error.sqlite_error().map(|e| e.code) else {
            return Error::InvalidArgument(format!("the query failed: {words}"));
        };
        match code {
            ErrorCode::OperationInterrupted if run.cancel.is_cancelled() => Error::Cancelled,
            ErrorCode::OperationInterrupted => Error::Limit(format!(
                "the query ran longer than {} ms: filter by type or name first, avoid joins without a condition, or add a LIMIT",
                run.options.timeout_ms
            )),
            ErrorCode::AuthorizationForStatementDenied => Error::Denied(format!(
                "{FILE} is read-only ({words}): send one SELECT, WITH, VALUES or EXPLAIN statement"
            )),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Error::Conflict(format!(
                "{FILE} is being written by a run ({words}): try again in a moment"
            )),
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => Error::Unavailable {
                what: FILE.into(),
                why: format!(
                    "the file is damaged ({words}), as after a run that was killed or a copy that was cut off"
                ),
                how_to_enable: "Run the project again, or copy the file again".into(),
            },
            ErrorCode::TooBig | ErrorCode::OutOfMemory => Error::Limit(format!(
                "the query builds a value that is too large ({words}): use substr() or a LIMIT"
            )),
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied => {
                Error::Internal(format!("cannot read {FILE}: {words}"))
            }
            _ => Error::InvalidArgument(format!(
                "the query failed: {words}. Tables: event(id, type, procname, proc_id), syscall, exec, read, write, proc_start, proc_exit, each with \
                 event's id; `SELECT sql FROM sqlite_master` shows them"
            )),
        }
    }
}

struct Run<'a> {
    sql: &'a str,
    params: &'a Value,
    options: &'a Options,
    cancel: &'a Cancel,
    deadline: Instant,
}

impl Run<'_> {
    fn on(&self, path: &Path, access: OpenFlags) -> Result<Value, Failure> {
        let connection = self.open(path, access)?;
        let mut statement = connection.prepare(self.sql)?;
        if statement.column_count() == 0 || !statement.readonly() {
            return Err(Failure::Error(Error::InvalidArgument(
                "this is no statement that gives rows: send one SELECT, WITH, VALUES or EXPLAIN statement".into(),
            )));
        }
        bind(&mut statement, self.params)?;
        self.rows(&mut statement)
    }

    fn open(&self, path: &Path, access: OpenFlags) -> Result<Connection, Failure> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_SQL_VALUE)?;
        connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000)?;
        let (cancel, deadline) = (self.cancel.clone(), self.deadline);
        connection.progress_handler(
            STEPS,
            Some(move || cancel.is_cancelled() || Instant::now() > deadline),
        )?;
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS;
        connection.create_scalar_function("guest_path", -1, flags, |context| {
            let path = (0..context.len()).find_map(|i| match context.get_raw(i) {
                ValueRef::Text(argument) => path_of(argument),
                _ => None,
            });
            Ok(path.map(|p| match std::str::from_utf8(p) {
                Ok(path) => SqlValue::Text(path.to_owned()),
                Err(_) => SqlValue::Text(text::escape(p)),
            }))
        })?;
        connection.authorizer(Some(authorize))?;
        Ok(connection)
    }

    fn rows(&self, statement: &mut Statement<'_>) -> Result<Value, Failure> {
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let width = columns.len();
        let limit = self.options.limit.min(MAX_ROWS);
        let max_bytes = self.options.max_bytes.min(MAX_OUTPUT);
        let mut given: Vec<Value> = Vec::new();
        let mut truncated = false;
        let mut bytes = 0;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let cells = (0..width)
                .map(|i| row.get_ref(i).map(cell))
                .collect::<Result<Vec<_>, _>>()?;
            bytes += cells.iter().map(size).sum::<usize>();
            if given.len() >= limit || bytes > max_bytes {
                truncated = true;
                break;
            }
            given.push(cells.into());
        }
        Ok(
            json!({ "columns": columns, "rows": given, "row_count": given.len(), "truncated": truncated }),
        )
    }
}

/// What SQL may do: read tables, call functions, look at the schema.
fn authorize(context: AuthContext<'_>) -> Authorization {
    const SCHEMA: [&str; 9] = [
        "table_info",
        "table_xinfo",
        "table_list",
        "index_list",
        "index_info",
        "index_xinfo",
        "foreign_key_list",
        "function_list",
        "collation_list",
    ];
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => ![
            "load_extension",
            "fts3_tokenizer",
            "readfile",
            "writefile",
            "edit",
        ]
        .iter()
        .any(|refused| function_name.eq_ignore_ascii_case(refused)),
        AuthAction::Pragma { pragma_name, .. } => SCHEMA
            .iter()
            .any(|name| pragma_name.eq_ignore_ascii_case(name)),
        _ => false,
    };
    if allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}

/// Bind positional (array) or named (object) parameters; all of them, and no more.
fn bind(statement: &mut Statement<'_>, params: &Value) -> Result<(), Failure> {
    let wrong = |message: String| Failure::Error(Error::InvalidArgument(message));
    let needed = statement.parameter_count();
    match params {
        Value::Null if needed == 0 => Ok(()),
        Value::Array(values) => {
            if values.len() != needed {
                return Err(wrong(format!(
                    "the query has {needed} parameters, but `params` holds {}",
                    values.len()
                )));
            }
            for (index, value) in values.iter().enumerate() {
                statement.raw_bind_parameter(index + 1, parameter(value).map_err(wrong)?)?;
            }
            Ok(())
        }
        Value::Object(values) => {
            let mut bound = 0;
            for (name, value) in values {
                let candidates = [
                    name.clone(),
                    format!(":{name}"),
                    format!("@{name}"),
                    format!("${name}"),
                ];
                let mut index = None;
                for candidate in &candidates {
                    index = index.or(statement.parameter_index(candidate)?);
                }
                let index =
                    index.ok_or_else(|| wrong(format!("the query has no parameter :{name}")))?;
                statement.raw_bind_parameter(index, parameter(value).map_err(wrong)?)?;
                bound += 1;
            }
            if bound == needed {
                Ok(())
            } else {
                Err(wrong(format!(
                    "the query has {needed} parameters, but `params` gives {bound}"
                )))
            }
        }
        Value::Null => Err(wrong(format!(
            "the query has {needed} parameters: give them as `params`, an array or an object"
        ))),
        _ => Err(wrong(
            "`params` must be an array (for `?`) or an object (for `:name`)".into(),
        )),
    }
}

fn parameter(value: &Value) -> Result<ToSqlOutput<'static>, String> {
    let blob = |value: &Value| -> Option<Vec<u8>> {
        BASE64
            .decode(value.get("base64")?.as_str()?.as_bytes())
            .ok()
    };
    let value = match value {
        Value::Null => SqlValue::Null,
        Value::Bool(b) => SqlValue::Integer((*b).into()),
        Value::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(integer), _) => SqlValue::Integer(integer),
            (None, Some(real)) => SqlValue::Real(real),
            (None, None) => return Err(format!("the number {n} is out of range")),
        },
        Value::String(s) => SqlValue::Text(s.clone()),
        other => SqlValue::Blob(blob(other).ok_or(
            "a parameter must be null, a boolean, a number, a string, or {\"base64\": \"…\"}",
        )?),
    };
    Ok(ToSqlOutput::Owned(value))
}

/// One value as JSON. Integers stay exact; what is no printable UTF-8 becomes base64.
fn cell(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => i.into(),
        ValueRef::Real(r) => {
            serde_json::Number::from_f64(r).map_or_else(|| r.to_string().into(), Value::Number)
        }
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(whole) if whole.len() <= MAX_VALUE => whole.into(),
            _ => bytes_cell(bytes),
        },
        ValueRef::Blob(bytes) => bytes_cell(bytes),
    }
}

fn bytes_cell(bytes: &[u8]) -> Value {
    let shown = bytes.get(..MAX_VALUE).unwrap_or(bytes);
    let whole = shown.get(..text::whole_characters(shown)).unwrap_or(shown);
    let printable = |t: &&str| {
        !t.chars()
            .any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
    };
    let mut cell = match std::str::from_utf8(whole).ok().filter(printable) {
        Some(text) if whole.len() == shown.len() || shown.len() < bytes.len() => {
            json!({ "text": text })
        }
        _ => json!({ "base64": BASE64.encode(shown) }),
    };
    cell["bytes"] = bytes.len().into();
    if shown.len() < bytes.len() {
        cell["cut"] = true.into();
    }
    cell
}

/// About how many bytes a value takes in the answer.
fn size(cell: &Value) -> usize {
    match cell {
        Value::String(s) => s.len() + 2,
        Value::Object(fields) => fields.values().map(size).sum::<usize>() + 24,
        _ => 8,
    }
}
