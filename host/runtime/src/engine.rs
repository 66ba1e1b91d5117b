//! The engine that compiles and runs components, and the clock that interrupts them.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

use crate::limits;

/// How often a running instance is interrupted: to look at its CPU budget, and to let others run.
/// An instance begins on a thread of the protocol, so this is also how long it can hold up a
/// message there.
const TICK: Duration = Duration::from_millis(2);
/// After so many ticks without an instance the clock stops, so that an idle server sleeps.
const LINGER: u32 = 100;

/// Most memories of all instances together. Each takes 4 GiB of address space.
const POOLED_MEMORIES: u32 = 8192;
const INSTANCE_BYTES: usize = 16 << 20;
/// So much of a memory stays mapped for the next call.
const RESIDENT_BYTES: usize = 4 << 20;

/// An engine, and the clock that ticks while instances run.
#[derive(Clone)]
pub(crate) struct TickingEngine {
    engine: Engine,
    clock: Arc<Clock>,
}

struct Clock {
    instances: AtomicUsize,
    /// Sleeps between ticks, and is parked while there are no instances.
    thread: OnceLock<Thread>,
}

/// The clock ticks while this is held.
pub(crate) struct Ticking(Arc<Clock>);

impl TickingEngine {
    /// For so many instances at the same time.
    pub(crate) fn new(instances: u32) -> anyhow::Result<Self> {
        let engine = Engine::new(&config(pool(instances))).or_else(|error| {
            tracing::warn!(
                %error,
                "calls will be slower: there is no address space for a pool of memories; is \
                 `ulimit -v` set?"
            );
            Engine::new(&config(InstanceAllocationStrategy::OnDemand))
        })?;
        let clock = Arc::new(Clock {
            instances: AtomicUsize::new(0),
            thread: OnceLock::new(),
        });
        // A thread of its own: on a shared one, spinning instances would hold up the tick that
        // interrupts them.
        let ticker = thread::Builder::new().name("epoch".to_owned()).spawn({
            let (engine, clock) = (engine.clone(), Arc::downgrade(&clock));
            move || tick(&engine, &clock)
        })?;
        // Nobody else sets it.
        let _ = clock.thread.set(ticker.thread().clone());
        Ok(Self { engine, clock })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// To be held while an instance runs.
    pub(crate) fn tick(&self) -> Ticking {
        self.clock.instances.fetch_add(1, SeqCst);
        self.clock.wake();
        Ticking(Arc::clone(&self.clock))
    }
}

impl Clock {
    /// Costs a system call only if the clock stands still.
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.instances.fetch_sub(1, SeqCst);
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.wake();
    }
}

fn config(allocation: InstanceAllocationStrategy) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Components of toolchains that use the asynchronous ABI load; the contract itself is
        // synchronous.
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .allocation_strategy(allocation);
    config
}

/// The engine of a compiler's process. It runs nothing, so it needs no pool, and its code is the
/// same.
pub(crate) fn compiling() -> anyhow::Result<Engine> {
    Ok(Engine::new(&config(InstanceAllocationStrategy::OnDemand))?)
}

/// The engine whose code is installed with the program. Naming a target, even this machine's, takes
/// none of its CPU's features for granted: the code loads on every CPU that the program runs on.
pub(crate) fn baseline() -> anyhow::Result<Engine> {
    let mut config = config(InstanceAllocationStrategy::OnDemand);
    config.target(&format!("{}-unknown-linux-gnu", std::env::consts::ARCH))?;
    Ok(Engine::new(&config)?)
}

/// Memories, tables and stacks for the instances of all calls: enough that no component, however
/// many core instances it is made of, takes those of another. Mapping and unmapping them for each
/// call would take longer than most calls do: on every processor that runs one of our threads, each
/// unmapping interrupts it.
fn pool(instances: u32) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    let of_all = |one: u32| instances.saturating_mul(one);
    pool.total_memories(of_all(limits::MEMORIES).min(POOLED_MEMORIES))
        .total_tables(of_all(limits::TABLES))
        .total_core_instances(of_all(limits::INSTANCES))
        .total_component_instances(instances)
        .total_stacks(instances)
        .max_memories_per_component(limits::MEMORIES)
        .max_memories_per_module(limits::MEMORIES)
        .max_tables_per_component(limits::TABLES)
        .max_tables_per_module(limits::TABLES)
        .max_core_instances_per_component(limits::INSTANCES)
        // Of the host's bookkeeping for one component; an interpreter has tens of thousands of
        // functions.
        .max_core_instance_size(INSTANCE_BYTES)
        .max_component_instance_size(INSTANCE_BYTES)
        .table_elements(limits::TABLE_ELEMENTS);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        // The kernel says which pages a call wrote, so that a small call is cleaned up by copying a
        // few.
        pool.pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(RESIDENT_BYTES)
            .table_keep_resident(RESIDENT_BYTES);
    }
    InstanceAllocationStrategy::Pooling(pool)
}

/// Ends once the clock is dropped.
fn tick(engine: &Engine, clock: &Weak<Clock>) {
    let mut idle = 0;
    while let Some(instances) = clock.upgrade().map(|clock| clock.instances.load(SeqCst)) {
        idle = if instances == 0 { idle + 1 } else { 0 };
        if idle > LINGER {
            idle = 0;
            thread::park();
        } else {
            thread::sleep(TICK);
            engine.increment_epoch();
        }
    }
}
