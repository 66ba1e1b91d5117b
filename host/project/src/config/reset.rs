//! Dropping the patch, or bringing one of its revisions back as it was.

use std::path::Path;

use rookery_contract::options::ResetOptions;

use super::answer::{Answer, Changed};
use super::history::History;
use super::load::{Loaded, Patch, load};
use super::paths;
use super::store::{Store, parse_patch, read_patch};
use crate::ground::yaml::value::Value;
use crate::{Error, Result};

/// Drop the patch, or bring one of its revisions back as it was.
pub fn reset(dir: &Path, options: &ResetOptions) -> Result<Changed> {
    let store = if options.dry_run {
        None
    } else {
        Some(Store::lock(dir)?)
    };
    let old = match read_patch(dir) {
        // One that is no text can be moved aside.
        Err(error) if !matches!(error, Error::InvalidArgument(_)) => return Err(error),
        old => old,
    };
    let history = History::read(dir)?;
    let text = wanted(&history, options.to_revision)?;
    let text = text.as_deref();
    let mut warnings = Vec::new();
    let before = match &old {
        Ok(old) => load(dir, old.as_deref().map_or(Patch::Absent, Patch::Text)).ok(),
        Err(_) => None,
    };
    let loaded = load_with(dir, text, &mut warnings)?;
    let changed = !matches!(&old, Ok(old) if old.as_deref() == text);
    let revision = match store.filter(|_| changed) {
        Some(store) => {
            let what = match options.to_revision {
                None => "reset".to_owned(),
                Some(number) => format!("reset to revision {number}"),
            };
            Some(replace(&store, &old, text, &what, &mut warnings)?)
        }
        None => history.revisions.last().map(|revision| revision.number),
    };
    let patch = parse_patch(text)?;
    let touched = touched(old, &patch);
    Ok(Answer {
        dir,
        changed,
        dry_run: options.dry_run,
        patch,
        before: before.as_ref().map(|before| &before.config),
        loaded: loaded.as_ref(),
        touched: &touched,
        revision,
        warnings,
    }
    .into_changed())
}

/// The patch's text in a revision; nothing for revision 0, and where none is named.
fn wanted(history: &History, number: Option<u64>) -> Result<Option<String>> {
    let revisions = &history.revisions;
    let Some(number) = number.filter(|number| *number > 0) else {
        return Ok(None);
    };
    if let Some(at) = revisions
        .iter()
        .position(|revision| revision.number == number)
    {
        return history.text(at);
    }
    let known: Vec<_> = revisions
        .iter()
        .map(|revision| revision.number.to_string())
        .collect();
    let known = if known.is_empty() {
        "none yet".to_owned()
    } else {
        known.join(", ")
    };
    Err(Error::NotFound(format!(
        "there is no revision {number}; there are {known}, and 0 for no patch"
    )))
}

/// The project with this patch. Without one it may not load: dropping the patch must always be
/// possible.
fn load_with(dir: &Path, text: Option<&str>, warnings: &mut Vec<String>) -> Result<Option<Loaded>> {
    match (load(dir, text.map_or(Patch::Absent, Patch::Text)), text) {
        (Ok(loaded), _) => Ok(Some(loaded)),
        (Err(refusal), Some(_)) => Err(Error::InvalidArgument(format!(
            "with that revision the project does not load: {refusal}. Nothing was written"
        ))),
        (Err(refusal), None) => {
            warnings.push(format!(
                "the project does not load without the patch: {refusal}"
            ));
            Ok(None)
        }
    }
}

/// Write the text; an old file that is no text cannot be kept in the history, so it is moved aside.
/// Gives the new revision's number.
fn replace(
    store: &Store<'_>,
    old: &Result<Option<String>>,
    text: Option<&str>,
    what: &str,
    warnings: &mut Vec<String>,
) -> Result<u64> {
    if let Ok(old) = old {
        return store.replace(old.as_deref(), text, what);
    }
    let aside = store.set_aside()?;
    warnings.push(format!("the unreadable patch was moved to {aside}"));
    store.replace(None, text, what)
}

/// What the patch set before, and what it sets now.
fn touched(old: Result<Option<String>>, new: &Value) -> Vec<Vec<String>> {
    let old = old.and_then(|text| parse_patch(text.as_deref()));
    let mut touched = old.map(|old| paths::leaves(&old)).unwrap_or_default();
    let known: std::collections::HashSet<_> = touched.iter().cloned().collect();
    touched.extend(
        paths::leaves(new)
            .into_iter()
            .filter(|path| !known.contains(path)),
    );
    touched
}
