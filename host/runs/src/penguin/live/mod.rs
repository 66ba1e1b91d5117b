//! Live control of a guest that Penguin runs: each of its protocols is a file.

mod bridge;
mod command;
mod files;
mod guesthopper;
mod hooks;
mod jobs;
mod plugins;
mod qmp;
mod remotectrl;
mod script;
mod snapshots;
mod vsock;

use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use rookery_project::{Error, Result};

use self::hooks::Installed;
use self::jobs::Jobs;
use self::snapshots::Saved;
use crate::backend::Request;
use crate::live::{LiveAnswer, LiveRequest};

pub(super) use self::files::{RunFiles, host_of};
pub(super) use self::vsock::Way;

/// What answers the requests of one run.
pub(super) struct LiveControl {
    files: RunFiles,
    way: Way,
    jobs: Jobs,
    kept: Arc<Kept>,
}

/// What is known of a run beyond what Penguin says of it.
#[derive(Default)]
struct Kept {
    hooks: Installed,
    snapshots: Saved,
}

impl Kept {
    fn answer(&self, files: &RunFiles, request: &LiveRequest) -> Result<LiveAnswer> {
        use LiveRequest::{Hook, HookOutput, Hooks, Model, Plugin, Snapshot, Snapshots, Unhook};
        match request {
            Hook(options) => self.hooks.add(files, options).map(LiveAnswer::Hooked),
            Hooks => self.hooks.list(files).map(LiveAnswer::Hooks),
            Unhook(options) => self.hooks.remove(files, *options).map(LiveAnswer::Unhooked),
            HookOutput(options) => {
                let read = self.hooks.read(files, *options);
                read.map(LiveAnswer::HookOutput)
            }
            Model(_) => Err(Error::unavailable(
                request.needs(),
                "Penguin reads its models when a run begins",
                "Make the change without run_id, and run again",
            )),
            Plugin(options) => plugins::control(files, options).map(LiveAnswer::Plugin),
            Snapshot(options) => {
                let asked = self.snapshots.ask(files, options);
                asked.map(LiveAnswer::Snapshotted)
            }
            Snapshots => Ok(LiveAnswer::Snapshots(self.snapshots.list(files))),
        }
    }
}

impl LiveControl {
    pub(super) fn new(project_dir: &Path, results_dir: &Path, way: Way) -> Result<Self> {
        let jobs = Jobs::new().map_err(|error| {
            Error::Internal(format!("live control cannot be prepared: {error}"))
        })?;
        Ok(Self {
            files: RunFiles {
                project_dir: project_dir.to_owned(),
                results_dir: results_dir.to_owned(),
            },
            way,
            jobs,
            kept: Arc::default(),
        })
    }

    /// Readable once something is to be answered.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.jobs.descriptor()
    }

    /// Answer what is done.
    pub(super) fn advance(&mut self) {
        self.jobs.advance();
    }

    /// Take a request, which is answered later.
    pub(super) fn take(&mut self, request: Request) {
        let files = self.files.clone();
        match request {
            Request::Stop => {}
            Request::Command(request, reply) => {
                let way = self.way.clone();
                let work = move || command::execute(&files, &way, &request);
                self.jobs.start(reply, work);
            }
            Request::Reach(request, reply) => {
                let work = move || bridge::reach(&files, &request);
                self.jobs.start(reply, work);
            }
            Request::Connect(request, reply) => {
                let work = move || bridge::connect(&files, &request);
                self.jobs.start(reply, work);
            }
            Request::Live(request, reply) => {
                let kept = Arc::clone(&self.kept);
                let work = move || kept.answer(&files, &request);
                self.jobs.start(reply, work);
            }
        }
    }
}

#[cfg(test)]
mod tests;
