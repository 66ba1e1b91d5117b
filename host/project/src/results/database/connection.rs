//! One connection for one query: what it may do, and how much.

use std::path::Path;
use std::time::Instant;

use rookery_contract::guest_path::path_of;
use rookery_contract::options::QueryOptions;
use rookery_contract::shapes::Rows;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::{Value as SqlValue, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};
use serde_json::Value;

use super::cells::{cell, size};
use super::failure::Failure;
use super::limits::{BUSY, HEAP, MAX_BUILT};
use super::params::bind;
use crate::{Cancel, Error};
use rookery_contract::text;

/// The longest value that is read as it is stored, in bytes.
const MAX_STORED: i32 = 64 << 20;
/// The longest pattern of `LIKE` and `GLOB`, whose cost grows with it.
const MAX_PATTERN: i32 = 100;
/// Steps of the query's program between two looks at the clock: few, as one may be a call that
/// takes long.
const STEPS: i32 = 50;

pub(super) struct Run<'a> {
    pub sql: &'a str,
    pub params: &'a Value,
    pub options: &'a QueryOptions,
    pub cancel: &'a Cancel,
    pub deadline: Instant,
}

impl Run<'_> {
    /// Run it on the database at `path`, which may be an URI.
    pub(super) fn on(&self, path: &Path, access: OpenFlags) -> Result<Rows, Failure> {
        match self.within(path, access, Values::Built) {
            // A long value that is only handed on costs nothing more.
            Err(Failure::Sql(error)) if is_too_big(&error) => self
                .within(path, access, Values::Stored)
                .map_err(|_| Failure::Sql(error)),
            outcome => outcome,
        }
    }

    /// Why the query was interrupted.
    pub(super) fn stopped(&self) -> Error {
        if self.cancel.is_cancelled() {
            return Error::Cancelled;
        }
        Error::Limit(format!(
            "the query ran longer than {} ms: filter by type or name first, avoid joins without a \
             condition, or add a LIMIT",
            self.options.timeout_ms()
        ))
    }

    fn within(&self, path: &Path, access: OpenFlags, values: Values) -> Result<Rows, Failure> {
        let connection = self.open(path, access, values)?;
        let mut statement = connection.prepare(self.sql)?;
        if statement.column_count() == 0 || !statement.readonly() {
            return Err(Failure::Error(Error::InvalidArgument(
                "this statement gives no rows: send one SELECT, WITH, VALUES or EXPLAIN statement"
                    .into(),
            )));
        }
        bind(&mut statement, self.params)?;
        self.rows(&mut statement)
    }

    fn open(&self, path: &Path, access: OpenFlags, values: Values) -> Result<Connection, Failure> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.pragma_update(None, "hard_heap_limit", HEAP)?;
        // Else sorting writes files, of any size, where no limit of ours counts them.
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, values.longest())?;
        connection.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, 1 << 20)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN)?;
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
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            authorize(&context, values)
        }))?;
        Ok(connection)
    }

    fn rows(&self, statement: &mut Statement<'_>) -> Result<Rows, Failure> {
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let width = columns.len();
        let limit = self.options.limit.min(QueryOptions::MAX_ROWS) as usize;
        let max_bytes = self.options.bytes() as usize;
        let mut given: Vec<Vec<Value>> = Vec::new();
        let mut truncated = false;
        let mut bytes = 0;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            // The handler is called between steps: few rows of long work are few steps.
            if self.cancel.is_cancelled() || Instant::now() > self.deadline {
                return Err(Failure::Error(self.stopped()));
            }
            let cells = (0..width)
                .map(|i| row.get_ref(i).map(cell))
                .collect::<Result<Vec<_>, _>>()?;
            bytes += cells.iter().map(size).sum::<usize>();
            if given.len() >= limit || bytes > max_bytes {
                truncated = true;
                break;
            }
            given.push(cells);
        }
        Ok(Rows {
            columns,
            row_count: given.len() as u64,
            rows: given,
            truncated,
            elapsed_ms: 0,
        })
    }
}

/// Which values a query works on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    /// Any, by any function.
    Built,
    /// Longer ones, by functions only that make none and take no longer than reading them.
    Stored,
}

impl Values {
    fn longest(self) -> i32 {
        match self {
            Self::Built => MAX_BUILT,
            Self::Stored => MAX_STORED,
        }
    }

    fn allow(self, function: &str) -> bool {
        const CHEAP: [&str; 16] = [
            "abs",
            "avg",
            "coalesce",
            "count",
            "guest_path",
            "ifnull",
            "iif",
            "length",
            "max",
            "min",
            "nullif",
            "octet_length",
            "substr",
            "substring",
            "sum",
            "typeof",
        ];
        const REFUSED: [&str; 5] = [
            "load_extension",
            "fts3_tokenizer",
            "readfile",
            "writefile",
            "edit",
        ];
        let is_in = |names: &[&str]| names.iter().any(|name| function.eq_ignore_ascii_case(name));
        match self {
            Self::Built => !is_in(&REFUSED),
            Self::Stored => is_in(&CHEAP),
        }
    }
}

fn is_too_big(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::TooBig)
}

/// What SQL may do: read tables, call functions, look at the schema.
fn authorize(context: &AuthContext<'_>, values: Values) -> Authorization {
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
        AuthAction::Function { function_name } => values.allow(function_name),
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
