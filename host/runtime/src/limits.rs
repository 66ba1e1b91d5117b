//! What one call may use.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::meter::Meter;

/// Largest component file.
pub(crate) const COMPONENT_BYTES: u64 = 64 << 20;
/// Bytes that a guest may hand to the host in one host call, results of `call` included.
pub(crate) const HOST_CALL_BYTES: usize = 16 << 20;
/// Random bytes that a guest may ask for at once.
pub(crate) const RANDOM_BYTES: u64 = 1 << 20;
/// Resources that a guest may hold at once.
pub(crate) const RESOURCES: usize = 1024;

/// What the policy's `output_kib` may be at most. A server sends 1 MiB, and data twice: only MCP content can be so large.
pub(crate) const MAX_OUTPUT_KIB: u32 = 1000;

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
    /// CPU time in the guest.
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
    /// Bounds of `describe`, which only has to say what it is: less time, and no more of anything else than a call.
    pub(crate) fn for_describe(call: &Self) -> Self {
        Self {
            cpu: Duration::from_secs(2),
            wall: Duration::from_secs(10),
            host_calls: 0,
            ..call.clone()
        }
    }
}

/// Refuses growth beyond the budget. Unlike wasmtime's own limits it counts all memories of the store together.
pub(crate) struct MemoryLimiter {
    limit: u64,
    memory: u64,
    table_elements: usize,
    meter: Arc<Meter>,
}

impl MemoryLimiter {
    pub(crate) fn new(limit: u64, meter: Arc<Meter>) -> Self {
        Self {
            limit,
            memory: 0,
            table_elements: 0,
            meter,
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
        let mut limiter = MemoryLimiter::new(100, Arc::clone(&meter));
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(
            !limiter.memory_growing(0, 60, None).unwrap(),
            "a second memory does not double the budget"
        );
        assert!(limiter.memory_growing(60, 100, None).unwrap());
        assert!(meter.memory_was_refused());
        assert_eq!(meter.usage().memory_bytes, 100);
    }
}
