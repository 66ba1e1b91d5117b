//! The result files as types, taken field by field: one odd field spoils no other.

use serde_json::Value;

/// Notes that are shown.
const NOTES: usize = 10;

/// `rookery_run.json`, which Rookery's own backends leave.
#[derive(Default)]
pub struct Record {
    /// The run.
    pub run_id: Option<String>,
    /// `user` or `penguin`.
    pub backend: Option<String>,
    /// The first program.
    pub init: Option<String>,
    /// How it ended, in words.
    pub outcome: Option<String>,
    /// The guest ended by itself, before the deadline.
    pub guest_ended: bool,
    /// The program of the guest's that asked for a reboot.
    pub rebooted: Option<String>,
    /// What the backend could not honour.
    pub notes: Vec<String>,
    /// How long the guest ran, in milliseconds.
    pub guest_ms: Option<i64>,
}

impl Record {
    /// The file, field by field.
    pub fn read(file: &Value) -> Self {
        let text = |name: &str| file.get(name).and_then(Value::as_str).map(str::to_owned);
        let outcome = file
            .get("outcome")
            .map_or(&Value::Null, |outcome| {
                outcome.get("outcome").unwrap_or(outcome)
            })
            .as_str();
        let notes = list(file.get("notes")).filter_map(Value::as_str);
        Self {
            run_id: text("run_id"),
            backend: text("backend"),
            init: text("init"),
            outcome: text("reason").or_else(|| outcome.map(str::to_owned)),
            guest_ended: outcome == Some("guest-ended"),
            rebooted: rebooted(file, outcome),
            guest_ms: file
                .get("guest_s")
                .and_then(Value::as_f64)
                .map(milliseconds),
            notes: notes.take(NOTES).map(str::to_owned).collect(),
        }
    }
}

/// Seconds as milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a number out of range saturates"
)]
pub fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

/// The program that asked for the reboot that ended the run, or for one before.
fn rebooted(file: &Value, outcome: Option<&str>) -> Option<String> {
    let last = file.pointer("/outcome/program").and_then(Value::as_str);
    let last = last.filter(|_| outcome == Some("rebooted"));
    let before = file.pointer("/faked/reboot").and_then(Value::as_object);
    let program = last.or_else(|| before?.keys().next().map(String::as_str));
    program.map(str::to_owned)
}

/// Sockets that services bound.
pub struct Sockets {
    /// Up at some time.
    pub bound: usize,
    /// Up when the run ended.
    pub listening: usize,
}

/// `summary.json`, which is there only if the run completed.
#[derive(Default)]
pub struct Summary {
    pub score: Option<f64>,
    pub panic: Option<bool>,
    pub sockets: Option<Sockets>,
}

impl Summary {
    pub fn read(file: &Value) -> Self {
        Self {
            score: file.get("score").and_then(number),
            panic: file.get("panic").and_then(flag),
            sockets: file
                .get("binds")
                .and_then(Value::as_array)
                .and_then(|binds| sockets(binds)),
        }
    }
}

/// None where no record says anything, though there are some.
fn sockets(binds: &[Value]) -> Option<Sockets> {
    let bound = binds.iter().filter(|bind| bind.is_object()).count();
    let listens = |bind: &&Value| {
        bind.is_object()
            && bind
                .get("state")
                .and_then(Value::as_str)
                .is_none_or(|state| state == "listening")
    };
    (bound > 0 || binds.is_empty()).then(|| Sockets {
        bound,
        listening: binds.iter().filter(listens).count(),
    })
}

/// One record of `crashes.yaml`.
pub struct Crash {
    /// The program.
    pub proc: String,
    /// `SIGSEGV`
    pub signame: String,
    /// At least one.
    pub count: u64,
    /// What it had asked for, the newest last. Penguin does not tell.
    pub last_calls: Vec<String>,
}

impl Crash {
    /// All records of the file, whose list may stand by itself.
    pub fn read_all(file: &Value) -> Option<Vec<Self>> {
        let records = file.get("crashes").unwrap_or(file).as_array()?;
        let text = |record: &Value, name: &str| record.get(name).and_then(text).unwrap_or_default();
        Some(
            records
                .iter()
                .filter(|record| record.is_object())
                .map(|record| Self {
                    proc: text(record, "proc"),
                    signame: text(record, "signame"),
                    count: record
                        .get("count")
                        .and_then(Value::as_u64)
                        .unwrap_or(1)
                        .max(1),
                    last_calls: record
                        .get("last_calls")
                        .and_then(Value::as_array)
                        .map(|calls| calls.iter().filter_map(self::text).collect())
                        .unwrap_or_default(),
                })
                .collect(),
        )
    }
}

/// A finite number, also one that stands as text.
pub fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    };
    number.filter(|number: &f64| number.is_finite())
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        other => number(other).map(|number| number != 0.0),
    }
}

/// A name, also one that reads as a number.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_odd_field_spoils_no_other() {
        let summary = Summary::read(&json!({ "score": "24.0", "panic": true, "binds": [1, 2] }));
        assert_eq!((summary.score, summary.panic), (Some(24.0), Some(true)));
        assert!(
            summary.sockets.is_none(),
            "records that say nothing are no zero"
        );
        let summary =
            Summary::read(&json!({ "score": null, "panic": null, "binds": [{ "port": 80 }, 7] }));
        assert_eq!((summary.score, summary.panic), (None, None));
        assert_eq!(
            summary.sockets.map(|s| (s.bound, s.listening)),
            Some((1, 1))
        );
        assert_eq!(Summary::read(&json!({ "score": "NaN" })).score, None);
    }

    #[test]
    fn one_odd_record_loses_no_other() {
        let file = json!({
            "crashes": [
                { "proc": "a", "signame": "SIGSEGV", "count": null },
                { "proc": 123, "count": -4 },
                { "proc": "c", "count": 3 },
                7
            ]
        });
        let crashes: Vec<(String, u64)> = Crash::read_all(&file)
            .unwrap()
            .into_iter()
            .map(|crash| (crash.proc, crash.count))
            .collect();
        assert_eq!(
            crashes,
            [("a".into(), 1), ("123".into(), 1), ("c".into(), 3)]
        );
        assert_eq!(Crash::read_all(&json!([{ "proc": "a" }])).unwrap().len(), 1);
        assert!(Crash::read_all(&json!("x")).is_none());
    }
}
