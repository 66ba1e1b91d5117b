//! What all tools that change the configuration do alike.

use rookery_contract::penguin::DIAGNOSTICS;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::answer::{Next, USUAL_BYTES, few, fit, fitting, shorten};
use crate::args::ChangeTarget;
use crate::error::Result;
use crate::fragment::Fragment;
use crate::host::{ApplyOptions, Config, ConfigMutation};
use crate::shapes::Change;

/// The value of a key is echoed up to this many bytes; `show_patch` and the file have it whole.
const LONGEST_TEXT: usize = 160;
/// Bytes that the keys that were touched may take of an answer, and what is to be said of them.
const BYTES: usize = USUAL_BYTES / 8;

/// Merge `fragment` into the patch of the project.
pub fn apply(
    host: &impl ConfigMutation,
    target: &ChangeTarget,
    fragment: impl Into<Fragment>,
) -> Result<Change> {
    apply_in(host, target, None, fragment)
}

/// [`apply`], or where there is a run, change its guest and not the patch.
pub fn apply_in(
    host: &impl ConfigMutation,
    target: &ChangeTarget,
    run_id: Option<String>,
    fragment: impl Into<Fragment>,
) -> Result<Change> {
    let fragment = fragment.into();
    let options = ApplyOptions {
        dry_run: target.dry_run,
        replace: fragment.replace,
        run: run_id,
    };
    let change = host.apply(&target.project_dir, &fragment.value, &options)?;
    let mut change = finish(change);
    if let Some(run_id) = options.run {
        change.revision = None;
        let look = || Next::call("run_wait", json!({ "run_id": run_id, "wait_s": 5 }));
        change.next = change.next.map(|_| look());
    }
    Ok(change)
}

/// Several keys that are set at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// What records boot arguments and events.
    Diagnostics,
}

impl Preset {
    /// What of it a project does not have yet: a fragment of a patch, empty where it has all.
    pub fn missing(self, host: &impl Config, project: &str) -> Result<Value> {
        let Self::Diagnostics = self;
        let effective = host.effective(project)?;
        let plugins = effective.config.get("plugins");
        let off = DIAGNOSTICS.iter().filter(|name| !is_on(plugins, name));
        let on: Map<_, _> = off
            .map(|name| ((*name).to_owned(), json!({ "enabled": true })))
            .collect();
        Ok(if on.is_empty() {
            json!({})
        } else {
            json!({ "plugins": on })
        })
    }
}

fn is_on(plugins: Option<&Value>, name: &str) -> bool {
    plugins
        .and_then(|plugins| plugins.get(name))
        .is_some_and(|arguments| arguments.get("enabled") != Some(&Value::Bool(false)))
}

/// Make the host's change an answer: what was touched and not the whole patch, bounded, and with
/// the next call where something was written.
pub fn finish(mut change: Change) -> Change {
    let mut cut = false;
    for effective in &mut change.effective {
        for value in [&mut effective.old, &mut effective.value] {
            cut |= shorten(value, LONGEST_TEXT) | fit(value, BYTES / 2);
        }
        // The patch sets what was set, unless something else is said.
        let file = effective.set_by.as_deref();
        if file.is_some_and(|file| change.patch_file.ends_with(&format!("/{file}"))) {
            effective.set_by = None;
        }
    }
    let touched = change.effective.len();
    let shown = fitting(&change.effective, BYTES);
    if shown < touched {
        change.effective.truncate(shown);
        change.effective_total = Some(touched);
    }
    cut |= few(&mut change.warnings, BYTES);
    change.truncated = cut || shown < touched;
    // What still is wrong stands in the patch.
    let tool = if change.loads { "run" } else { "show_patch" };
    change.next = (change.changed && !change.dry_run)
        .then(|| Next::call(tool, json!({ "project_dir": change.project_dir })));
    // Its patch file lies in it.
    if !change.patch_file.is_empty() {
        change.project_dir = String::new();
    }
    change
}

/// Whether a pseudofile can have this path: `add_pseudofile` refuses others, and flash is not for
/// it.
pub fn can_be_modelled(path: &str) -> bool {
    let Some((place, rest)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return false;
    };
    let first = rest.split('/').next().unwrap_or_default();
    let special = match place {
        "dev" => first.starts_with("mtd"),
        "proc" => matches!(first, "PID" | "mtd") || first.bytes().all(|b| b.is_ascii_digit()),
        place => place != "sys",
    };
    let clean = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\\');
    !special && rest.split('/').all(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(answer: Value) -> Change {
        finish(serde_json::from_value(answer).unwrap())
    }

    #[test]
    fn a_change_of_a_large_patch_is_answered_in_short() {
        let keys = (0..20_000).map(|n| (format!("key{n}"), json!("a value")));
        let nvram = keys.collect::<Map<_, _>>();
        let effective: Vec<_> = nvram
            .iter()
            .map(|(key, value)| json!({ "path": format!("nvram.{key}"), "value": value }))
            .collect();
        let warnings = vec!["some key is overridden by a file of the user"; 1000];
        let answer = change(json!({
            "changed": true,
            "patch": { "nvram": nvram, "env": { "a": "1" } },
            "effective": effective,
            "warnings": warnings
        }));
        assert_eq!(
            (answer.truncated, answer.effective_total),
            (true, Some(20_000))
        );
        assert!(answer.warnings.last().unwrap().contains("more"));
        assert!(serde_json::to_string(&answer).unwrap().len() <= 3 * BYTES);
        let section = json!([{ "path": "nvram", "value": nvram }]);
        let answer = change(json!({ "patch": {}, "effective": section }));
        assert!(serde_json::to_string(&answer).unwrap().len() <= 3 * BYTES);
    }

    #[test]
    fn a_change_is_answered_with_what_it_changed_and_not_with_the_whole_patch() {
        let answer = change(json!({
            "changed": true, "project_dir": "/p", "patch_file": "/p/patch_90_mcp.yaml",
            "patch": { "env": { "a": "1", "b": "2" } }, "patch_keys": 2,
            "effective": [
                {
                    "path": "env.a", "old": "0", "value": "1", "set_by": "patch_90_mcp.yaml",
                    "overridden": false
                },
                { "path": "env.b", "value": "3", "set_by": "patch_zz.yaml", "overridden": true }
            ],
            "loads": true
        }));
        assert_eq!(
            serde_json::to_value(answer).unwrap(),
            json!({
                "patch_file": "/p/patch_90_mcp.yaml", "changed": true, "patch_keys": 2,
                "effective": [
                    { "path": "env.a", "old": "0", "value": "1" },
                    {
                        "path": "env.b", "value": "3", "set_by": "patch_zz.yaml",
                        "overridden": true
                    }
                ],
                "next": { "tool": "run", "arguments": { "project_dir": "/p" } }
            })
        );
    }

    #[test]
    fn a_project_that_does_not_load_is_not_run_next() {
        let answer = change(json!({ "changed": true, "project_dir": "/p", "loads": false }));
        assert_eq!(answer.next.unwrap().tool, "show_patch");
    }
}
