//! `rookery_hook_N.log`: what each hook has printed, under the name that such a file has with
//! Penguin.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::collect::collector::Collector;
use crate::event::{Event, What};
use crate::file::Log;

const LIMIT: u64 = 4 << 20;
/// Files of one run.
const FILES: usize = 256;

pub(super) struct Hooks {
    directory: PathBuf,
    logs: BTreeMap<u32, Log>,
    dropped: u64,
}

impl Hooks {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            logs: BTreeMap::new(),
            dropped: 0,
        }
    }
}

impl Collector for Hooks {
    fn event(&mut self, event: &Event) {
        let What::Hooked { hook, line } = &event.what else {
            return;
        };
        if !self.logs.contains_key(hook) && self.logs.len() >= FILES {
            self.dropped += 1;
            return;
        }
        let log = self.logs.entry(*hook).or_insert_with(|| {
            let name = format!("rookery_hook_{hook}.log");
            Log::new(&self.directory, &name, None, LIMIT)
        });
        log.push(line.as_bytes());
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        self.logs.values_mut().try_for_each(Log::flush)
    }

    fn dropped(&self) -> (&'static str, u64) {
        let dropped: u64 = self.logs.values().map(Log::dropped).sum();
        ("rookery_hook_N.log", self.dropped + dropped)
    }
}
