//! A run, told event by event.

use super::rows::{Exit, Newest, Start};
use super::*;

/// Events in their order.
pub struct Story {
    recorded: Recorded,
    id: Id,
}

impl Story {
    /// `/sbin/init` was started.
    pub fn new() -> Self {
        let story = Self {
            recorded: Recorded {
                starts: Vec::new(),
                execs: Vec::new(),
                exits: Vec::new(),
                newest: Vec::new(),
                failures: Vec::new(),
                kills: Vec::new(),
            },
            id: 0,
        };
        story.runs(1, 0, 0, &["/sbin/init"])
    }

    fn next(&mut self) -> Id {
        self.id += 1;
        self.id
    }

    /// A copy of its parent.
    pub fn forked(mut self, pid: i64, parent: i64, at: i64) -> Self {
        let id = self.next();
        let name = String::new();
        self.recorded.starts.push(Start {
            id,
            pid,
            ppid: parent,
            at,
            name,
        });
        self.recorded.newest.push(Newest { pid, at, id });
        self
    }

    /// A program that was started.
    pub fn runs(self, pid: i64, parent: i64, at: i64, argv: &[&str]) -> Self {
        self.forked(pid, parent, at).becomes(pid, argv)
    }

    /// A process that is there executes a program.
    pub fn becomes(mut self, pid: i64, argv: &[&str]) -> Self {
        let id = self.next();
        let argv = argv.iter().map(|text| (*text).to_owned()).collect();
        self.recorded.execs.push(Exec { id, pid, argv });
        self
    }

    pub fn ends(mut self, pid: i64, at: i64, code: i64, reason: &str) -> Self {
        let id = self.next();
        let reason = reason.to_owned();
        self.recorded.exits.push(Exit {
            id,
            pid,
            at,
            code,
            reason,
        });
        self
    }

    /// A call that failed, so often between two times.
    pub fn fails(
        mut self,
        pid: i64,
        (call, errno, path): (&str, i64, &str),
        (times, first, last): (u64, i64, i64),
    ) -> Self {
        let id = self.next();
        let arguments = match call {
            "ioctl" => vec![
                "fd=0x3".into(),
                "cmd=0x8915".into(),
                format!("arg=0x0(\"{path}\")"),
            ],
            _ => Vec::new(),
        };
        self.recorded.failures.push(Failure {
            pid,
            call: format!("sys_{call}"),
            errno,
            path: if call == "ioctl" {
                String::new()
            } else {
                path.to_owned()
            },
            arguments,
            times,
            first,
            last,
            last_id: id,
            elsewhere: false,
        });
        self.recorded.newest.push(Newest { pid, at: last, id });
        self
    }

    /// All of it, until the run was over.
    pub fn until(self, over: i64) -> Timeline {
        let mut timeline = Timeline::of(self.recorded, Some(over));
        timeline.find_scripts(None::<&rookery_plugin::testing::FakeHost>);
        timeline
    }
}

#[test]
fn a_number_that_comes_back_is_another_process() {
    let timeline = Story::new()
        .runs(7, 1, 10, &["/bin/a"])
        .ends(7, 20, 1, "exit_group")
        .runs(7, 1, 30, &["/bin/b"])
        .fails(7, ("open", -2, "/etc/b"), (1, 40, 40))
        .forked(8, 7, 50)
        .until(100);
    let names: Vec<_> = timeline.processes.iter().map(Process::name).collect();
    assert_eq!(names, ["init", "a", "b", "b"]);
    let (a, b) = (&timeline.processes[1], &timeline.processes[2]);
    assert!(a.end.is_some() && a.failures.is_empty());
    assert!(b.end.is_none() && b.failures.len() == 1);
    let parents: Vec<_> = timeline.ancestors(3).map(Process::name).collect();
    assert_eq!(parents, ["b", "init"]);
}

#[test]
fn what_a_process_did_before_it_became_its_program_is_not_its_programs() {
    let timeline = Story::new()
        .forked(2, 1, 5)
        .fails(2, ("access", -2, "/.init_enable_core"), (1, 6, 6))
        .becomes(2, &["/bin/sh", "/etc/init.d/rcS"])
        .until(100);
    assert!(
        timeline
            .processes
            .iter()
            .all(|process| process.failures.is_empty())
    );
    assert_eq!(timeline.processes[1].script(), Some("/etc/init.d/rcS"));
}
