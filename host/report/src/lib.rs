//! One run of a project as a page of HTML that needs nothing but itself: no network, no script, no
//! second file.
//!
//! What stands in the firmware's way is not judged here: the tools `health` and `missing_files`
//! say that, and their answers are part of [`Sources`]. Everything else is read from the result
//! files. All of it is hostile text, which the module `render` alone puts into the page.

mod command;
mod console;
mod devices;
mod health;
mod processes;
mod render;
mod scale;
mod services;
mod timeline;
mod tree;
mod verdict;
mod view;

pub use command::{command, word};
pub use view::{Page, Sources, page};
