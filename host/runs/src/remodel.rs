//! A change of the configuration that is made in a running guest: of the models of its files.

use rookery_contract::options::ApplyOptions;
use rookery_project::{Cancel, Changed, Error, Project, Result};
use serde_json::{Map, Value};

use crate::live::{LiveRequest, ModelChange};
use crate::registry::Registry;

/// The only section that a running guest can follow.
const SECTION: &str = "pseudofiles";

pub(crate) fn remodel(
    registry: &Registry,
    run_id: &str,
    project: &Project,
    fragment: &Value,
    options: &ApplyOptions,
    cancel: &Cancel,
) -> Result<Changed> {
    let files = files(fragment)?;
    let of = registry.status(run_id)?.project_dir;
    if of
        .as_deref()
        .is_none_or(|of| project.dir() != std::path::Path::new(of))
    {
        return Err(Error::InvalidArgument(format!(
            "{run_id} is no run of {}, but of {}",
            project.dir().display(),
            of.as_deref().unwrap_or("another project")
        )));
    }
    let dry_run = ApplyOptions {
        dry_run: true,
        run: None,
        ..options.clone()
    };
    let mut changed = project.apply(fragment, &dry_run)?;
    let change = &mut changed.change;
    change.warnings.clear();
    change.patch_file.clear();
    if options.dry_run {
        return Ok(changed);
    }
    for (path, models) in files {
        let models = models.as_object().cloned().unwrap_or_default();
        let path = path.clone();
        let request = LiveRequest::Model(ModelChange { path, models });
        let notes: Vec<String> = registry.live(run_id, request, cancel)?;
        change.warnings.extend(notes);
    }
    // What it was, is what the configuration says; the guest may have had something else.
    for key in &mut change.effective {
        (key.old, key.set_by) = (Value::Null, Some(run_id.to_owned()));
    }
    change.changed = true;
    change.dry_run = false;
    change.revision = None;
    change.warnings.push(
        "only the running guest was changed: the same call without run_id keeps it for the next \
         run"
        .to_owned(),
    );
    Ok(changed)
}

fn files(fragment: &Value) -> Result<&Map<String, Value>> {
    let only = fragment.as_object().filter(|sections| sections.len() == 1);
    let files = only.and_then(|sections| sections.get(SECTION)?.as_object());
    files.filter(|files| !files.is_empty()).ok_or_else(|| {
        Error::InvalidArgument(
            "in a running guest only models of files can be changed (the section pseudofiles); \
             make this change without a run, and run again"
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_running_guest_follows_changes_of_models_alone() {
        assert!(files(&json!({ "pseudofiles": { "/dev/x": {} } })).is_ok());
        for other in [
            json!({ "env": { "a": "1" } }),
            json!({ "pseudofiles": { "/dev/x": {} }, "env": { "a": "1" } }),
            json!({ "pseudofiles": {} }),
            json!([]),
        ] {
            assert!(files(&other).is_err(), "{other}");
        }
    }
}
