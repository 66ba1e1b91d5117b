//! A model of a file that is changed while the guest runs.

use std::path::Path;
use std::rc::Rc;

use rookery_project::{Error, Result};
use rookery_runs::live::ModelChange;
use rookery_runs::plan::models;
use rookery_runs::plan::notes::Notes;
use rustix::io::Errno;

use crate::guest::access::{HasDevices, HasEmulators, HasKept, HasNamespaces, HasPlan};
use crate::kernel::{enter, paths};
use crate::sandbox::mounting;

/// Of what a new model adds to a guest.
const MODELS_MAX: usize = 10_000;

/// Change a model, or add one. Gives what is to be known of it.
pub fn set_model<'a, T>(guest: &mut T, change: &ModelChange) -> Result<Vec<String>>
where
    T: HasDevices + HasKept + HasNamespaces + HasEmulators<'a> + HasPlan<'a>,
{
    let path = paths::normalise(&change.path);
    let project_dir = &guest.plan().project_dir;
    let old = guest.devices().model_at(&path);
    let mut notes = Notes::default();
    let file = models::remodelled(
        old.as_deref(),
        &path,
        &change.models,
        project_dir,
        &mut notes,
    )?;
    if old.is_none() && guest.devices().models().len() >= MODELS_MAX {
        return Err(Error::Limit(format!("this guest has {MODELS_MAX} models")));
    }
    if let Some(models) = guest.kept().models() {
        models.change(&path, &file).map_err(|error| {
            Error::Backend(format!("the model of {path} cannot be changed: {error}"))
        })?;
    }
    guest.kept().forget(&path);
    let has_commands = !file.ioctl.is_empty();
    guest.devices().set_model(&path, Rc::new(file));
    if old.is_none() {
        place(guest, &path, &mut notes);
    }
    if has_commands && !guest.emulators().announces_ioctls() {
        notes.say(
            "of its ioctl commands those reach it that the emulator passes on by itself, and those \
             that models had when the run began; the others do from the next run on",
        );
    }
    Ok(notes.into_vec())
}

/// A file where the guest lists it.
fn place(guest: &mut (impl HasDevices + HasNamespaces), path: &str, notes: &mut Notes) {
    let Some((listed, mode)) = guest.devices().placeholder(path) else {
        return;
    };
    let place = || {
        let listed = Path::new(&listed);
        mounting::place(listed, mode);
        listed.exists().then_some(()).ok_or(Errno::ACCESS)
    };
    if let Err(error) = enter::run(&guest.namespaces(), place) {
        notes.about(
            "it can be opened, but no directory lists it",
            error.to_string(),
        );
    }
}
