//! Seats: who may run a guest now. One plugin takes at most three quarters of them, so that one whose tools loop or sleep leaves room
//! for others.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Calls of one plugin that may be under way at the same time, those that wait for a seat or for a run included.
const CALLS: usize = 32;

/// The seats that all plugins share.
pub(crate) struct Seats {
    all: Arc<Semaphore>,
    share: usize,
}

/// One plugin's way to a seat.
#[derive(Clone)]
pub(crate) struct Share {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
    calls: Arc<Semaphore>,
}

/// To be held while a guest runs.
pub(crate) struct Seat {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

impl Seats {
    /// So many guests run at the same time.
    pub(crate) fn new(seats: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(seats)),
            share: (seats - seats.div_ceil(4)).max(1),
        }
    }

    /// For a plugin.
    pub(crate) fn share(&self) -> Share {
        Share {
            all: Arc::clone(&self.all),
            own: Arc::new(Semaphore::new(self.share)),
            calls: Arc::new(Semaphore::new(CALLS)),
        }
    }
}

impl Share {
    /// To be held while a call is under way; `None` if too many are.
    pub(crate) fn call(&self) -> Option<SemaphorePermit<'_>> {
        self.calls.try_acquire().ok()
    }

    /// Wait for a seat.
    pub(crate) async fn seat(&self) -> Result<Seat, AcquireError> {
        Ok(Seat {
            _own: Arc::clone(&self.own).acquire_owned().await?,
            _shared: Arc::clone(&self.all).acquire_owned().await?,
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_plugin_never_takes_all_seats() {
        let seats = Seats::new(4);
        let (greedy, other) = (seats.share(), seats.share());
        let taken: Vec<_> = (0..8).map_while(|_| greedy.seat().now_or_never()).collect();
        assert_eq!(taken.len(), 3);
        assert!(other.seat().now_or_never().is_some());
        drop(taken);
        assert!(greedy.seat().now_or_never().is_some());
    }
}
