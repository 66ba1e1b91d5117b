//! The timeline: a lane for each program, with a bar for each process that ran it.
//!
//! The numbers are computed here and the template makes them SVG. No charting library is used: one
//! draws text at fixed places and in fixed colours, and this page has to fit a phone, a sheet of
//! paper and a dark screen.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::console::Console;
use crate::processes::{Fate, Process, Processes};
use crate::scale::{Scale, WIDTH, tick, time};
use crate::services::Services;

/// Lanes that are shown, and bars of one lane.
const LANES: usize = 32;
const BARS: usize = 120;
/// The narrowest bar, in units of the scale, so that it is seen.
const NARROWEST: i64 = 3;
/// A copy of a program counts as a program if it lived so long: daemons are such copies.
const LASTING: i64 = 500;

#[derive(Serialize)]
pub struct Timeline {
    ticks: Vec<Tick>,
    /// How much the guest printed, as heights from 0 to 100 over the width.
    console: Vec<Column>,
    lanes: Vec<Lane>,
    left_out: usize,
}

#[derive(Serialize)]
struct Tick {
    /// In percent: text is not stretched with the axis.
    x: f64,
    label: String,
}

#[derive(Serialize)]
struct Column {
    x: i64,
    width: i64,
    height: u64,
}

#[derive(Default, Serialize)]
struct Lane {
    label: String,
    bars: Vec<Bar>,
    /// Where a service appeared, and where it was asked.
    marks: Vec<Mark>,
    processes: usize,
    /// When the first began and how the last ended, in words.
    began: String,
    ended: String,
    #[serde(skip)]
    first: i64,
    #[serde(skip)]
    lasted: i64,
}

#[derive(Serialize)]
struct Bar {
    x: i64,
    width: i64,
    fate: Fate,
}

#[derive(Serialize)]
struct Mark {
    x: i64,
    answered: bool,
}

impl Timeline {
    /// None where no process is known.
    pub fn of(
        processes: &Processes,
        services: &Services,
        console: &Console,
        scale: Scale,
    ) -> Option<Self> {
        if processes.all.is_empty() {
            return None;
        }
        let mut lanes = lanes(processes, scale);
        mark(&mut lanes, processes, services, scale);
        // What listens first, then what lasted longest; then in the order of their beginnings.
        let mut lanes: Vec<Lane> = lanes.into_values().collect();
        lanes.sort_by_key(|lane| (lane.marks.is_empty(), -lane.lasted));
        let left_out = lanes.len().saturating_sub(LANES);
        lanes.truncate(LANES);
        lanes.sort_by_key(|lane| lane.first);
        let tick = |at: &i64| Tick {
            x: f64::from(i32::try_from(scale.at(*at)).unwrap_or(0)) / 10.0,
            label: tick(*at),
        };
        Some(Self {
            ticks: scale.ticks().iter().map(tick).collect(),
            console: columns(console, scale),
            lanes,
            left_out,
        })
    }
}

fn lanes(processes: &Processes, scale: Scale) -> BTreeMap<String, Lane> {
    let mut lanes: BTreeMap<String, Lane> = BTreeMap::new();
    for process in &processes.all {
        let end = process.end.as_ref().map_or(scale.over(), |end| end.at);
        let lasted = end.saturating_sub(process.started).max(0);
        if !process.executed && lasted < LASTING {
            continue;
        }
        let lane = lanes
            .entry(process.command.clone())
            .or_insert_with(|| Lane {
                label: process.command.clone(),
                began: time(process.started),
                first: process.started,
                ..Lane::default()
            });
        lane.processes += 1;
        lane.lasted = lane.lasted.saturating_add(lasted);
        lane.ended = process.ending();
        if lane.bars.len() < BARS {
            let x = scale.at(process.started).min(WIDTH - NARROWEST);
            let width = (scale.at(end) - x).clamp(NARROWEST, WIDTH - x);
            let fate = process.fate();
            lane.bars.push(Bar { x, width, fate });
        }
    }
    lanes
}

/// Mark where services appeared, in the lanes of the programs that opened them.
fn mark(
    lanes: &mut BTreeMap<String, Lane>,
    processes: &Processes,
    services: &Services,
    scale: Scale,
) {
    let mut by_pid: HashMap<i64, Vec<&Process>> = HashMap::new();
    for process in &processes.all {
        by_pid.entry(process.pid).or_default().push(process);
    }
    for service in &services.shown {
        let (Some(pid), Some(opened)) = (service.pid, service.opened_ms) else {
            continue;
        };
        let of_pid = by_pid.get(&pid).into_iter().flatten();
        let owner = of_pid.rev().find(|process| process.started <= opened);
        if let Some(lane) = owner.and_then(|process| lanes.get_mut(&process.command)) {
            let x = scale.at(opened);
            lane.marks.push(Mark { x, answered: false });
            let answered = service.answer.as_ref().filter(|answer| answer.good);
            lane.marks.extend(answered.map(|answer| Mark {
                x: scale.at(answer.asked_ms),
                answered: true,
            }));
        }
    }
}

/// How many lines were printed in each hundredth of the run.
fn columns(console: &Console, scale: Scale) -> Vec<Column> {
    const COLUMNS: usize = 100;
    let mut lines = [0_u64; COLUMNS];
    for (at, count) in &console.times {
        let column = usize::try_from(scale.at(*at)).unwrap_or(0) * COLUMNS / 1000;
        if let Some(sum) = lines.get_mut(column.min(COLUMNS - 1)) {
            *sum = sum.saturating_add(*count);
        }
    }
    let most = lines.iter().copied().max().unwrap_or(0);
    let columns = (0_i64..).zip(lines).filter(|(_, count)| *count > 0);
    let columns = columns.map(|(n, count)| Column {
        x: n * 10,
        width: 8,
        // The square root, so that one line is seen beside a flood.
        height: (count.saturating_mul(10_000) / most).isqrt().max(12),
    });
    columns.collect()
}
