//! Requests on their way: each waits for its answer on a thread of its own, so that neither the
//! run's end nor another request waits for a guest.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use rookery_project::{Error, Result};

use crate::backend::Reply;

/// Requests at the same time.
const MOST: usize = 16;

pub(super) struct Jobs {
    waiting: Vec<Box<dyn Waiting>>,
    /// Readable once one is done.
    done: UnixStream,
    tell: UnixStream,
}

trait Waiting {
    /// Whether it still waits.
    fn waits(&mut self) -> bool;
}

struct Job<T> {
    answer: Receiver<Result<T>>,
    /// Taken once it is answered.
    reply: Option<Reply<T>>,
}

impl<T> Waiting for Job<T> {
    fn waits(&mut self) -> bool {
        let answer = match self.answer.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return true,
            Err(TryRecvError::Disconnected) => Err(Error::Internal(
                "a request to the guest broke off; this is a defect of Rookery".into(),
            )),
        };
        if let Some(reply) = self.reply.take() {
            reply.send(answer);
        }
        false
    }
}

impl Jobs {
    pub(super) fn new() -> std::io::Result<Self> {
        let (done, tell) = UnixStream::pair()?;
        done.set_nonblocking(true)?;
        tell.set_nonblocking(true)?;
        Ok(Self {
            waiting: Vec::new(),
            done,
            tell,
        })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }

    /// Do `work`, which may wait for the guest, and answer with what it gives.
    pub(super) fn start<T: Send + 'static>(
        &mut self,
        reply: Reply<T>,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) {
        if self.waiting.len() >= MOST {
            let busy = format!(
                "{MOST} requests wait for this guest already; try again once one was answered"
            );
            return reply.send(Err(Error::Conflict(busy)));
        }
        let (sender, answer) = channel();
        let thread = self.tell.try_clone().and_then(|mut tell| {
            std::thread::Builder::new().spawn(move || {
                // Whoever asked may be gone, and the pipe full of other news.
                let _ = sender.send(work());
                let _ = tell.write(&[0]);
            })
        });
        match thread {
            Ok(_) => self.waiting.push(Box::new(Job {
                answer,
                reply: Some(reply),
            })),
            Err(error) => reply.send(Err(Error::Internal(format!(
                "a request to the guest cannot be started: {error}"
            )))),
        }
    }

    /// Answer what is done.
    pub(super) fn advance(&mut self) {
        let mut news = [0; 64];
        while self.done.read(&mut news).is_ok_and(|read| read > 0) {}
        self.waiting.retain_mut(|job| job.waits());
    }
}
