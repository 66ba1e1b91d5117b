//! Large results, made on the spot: a project with a 100 MB console.log and a million-row
//! plugins.db.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use rusqlite::{Connection, params};

/// The result directory of a finished run, below `root`.
pub fn results(root: &Path) -> Result<PathBuf> {
    let project = root.join("big");
    let results = project.join("results/0");
    fs::create_dir_all(&results)?;
    fs::write(
        project.join("config.yaml"),
        "core: {version: 2, arch: armel}\n",
    )?;
    fs::write(results.join(".ran"), "")?;
    Ok(results)
}

/// Lines such as a busy guest prints, about 100 MB.
pub fn console(results: &Path) -> Result<PathBuf> {
    let file = results.join("console.log");
    if !file.exists() {
        let mut out = BufWriter::new(fs::File::create(&file)?);
        for i in 0..1_600_000_u32 {
            let program = ["httpd", "dnsmasq", "syslogd", "init"][(i % 4) as usize];
            let what = match i {
                _ if i % 9973 == 0 => "cannot open /dev/mtd0: No such file or directory",
                _ if i % 7 == 0 => "request served, 200",
                _ => "tick",
            };
            writeln!(
                out,
                "[{:>10}.{:06}] {program}[{}]: {what} seq={i}",
                i / 1000,
                i % 1_000_000,
                100 + i % 50
            )?;
        }
        out.flush()?;
    }
    Ok(file)
}

/// A million syscall rows as Penguin's database plugin writes them, one in fifty an ENOENT.
pub fn database(results: &Path) -> Result<PathBuf> {
    let file = results.join("plugins.db");
    if file.exists() {
        return Ok(file);
    }
    let mut db = Connection::open(&file)?;
    let arguments: Vec<String> = (0..6)
        .map(|n| format!("arg{n} INTEGER NOT NULL, arg{n}_repr VARCHAR NOT NULL"))
        .collect();
    db.execute_batch(&format!(
        "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;
         CREATE TABLE event(id INTEGER PRIMARY KEY, type VARCHAR NOT NULL, procname VARCHAR NOT \
         NULL, proc_id INTEGER NOT NULL);
         CREATE TABLE syscall(id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, retno INTEGER NOT \
         NULL, retno_repr VARCHAR NOT NULL, {});",
        arguments.join(", ")
    ))?;
    let transaction = db.transaction()?;
    {
        let mut event = transaction.prepare("INSERT INTO event VALUES(?, 'syscall', ?, 0)")?;
        let mut syscall = transaction.prepare(
            "INSERT INTO syscall VALUES(?, ?, ?, ?, 4294967196, \
            'dfd=0xffffff9c', ?, ?, 0, 'flags=0x0', 0, '', 0, '', 0, '')",
        )?;
        let processes = ["/usr/sbin/httpd", "/bin/sh", "/sbin/init", "/usr/sbin/dsad"];
        for (i, process) in (0..1_000_000_i64).zip(processes.into_iter().cycle()) {
            let missing = i % 50 == 0;
            let path = format!(
                "filename=0x7e9f{:04x}(\"/etc/file-{}\")",
                i % 65536,
                if missing { i % 700 } else { i % 5000 }
            );
            event.execute(params![i + 1, process])?;
            let (result, text) = if missing {
                (-2, "ENOENT(No such file or directory)")
            } else {
                (3, "0x3")
            };
            syscall.execute(params![
                i + 1,
                "sys_openat",
                result,
                text,
                0x7e9f_0000_i64 + i % 65536,
                path
            ])?;
        }
    }
    transaction.commit()?;
    Ok(file)
}
