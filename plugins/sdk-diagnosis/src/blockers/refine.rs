//! What is really missing where the firmware shows more than the call did.

use rookery_plugin::shapes::EntryKind;
use rookery_plugin::{ListOptions, RootFilesystem};

use crate::blockers::subject::Subject;

/// Bytes of a script's first line.
const FIRST_LINE: u32 = 256;
/// Entries of a directory that are looked through.
const ENTRIES: u32 = 2000;

/// A program that is there lacks its interpreter, and a path may lead through a link whose target
/// is not there.
pub fn refine(root: &impl RootFilesystem, subject: Subject) -> Subject {
    let found = match &subject {
        Subject::Program(path) => interpreter(root, path).or_else(|| broken_link(root, path)),
        Subject::File(path) | Subject::Library(path) => broken_link(root, path),
        Subject::Directory(path) => {
            broken_link(root, path).map(|found| Subject::Directory(found.text().to_owned()))
        }
        _ => None,
    };
    found.unwrap_or(subject)
}

fn interpreter(root: &impl RootFilesystem, path: &str) -> Option<Subject> {
    let file = root.stat(path).ok()?;
    let named = if let Some(elf) = file.elf {
        elf.interpreter?
    } else {
        let start = root.read(path, 0, FIRST_LINE).ok()?;
        let start = String::from_utf8_lossy(&start);
        let line = start.strip_prefix("#!")?.lines().next()?;
        line.split_whitespace().next()?.to_owned()
    };
    root.stat(&named)
        .is_err()
        .then_some(Subject::Program(named))
}

/// The target of the first link on the way that leads nowhere. On the way it is a directory.
fn broken_link(root: &impl RootFilesystem, path: &str) -> Option<Subject> {
    let ends = path
        .match_indices('/')
        .map(|(at, _)| at)
        .skip(1)
        .chain([path.len()]);
    let missing = ends
        .filter_map(|end| path.get(..end))
        .find(|part| root.stat(part).is_err())?;
    let (directory, name) = missing.rsplit_once('/')?;
    let options = ListOptions {
        limit: ENTRIES,
        ..ListOptions::default()
    };
    let directory = if directory.is_empty() { "/" } else { directory };
    let entries = root.list_directory(directory, &options).ok()?.entries;
    let entry = entries.into_iter().find(|entry| entry.name == name)?;
    let target = entry.target.filter(|_| entry.kind == EntryKind::Symlink)?;
    let target = match target.strip_prefix('/') {
        Some(_) => target,
        None if target.contains("..") => return None,
        None => format!("{}/{target}", directory.trim_end_matches('/')),
    };
    Some(if missing == path {
        Subject::File(target)
    } else {
        Subject::Directory(target)
    })
}
