//! What one call uses. Shared by the instance's side and the waiting side, so that it outlives a
//! dropped store.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::Notify;

use crate::outcome::Usage;

/// Counters of one call.
#[derive(Default)]
pub(crate) struct Meter {
    cpu_ns: AtomicU64,
    /// CPU clock of the instance's thread when it last got to run.
    slice_start_ns: AtomicU64,
    memory_peak: AtomicU64,
    memory_refused: AtomicBool,
    shared_memory_refused: AtomicBool,
    host_calls: AtomicU64,
    ticked: AtomicBool,
    /// Runs that the call started, or is starting.
    runs: Mutex<Vec<String>>,
    pub(crate) wall: WallClock,
    /// Of the call that made this one.
    above: Option<Above>,
}

/// The meter of a caller. The processor time is on it already: the caller's thread does the work.
struct Above {
    meter: Arc<Meter>,
    /// What its own memories hold.
    memory: u64,
}

impl Meter {
    /// Of a call that another one makes, whose memories hold so many bytes meanwhile.
    pub(crate) fn within(meter: Arc<Self>, memory: u64) -> Self {
        Self {
            above: Some(Above { meter, memory }),
            ..Self::default()
        }
    }

    /// The CPU time so far. To be called on the instance's thread, while the instance runs.
    pub(crate) fn cpu_now(&self) -> Duration {
        Duration::from_nanos(
            self.cpu_ns.load(Relaxed)
                + thread_cpu_ns().saturating_sub(self.slice_start_ns.load(Relaxed)),
        )
    }

    /// The instance was interrupted in its work.
    pub(crate) fn tick(&self) {
        self.ticked.store(true, Relaxed);
    }

    pub(crate) fn was_ticked(&self) -> bool {
        self.ticked.load(Relaxed)
    }

    /// Count one host call; gives the number so far.
    pub(crate) fn count_host_call(&self) -> u64 {
        if let Some(above) = &self.above {
            above.meter.count_host_call();
        }
        self.host_calls.fetch_add(1, Relaxed) + 1
    }

    pub(crate) fn host_calls(&self) -> u64 {
        self.host_calls.load(Relaxed)
    }

    /// Count processor time that was used elsewhere.
    pub(crate) fn add_cpu(&self, ns: u64) {
        if let Some(above) = &self.above {
            above.meter.add_cpu(ns);
        }
        self.cpu_ns.fetch_add(ns, Relaxed);
    }

    pub(crate) fn memory_in_use(&self, bytes: u64) {
        if let Some(Above { meter, memory }) = &self.above {
            meter.memory_in_use(memory + bytes);
        }
        self.memory_peak.fetch_max(bytes, Relaxed);
    }

    pub(crate) fn refuse_memory(&self) {
        self.memory_refused.store(true, Relaxed);
    }

    pub(crate) fn memory_was_refused(&self) -> bool {
        self.memory_refused.load(Relaxed)
    }

    /// The call starts a run.
    pub(crate) fn run_named(&self, run_id: &str) {
        if let Some(above) = &self.above {
            above.meter.run_named(run_id);
        }
        self.lock_runs().push(run_id.to_owned());
    }

    /// There is no such run after all.
    pub(crate) fn run_refused(&self, run_id: &str) {
        if let Some(above) = &self.above {
            above.meter.run_refused(run_id);
        }
        self.lock_runs().retain(|run| run != run_id);
    }

    /// The runs that the call started.
    pub(crate) fn runs(&self) -> Vec<String> {
        self.lock_runs().clone()
    }

    fn lock_runs(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn refuse_shared_memory(&self) {
        self.shared_memory_refused.store(true, Relaxed);
    }

    pub(crate) fn shared_memory_was_refused(&self) -> bool {
        self.shared_memory_refused.load(Relaxed)
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage {
            cpu_ms: self.cpu_ns.load(Relaxed) / 1_000_000,
            wall_ms: u64::try_from(self.wall.spent().as_millis()).unwrap_or(u64::MAX),
            memory_bytes: self.memory_peak.load(Relaxed),
            host_calls: self.host_calls.load(Relaxed),
            output_bytes: 0,
        }
    }
}

/// The instance's future with its CPU time metered: the time of the thread that polls it, while it
/// polls it.
pub(crate) struct Metered<F> {
    instance: Pin<Box<F>>,
    meter: Arc<Meter>,
}

impl<F: Future> Metered<F> {
    pub(crate) fn new(meter: Arc<Meter>, instance: F) -> Self {
        Self {
            instance: Box::pin(instance),
            meter,
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let start = thread_cpu_ns();
        self.meter.slice_start_ns.store(start, Relaxed);
        let polled = self.instance.as_mut().poll(context);
        self.meter
            .cpu_ns
            .fetch_add(thread_cpu_ns().saturating_sub(start), Relaxed);
        polled
    }
}

/// The CPU time of this thread.
pub(crate) fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// A wall clock that can be stopped for a while.
pub(crate) struct WallClock {
    state: Mutex<WallState>,
    resumed: Notify,
}

struct WallState {
    spent: Duration,
    running_since: Option<Instant>,
}

impl Default for WallClock {
    fn default() -> Self {
        Self {
            state: Mutex::new(WallState {
                spent: Duration::ZERO,
                running_since: Some(Instant::now()),
            }),
            resumed: Notify::new(),
        }
    }
}

/// Lets a paused clock go on when it is dropped, and its callers'.
pub(crate) struct Paused {
    meter: Arc<Meter>,
    _above: Option<Box<Paused>>,
}

impl Drop for Paused {
    fn drop(&mut self) {
        self.meter.wall.lock().running_since = Some(Instant::now());
        self.meter.wall.resumed.notify_one();
    }
}

impl WallClock {
    /// Stop the clock of `meter`, and of its callers, until the result is dropped.
    pub(crate) fn pause(meter: &Arc<Meter>) -> Paused {
        {
            let mut state = meter.wall.lock();
            if let Some(since) = state.running_since.take() {
                state.spent += since.elapsed();
            }
        }
        let above = meter.above.as_ref();
        let above = above.map(|above| Box::new(Self::pause(&above.meter)));
        Paused {
            meter: Arc::clone(meter),
            _above: above,
        }
    }

    pub(crate) fn spent(&self) -> Duration {
        let state = self.lock();
        state.spent
            + state
                .running_since
                .map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Wait until `budget` is spent.
    pub(crate) async fn exhausted(&self, budget: Duration) {
        loop {
            let left = {
                let state = self.lock();
                state
                    .running_since
                    .map(|since| budget.saturating_sub(state.spent + since.elapsed()))
            };
            match left {
                Some(Duration::ZERO) => return,
                Some(left) => tokio::time::sleep(left).await,
                None => self.resumed.notified().await,
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, WallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_paused_wall_clock_spends_nothing_and_then_goes_on() {
        let meter = Arc::new(Meter::default());
        let paused = WallClock::pause(&meter);
        let before = meter.wall.spent();
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(meter.wall.spent(), before);
        let waiting = tokio::spawn({
            let meter = Arc::clone(&meter);
            async move { meter.wall.exhausted(Duration::from_millis(20)).await }
        });
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert!(!waiting.is_finished(), "a paused clock does not run out");
        drop(paused);
        tokio::time::timeout(Duration::from_secs(5), waiting)
            .await
            .expect("runs out once resumed")
            .unwrap();
        assert!(meter.wall.spent() >= Duration::from_millis(20));
    }

    #[tokio::test]
    async fn cpu_time_counts_work_and_not_sleep() {
        let meter = Arc::new(Meter::default());
        Metered::new(Arc::clone(&meter), async {
            tokio::time::sleep(Duration::from_millis(80)).await;
        })
        .await;
        assert!(meter.usage().cpu_ms < 40);
        Metered::new(Arc::clone(&meter), async {
            let start = thread_cpu_ns();
            while thread_cpu_ns() - start < 50_000_000 {}
        })
        .await;
        assert!(meter.usage().cpu_ms >= 50);
    }
}
