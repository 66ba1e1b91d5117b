//! What one call may use.
//!
//! Invariant 4: every axis has a budget.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::meter::Meter;

/// Largest component file.
pub(crate) const COMPONENT_BYTES: u64 = 64 << 20;
/// Bytes that an instance may hand to the host in one host call, results of `call` included.
pub(crate) const HOST_CALL_BYTES: usize = 16 << 20;
/// Random bytes that an instance may ask for at once.
pub(crate) const RANDOM_BYTES: u64 = 1 << 20;
/// Resources that an instance may hold at once.
pub(crate) const RESOURCES: usize = 1024;

/// What the policy's `output_kib` may be at most. A server sends 1 MiB, and data twice: only MCP
/// content can be so large.
pub(crate) const MAX_OUTPUT_KIB: u32 = 1000;

/// What the policy's `waiting_calls` may be, and is where it says nothing.
pub(crate) const WAITING_CALLS: RangeInclusive<u16> = 1..=200;
pub(crate) const USUAL_WAITING_CALLS: usize = 128;

/// What one instance that is not built in may use, if the policy says nothing, and what all of
/// these may use together. An interpreter takes some 20 MiB before it does anything.
pub(crate) const ADDED_MEMORY_MIB: u32 = 96;
pub(crate) const SHARED_MEMORY_MIB: u32 = 128;

/// Core instances of one component.
pub(crate) const INSTANCES: u32 = 128;
/// Tables of one component.
pub(crate) const TABLES: u32 = 64;
/// Memories of one component.
pub(crate) const MEMORIES: u32 = 16;
/// Elements of one table, and of all tables of a call together.
pub(crate) const TABLE_ELEMENTS: usize = 1 << 20;

/// The budgets of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all linear memories together.
    pub memory_bytes: u64,
    /// CPU time in the instance.
    pub cpu: Duration,
    /// Wall-clock time, waits for runs left out.
    pub wall: Duration,
    /// Host functions called.
    pub host_calls: u64,
    /// Bytes of the result.
    pub output_bytes: usize,
    /// Bytes of log lines, and as much of each of stdout and stderr.
    pub log_bytes: usize,
    /// Bytes of the arguments as JSON text.
    pub argument_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            cpu: Duration::from_secs(10),
            wall: Duration::from_secs(30),
            host_calls: 10_000,
            // As data, and again as the same text, it fits into what a server sends.
            output_bytes: 480 << 10,
            log_bytes: 64 << 10,
            argument_bytes: 1 << 20,
        }
    }
}

impl Limits {
    /// Bounds of `describe`, which only has to say what it is: less time, and no more of anything
    /// else than a call.
    pub(crate) fn for_describe(call: &Self) -> Self {
        Self {
            cpu: Duration::from_secs(2),
            wall: Duration::from_secs(10),
            host_calls: 0,
            ..call.clone()
        }
    }

    /// Within what is left to somebody else.
    #[must_use]
    pub(crate) fn within(&self, left: &Self) -> Self {
        // Every field, so that a new budget is not forgotten.
        Self {
            memory_bytes: self.memory_bytes.min(left.memory_bytes),
            cpu: self.cpu.min(left.cpu),
            wall: self.wall.min(left.wall),
            host_calls: self.host_calls.min(left.host_calls),
            output_bytes: self.output_bytes.min(left.output_bytes),
            log_bytes: self.log_bytes.min(left.log_bytes),
            argument_bytes: self.argument_bytes.min(left.argument_bytes),
        }
    }
}

/// Memory that instances may use together.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    limit: u64,
    used: AtomicU64,
}

impl SharedMemory {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            used: AtomicU64::new(0),
        }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    fn take(&self, bytes: u64) -> bool {
        let take = |used: u64| used.checked_add(bytes).filter(|used| *used <= self.limit);
        self.used.fetch_update(Relaxed, Relaxed, take).is_ok()
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Relaxed);
    }
}

/// Refuses growth beyond the budget. Unlike wasmtime's own limits it counts all memories of the
/// store together.
pub(crate) struct MemoryLimiter {
    limit: u64,
    memory: u64,
    shared: Option<Arc<SharedMemory>>,
    table_elements: usize,
    meter: Arc<Meter>,
}

impl MemoryLimiter {
    /// Growth counts against `limit`, and against what is `shared` with other calls.
    pub(crate) fn new(limit: u64, shared: Option<Arc<SharedMemory>>, meter: Arc<Meter>) -> Self {
        Self {
            limit,
            memory: 0,
            shared,
            table_elements: 0,
            meter,
        }
    }
}

impl MemoryLimiter {
    /// Bytes of all memories.
    pub(crate) fn used(&self) -> u64 {
        self.memory
    }

    /// Whether they count against what calls share.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.give_back(self.memory);
        }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self
            .memory
            .saturating_add(desired.saturating_sub(current) as u64);
        if wanted > self.limit {
            self.meter.refuse_memory();
            return Ok(false);
        }
        if let Some(shared) = &self.shared
            && !shared.take(wanted.saturating_sub(self.memory))
        {
            self.meter.refuse_shared_memory();
            return Ok(false);
        }
        self.memory = wanted;
        self.meter.memory_in_use(wanted);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        if wanted > TABLE_ELEMENTS {
            self.meter.refuse_memory();
            return Ok(false);
        }
        self.table_elements = wanted;
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memories_of_a_store_share_one_budget() {
        let meter = Arc::new(Meter::default());
        let mut limiter = MemoryLimiter::new(100, None, Arc::clone(&meter));
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(
            !limiter.memory_growing(0, 60, None).unwrap(),
            "a second memory does not double the budget"
        );
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert!(meter.memory_was_refused());
        assert_eq!(meter.usage().memory_bytes, 100);
    }

    #[test]
    fn calls_that_share_memory_get_it_once_and_give_it_back() {
        let shared = Arc::new(SharedMemory::new(100));
        let (one, other) = (Arc::new(Meter::default()), Arc::new(Meter::default()));
        let limiter = |meter: &Arc<Meter>| {
            MemoryLimiter::new(80, Some(Arc::clone(&shared)), Arc::clone(meter))
        };
        let mut first = limiter(&one);
        let mut second = limiter(&other);
        assert!(first.memory_growing(0, 80, None).unwrap());
        assert!(!second.memory_growing(0, 30, None).unwrap());
        assert!(other.shared_memory_was_refused() && !other.memory_was_refused());
        drop(first);
        assert!(second.memory_growing(0, 80, None).unwrap());
    }
}
