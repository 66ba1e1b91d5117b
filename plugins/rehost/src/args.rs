//! What a caller may say.

use rookery_diagnosis::Sure;
use rookery_plugin::running::Backend;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{Budget, Goal};

/// Seconds of a call where nobody says more: clients give up after a minute.
const USUAL_WAIT_S: u32 = 40;

#[derive(Deserialize, JsonSchema)]
pub struct Args {
    /// Project
    pub project_dir: String,
    /// `port` that is to answer; default: any
    #[serde(default)]
    pub goal: Goal,
    #[serde(default)]
    pub budget: Budget,
    /// Changes less certain than this are not tried
    #[serde(default)]
    pub sure: AtLeast,
    /// As of `run`
    #[serde(default)]
    pub backend: Backend,
    /// Seconds of this call
    #[serde(default = "usual_wait")]
    #[schemars(range(min = 0, max = 50))]
    pub wait_s: u32,
    /// Forget what was tried
    #[serde(default)]
    pub again: bool,
}

fn usual_wait() -> u32 {
    USUAL_WAIT_S
}

/// The least certainty of a change that is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AtLeast {
    High,
    #[default]
    Medium,
    Low,
}

impl AtLeast {
    /// Whether a change that is so certain may be tried.
    pub fn takes(self, sure: Sure) -> bool {
        sure <= match self {
            Self::High => Sure::High,
            Self::Medium => Sure::Medium,
            Self::Low => Sure::Low,
        }
    }
}
