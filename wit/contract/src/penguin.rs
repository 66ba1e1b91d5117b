//! What of Penguin both the host and the tools have to know.

/// Plugins that record missing boot arguments, and programs and system calls in the database. Both
/// Penguin and the embedded backend write a result file only where its plugin is on.
pub const DIAGNOSTICS: [&str; 5] = ["env", "db", "exec_logger", "syscalls_logger", "processes"];

/// The tables of a run's `plugins.db`. Penguin's have no `time_ms`.
pub const DATABASE_TABLES: &str = "
CREATE TABLE event (id INTEGER NOT NULL, type VARCHAR NOT NULL, procname VARCHAR NOT NULL, \
proc_id INTEGER NOT NULL, time_ms INTEGER, PRIMARY KEY (id));
CREATE TABLE read (id INTEGER NOT NULL, fd INTEGER NOT NULL, fname VARCHAR NOT NULL, buffer BLOB,
    PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
CREATE TABLE write (id INTEGER NOT NULL, fd INTEGER NOT NULL, fname VARCHAR, buffer BLOB,
    PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
CREATE TABLE syscall (id INTEGER NOT NULL, name VARCHAR NOT NULL, retno INTEGER, retno_repr VARCHAR,
    arg0 INTEGER, arg0_repr VARCHAR, arg1 INTEGER, arg1_repr VARCHAR, arg2 INTEGER, \
    arg2_repr VARCHAR,
    arg3 INTEGER, arg3_repr VARCHAR, arg4 INTEGER, arg4_repr VARCHAR, arg5 INTEGER, \
    arg5_repr VARCHAR,
    PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
CREATE TABLE exec (id INTEGER NOT NULL, calltree VARCHAR NOT NULL, argc VARCHAR NOT NULL, \
argv VARCHAR NOT NULL,
    envp VARCHAR NOT NULL, euid INTEGER NOT NULL, egid INTEGER NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
CREATE TABLE proc_start (id INTEGER NOT NULL, pid INTEGER NOT NULL, ppid INTEGER NOT NULL, \
create_time INTEGER NOT NULL,
    comm VARCHAR NOT NULL, uid INTEGER NOT NULL, gid INTEGER NOT NULL, euid INTEGER NOT NULL, \
    egid INTEGER NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
CREATE TABLE proc_exit (id INTEGER NOT NULL, pid INTEGER NOT NULL, create_time INTEGER NOT NULL, \
code INTEGER NOT NULL,
    reason VARCHAR NOT NULL, PRIMARY KEY (id), FOREIGN KEY(id) REFERENCES event (id));
";
