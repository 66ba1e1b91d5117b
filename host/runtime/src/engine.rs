//! The engine that compiles and runs components, and the clock that interrupts them.

use std::time::Duration;

use wasmtime::{Config, Engine, OptLevel};

/// How often a running guest is interrupted: to look at its CPU budget, and to let others run.
const TICK: Duration = Duration::from_millis(10);

/// An engine with its ticker. The ticker ends when the last clone of the engine is dropped.
pub(crate) fn new() -> anyhow::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Components of toolchains that use the asynchronous ABI load; the contract itself is synchronous.
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed);
    let engine = Engine::new(&config)?;
    let weak = engine.weak();
    // A thread of its own: on a shared one, spinning guests would hold up the tick that interrupts them.
    std::thread::Builder::new()
        .name("epoch".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(TICK);
                match weak.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => break,
                }
            }
        })?;
    Ok(engine)
}
