//! What is wrong with pseudofiles only once all files are merged: it stops a run while Penguin's
//! plugins load.

use super::paths;
use super::schema::Problem;
use crate::ground::yaml::value::{Key, Map, Value};
use crate::penguin::plugins::{is_always_loaded, is_same};
use crate::penguin::sizes::SPARSE_FILE;

/// All that is wrong with the pseudofiles that a change touched, in the merged configuration; odd
/// things go to `warnings`.
pub fn check(config: &Value, touched: &[Vec<String>], warnings: &mut Vec<String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut files: Vec<&String> = touched
        .iter()
        .filter_map(|path| match path.as_slice() {
            [section, file, ..] if section == "pseudofiles" => Some(file),
            _ => None,
        })
        .collect();
    files.dedup();
    for file in files {
        let path = ["pseudofiles".to_owned(), file.clone()];
        let Some(Value::Map(operations)) = paths::get(config, &path) else {
            continue;
        };
        for (operation, model) in operations {
            let mut refuse = |step: &str, message: String| {
                let path = [&path[..], &[operation.text(), step.to_owned()]].concat();
                problems.push(Problem { path, message });
            };
            let by_command = operation.text() == "ioctl" && model.get("model").is_none();
            let commands = model.as_map().into_iter().flatten().map(|(_, model)| model);
            let all: Vec<&Value> = if by_command {
                commands.collect()
            } else {
                vec![model]
            };
            for model in all {
                plugin(config, model, &mut refuse);
                if model.get("model").and_then(Value::as_str) == Some("custom") {
                    warnings.push(format!(
                        "{}: a plugin of the project (plugins.d) must register the custom model, \
                         or the run dies",
                        file.escape_debug()
                    ));
                }
            }
            if let Some(Value::Map(vals)) = model.get("vals") {
                sparse(model, vals, &mut refuse);
            }
        }
    }
    problems
}

/// A model that calls a plugin which is not there.
fn plugin(config: &Value, model: &Value, refuse: &mut impl FnMut(&str, String)) {
    let wanted = match (model.get("model"), model.get("plugin")) {
        (Some(Value::Str(name)), Some(Value::Str(plugin))) if name == "from_plugin" => plugin,
        _ => return,
    };
    let same = |name: &str| is_same(name, wanted);
    let entry = config
        .get("plugins")
        .and_then(Value::as_map)
        .and_then(|plugins| plugins.iter().find(|(name, _)| same(&name.text())));
    let off = entry.is_some_and(|(_, entry)| entry.get("enabled") == Some(&Value::Bool(false)));
    if off || entry.is_none() && !is_always_loaded(wanted) {
        let wanted = wanted.escape_debug();
        let what = if off {
            "is switched off"
        } else {
            "is not there"
        };
        refuse(
            "plugin",
            format!(
                "plugin '{wanted}' {what}, and the run would die; put plugins.d/{wanted}.py into \
                 the project, or enable it below 'plugins' first"
            ),
        );
    }
}

/// Data beyond the size of a sparse file.
fn sparse(read: &Value, vals: &Map, refuse: &mut impl FnMut(&str, String)) {
    let size = if let Some(Value::Int(size)) = read.get("size") {
        *size
    } else {
        SPARSE_FILE.into()
    };
    for (offset, data) in vals {
        let length = match data {
            Value::Str(text) => text.len(),
            Value::List(items) if items.iter().all(|item| matches!(item, Value::Int(_))) => {
                if !items.iter().all(|item| matches!(item, Value::Int(0..=255))) {
                    refuse(
                        "vals",
                        "a list of numbers is a list of bytes, 0 to 255".to_owned(),
                    );
                }
                items.len()
            }
            Value::List(items) => items
                .iter()
                .filter_map(Value::as_str)
                .map(|text| text.len() + 1)
                .sum::<usize>()
                .saturating_sub(1),
            _ => 0,
        };
        let Key::Int(start) = offset else { continue };
        let end = start.saturating_add(i128::try_from(length).unwrap_or(i128::MAX));
        if *start < 0 || end > size {
            refuse(
                "vals",
                format!(
                    "data at {start} reaches to {end}, but the file has {size} bytes; raise 'size'"
                ),
            );
        }
    }
}
