//! Changes: planned in memory, proven on the whole configuration, then written.

use std::path::Path;
use std::sync::Arc;

use rookery_contract::options::{ApplyOptions, RemoveOptions};
use serde_json::Value as Json;

use super::answer::{Answer, Changed};
use super::files::PATCH;
use super::guard::{guard, lossy_json};
use super::history::newest;
use super::load::{Loaded, Patch, load};
use super::loaded_before::load_known;
use super::refusal::{Fault, Refusal, dotted};
use super::schema::{PROJECT, Problem, Scope, Type, check};
use super::store::{Store, parse_patch, read_patch};
use super::templates::{map_strings, neutralise};
use super::written::{Held, text_of};
use super::{command_line, edit, models, paths};
use crate::ground::yaml::value::{Map, Value};
use crate::{Error, Result};

/// Merge a fragment into the patch.
pub fn apply(dir: &Path, fragment: &Json, options: &ApplyOptions) -> Result<Changed> {
    let addition = Addition::of(dir, fragment)?;
    let change = Change {
        dir,
        dry_run: options.dry_run,
        what: format!("set {}", summary(&addition.touched)),
        touched: addition.touched,
        adds: true,
        warnings: addition.warnings,
    };
    let tree = addition.tree;
    change.run(|patch, below, warnings| Ok(laid(patch, tree, &options.replace, below, warnings)))
}

/// What a caller wants in the patch: checked alone, its strings made data.
pub(super) struct Addition {
    pub(super) tree: Value,
    pub(super) touched: Vec<Vec<String>>,
    pub(super) warnings: Vec<String>,
}

impl Addition {
    pub(super) fn of(dir: &Path, fragment: &Json) -> Result<Self> {
        if !fragment.is_object() {
            return Err(Error::InvalidArgument(
                "the fragment must be an object of sections, such as {\"env\": {\"sxid\": \"1\"}}"
                    .to_owned(),
            ));
        }
        let mut warnings = Vec::new();
        let mut problems = lossy_json(fragment);
        let tree = check(
            Type::Model(&PROJECT),
            edit::from_json(fragment),
            Scope::File,
        );
        let tree = tree.map_err(|mut more| {
            more.splice(0..0, problems.clone());
            refused(&more)
        })?;
        // Keys that are not known are told when the whole is loaded.
        let tree = tree.value;
        problems.extend(guard(dir, &tree, &mut warnings));
        if !problems.is_empty() {
            return Err(refused(&problems));
        }
        Ok(Self {
            touched: paths::leaves(&tree),
            tree: map_strings(tree, neutralise),
            warnings,
        })
    }
}

/// The patch with an addition, after what it holds at the paths in `replace` was dropped.
pub(super) fn laid(
    mut patch: Value,
    addition: Value,
    replace: &[String],
    below: &Value,
    warnings: &mut Vec<String>,
) -> Value {
    for dotted in replace {
        // The fragment knows where a dot ends a key: `/dev/x.read` may be another file of the
        // patch.
        let meant = paths::resolve(&addition, dotted).or_else(|| paths::resolve(&patch, dotted));
        if let Some(path) = meant {
            paths::remove(&mut patch, &path);
        }
    }
    edit::lay(patch, addition, below, warnings)
}

/// What is only wrong together with what other files say.
pub(super) fn check_merged(
    config: &Value,
    touched: &[Vec<String>],
    warnings: &mut Vec<String>,
) -> Result<()> {
    if touched.iter().any(|path| command_line::is_on_it(path)) {
        warnings.extend(command_line::check(config).map_err(Error::InvalidArgument)?);
    }
    let problems = models::check(config, touched, warnings);
    if problems.is_empty() {
        Ok(())
    } else {
        Err(refused(&problems))
    }
}

/// Take one key out of the patch.
pub fn remove(dir: &Path, path: &str, options: &RemoveOptions) -> Result<Changed> {
    let old = parse_patch(read_patch(dir)?.as_deref())?;
    let steps = paths::resolve(&old, path).ok_or_else(|| {
        let held = paths::leaves(&old);
        let held = if held.is_empty() {
            "nothing".to_owned()
        } else {
            summary(&held)
        };
        Error::NotFound(format!(
            "{PATCH} does not hold {}; it holds {held}. What other files set cannot be removed, \
             only overridden",
            path.escape_debug()
        ))
    })?;
    let what = format!("remove {}", dotted(&steps));
    let change = Change {
        dir,
        dry_run: options.dry_run,
        what,
        touched: vec![steps.clone()],
        adds: false,
        warnings: Vec::new(),
    };
    change.run(|mut patch, _, _| {
        if paths::remove(&mut patch, &steps) {
            Ok(patch)
        } else {
            Err(Error::Conflict(format!(
                "{} was just removed by another process",
                dotted(&steps)
            )))
        }
    })
}

/// A planned change of the patch's content.
struct Change<'a> {
    dir: &'a Path,
    dry_run: bool,
    what: String,
    touched: Vec<Vec<String>>,
    adds: bool,
    warnings: Vec<String>,
}

impl Change<'_> {
    fn run(
        mut self,
        edit: impl FnOnce(Value, &Value, &mut Vec<String>) -> Result<Value>,
    ) -> Result<Changed> {
        let store = if self.dry_run {
            None
        } else {
            Some(Store::lock(self.dir)?)
        };
        let old_text = read_patch(self.dir)?;
        let mut old = parse_patch(old_text.as_deref())?;
        edit::number_commands(&mut old);
        let before = self.before(old_text.as_deref());
        let new = edit(old.clone(), before.below(), &mut self.warnings)?;
        let changed = new != old || old_text.is_some() && new.as_map().is_none_or(Map::is_empty);
        let new_text = if changed {
            let held = old_text.as_deref().map(|text| Held { text, tree: &old });
            text_of(&new, held)?
        } else {
            old_text.clone()
        };
        let new_patch = new_text.as_deref().map_or(Patch::Absent, Patch::Text);
        let loaded = match (self.load(new_patch), &before.broken) {
            (Ok(loaded), _) => Some(loaded),
            (Err(refusal), Some(before)) if self.repairs(before, &refusal) => {
                self.warnings.push(format!(
                    "the project still does not load: {refusal}. Remove or set what is wrong, or \
                     reset the patch"
                ));
                None
            }
            (Err(refusal), before) => return Err(unloadable(before.as_ref(), &refusal)),
        };
        if let Some(loaded) = loaded.as_ref().filter(|_| self.adds) {
            check_merged(&loaded.config, &self.touched, &mut self.warnings)?;
        }
        let mut revision = newest(self.dir)?.map(|revision| revision.number);
        if let Some(store) = store.filter(|_| changed) {
            let number = store.replace(old_text.as_deref(), new_text.as_deref(), &self.what)?;
            if old_text
                .as_deref()
                .is_some_and(|text| text.lines().any(|line| line.trim_start().starts_with('#')))
            {
                self.warnings.push(format!(
                    "comments in the hand-edited {PATCH} are not kept; its earlier text is \
                     revision {}",
                    number.saturating_sub(1)
                ));
            }
            revision = Some(number);
        }
        Ok(Answer {
            dir: self.dir,
            changed,
            dry_run: self.dry_run,
            patch: new,
            before: before.loaded.as_ref().map(|before| &before.config),
            loaded: loaded.as_deref(),
            touched: &self.touched,
            revision,
            warnings: self.warnings,
        }
        .into_changed())
    }

    /// Whether a change of a patch that was wrong before leaves nothing wrong that was not.
    fn repairs(&self, before: &Refusal, now: &Refusal) -> bool {
        before.file == PATCH && (!self.adds || now.adds_nothing_to(before))
    }

    /// The project with the patch that is to be written. The next change begins with it.
    fn load(&self, patch: Patch<'_>) -> Result<Arc<Loaded>, Refusal> {
        match patch {
            Patch::Text(text) if !self.dry_run => load_known(self.dir, text),
            patch => load(self.dir, patch).map(Arc::new),
        }
    }

    fn before(&self, text: Option<&str>) -> Before {
        match load_known(self.dir, text.unwrap_or("{}\n")) {
            Ok(loaded) => Before {
                lower: None,
                loaded: Some(loaded),
                broken: None,
            },
            Err(refusal) => match load(self.dir, Patch::Text("{}\n")) {
                Ok(loaded) => Before {
                    lower: Some(loaded.below),
                    loaded: None,
                    broken: Some(Refusal {
                        file: PATCH.to_owned(),
                        ..refusal
                    }),
                },
                Err(refusal) => Before {
                    lower: Some(Value::empty()),
                    loaded: None,
                    broken: Some(refusal),
                },
            },
        }
    }
}

/// The project before a change.
struct Before {
    /// All of it, if it loads.
    loaded: Option<Arc<Loaded>>,
    /// What lower files set, if it does not.
    lower: Option<Value>,
    /// Why it does not load, if it does not.
    broken: Option<Refusal>,
}

impl Before {
    /// What lower files set.
    fn below(&self) -> &Value {
        static NOTHING: Value = Value::Null;
        let loaded = self.loaded.as_ref().map(|loaded| &loaded.below);
        loaded.or(self.lower.as_ref()).unwrap_or(&NOTHING)
    }
}

/// Why a change is refused, after which the project does not load; `before` is why it did not load
/// without the change.
pub(super) fn unloadable(before: Option<&Refusal>, now: &Refusal) -> Error {
    match before {
        None => Error::InvalidArgument(format!(
            "refused, because the project would not load any more: {now}. Nothing was written"
        )),
        Some(before) if before.file == PATCH => Error::InvalidArgument(format!(
            "refused: {PATCH} stopped the project from loading before ({before}), and with this \
             change: {now}. First unset what is wrong in it, or reset it with reset_patch. \
             Nothing was written"
        )),
        Some(before) => Error::Conflict(format!(
            "the project did not load before this change either: {before}. Repair that file; \
             nothing was written"
        )),
    }
}

fn refused(problems: &[Problem]) -> Error {
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| Fault::from(problem).to_string())
        .collect();
    Error::InvalidArgument(format!("{}. Nothing was written", lines.join("; ")))
}

fn summary(touched: &[Vec<String>]) -> String {
    const SHOWN: usize = 20;
    let mut names: Vec<_> = touched
        .iter()
        .take(SHOWN)
        .map(|path| dotted(path))
        .collect();
    if touched.len() > SHOWN {
        names.push(format!("and {} more", touched.len() - SHOWN));
    }
    names.join(", ")
}
