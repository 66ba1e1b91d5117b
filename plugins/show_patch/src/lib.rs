//! `show_patch`

use rookery_plugin::answer::{USUAL_BYTES, few, fit, fitting};
use rookery_plugin::shapes::Revision;
use rookery_plugin::{Config, Next, Result, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Changes shown; older ones are counted.
const REVISIONS: usize = 10;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// Project
    project_dir: String,
}

#[derive(Serialize, JsonSchema)]
struct Shown {
    patch_file: String,
    exists: bool,
    #[schemars(with = "Map<String, Value>")]
    patch: Value,
    history: Vec<Revision>,
    /// Of the history.
    total: usize,
    truncated: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

/// Show all changes made so far. Gives `patch` and `history`, newest first. Next: `unset` or
/// `reset_patch`.
#[tool(
    read_only,
    idempotent,
    title = "Show the patch",
    example(project_dir = "fw")
)]
fn show_patch(host: &impl Config, args: Args) -> Result<Shown> {
    let mut shown = host.patch(&args.project_dir)?;
    let cut = fit(&mut shown.patch, USUAL_BYTES) | few(&mut shown.warnings, USUAL_BYTES / 4);
    let total = shown.history.len();
    let count = fitting(shown.history.iter().take(REVISIONS), USUAL_BYTES / 4);
    shown.history.truncate(count);
    Ok(Shown {
        next: shown.undo.map(|revision| {
            Next::call(
                "reset_patch",
                json!({
                    "project_dir": args.project_dir,
                    "to_revision": revision,
                    "dry_run": true
                }),
            )
        }),
        patch_file: shown.patch_file,
        exists: shown.exists,
        patch: if shown.patch.is_null() {
            json!({})
        } else {
            shown.patch
        },
        truncated: cut || total > count,
        history: shown.history,
        total,
        warnings: shown.warnings,
    })
}

plugin!(show_patch);

#[cfg(test)]
mod tests {
    use rookery_plugin::Error;
    use rookery_plugin::testing::{FakeHost, call, check};

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<show_patch>();
    }

    #[test]
    fn the_newest_revisions_are_shown_and_the_rest_counted() {
        let history: Vec<_> = (1..=30)
            .rev()
            .map(|n| json!({ "revision": n, "time": "t", "change": "set env.X" }))
            .collect();
        let host = FakeHost::new().answer(
            "config.patch",
            json!({
                "patch_file": "/p/x",
                "exists": true,
                "patch": { "env": { "X": "1" } },
                "yaml": "…",
                "history": history,
                "undo": 29
            }),
        );
        let answer = call::<show_patch>(&host, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(answer["history"].as_array().unwrap().len(), 10);
        assert_eq!(
            (
                &answer["total"],
                &answer["truncated"],
                &answer["history"][0]["revision"]
            ),
            (&json!(30), &json!(true), &json!(30))
        );
        assert_eq!(answer["next"]["arguments"]["to_revision"], 29);
    }

    #[test]
    fn no_patch_is_an_empty_patch_with_nothing_to_undo() {
        let host = FakeHost::new().answer(
            "config.patch",
            json!({ "patch_file": "/p/x", "exists": false, "patch": null, "undo": null }),
        );
        let answer = call::<show_patch>(&host, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(
            (&answer["exists"], &answer["patch"], answer.get("next")),
            (&json!(false), &json!({}), None)
        );
    }

    #[test]
    fn a_long_file_in_the_patch_is_cut() {
        let host = FakeHost::new().answer(
            "config.patch",
            json!({ "patch_file": "/p/x", "exists": true, "patch": { "x": "a".repeat(100_000) } }),
        );
        let answer = call::<show_patch>(&host, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(answer["truncated"], true);
        assert!(answer.to_string().len() < 1000);
    }

    #[test]
    fn a_patch_of_many_keys_is_cut() {
        let nvram: Map<_, _> = (0..20_000).map(|n| (format!("k{n}"), json!("1"))).collect();
        let patch = json!({ "nvram": nvram, "env": { "a": "1" } });
        let host = FakeHost::new().answer(
            "config.patch",
            json!({ "patch_file": "/p/x", "exists": true, "patch": patch }),
        );
        let answer = call::<show_patch>(&host, json!({ "project_dir": "p" })).unwrap();
        assert_eq!(answer["truncated"], true);
        assert_eq!(answer["patch"]["env"]["a"], "1");
        assert!(answer.to_string().len() < 10_000);
    }

    #[test]
    fn a_patch_that_cannot_be_read_is_an_error() {
        let error = Error::InvalidArgument("line 3: …".into());
        let host = FakeHost::new().fail("config.patch", error.clone());
        assert_eq!(
            call::<show_patch>(&host, json!({ "project_dir": "p" })),
            Err(error)
        );
    }
}
