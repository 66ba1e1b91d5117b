//! How each of Penguin's tables is written: with or without quoting, with or without a header.

/// A table's dialect.
pub(crate) struct Table {
    /// Written by a CSV library, with quoting.
    pub quoted: bool,
    /// The columns of every layout that was ever written, the newest last. Older files have no
    /// header, some never had one.
    layouts: &'static [&'static [&'static str]],
    /// Which field holds one of a few fixed words. Tells where a record begins, as the value after
    /// it may hold line ends.
    pub anchor: Option<fn(&str) -> bool>,
}

impl Table {
    /// The columns of a file whose first record is no header; none where it is one.
    pub(crate) fn columns_without_header(
        &self,
        first: &[String],
    ) -> Option<&'static [&'static str]> {
        let newest = self.newest();
        let known = first
            .iter()
            .filter(|field| newest.contains(&field.trim()))
            .count();
        // A guest may name a process like a column.
        if newest.is_empty() || known * 2 >= first.len() {
            return None;
        }
        let fits = |layout: &&&[&str]| layout.len() <= first.len();
        let layout = self.layouts.iter().filter(fits).max_by_key(|l| l.len());
        layout.or(self.layouts.first()).copied()
    }

    /// The columns that are written today; none of a table that nobody knows.
    pub(crate) fn newest(&self) -> &'static [&'static str] {
        self.layouts.last().copied().unwrap_or_default()
    }
}

/// The column that says where a value of the NVRAM is from.
pub(crate) const ORIGIN: &str = "origin";

/// Columns whose values the guest chooses; the first of them that a table has is its free column.
const FREE: [&str; 8] = [
    "procname",
    "contents",
    "envs",
    "value",
    "source",
    "filename",
    "filename:lineno",
    "iface",
];

pub(crate) fn free_column(columns: &[String]) -> Option<usize> {
    FREE.iter()
        .find_map(|free| columns.iter().position(|c| c == free))
}

#[rustfmt::skip] // One layout a line.
const NETBINDS: &[&[&str]] = &[
    &["procname", "ipvn", "domain", "guest_ip", "guest_port"],
    &["procname", "ipvn", "domain", "guest_ip", "guest_port", "time"],
    &["procname", "ipvn", "domain", "guest_ip", "guest_port", "pid", "time"],
    &[
        "procname", "ipvn", "domain", "guest_ip", "guest_port", "pid", "time",
        "state", "closed_time",
    ],
];
/// Penguin has no `origin`.
const NVRAM: &[&[&str]] = &[
    &["key", "operation", "value"],
    &["key", "operation", "value", ORIGIN],
];
#[rustfmt::skip]
const LIFECYCLE: &[&str] = &[
    "procname", "ipvn", "domain", "guest_ip", "guest_port", "pid", "state", "transient",
    "open_count", "close_count", "flap_count", "first_open", "last_close", "total_uptime",
];
#[rustfmt::skip]
const EVENTS: &[&str] = &[
    "event", "procname", "ipvn", "domain", "guest_ip", "guest_port", "pid", "time",
];
#[rustfmt::skip]
const BRIDGES: &[&str] = &["procname", "ipvn", "domain", "guest_ip", "guest_port", "host_port"];

/// The table in a file of this name.
pub(crate) fn table(file: &str) -> Table {
    let layouts: &[&[&str]] = match file {
        "netbinds.csv" => NETBINDS,
        "netbinds_summary.csv" => &[&["n_procs", "n_sockets", "bound_www", "time"]],
        "netbind_events.csv" => &[EVENTS],
        "netbinds_lifecycle.csv" => &[LIFECYCLE],
        "vpn_bridges.csv" => &[BRIDGES],
        "lifeguard.csv" => &[&["signal", "target_process", "blocked", "mechanism"]],
        "console_times.csv" => &[&["line", "time_ms"]],
        "mounts.csv" => &[&["source", "target", "fs", "retval"]],
        "iface_ioctl.log" => &[&["ioctl", "iface", "retval"]],
        "nvram.csv" => NVRAM,
        "shell_cov.csv" => &[&["filename", "lineno", "pid"]],
        "shell_cov_trace.csv" => &[&["filename:lineno", "contents"]],
        "shell_env.csv" => &[&["filename", "lineno", "pid", "envs"]],
        "scores.txt" => &[&["score_type", "score"]],
        _ => &[],
    };
    Table {
        quoted: layouts.is_empty(),
        layouts,
        anchor: (file == "nvram.csv").then_some(|field: &str| {
            matches!(field, "hit" | "miss" | "set" | "clear" | "operation")
        }),
    }
}
