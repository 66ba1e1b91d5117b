//! The models' file system, or their streams, served from the first time that a model is opened: a
//! run that opens none has no process for it.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rookery_runs::plan::Pseudofile;
use rustix::io::Errno;

use crate::models::sent::Sent;
use crate::models::server::{Mounted, Server};
use crate::models::written::Written;

/// The supervisor's side of it.
#[derive(Debug)]
pub struct Models {
    /// The guest's init.
    guest: Rc<OwnedFd>,
    state: State,
    /// Whether they are streams, because no file system could be had.
    are_streams: bool,
    /// The paths of streams that are open, by their inodes.
    streams: HashMap<u64, String>,
}

#[derive(Debug)]
enum State {
    Idle(Option<Mounted>, Written),
    Served(Server),
    /// Nobody serves it any more.
    Gone,
}

impl Models {
    /// Those of the guest behind a pidfd, on a file system that nobody serves yet; without one,
    /// they are streams.
    pub fn new(guest: Rc<OwnedFd>, mounted: Option<Mounted>, written: Written) -> Self {
        Self {
            guest,
            are_streams: mounted.is_none(),
            state: State::Idle(mounted, written),
            streams: HashMap::new(),
        }
    }

    /// Whether they are streams, and not files of a file system.
    pub fn are_streams(&self) -> bool {
        self.are_streams
    }

    /// The path that a stream with this inode stands for.
    pub fn stream(&self, inode: u64) -> Option<&str> {
        self.streams.get(&inode).map(String::as_str)
    }

    /// Whether it begins with the next open, and needs all files.
    pub fn begins(&self) -> bool {
        matches!(self.state, State::Idle(..))
    }

    /// Open the model of a path; with the first, there are these `files`. The inner error is that
    /// it cannot be opened there, as one that is a directory for another. After an outer one
    /// nothing can.
    pub fn open(
        &mut self,
        files: &[(String, Rc<Pseudofile>)],
        path: &str,
        flags: i32,
    ) -> io::Result<Result<Rc<OwnedFd>, Errno>> {
        if let State::Idle(..) = &self.state
            && let State::Idle(mounted, written) = std::mem::replace(&mut self.state, State::Gone)
        {
            self.state = State::Served(Server::start(&self.guest, files, mounted, &written)?);
        }
        let State::Served(server) = &self.state else {
            return Ok(Err(Errno::NXIO));
        };
        let opened = match server.open(path, flags) {
            Ok(Ok(opened)) => opened,
            Ok(Err(errno)) => return Ok(Err(errno)),
            Err(error) => {
                self.stop();
                return Err(error);
            }
        };
        for inode in opened.ended {
            self.streams.remove(&inode);
        }
        if self.are_streams {
            let inode = rustix::fs::fstat(&opened.file)?.st_ino;
            self.streams.insert(inode, path.to_owned());
        }
        Ok(Ok(Rc::new(opened.file)))
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
