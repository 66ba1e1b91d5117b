//! Snapshots of a running guest. Penguin takes a request for one also where nothing comes of it;
//! what would be lost is refused here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use rookery_contract::options::{SnapshotAction, SnapshotOptions};
use rookery_contract::shapes::{Snapshot, Snapshots, Snapshotted};
use rookery_project::{Error, Result};
use serde_json::{Value, json};

use super::files::RunFiles;
use super::remotectrl;

const LONGEST: usize = 40;
const MOST: usize = 200;

/// The tags that were saved in this run.
#[derive(Default)]
pub(super) struct Saved(Mutex<BTreeSet<String>>);

/// What the run's configuration says of snapshots.
struct Configured {
    tag: String,
    saves: bool,
    boot_from: Option<String>,
}

impl Saved {
    pub(super) fn ask(&self, files: &RunFiles, options: &SnapshotOptions) -> Result<Snapshotted> {
        let configured = configured(files)?;
        let tag = options.tag.clone().filter(|tag| !tag.is_empty());
        let tag = tag.unwrap_or_else(|| configured.tag.clone());
        check(&tag)?;
        match options.action {
            SnapshotAction::Save => self.save(files, &configured, tag),
            SnapshotAction::Load => self.load(files, &configured, tag),
        }
    }

    fn save(&self, files: &RunFiles, configured: &Configured, tag: String) -> Result<Snapshotted> {
        let request = json!({ "type": "snapshot", "action": "save", "when": "now", "tag": tag });
        remotectrl::ask(files, &request).map_err(|error| match error {
            Error::Backend(why) if why.contains("failed to arm") => Error::Conflict(
                "another snapshot is waiting to be saved; Penguin saves one at a time".into(),
            ),
            error => error,
        })?;
        self.lock().insert(tag.clone());
        let mut notes = vec![
            "Penguin does not say when it is saved; the operation list has its time once it is \
             under way"
                .to_owned(),
            format!(
                "to start a run from it: core.snapshot.boot_from {tag:?} with core.snapshot.tag \
                 {:?}; it then has the configuration that was saved, and changes made since have \
                 no effect",
                configured.tag
            ),
        ];
        if configured.saves {
            notes.push(format!(
                "the next run with core.snapshot.save_at makes a new overlay for {:?}, and this \
                 snapshot is lost: unset core.snapshot.save_at before",
                configured.tag
            ));
        }
        Ok(Snapshotted {
            message: format!("saving {tag} was asked for"),
            tag,
            notes,
        })
    }

    fn load(&self, files: &RunFiles, configured: &Configured, tag: String) -> Result<Snapshotted> {
        if !self.is_loadable(files, configured, &tag) {
            let why = if configured.saves {
                "this run saves snapshots, for which Penguin made a new overlay: what earlier runs \
                 saved is not in it"
            } else {
                "the run was not started from it, and did not save it"
            };
            return Err(Error::NotFound(format!("no snapshot {tag} to load: {why}")));
        }
        let request = json!({ "type": "snapshot", "action": "load", "tag": tag });
        remotectrl::ask(files, &request)?;
        Ok(Snapshotted {
            message: format!("going back to {tag} was asked for"),
            tag,
            notes: vec![
                "Penguin does not say when it is done; commands and ports may need a moment, and \
                 connections are lost"
                    .to_owned(),
            ],
        })
    }

    pub(super) fn list(&self, files: &RunFiles) -> Snapshots {
        let configured = configured(files);
        let mut found: BTreeMap<String, Snapshot> = BTreeMap::new();
        let saved = self.lock().clone();
        let tags = kept(files).into_iter().chain(saved);
        for tag in tags.chain(scheduled(files).map(|(tag, _)| tag)) {
            let loadable = configured
                .as_ref()
                .is_ok_and(|configured| self.is_loadable(files, configured, &tag));
            let snapshot = Snapshot {
                tag: tag.clone(),
                saved_at: None,
                loadable,
            };
            found.insert(tag, snapshot);
        }
        if let Some((tag, at)) = scheduled(files)
            && let Some(snapshot) = found.get_mut(&tag)
        {
            snapshot.saved_at = Some(at);
        }
        Snapshots {
            snapshots: found.into_values().take(MOST).collect(),
            can_save: configured.is_ok(),
            why: configured.err().map(|error| match error {
                Error::Unavailable(missing) => {
                    format!("{}. {}", missing.why, missing.how_to_enable)
                }
                error => error.to_string(),
            }),
        }
    }

    fn is_loadable(&self, files: &RunFiles, configured: &Configured, tag: &str) -> bool {
        configured.boot_from.as_deref() == Some(tag)
            || self.lock().contains(tag)
            || scheduled(files).is_some_and(|(saved, _)| saved == tag)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the run was started with, or why it has no snapshots.
fn configured(files: &RunFiles) -> Result<Configured> {
    let unavailable = |why: String, how: String| Err(Error::unavailable("snapshots", why, how));
    let config = match files.yaml("core_config.yaml") {
        Ok(config) => config,
        Err(why) => {
            return unavailable(
                format!("Penguin has not written its configuration yet ({why})"),
                "Wait until the guest has booted: call run_wait, then this again".into(),
            );
        }
    };
    let snapshot = &config["core"]["snapshot"];
    let text = |member: &str| snapshot[member].as_str().map(str::to_owned);
    let (saves, boot_from) = (text("save_at").is_some(), text("boot_from"));
    if !saves && boot_from.is_none() {
        return unavailable(
            "the run was started without snapshots; Penguin would take the request, and write to a \
             file that it throws away"
                .into(),
            files.switch_on("core.snapshot.save_at", &json!("manual")),
        );
    }
    if text("backend").as_deref() == Some("file") {
        return unavailable(
            "core.snapshot.backend is \"file\", which Penguin cannot do".into(),
            files.switch_on("core.snapshot.backend", &json!("internal")),
        );
    }
    Ok(Configured {
        tag: text("tag").unwrap_or_else(|| "boot".to_owned()),
        saves,
        boot_from,
    })
}

/// The tags of overlays that are kept in the project.
fn kept(files: &RunFiles) -> Vec<String> {
    let entries = std::fs::read_dir(files.project_dir.join("qcows"));
    let names = entries.into_iter().flatten().flatten().take(10_000);
    let tags = names.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let tag = name.strip_prefix("snapshot_")?.strip_suffix(".meta.json")?;
        check(tag).ok().map(|()| tag.to_owned())
    });
    tags.take(MOST).collect()
}

/// The snapshot that this run has begun to save, and when.
fn scheduled(files: &RunFiles) -> Option<(String, String)> {
    let said: Value = files.yaml("snapshot.yaml").ok()?;
    let tag = said["tag"].as_str().filter(|tag| check(tag).is_ok())?;
    let at = said["saved_at"].as_str().unwrap_or("?");
    Some((tag.to_owned(), rookery_project::quoted(at.as_bytes(), 40)))
}

fn check(tag: &str) -> Result<()> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !tag.is_empty() && tag.len() <= LONGEST && tag.chars().all(word) {
        return Ok(());
    }
    Err(Error::InvalidArgument(format!(
        "tag must be at most {LONGEST} letters, digits, `_` and `-`"
    )))
}
