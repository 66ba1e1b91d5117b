//! The tree of processes as rows, each with its depth: a guest can make a tree as deep as it
//! likes.

use serde::Serialize;

use crate::processes::{Fate, Process, Processes};
use crate::scale::time;

/// Rows that are shown.
const ROWS: usize = 160;
/// How far a row is indented at most.
const DEPTH: usize = 10;

#[derive(Default, Serialize)]
pub struct Tree {
    rows: Vec<Row>,
    /// Processes that no row tells of.
    left_out: u64,
    total: u64,
}

#[derive(Serialize)]
struct Row {
    depth: usize,
    pid: i64,
    command: String,
    /// Whether it only was a copy of its parent.
    copy: bool,
    fate: Fate,
    ending: String,
    started: String,
    /// How many processes this row tells of: the same again and again is told once.
    times: u64,
}

impl Tree {
    pub fn of(processes: &Processes) -> Self {
        let all = &processes.all;
        let mut children: Vec<Vec<usize>> = all.iter().map(|_| Vec::new()).collect();
        let mut stack = Vec::new();
        for (index, process) in all.iter().enumerate() {
            match process.parent.and_then(|parent| children.get_mut(parent)) {
                Some(siblings) => siblings.push(index),
                None => stack.push((index, 0)),
            }
        }
        stack.reverse();
        let mut tree = Self {
            total: processes.total,
            ..Self::default()
        };
        let mut told: u64 = 0;
        while let Some((index, depth)) = stack.pop() {
            let (Some(process), Some(below)) = (all.get(index), children.get(index)) else {
                continue;
            };
            // What a shell does in a copy of itself is no program.
            let is_shown = process.executed || !below.is_empty() || process.end.is_none();
            if is_shown {
                if tree.add(process, depth, below.is_empty()) {
                    told += 1;
                }
            } else {
                told += 1;
            }
            stack.extend(below.iter().rev().map(|child| (*child, depth + 1)));
        }
        tree.left_out = processes.total.saturating_sub(told);
        tree
    }

    /// Whether there was room.
    fn add(&mut self, process: &Process, depth: usize, is_leaf: bool) -> bool {
        let row = Row {
            depth: depth.min(DEPTH),
            pid: process.pid,
            command: process.command.clone(),
            copy: !process.executed,
            fate: process.fate(),
            ending: process.ending(),
            started: time(process.started),
            times: 1,
        };
        if let Some(last) = self.rows.last_mut()
            && is_leaf
            && (last.depth, last.fate) == (row.depth, row.fate)
            && (&last.command, &last.ending) == (&row.command, &row.ending)
        {
            last.times += 1;
            return true;
        }
        let has_room = self.rows.len() < ROWS;
        if has_room {
            self.rows.push(row);
        }
        has_room
    }
}
