//! The backend `user`.

use rookery_project::Result;

use rookery_runs::backend::{Availability, Backend, Control, Live, Outcome};
use rookery_runs::plan::Plan;

use crate::sandbox::guest_user;
use crate::supervisor::{host, serve};

/// The embedded backend.
#[derive(Debug, Clone, Copy, Default)]
pub struct UserBackend;

impl UserBackend {
    /// The user of the host as whom a guest's root runs.
    pub fn guest_uid() -> u32 {
        guest_user::uid()
    }
}

impl Backend for UserBackend {
    fn name(&self) -> &'static str {
        host::NAME
    }

    fn probe(&self) -> Availability {
        host::availability()
    }

    fn live(&self) -> Live {
        Live {
            command: true,
            reach: true,
            hook: true,
            model: true,
            ..Live::default()
        }
    }

    fn run(&self, plan: &Plan, control: &mut dyn Control) -> Result<Outcome> {
        serve::run(plan, control)
    }
}
