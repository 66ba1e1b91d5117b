//! Seats: who may run an instance now, and who waits.
//!
//! Built-in tools have seats of their own, so that no other plugin can keep them from running. Of
//! the other seats one plugin takes at most three quarters. Who finds no seat waits for one, in
//! order; what a plugin has waiting beyond its share does not stand in the way of other plugins.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Calls of one plugin that may be under way at the same time, those that wait for a seat or for a
/// run included.
pub(crate) const CALLS: usize = 256;
/// Plugins that may be asked for their tools at the same time. Most of the time they take is
/// waiting.
const DESCRIBING: usize = 16;

/// How deep calls of tools by tools are nested, the first call counted.
pub(crate) const NESTED: usize = 4;
/// Calls that may be calling other tools at the same time.
pub(crate) const NESTS: usize = 8;

/// Where a component comes from, which decides whose seats and threads it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// With the program.
    BuiltIn,
    /// From the operator.
    Added,
}

/// The seats of all plugins.
pub(crate) struct Seats {
    built_in: Room,
    added: Room,
    describing: Room,
}

/// Seats that some plugins share.
struct Room {
    all: Arc<Semaphore>,
    /// Of one plugin.
    share: usize,
}

/// One plugin's way to a seat.
#[derive(Clone)]
pub(crate) struct Share {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
    calls: Arc<Semaphore>,
}

/// To be held while an instance runs.
pub(crate) struct Seat {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

/// The seat of a call. The calls that it makes of other tools sit on it too: it waits for them, so
/// one works at a time, and none waits for a seat that its own caller has.
pub(crate) struct Chair {
    share: Share,
    seat: Mutex<Option<Seat>>,
}

impl Seats {
    /// So many built-in instances run at the same time, and as many others beside them.
    pub(crate) fn new(seats: usize) -> Self {
        let room = |seats: usize, share| Room {
            all: Arc::new(Semaphore::new(seats)),
            share,
        };
        let share = (seats - seats.div_ceil(4)).max(1);
        Self {
            built_in: room(seats, share),
            added: room(seats, share),
            describing: room(DESCRIBING, 1),
        }
    }

    /// All instances that may run at the same time, where [`Self::new`] has so many seats.
    pub(crate) fn instances(seats: usize) -> usize {
        2 * seats + DESCRIBING + NESTS * (NESTED - 1)
    }

    /// For the calls of a plugin.
    pub(crate) fn share(&self, origin: Origin) -> Share {
        match origin {
            Origin::BuiltIn => self.built_in.share(),
            Origin::Added => self.added.share(),
        }
    }

    /// For asking a plugin what its tools are.
    pub(crate) fn for_describe(&self) -> Share {
        self.describing.share()
    }
}

impl Room {
    fn share(&self) -> Share {
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

    /// Wait for a seat. A plugin's calls wait in order for its own share first, and only those that
    /// have it stand in the common queue.
    pub(crate) async fn seat(&self) -> Result<Seat, AcquireError> {
        Ok(Seat {
            _own: Arc::clone(&self.own).acquire_owned().await?,
            _shared: Arc::clone(&self.all).acquire_owned().await?,
        })
    }
}

impl Chair {
    pub(crate) fn new(share: Share, seat: Seat) -> Self {
        Self {
            share,
            seat: Mutex::new(Some(seat)),
        }
    }

    /// Let another call have the seat.
    pub(crate) fn leave(&self) {
        drop(self.lock().take());
    }

    /// Wait for a seat, unless there is one.
    pub(crate) async fn sit(&self) -> Result<(), AcquireError> {
        if self.lock().is_none() {
            let seat = self.share.seat().await?;
            *self.lock() = Some(seat);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Seat>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn take_all(share: &Share) -> Vec<Seat> {
        std::iter::from_fn(|| share.seat().now_or_never()?.ok()).collect()
    }

    #[test]
    fn one_plugin_never_takes_all_seats() {
        let seats = Seats::new(4);
        let (greedy, other) = (seats.share(Origin::Added), seats.share(Origin::Added));
        let taken = take_all(&greedy);
        assert_eq!(taken.len(), 3);
        assert!(other.seat().now_or_never().is_some());
        drop(taken);
        assert!(greedy.seat().now_or_never().is_some());
    }

    #[test]
    fn built_in_tools_find_a_seat_however_many_plugins_take_the_others() {
        let seats = Seats::new(4);
        let hogs = [seats.share(Origin::Added), seats.share(Origin::Added)];
        let taken: Vec<Vec<Seat>> = hogs.iter().map(take_all).collect();
        assert_eq!(taken.iter().map(Vec::len).sum::<usize>(), 4);
        let built_in = seats.share(Origin::BuiltIn);
        assert_eq!(take_all(&built_in).len(), 3);
        assert!(seats.for_describe().seat().now_or_never().is_some());
    }
}
