//! The whole configuration of a project, loaded as Penguin loads it.

use std::path::Path;

use super::files::{self, MAIN, PATCH};
use super::finish::finish;
use super::inputs::{Inputs, Seen};
use super::layer::Layer;
use super::plugins::promote;
use super::refusal::{Kind, Refusal};
use super::schema::{PROJECT, Problem, Scope, Type, check, merge};
use super::templates::{Context, Renderer, TemplateError};
use crate::ground::yaml;
use crate::ground::yaml::value::{Key, Map, Value};
use crate::penguin::init_patches::is_for_penguin_alone;

/// What to take for the content of the patch that changes go to.
#[derive(Debug, Clone, Copy)]
pub enum Patch<'a> {
    /// What is on disk.
    OnDisk,
    /// This text.
    Text(&'a str),
    /// Nothing: as if the file did not exist.
    Absent,
}

/// A configuration that loads.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Everything merged, with defaults.
    pub config: Value,
    /// What was merged, the first lowest.
    pub layers: Vec<Layer>,
    /// What is odd but legal.
    pub warnings: Vec<String>,
    /// The files that were laid over the main one, in order, relative to the project.
    pub patches: Vec<String>,
    /// Whether patches are found by name.
    pub auto_patching: bool,
    /// What the layers below the patch that changes go to set together.
    pub below: Value,
}

/// Load the project in `dir`, an absolute path.
pub fn load(dir: &Path, patch: Patch<'_>) -> Result<Loaded, Refusal> {
    load_without(&Inputs::new(dir), patch, |_| false)
}

/// [`load`], with what it read of the disk.
pub fn load_noting(dir: &Path, patch: Patch<'_>) -> Result<(Loaded, Vec<Seen>), Refusal> {
    let inputs = Inputs::new(dir);
    let loaded = load_without(&inputs, patch, |_| false)?;
    Ok((loaded, inputs.into_seen()))
}

/// [`load`] as the embedded emulator uses a project: without what is for Penguin alone.
pub fn load_for_embedded(dir: &Path, patch: Patch<'_>) -> Result<Loaded, Refusal> {
    load_without(&Inputs::new(dir), patch, is_for_penguin_alone)
}

fn load_without(
    inputs: &Inputs<'_>,
    patch: Patch<'_>,
    left_out: fn(&str) -> bool,
) -> Result<Loaded, Refusal> {
    let mut loader = Loader {
        inputs,
        patch,
        renderer: Renderer::default(),
        layers: Vec::new(),
        warnings: Vec::new(),
        unknown: Vec::new(),
    };
    let text = inputs.read(MAIN)?.ok_or_else(|| {
        Refusal::new(
            Kind::Missing,
            MAIN,
            format!(
                "does not exist in {}, so this is not a project directory",
                inputs.dir().display()
            ),
        )
    })?;
    let (mut merged, context) = loader.file(MAIN, text, None)?;
    let auto_patching = match merged.get("core") {
        Some(core @ Value::Map(_)) => core.get("auto_patching") != Some(&Value::Bool(false)),
        _ => {
            return Err(Refusal::new(
                Kind::Structure,
                MAIN,
                "core: is required here, with 'version: 2' and 'arch'",
            ));
        }
    };
    let queue = loader.patches(&mut merged, auto_patching);
    let mut below = None;
    for file in queue.iter().filter(|file| !left_out(file)) {
        let text = match (file == PATCH, patch) {
            (true, Patch::Text(text)) => Some(text.to_owned()),
            (true, Patch::Absent) => None,
            _ => inputs.read(file)?,
        };
        let Some(text) = text else {
            if file != PATCH {
                loader.warnings.push(format!(
                    "patch {} is listed in {MAIN} but does not exist; it is ignored",
                    file.escape_debug()
                ));
            }
            continue;
        };
        if file == PATCH && below.is_none() {
            below = Some(merged.clone());
        }
        let (tree, _) = loader.file(file, text, Some(&context))?;
        merged = loader.lay_over(file, merged, tree)?;
    }
    let below = below.unwrap_or_else(|| merged.clone());
    let config = finish(inputs, merged, &mut loader.layers, &mut loader.warnings)?;
    Ok(Loaded {
        config,
        layers: loader.layers,
        warnings: loader.warnings,
        patches: queue,
        auto_patching,
        below,
    })
}

struct Loader<'a> {
    inputs: &'a Inputs<'a>,
    patch: Patch<'a>,
    renderer: Renderer,
    layers: Vec<Layer>,
    warnings: Vec<String>,
    /// The keys of files that are not known.
    unknown: Vec<Vec<String>>,
}

impl Loader<'_> {
    /// Read, render and check one file.
    fn file(
        &mut self,
        file: &str,
        text: String,
        main: Option<&Context>,
    ) -> Result<(Value, Context), Refusal> {
        let raw = yaml::parse_known(&text).map_err(|error| Refusal::yaml(file, &error))?;
        let at = |kind, problems: &[Problem]| Refusal::at(kind, file, &text, problems);
        let template = |error: TemplateError| {
            at(
                Kind::Template,
                &[Problem {
                    path: error.path,
                    message: error.message,
                }],
            )
        };
        let context = self.renderer.context(&raw, main).map_err(template)?;
        let mut rendered = self.renderer.render(raw, &context).map_err(template)?;
        let Value::Map(map) = &mut rendered else {
            let message = match rendered {
                Value::Null => "holds no key (an empty or comment-only file stops Penguin); write \
                                {} or delete the file"
                    .to_owned(),
                other => format!("must be a mapping of sections, not {}", other.kind()),
            };
            return Err(Refusal::new(Kind::Structure, file, message));
        };
        let reserved: Vec<_> = PROJECT.fields.iter().map(|field| field.name).collect();
        promote(map, &reserved, self.inputs, &mut self.warnings)
            .map_err(|problem| Refusal::new(Kind::Structure, file, problem))?;
        let checked = check(Type::Model(&PROJECT), rendered, Scope::File)
            .map_err(|problems| at(Kind::Structure, &problems))?;
        if !checked.unknown.is_empty() {
            let told = at(Kind::Structure, &checked.unknown);
            self.warnings.push(told.to_string());
            let paths = checked.unknown.into_iter().map(|unknown| unknown.path);
            self.unknown.extend(paths);
        }
        let tree = checked.value;
        self.layers.push(Layer {
            file: file.to_owned(),
            text,
            tree: tree.clone(),
        });
        Ok((tree, context))
    }

    fn lay_over(&self, file: &str, base: Value, new: Value) -> Result<Value, Refusal> {
        let text = self.layers.last().map_or("", |layer| layer.text.as_str());
        let touched: Vec<Key> = new
            .as_map()
            .into_iter()
            .flat_map(Map::keys)
            .cloned()
            .collect();
        let mut merged = merge(Type::Model(&PROJECT), base, new).map_err(|error| {
            let problem = Problem {
                path: error.path,
                message: error.message,
            };
            Refusal::at(Kind::Merge, file, text, &[problem])
        })?;
        // Two legal halves can make an illegal whole; what this file does not touch stays legal.
        for key in touched {
            let field = PROJECT.field(&key.text());
            let section = merged.as_map_mut().and_then(|map| map.get_mut(&key));
            let (Some(field), Some(section)) = (field, section) else {
                continue;
            };
            if *section != Value::Null {
                let value = std::mem::replace(section, Value::Null);
                let refused = |mut problems: Vec<Problem>| {
                    for problem in &mut problems {
                        problem.path.insert(0, key.text());
                    }
                    Refusal::at(Kind::Structure, file, text, &problems)
                };
                let mut checked = check(field.ty, value, Scope::File).map_err(refused)?;
                // What each file had by itself was told; a key of one model among those of another
                // is what Penguin refuses.
                checked.unknown.retain(|unknown| {
                    let path = [&[key.text()][..], &unknown.path].concat();
                    !self.unknown.contains(&path)
                });
                if !checked.unknown.is_empty() {
                    return Err(refused(checked.unknown));
                }
                *section = checked.value;
            }
        }
        Ok(merged)
    }

    /// The patches to apply, in order; those that were found by name are added to the
    /// configuration's own list.
    fn patches(&mut self, main: &mut Value, auto_patching: bool) -> Vec<String> {
        let Value::Map(map) = main else {
            return Vec::new();
        };
        let listed = match map.get(&Key::from("patches")) {
            Some(Value::List(items)) => items
                .iter()
                .filter_map(Value::as_str)
                .map(|item| files::relative(self.inputs.dir(), item))
                .collect(),
            _ => Vec::new(),
        };
        let mut queue: Vec<String> = listed;
        if auto_patching {
            let mut found = self.inputs.discover();
            found.retain(|file| file != PATCH || !matches!(self.patch, Patch::Absent));
            if matches!(self.patch, Patch::Text(_)) && !found.iter().any(|file| file == PATCH) {
                let place = found
                    .iter()
                    .position(|file| file.starts_with("patches/") || file.as_str() > PATCH)
                    .unwrap_or(found.len());
                found.insert(place, PATCH.to_owned());
            }
            self.warnings.extend(
                found
                    .iter()
                    .filter(|file| queue.contains(file))
                    .map(|file| {
                        format!(
                            "{} is listed below 'patches' and also found by its name, so it is \
                             applied twice and its lists are doubled; take it out of 'patches' in \
                             {MAIN}",
                            file.escape_debug()
                        )
                    }),
            );
            add_to_list(
                map,
                found
                    .iter()
                    .map(|file| {
                        Value::from(self.inputs.dir().join(file).to_string_lossy().as_ref())
                    })
                    .collect(),
            );
            queue.extend(found);
        }
        queue
    }
}

fn add_to_list(map: &mut Map, found: Vec<Value>) {
    if found.is_empty() {
        return;
    }
    match map.get_mut(&Key::from("patches")) {
        Some(Value::List(items)) => items.extend(found),
        _ => drop(map.insert("patches".into(), Value::List(found))),
    }
}
