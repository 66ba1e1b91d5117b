//! Seats: who may run an instance now, and who waits.
//!
//! Built-in tools have seats of their own, so that no other plugin can keep them from running. Of
//! the other seats one plugin takes at most three quarters. Who finds no seat waits for one, in
//! order; what a plugin has waiting beyond its share does not stand in the way of other plugins.
//!
//! A call that waits for a run or a guest gives its seat back, but its instance is still there, and
//! there is room for so many. So it takes a place among those that wait first. Where none is left,
//! nothing waits: whoever would is told, and the seats stay free for others.

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

/// Seats that some plugins share, and places for calls that wait without one.
struct Room {
    seats: Places,
    waiting: Places,
}

/// Places that some plugins share.
struct Places {
    all: Arc<Semaphore>,
    count: usize,
    /// Of one plugin.
    share: usize,
}

/// One plugin's way to such places.
#[derive(Clone)]
struct Part {
    all: Arc<Semaphore>,
    count: usize,
    own: Arc<Semaphore>,
}

/// One plugin's way to a seat.
#[derive(Clone)]
pub(crate) struct Share {
    seats: Part,
    waiting: Part,
    calls: Arc<Semaphore>,
}

/// A place that is taken, until this is dropped. An instance holds that of a seat while it runs.
pub(crate) struct Place {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

/// The seat of a call. The calls that it makes of other tools sit on it too: it waits for them, so
/// one works at a time, and none waits for a seat that its own caller has.
pub(crate) struct Chair {
    share: Share,
    held: Mutex<Held>,
}

/// What a call has: a seat, or a place among those that wait.
struct Held {
    is_seat: bool,
    _place: Place,
}

/// No more calls of this plugin may wait: so many of all plugins do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoPlace(pub(crate) usize);

impl Seats {
    /// So many built-in instances run at the same time, and as many others beside them; and so many
    /// of either wait for runs meanwhile.
    pub(crate) fn new(seats: usize, waiting: usize) -> Self {
        let room = || Room {
            seats: Places::new(seats),
            waiting: Places::new(waiting),
        };
        Self {
            built_in: room(),
            added: room(),
            describing: Room {
                seats: Places::of(DESCRIBING, 1),
                waiting: Places::of(0, 0),
            },
        }
    }

    /// All instances that there may be at the same time, where [`Self::new`] is given these.
    pub(crate) fn instances(seats: usize, waiting: usize) -> usize {
        2 * (seats + waiting) + DESCRIBING + NESTS * (NESTED - 1)
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
            seats: self.seats.part(),
            waiting: self.waiting.part(),
            calls: Arc::new(Semaphore::new(CALLS)),
        }
    }
}

impl Places {
    /// Of which one plugin has at most three quarters.
    fn new(count: usize) -> Self {
        Self::of(count, (count - count.div_ceil(4)).max(1))
    }

    fn of(count: usize, share: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(count)),
            count,
            share,
        }
    }

    fn part(&self) -> Part {
        Part {
            all: Arc::clone(&self.all),
            count: self.count,
            own: Arc::new(Semaphore::new(self.share)),
        }
    }
}

impl Part {
    /// Wait for a place. A plugin's calls wait in order for its own share first, and only those
    /// that have it stand in the common queue.
    async fn take(&self) -> Result<Place, AcquireError> {
        Ok(Place {
            _own: Arc::clone(&self.own).acquire_owned().await?,
            _shared: Arc::clone(&self.all).acquire_owned().await?,
        })
    }

    /// A place, if one is free.
    fn try_take(&self) -> Result<Place, NoPlace> {
        let no_place = |_| NoPlace(self.count.saturating_sub(self.all.available_permits()));
        Ok(Place {
            _own: Arc::clone(&self.own)
                .try_acquire_owned()
                .map_err(no_place)?,
            _shared: Arc::clone(&self.all)
                .try_acquire_owned()
                .map_err(no_place)?,
        })
    }
}

impl Share {
    /// To be held while a call is under way; `None` if too many are.
    pub(crate) fn call(&self) -> Option<SemaphorePermit<'_>> {
        self.calls.try_acquire().ok()
    }

    /// Wait for a seat.
    pub(crate) async fn seat(&self) -> Result<Place, AcquireError> {
        self.seats.take().await
    }
}

impl Chair {
    pub(crate) fn new(share: Share, seat: Place) -> Self {
        Self {
            share,
            held: Mutex::new(Held::new(true, seat)),
        }
    }

    /// Let another call have the seat, if there is a place to wait at.
    pub(crate) fn leave(&self) -> Result<(), NoPlace> {
        let mut held = self.lock();
        if held.is_seat {
            *held = Held::new(false, self.share.waiting.try_take()?);
        }
        Ok(())
    }

    /// Wait for a seat, unless there is one.
    pub(crate) async fn sit(&self) -> Result<(), AcquireError> {
        let waits = !self.lock().is_seat;
        if waits {
            let seat = self.share.seat().await?;
            *self.lock() = Held::new(true, seat);
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn new(is_seat: bool, place: Place) -> Self {
        Self {
            is_seat,
            _place: place,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn take_all(share: &Share) -> Vec<Place> {
        std::iter::from_fn(|| share.seat().now_or_never()?.ok()).collect()
    }

    #[test]
    fn one_plugin_never_takes_all_seats() {
        let seats = Seats::new(4, 4);
        let (greedy, other) = (seats.share(Origin::Added), seats.share(Origin::Added));
        let taken = take_all(&greedy);
        assert_eq!(taken.len(), 3);
        assert!(other.seat().now_or_never().is_some());
        drop(taken);
        assert!(greedy.seat().now_or_never().is_some());
    }

    #[test]
    fn built_in_tools_find_a_seat_however_many_plugins_take_the_others() {
        let seats = Seats::new(4, 4);
        let hogs = [seats.share(Origin::Added), seats.share(Origin::Added)];
        let taken: Vec<Vec<Place>> = hogs.iter().map(take_all).collect();
        assert_eq!(taken.iter().map(Vec::len).sum::<usize>(), 4);
        let built_in = seats.share(Origin::BuiltIn);
        assert_eq!(take_all(&built_in).len(), 3);
        assert!(seats.for_describe().seat().now_or_never().is_some());
    }

    /// A call of the plugin that has begun.
    fn call(share: &Share) -> Chair {
        let seat = share.seat().now_or_never().unwrap().unwrap();
        Chair::new(share.clone(), seat)
    }

    #[test]
    fn as_many_calls_wait_as_there_are_places_and_none_of_them_takes_a_seat() {
        let seats = Seats::new(4, 8);
        let (patient, other) = (seats.share(Origin::Added), seats.share(Origin::Added));
        let waiting = || {
            let chair = call(&patient);
            chair.leave().map(|()| chair)
        };
        let mut all: Vec<Chair> = (0..6).map(|_| waiting().unwrap()).collect();
        assert_eq!(waiting().err(), Some(NoPlace(6)), "one plugin's share");
        assert_eq!(take_all(&patient).len(), 3, "its seats are free");
        let others = [call(&other), call(&other)];
        assert!(others.iter().all(|chair| chair.leave().is_ok()));
        assert_eq!(call(&other).leave(), Err(NoPlace(8)));
        assert!(call(&seats.share(Origin::BuiltIn)).leave().is_ok());
        // Who sits again, and whose call is over, makes room.
        all[0].sit().now_or_never().unwrap().unwrap();
        let next = waiting().unwrap();
        all.pop();
        assert!(waiting().is_ok());
        drop(next);
    }

    #[test]
    fn who_finds_no_place_to_wait_at_keeps_the_seat() {
        let seats = Seats::new(1, 1);
        let share = seats.share(Origin::Added);
        let first = call(&share);
        first.leave().unwrap();
        let second = call(&share);
        assert_eq!(second.leave(), Err(NoPlace(1)));
        assert!(first.sit().now_or_never().is_none(), "the seat is taken");
        drop(second);
        first.sit().now_or_never().unwrap().unwrap();
        assert!(first.lock().is_seat);
    }
}
