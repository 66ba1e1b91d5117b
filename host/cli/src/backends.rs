//! Which backends there are. A new one is a line here.

use rookery_runs::backend::Backend;

/// Every backend, the preferred one first.
pub fn all() -> Vec<Box<dyn Backend>> {
    vec![
        Box::new(rookery_emulator::UserBackend),
        Box::new(rookery_runs::penguin::PenguinBackend::new()),
    ]
}
