//! Live control of a guest that Penguin runs: each of its protocols is a file.

mod bridge;
mod command;
mod files;
mod guesthopper;
mod jobs;
mod script;
mod vsock;

use std::os::fd::BorrowedFd;
use std::path::Path;

use rookery_project::{Error, Result};

use self::jobs::Jobs;
use crate::backend::Request;

pub(super) use self::files::{RunFiles, host_of};
pub(super) use self::vsock::Way;

/// What answers the requests of one run.
pub(super) struct LiveControl {
    files: RunFiles,
    way: Way,
    jobs: Jobs,
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
        }
    }
}

#[cfg(test)]
mod tests;
