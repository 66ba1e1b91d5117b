//! Ctrl-c ends work gracefully; the second one at once.

use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use tokio::runtime;
use tokio::signal::unix::{SignalKind, signal};

/// What a shell reports for a program that ctrl-c ended.
const INTERRUPTED: i32 = 130;

/// Whether the user has pressed ctrl-c.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watch for ctrl-c from now on; call `then` at the first.
    pub fn watch(then: impl FnOnce() + Send + 'static) -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let pressed = interrupt.clone();
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot watch for ctrl-c")?;
        // Here and not in the thread: from the moment that this returns, ctrl-c ends nothing.
        let signals = {
            let _inside = runtime.enter();
            signal(SignalKind::interrupt())
        };
        let mut signals = signals.context("cannot watch for ctrl-c")?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                if signals.recv().await.is_some() {
                    pressed.0.store(true, Ordering::Relaxed);
                    then();
                }
                if signals.recv().await.is_some() {
                    crate::log::finish();
                    exit(INTERRUPTED);
                }
            });
        });
        Ok(interrupt)
    }

    /// Whether ctrl-c was pressed.
    pub fn pressed(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
