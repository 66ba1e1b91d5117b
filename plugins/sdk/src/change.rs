//! What all tools that change the configuration do alike.

use serde_json::{Value, json};

use crate::answer::{Next, shorten};
use crate::args::ChangeTarget;
use crate::error::Result;
use crate::host::{ApplyOptions, ConfigMutation};
use crate::shapes::Change;

/// Strings of a patch are echoed up to this many bytes; the patch file has them whole.
const LONGEST_TEXT: usize = 300;

/// Merge `fragment` into the patch of the project, after dropping what the patch held at the paths in `replace`.
pub fn apply(
    host: &impl ConfigMutation,
    target: &ChangeTarget,
    fragment: &Value,
    replace: Vec<String>,
) -> Result<Change> {
    let options = ApplyOptions {
        dry_run: target.dry_run,
        replace,
    };
    host.apply(&target.project_dir, fragment, &options)
        .map(finish)
}

/// Make the host's change an answer: bounded, and with the next call where something was written.
pub fn finish(mut change: Change) -> Change {
    shorten(&mut change.patch, LONGEST_TEXT);
    for effective in &mut change.effective {
        shorten(&mut effective.value, LONGEST_TEXT);
    }
    change.next = (change.changed && !change.dry_run)
        .then(|| Next::call("run", json!({ "project_dir": change.project_dir })));
    change
}
