//! The models' file system, served from the first time that a model is opened: a run that opens
//! none has no process for it.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rookery_runs::plan::Pseudofile;

use crate::models::sent::Sent;
use crate::models::server::{Mounted, Server};
use crate::models::written::Written;

/// The supervisor's side of it.
#[derive(Debug)]
pub struct Models {
    /// The guest's init.
    guest: Rc<OwnedFd>,
    state: State,
}

#[derive(Debug)]
enum State {
    Idle(Mounted, Written),
    Served(Server),
    /// Nobody serves it any more.
    Gone,
}

impl Models {
    /// Those of the guest behind a pidfd, on a file system that nobody serves yet.
    pub fn new(guest: Rc<OwnedFd>, mounted: Mounted, written: Written) -> Self {
        Self {
            guest,
            state: State::Idle(mounted, written),
        }
    }

    /// Whether it begins with the next open, and needs all files.
    pub fn begins(&self) -> bool {
        matches!(self.state, State::Idle(..))
    }

    /// Open the model of a path; with the first, there are these `files`. `None` where it is not a
    /// file there, as one that is a directory for another. After an error nothing is.
    pub fn open(
        &mut self,
        files: &[(String, Rc<Pseudofile>)],
        path: &str,
        flags: i32,
    ) -> Option<io::Result<Rc<OwnedFd>>> {
        if let State::Idle(..) = &self.state
            && let State::Idle(mounted, written) = std::mem::replace(&mut self.state, State::Gone)
        {
            match Server::start(&self.guest, files, mounted, &written) {
                Ok(server) => self.state = State::Served(server),
                Err(error) => return Some(Err(error)),
            }
        }
        let State::Served(server) = &self.state else {
            return None;
        };
        match server.open(path, flags) {
            Ok(opened) => opened.ok().map(Ok),
            Err(error) => {
                self.stop();
                Some(Err(error))
            }
        }
    }

    /// A path is modelled so from now on; what was held there is forgotten. An error is that it
    /// cannot be a file there.
    pub fn change(&mut self, path: &str, file: &Pseudofile) -> io::Result<()> {
        match &self.state {
            State::Served(server) => server.change(path, file),
            // It begins with all models.
            State::Idle(..) | State::Gone => Ok(()),
        }
    }

    /// What was written since the last time to models that do not say what writing does. An error
    /// shows at the next open.
    pub fn sent(&self) -> Vec<Sent> {
        match &self.state {
            State::Served(server) => server.sent().unwrap_or_default(),
            State::Idle(..) | State::Gone => Vec::new(),
        }
    }

    /// Serve it no longer.
    pub fn stop(&mut self) {
        if let State::Served(server) = std::mem::replace(&mut self.state, State::Gone) {
            server.stop();
        }
    }
}
