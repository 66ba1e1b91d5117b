//! Which model is behind a descriptor, and what a call hands over.

use std::rc::Rc;

use crate::files::devices::Backing;
use crate::guest::access::{Callers, HasDevices, HasKept};
use crate::kernel::paths;
use crate::models;
use crate::process::call::Call;
use rookery_runs::plan::Pseudofile;

/// The name of a memory file tells which path it stands for, whatever the guest does with its
/// descriptor.
pub const MEMORY_FILE: &str = models::DIRECTORY;

/// The path that a model's file stands for, from what its descriptor links to.
pub fn path_of(link: &str) -> Option<&str> {
    match link.strip_prefix("/memfd:") {
        Some(name) => {
            let path = name.strip_prefix(MEMORY_FILE)?;
            Some(path.strip_suffix(" (deleted)").unwrap_or(path))
        }
        // A file of the models' file system, by its path there.
        None => link.strip_prefix('/')?.strip_prefix(models::DIRECTORY),
    }
}

/// As [`path_of`], also of a model that is a stream: its socket has a number only.
pub fn path_behind(guest: &mut impl HasKept, link: &str) -> Option<String> {
    if let Some(path) = path_of(link) {
        return Some(path.to_owned());
    }
    let path = guest.kept().stream(paths::socket(link)?)?;
    Some(path.to_owned())
}

/// The modelled path behind a descriptor of the caller, and its model.
pub fn model_of(
    guest: &mut (impl Callers + HasDevices + HasKept),
    call: &Call,
    fd: i32,
) -> Option<(String, Rc<Pseudofile>)> {
    let link = guest.caller(call)?.directory(fd)?;
    of_link(guest, &link)
}

/// The model that a descriptor with this link was given as.
fn of_link(
    guest: &mut (impl HasDevices + HasKept),
    link: &str,
) -> Option<(String, Rc<Pseudofile>)> {
    let path = path_behind(guest, link)?;
    match guest.devices().get(&path)?.backing {
        Backing::Model(index) => {
            let (path, model) = guest.devices().models().get(index)?;
            Some((path.clone(), Rc::clone(model)))
        }
        _ => None,
    }
}

/// The modelled paths that the caller has open.
pub fn open_models(guest: &mut (impl Callers + HasDevices + HasKept), call: &Call) -> Vec<String> {
    let links: Vec<String> = guest.caller(call).map_or_else(Vec::new, |record| {
        let numbers = record.descriptors().into_iter();
        numbers
            .filter_map(|fd| record.directory(i32::try_from(fd).ok()?))
            .collect()
    });
    let models = links.iter().filter_map(|link| of_link(guest, link));
    let mut paths: Vec<String> = models.map(|(path, _)| path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// The pieces of memory that a `readv`, a `writev` and their kin name.
pub fn pieces_of(guest: &mut impl Callers, call: &Call) -> Option<Vec<(u64, u64)>> {
    guest.memory(call)?.pieces(call.arg(1), call.arg(2))
}
