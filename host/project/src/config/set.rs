//! One key set by its dotted path, in the type that the structure has there.

use std::path::Path;
use std::sync::Arc;

use rookery_contract::options::{ApplyOptions, SetOptions};
use serde_json::{Map, Value as Json};

use super::answer::Changed;
use super::change::apply;
use super::edit;
use super::load::{Patch, load};
use super::loaded_before::load_known;
use super::place::place;
use super::schema::{PROJECT, Scope, Type, check};
use super::store::{parse_patch, read_patch};
use crate::{Error, Result};

/// Set the key at a dotted path of the patch.
pub fn set(dir: &Path, path: &str, value: &Json, options: &SetOptions) -> Result<Changed> {
    if value.is_null() {
        return Err(Error::InvalidArgument(
            "null sets nothing; `unset` takes a key out of the patch".to_owned(),
        ));
    }
    // A project that does not load can be repaired: its patch says which keys there are.
    let loaded = match read_patch(dir) {
        Ok(Some(text)) => load_known(dir, &text),
        _ => load(dir, Patch::OnDisk).map(Arc::new),
    };
    let steps = match loaded {
        Ok(loaded) => place(&loaded.config, path),
        Err(_) => place(&parse_patch(read_patch(dir)?.as_deref())?, path),
    };
    let steps = steps.map_err(Error::InvalidArgument)?;
    let fits = |value: &&Json| {
        let tree = edit::from_json(&nest(&steps, value));
        check(Type::Model(&PROJECT), tree, Scope::File).is_ok()
    };
    let meant = Some(value)
        .into_iter()
        .filter(fits)
        .map(Clone::clone)
        .next();
    let meant = meant.or_else(|| other_reading(value).filter(|value| fits(&value)));
    let value = meant.as_ref().unwrap_or(value);
    let options = ApplyOptions {
        dry_run: options.dry_run,
        run: None,
        replace: match value {
            Json::Object(_) => Vec::new(),
            _ => vec![steps.join(".")],
        },
    };
    apply(dir, &nest(&steps, value), &options)
}

/// What a value is where the structure does not take it as it is: the JSON in a text, the digits of
/// a whole number.
fn other_reading(value: &Json) -> Option<Json> {
    match value {
        Json::String(text) => serde_json::from_str(text).ok(),
        Json::Number(number) if !number.is_f64() => Some(Json::String(number.to_string())),
        _ => None,
    }
}

fn nest(steps: &[String], value: &Json) -> Json {
    steps.iter().rev().fold(value.clone(), |value, step| {
        Json::Object(Map::from_iter([(step.clone(), value)]))
    })
}
