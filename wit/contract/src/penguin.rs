//! What of Penguin both the host and the tools have to know.

/// Plugins that record missing boot arguments, and programs and system calls in the database. Both
/// Penguin and the embedded backend write a result file only where its plugin is on.
pub const DIAGNOSTICS: [&str; 5] = ["env", "db", "exec_logger", "syscalls_logger", "processes"];
