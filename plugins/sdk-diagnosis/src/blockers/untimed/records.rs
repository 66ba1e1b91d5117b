//! What Penguin's files hold of a run that has no times, each of which may be missing.

use std::collections::BTreeMap;

use rookery_plugin::{CsvOptions, Error, Result, RunResults, SearchOptions};
use serde_json::{Map, Value};

use crate::blockers::literally;
use crate::timeline::{Failure, base, rows};

/// Rows of one kind that are looked at.
const ROWS: u32 = 500;
/// A kernel keeps so many bytes of a program's name.
const NAME: usize = 15;
/// The end of a process that only says how its program went.
const BAD_ENDS: &str = "SELECT DISTINCT s.comm, x.code, x.reason FROM proc_exit x \
                        JOIN proc_start s ON s.pid = x.pid AND s.create_time = x.create_time \
                        WHERE x.code <> 0";

/// What can be read of a file; that another cannot be is said elsewhere, and spoils nothing here.
pub fn readable<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Cancelled) => Err(Error::Cancelled),
        Err(_) => Ok(None),
    }
}

/// A failure and the program whose it is.
pub struct Failed {
    pub program: String,
    pub failure: Failure,
}

/// Calls that failed, the newest first.
pub fn failures(run: &impl RunResults) -> Result<Vec<Failed>> {
    let found = rows::ask(run, include_str!("failures.sql"), ROWS, |row| {
        let arguments = (7..=9).filter_map(|column| rows::text(row, column));
        Some(Failed {
            program: rows::text(row, 0)?,
            failure: Failure {
                call: rows::text(row, 1)?,
                errno: rows::number(row, 2)?,
                path: rows::text(row, 3)?,
                times: u64::try_from(rows::number(row, 4)?).unwrap_or(1),
                last_id: rows::number(row, 5)?,
                elsewhere: rows::number(row, 6)? != 0,
                arguments: arguments.collect(),
                ..Failure::default()
            },
        })
    })?;
    Ok(found.unwrap_or_default())
}

/// How programs ended that did not end well, in words, by the names that the kernel had for them.
pub fn bad_ends(run: &impl RunResults) -> Result<BTreeMap<String, String>> {
    let found = rows::ask(run, BAD_ENDS, ROWS, |row| {
        let reason = rows::text(row, 2)?;
        let how = match reason.strip_prefix("signal:") {
            Some(signal) => format!("died of {signal}"),
            None => format!("ended with {}", rows::number(row, 1)?),
        };
        Some((rows::text(row, 0)?, how))
    })?;
    Ok(found.unwrap_or_default().into_iter().collect())
}

/// The name that the kernel has for a program.
pub fn short_name(program: &str) -> &str {
    let name = base(program);
    &name[..name.floor_char_boundary(NAME)]
}

/// A device that programs did not get.
pub struct Device {
    pub path: String,
    /// `dsad:412`
    pub callers: Vec<String>,
    /// Commands that no driver answered.
    pub ioctls: Vec<u64>,
    pub opened: bool,
    /// One of its callers crashed.
    pub crashing: bool,
}

/// `pseudofiles_failures.yaml`, in its order.
pub fn devices(run: &impl RunResults) -> Result<Vec<Device>> {
    let mut devices = Vec::new();
    let read = run.each_entry("pseudofiles_failures.yaml", &mut |path, entry| {
        if devices.len() < ROWS as usize {
            devices.push(Device::read(path, &entry));
        }
    });
    readable(read)?;
    Ok(devices)
}

impl Device {
    fn read(path: String, entry: &Value) -> Self {
        let impact = |name: &str| entry["impact"][name].as_u64().unwrap_or(0) > 0;
        let callers = entry["callers"].as_array().into_iter().flatten();
        let ioctls = entry["events"]["ioctl"].as_object().into_iter().flatten();
        Self {
            path,
            callers: callers
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            ioctls: ioctls
                .filter_map(|(number, _)| number.parse().ok())
                .collect(),
            opened: entry["events"].get("open").is_some(),
            crashing: impact("crashing_callers") || impact("crashing_callers_by_name"),
        }
    }
}

/// Interfaces that a program asked for and did not get: the name, and whether the interface is
/// there and only has no address.
pub fn interfaces(run: &impl RunResults) -> Result<Vec<(String, bool)>> {
    let options = CsvOptions {
        columns: ["ioctl", "interface", "result"].map(str::to_owned).into(),
        limit: Some(ROWS),
        ..CsvOptions::default()
    };
    let table = readable(run.read_csv("iface_ioctl.log", &options))?.unwrap_or_default();
    let text = |row: &Map<String, Value>, name: &str| {
        let cell = row.get(name).and_then(Value::as_str).unwrap_or_default();
        cell.trim().to_owned()
    };
    let lacks = |row: &Map<String, Value>| match text(row, "result").as_str() {
        "-19" => Some((text(row, "interface"), false)),
        // As most architectures and as MIPS number it.
        "-99" | "-126" => Some((text(row, "interface"), true)),
        _ => None,
    };
    let mut found: Vec<_> = table.rows.iter().filter_map(lacks).collect();
    found.dedup();
    Ok(found)
}

/// Boot arguments and variables that programs looked for and did not find.
pub fn missing_env(run: &impl RunResults) -> Result<Vec<String>> {
    let file = readable(run.read_yaml("env_missing.yaml"))?.unwrap_or_default();
    let names = file.as_array().into_iter().flatten();
    Ok(names.filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Where a script that Penguin traced names something: `/etc/init.d/rcS:7`.
pub fn traced(run: &impl RunResults, name: &str) -> Result<Option<String>> {
    let Some(pattern) = literally(name) else {
        return Ok(None);
    };
    let options = SearchOptions::newest(1);
    let found = readable(run.search("shell_cov_trace.csv", &pattern, &options))?;
    let line = found.and_then(|found| found.matches.into_iter().next());
    let place = line.and_then(|line| Some(line.text.split_once(',')?.0.to_owned()));
    Ok(place.filter(|place| place.starts_with('/')))
}
