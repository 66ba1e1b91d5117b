//! Why a query failed, in words.

use rusqlite::ErrorCode;

use super::limits::{HEAP, MAX_BUILT};
use crate::penguin::result_files::DATABASE as FILE;
use crate::{Error, Unavailable};
use rookery_contract::text;

pub(super) enum Failure {
    Sql(rusqlite::Error),
    Error(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Failure {
    /// The error for the caller; `stopped` says why the query was interrupted.
    pub(super) fn explain(self, stopped: impl FnOnce() -> Error) -> Error {
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
            ErrorCode::OperationInterrupted => stopped(),
            ErrorCode::AuthorizationForStatementDenied => Error::Denied(format!(
                "{FILE} is read-only ({words}): send one SELECT, WITH, VALUES or EXPLAIN statement"
            )),
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Error::Conflict(format!(
                "{FILE} is being written by a run ({words}): try again in a moment"
            )),
            ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => {
                Error::Unavailable(Unavailable::damaged(
                    FILE,
                    format!("{words}, as after a run that was killed or a copy that was cut off"),
                    "Run the project again, or copy the file again",
                ))
            }
            ErrorCode::TooBig => Error::Limit(format!(
                "a value is longer than {MAX_BUILT} bytes ({words}): use substr() or a LIMIT \
                 where the query builds it; where it is stored, select it without text functions \
                 or leave it out by octet_length(column) < {MAX_BUILT}"
            )),
            ErrorCode::OutOfMemory => Error::Limit(format!(
                "the query needs too much memory ({words}; all queries together may take {} MiB): \
                 group or sort fewer rows, or shorter values; if other queries ran at the same \
                 time, try again",
                HEAP >> 20
            )),
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied => {
                Error::Internal(format!("cannot read {FILE}: {words}"))
            }
            _ => Error::InvalidArgument(format!(
                "the query failed: {words}. Tables: event(id, type, procname, proc_id), syscall, \
                 exec, read, write, proc_start, proc_exit, each with event's id; `SELECT sql FROM \
                 sqlite_master` shows them"
            )),
        }
    }
}
