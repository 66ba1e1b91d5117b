//! What the supervisor's loop does next.

use std::rc::Rc;

use rustix::event::PollFlags;

use crate::process::call::Listener;

/// What a wait found to do.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a descriptor of its own"
)]
pub struct Ready {
    /// The guest's network changed.
    pub network: bool,
    pub requests: bool,
    pub init: bool,
    pub answers: bool,
    pub console: bool,
    /// An image is unpacked.
    pub image: bool,
    pub listeners: Vec<(Rc<Listener>, PollFlags)>,
}
