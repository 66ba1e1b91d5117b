//! A project's configuration: read as Penguin reads it, merged as Penguin merges it, changed
//! without bricking it.

mod answer;
mod change;
pub mod command_line;
mod edit;
mod files;
mod finish;
mod guard;
mod history;
mod inputs;
mod interfaces;
mod layer;
mod load;
mod loaded_before;
mod models;
mod paths;
mod place;
mod plugins;
mod refusal;
mod reset;
pub mod schema;
mod set;
mod store;
mod templates;
mod trial;
mod view;
mod written;

pub use answer::Changed;
pub use layer::Layer;
pub use load::{Loaded, Patch, load};
pub use refusal::{Fault, Kind, Refusal};
pub use trial::PenguinTrial;

pub(crate) use change::{apply, remove};
pub(crate) use reset::reset;
pub(crate) use set::set;
pub(crate) use templates::neutralise;
pub(crate) use trial::{tried, tried_by_penguin};
pub(crate) use view::{effective, for_embedded, lookup, patch};
