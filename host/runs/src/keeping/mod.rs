//! What is kept on the disk of runs that are over, and what is too much.

mod items;
mod limits;

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rookery_project::{Result, Roots};

pub use items::{Item, Kind, caches, results};
pub use limits::Limits;

/// All projects are looked at this often at most: that takes long where there are many.
const ALL_EVERY: Duration = Duration::from_mins(10);

/// When all projects were last looked at. Locked by the one who looks.
static LAST: Mutex<Option<Instant>> = Mutex::new(None);

/// Remove what is beyond the limits: of a project in which a run has just begun, and now and then
/// of all. Somebody else who is at it is left to it.
pub(crate) fn keep(roots: &Roots, project: &Path, limits: &Limits) {
    let Ok(mut last) = LAST.try_lock() else {
        return;
    };
    let of_each = Limits {
        results: None,
        caches: None,
        ..limits.clone()
    };
    remove(items::of_project(roots, project), &of_each);
    let is_due = last.is_none_or(|last| last.elapsed() > ALL_EVERY);
    if limits.results.is_some() && is_due {
        remove(items::results(roots), limits);
        *last = Some(Instant::now());
    }
}

fn remove(items: Result<Vec<Item>>, limits: &Limits) {
    let items = items.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot look at the results that are kept");
        Vec::new()
    });
    for (item, why) in limits.judge(items) {
        let Some(why) = why else { continue };
        let path = item.path.display();
        match item.remove() {
            Ok(()) => tracing::info!(%path, why, "removed results beyond the quota"),
            Err(error) => tracing::warn!(%path, %error, "cannot remove results"),
        }
    }
}
