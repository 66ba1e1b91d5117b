//! What the configuration is, and which file says so.

use std::path::Path;

use rookery_contract::shapes;
use rookery_contract::shapes::{Effective, EffectiveConfig, Lookup, Revision};
use serde_json::Value as Json;

use super::files::PATCH;
use super::history::History;
use super::load::{Loaded, Patch, load, load_for_embedded};
use super::schema::{PROJECT, did_you_mean};
use super::store::{parse_patch, read_patch};
use super::templates::{map_strings, restore};
use super::{paths, refusal};
use crate::ground::yaml::value::Value;
use crate::{Error, Result};

/// Strings that a higher file extends instead of replacing them.
const JOINED: [&str; 4] = ["extra_qemu_args", "kernel_cmdline_append", "extra", "body"];

/// Sections whose lists mean something by their order.
const ORDERED: [&str; 2] = ["pseudofiles", "static_files"];

/// `config.effective`
pub fn effective(dir: &Path) -> Result<EffectiveConfig> {
    let loaded = load(dir, Patch::OnDisk)?;
    let mut layers: Vec<_> = loaded
        .layers
        .iter()
        .map(|layer| layer.file.clone())
        .collect();
    layers.dedup();
    let config = match loaded.config.to_json() {
        Json::Object(config) => config,
        _ => serde_json::Map::new(),
    };
    Ok(EffectiveConfig {
        config,
        layers,
        warnings: loaded.warnings,
    })
}

/// The whole configuration as the embedded emulator uses it.
pub fn for_embedded(dir: &Path) -> Result<Json> {
    Ok(load_for_embedded(dir, Patch::OnDisk)?.config.to_json())
}

/// `config.lookup`
pub fn lookup(dir: &Path, dotted: &str) -> Result<Lookup> {
    let loaded = load(dir, Patch::OnDisk)?;
    let found = paths::resolve(&loaded.config, dotted).or_else(|| {
        loaded
            .layers
            .iter()
            .find_map(|layer| paths::resolve(&layer.tree, dotted))
    });
    let path = found.map_or_else(|| unset_path(dotted), Ok)?;
    let layers: Vec<_> = loaded
        .layers
        .iter()
        .filter_map(|layer| {
            Some((
                layer,
                paths::get(&layer.tree, &path).filter(|value| **value != Value::Null)?,
            ))
        })
        .map(|(layer, value)| shapes::Layer {
            file: layer.file.clone(),
            value: value.to_json(),
        })
        .collect();
    let value = paths::get(&loaded.config, &path).map_or(Json::Null, Value::to_json);
    Ok(Lookup {
        set_by: set_by(&loaded, &path).map(str::to_owned),
        path,
        value,
        layers,
    })
}

/// A path that nothing sets: legal when its section exists.
fn unset_path(dotted: &str) -> Result<Vec<String>> {
    let (section, rest) = dotted
        .split_once('.')
        .map_or((dotted, None), |(section, rest)| (section, Some(rest)));
    let names: Vec<_> = PROJECT.fields.iter().map(|field| field.name).collect();
    if !names.contains(&section) {
        let hint = did_you_mean(section, &names);
        return Err(Error::InvalidArgument(format!(
            "there is no section '{}'{hint}; sections are {}",
            section.escape_debug(),
            names.join(", ")
        )));
    }
    Ok(std::iter::once(section)
        .chain(rest)
        .map(str::to_owned)
        .collect())
}

/// `config.patch`
pub fn patch(dir: &Path) -> Result<shapes::Patch> {
    let text = read_patch(dir)?;
    let mut warnings = Vec::new();
    let tree = parse_patch(text.as_deref()).map_or_else(
        |error| {
            warnings.push(error.to_string());
            Json::Null
        },
        |tree| map_strings(tree, restore).to_json(),
    );
    match load(dir, Patch::OnDisk) {
        Ok(loaded) => {
            warnings.extend(not_applied(&loaded).filter(|_| text.is_some()));
            warnings.extend(loaded.warnings);
        }
        Err(refusal) => warnings.push(format!("the project does not load: {refusal}")),
    }
    let history = History::read(dir)?;
    let before = match history.revisions.as_slice() {
        [earlier @ .., before, _] => {
            let text = history.text(earlier.len());
            text.ok().map(|text| (before.number, text))
        }
        // Before the first there was none.
        [first] if first.number == 1 => Some((0, None)),
        _ => None,
    };
    let loads = |text: &str| load(dir, Patch::Text(text)).is_ok();
    let undo = before
        .filter(|(_, text)| text.as_deref().is_none_or(loads))
        .map(|(number, _)| number);
    let history: Vec<_> = history
        .revisions
        .iter()
        .rev()
        .map(|revision| Revision {
            revision: revision.number,
            time: revision.time.clone(),
            change: revision.change.clone(),
        })
        .collect();
    Ok(shapes::Patch {
        patch_file: dir.join(PATCH).to_string_lossy().into_owned(),
        exists: text.is_some(),
        patch: tree,
        yaml: text.unwrap_or_default(),
        warnings,
        history,
        undo,
    })
}

/// Why the patch has no effect, if it has none.
pub fn not_applied(loaded: &Loaded) -> Option<String> {
    let applied = loaded.layers.iter().any(|layer| layer.file == PATCH);
    (!applied).then(|| {
        format!(
            "core.auto_patching is off in config.yaml, so {PATCH} is not applied; set it to true \
             or list the file below 'patches'"
        )
    })
}

/// What a key that a change touched now is, and whether a higher file overrides the patch there.
pub fn effective_key(
    loaded: &Loaded,
    tree: &Value,
    path: &[String],
    warnings: &mut Vec<String>,
) -> Effective {
    let value = paths::get(&loaded.config, path);
    let set_by = set_by(loaded, path);
    let layer = loaded.layers.iter().rev().find(|layer| layer.file == PATCH);
    let ours = layer.map_or_else(
        || paths::get(tree, path),
        |layer| paths::get(&layer.tree, path),
    );
    let lower = paths::get(&loaded.below, path);
    let kind = Kind {
        joined: path
            .last()
            .is_some_and(|name| JOINED.contains(&name.as_str())),
        ordered: path
            .first()
            .is_some_and(|section| ORDERED.contains(&section.as_str())),
    };
    let overridden =
        ours.is_some_and(|ours| !value.is_some_and(|value| holds(value, ours, lower, kind)));
    if let Some(file) = set_by.filter(|file| overridden && *file != PATCH) {
        warnings.push(format!(
            "{} is overridden by {file}; change it there, or remove it from that file",
            refusal::dotted(path)
        ));
    }
    Effective {
        path: path.join("."),
        old: Json::Null,
        value: value.map_or(Json::Null, Value::to_json),
        set_by: set_by.map(str::to_owned),
        overridden,
    }
}

fn set_by<'a>(loaded: &'a Loaded, path: &[String]) -> Option<&'a str> {
    let sets = |tree| paths::get(tree, path).is_some_and(|value| *value != Value::Null);
    loaded
        .layers
        .iter()
        .rev()
        .find(|layer| sets(&layer.tree))
        .map(|layer| layer.file.as_str())
}

/// How values at a path combine.
#[derive(Clone, Copy)]
struct Kind {
    joined: bool,
    ordered: bool,
}

/// Whether all that `ours` says is so in `value`, when `lower` is what lower files say.
fn holds(value: &Value, ours: &Value, lower: Option<&Value>, kind: Kind) -> bool {
    match (value, ours) {
        (_, Value::Null) => true,
        (Value::Map(value), Value::Map(ours)) => ours.iter().all(|(key, ours)| {
            let lower = lower.and_then(Value::as_map).and_then(|map| map.get(key));
            *ours == Value::Null
                || value
                    .get(key)
                    .is_some_and(|value| holds(value, ours, lower, kind))
        }),
        (Value::List(value), Value::List(ours)) if kind.ordered => {
            let before = match lower {
                Some(Value::List(items)) => items.as_slice(),
                _ => &[],
            };
            value == ours || *value == [before, ours].concat()
        }
        (Value::List(value), Value::List(ours)) => ours.iter().all(|item| value.contains(item)),
        (Value::Str(value), Value::Str(ours)) if kind.joined => value.contains(ours.as_str()),
        _ => value.equals_like_python(ours),
    }
}
