//! What the supervisor's loop waits for, and does next.

use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec};

use super::Supervisor;
use crate::process::call::Listener;
use crate::supervisor::command::Command;

/// What a wait found to do.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a descriptor of its own"
)]
pub struct Ready {
    /// The guest's network changed.
    pub network: bool,
    pub requests: bool,
    pub init: bool,
    pub answers: bool,
    /// A traced thread has stopped.
    pub traced: bool,
    pub console: bool,
    /// An image is unpacked.
    pub image: bool,
    pub listeners: Vec<(Rc<Listener>, PollFlags)>,
}

impl Supervisor<'_> {
    /// Wait for anything to do, at most until `until`. A guest's system call costs what happens
    /// here and in the loop: nothing is asked of the kernel that this wait already told.
    pub(super) fn wait(&self, until: Instant) -> Ready {
        let until = self
            .commands
            .iter()
            .map(|command| command.deadline)
            .chain(self.reaches.iter().map(|reach| reach.deadline))
            .fold(until, Instant::min);
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs().cast_signed(),
            tv_nsec: left.subsec_nanos().into(),
        };
        let listeners = || std::iter::once(&self.world.listener).chain(&self.listeners);
        let mut fds: Vec<_> = [
            self.guest.changes(),
            self.guest.requests(),
            self.world.pidfd.as_fd(),
            self.console.as_fd(),
        ]
        .into_iter()
        .chain(self.asking.descriptor())
        .chain(self.tracing.descriptor())
        .chain(listeners().map(|listener| listener.as_ref().as_fd()))
        .chain(self.starting.then(|| self.world.socket.as_fd()))
        .chain(self.commands.iter().flat_map(Command::pipes))
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
        for reach in &self.reaches {
            let (fd, flags) = reach.interest();
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        let image = self.guest.unpacked();
        fds.extend(image.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        // After an interruption nothing is ready, and the next wait tells.
        let _ = rustix::event::poll(&mut fds, Some(&timeout));
        let image = image.and_then(|_| fds.last().map(PollFd::revents));
        let mut events = fds.iter().map(PollFd::revents);
        let mut any = || events.next().is_some_and(|events| !events.is_empty());
        Ready {
            network: any(),
            requests: any(),
            init: any(),
            console: any(),
            answers: self.asking.descriptor().is_some() && any(),
            traced: self.tracing.descriptor().is_some() && any(),
            image: image.is_some_and(|events| !events.is_empty()),
            listeners: listeners()
                .map(Rc::clone)
                .zip(events)
                .filter(|(_, events)| !events.is_empty())
                .collect(),
        }
    }
}
