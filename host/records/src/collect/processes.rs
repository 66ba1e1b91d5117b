//! `system_map.yaml`: the guest's processes, who started whom, and how each ended.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::collect::collector::Collector;
use crate::collect::crashes::ending;
use crate::event::{Event, What};
use crate::file::{one_line, write_atomic};

const MAX_PROCESSES: usize = 5000;
const MAX_DEPTH: usize = 64;

#[derive(Debug, Serialize)]
struct Process {
    pid: u32,
    ppid: u32,
    name: String,
    /// Milliseconds since the start of init.
    create_time: u128,
    uid: u32,
    gid: u32,
    euid: u32,
    egid: u32,
    exec_count: u32,
    exit: Option<Exit>,
}

#[derive(Debug, Serialize)]
struct Exit {
    code: i32,
    reason: String,
}

#[derive(Serialize)]
struct Map<'a> {
    schema_version: u32,
    generated_by: &'static str,
    process_count: usize,
    processes: &'a [Process],
    tree: String,
}

pub(super) struct Processes {
    path: PathBuf,
    seen: Vec<Process>,
    /// The newest process of each pid, while it lives.
    alive: HashMap<u32, usize>,
    dropped: u64,
}

impl Processes {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            path: directory.join("system_map.yaml"),
            seen: Vec::new(),
            alive: HashMap::new(),
            dropped: 0,
        }
    }

    /// The index of the event's process, entered on first sight.
    fn find(&mut self, event: &Event) -> Option<usize> {
        let process = &event.process;
        if process.pid == 0 {
            return None;
        }
        if let Some(&index) = self.alive.get(&process.pid) {
            return Some(index);
        }
        if self.seen.len() >= MAX_PROCESSES {
            self.dropped += 1;
            return None;
        }
        let index = self.seen.len();
        self.seen.push(Process {
            pid: process.pid,
            ppid: process.ppid,
            name: one_line(&process.name),
            create_time: event.at.as_millis(),
            uid: 0,
            gid: 0,
            euid: 0,
            egid: 0,
            exec_count: 0,
            exit: None,
        });
        self.alive.insert(process.pid, index);
        Some(index)
    }

    fn tree(&self) -> String {
        let mut index_of = HashMap::new();
        let mut children: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for (index, process) in self.seen.iter().enumerate() {
            // The parent is the newest process with its number that was there before: so a tree has
            // no circles.
            children
                .entry(index_of.get(&process.ppid).copied())
                .or_default()
                .push(index);
            index_of.insert(process.pid, index);
        }
        let mut text = String::new();
        self.branch(&mut text, &children, None, "", 0);
        text
    }

    fn branch(
        &self,
        text: &mut String,
        children: &BTreeMap<Option<usize>, Vec<usize>>,
        parent: Option<usize>,
        indent: &str,
        depth: usize,
    ) {
        let Some(branch) = children.get(&parent).filter(|_| depth < MAX_DEPTH) else {
            return;
        };
        for (position, &index) in branch.iter().enumerate() {
            let Some(process) = self.seen.get(index) else {
                continue;
            };
            let last = position + 1 == branch.len();
            let mark = match (depth, last) {
                (0, _) => "",
                (_, true) => "`- ",
                (_, false) => "|- ",
            };
            let exit = process
                .exit
                .as_ref()
                .map(|exit| format!(" [exit: {}]", exit.code))
                .unwrap_or_default();
            let _ = writeln!(
                text,
                "{indent}{mark}{} ({}){exit}",
                process.name, process.pid
            );
            let below = match (depth, last) {
                (0, _) => String::new(),
                (_, true) => format!("{indent}   "),
                (_, false) => format!("{indent}|  "),
            };
            self.branch(text, children, Some(index), &below, depth + 1);
        }
    }
}

impl Collector for Processes {
    fn event(&mut self, event: &Event) {
        match &event.what {
            What::Exec { result: 0, .. } => {
                let index = self.find(event);
                if let Some(process) = index.and_then(|index| self.seen.get_mut(index)) {
                    process.exec_count += 1;
                    process.name = one_line(&event.process.name);
                }
            }
            What::Exit { code, signal } => {
                let index = self.find(event);
                self.alive.remove(&event.process.pid);
                if let Some(process) = index.and_then(|index| self.seen.get_mut(index)) {
                    let (code, reason) = ending(*code, *signal);
                    process.exit = Some(Exit { code, reason });
                }
            }
            // A daemon that serves may have been forked and have executed nothing.
            What::Listen { .. } => {
                self.find(event);
            }
            _ => {}
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _now: Duration) -> io::Result<()> {
        let map = Map {
            schema_version: 1,
            generated_by: "processes",
            process_count: self.seen.len(),
            processes: &self.seen,
            tree: self.tree(),
        };
        let text = serde_yaml::to_string(&map).map_err(io::Error::other)?;
        write_atomic(&self.path, text.as_bytes())
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("system_map.yaml", self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;

    #[test]
    fn processes_form_a_tree_even_where_pids_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut processes = Processes::new(directory.path());
        let exec = || What::Exec {
            path: "/x".into(),
            argv: Vec::new(),
            envp: Vec::new(),
            result: 0,
        };
        let mut happen = |pid, ppid, name: &str, what| {
            let process = event::Process {
                pid,
                ppid,
                name: name.into(),
                ..event::Process::default()
            };
            processes.event(&Event {
                at: Duration::from_millis(137),
                process,
                what,
            });
        };
        happen(1, 0, "init", exec());
        happen(88, 1, "sh", exec());
        happen(90, 88, "mount", exec());
        happen(
            90,
            88,
            "mount",
            What::Exit {
                code: Some(32),
                signal: None,
            },
        );
        happen(90, 88, "dsad", exec());
        happen(
            90,
            88,
            "dsad",
            What::Exit {
                code: None,
                signal: Some(11),
            },
        );
        happen(91, 1, "httpd", exec());
        let listen = What::Listen {
            proto: "tcp",
            ip: "0.0.0.0".parse().unwrap(),
            port: 80,
        };
        happen(92, 1, "forked", listen);
        processes.finish(Duration::ZERO).unwrap();
        let text = std::fs::read_to_string(directory.path().join("system_map.yaml")).unwrap();
        assert!(
            text.starts_with(
                "schema_version: 1\ngenerated_by: processes\nprocess_count: 6\n\
            processes:\n- pid: 1\n  ppid: 0\n  name: init\n  create_time: 137\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("  exit:\n    code: 139\n    reason: signal:SIGSEGV\n"),
            "{text}"
        );
        assert!(text.contains("  exit: null\n"), "{text}");
        let tree = "tree: |\n  init (1)\n  |- sh (88)\n  |  |- mount (90) [exit: 32]\n  |  `- dsad \
            (90) [exit: 139]\n  |- httpd (91)\n  `- forked (92)\n";
        assert!(text.ends_with(tree), "{text}");
    }
}
