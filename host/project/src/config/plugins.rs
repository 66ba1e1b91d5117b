//! The arguments that Penguin's own plugins declare. A plugin that declares some takes no others;
//! the rest take anything.

use super::inputs::Inputs;
use super::schema::{PLUGIN, is_misspelt};
use crate::ground::yaml::value::{Key, Map, Value};
use crate::penguin::plugins::DECLARED;

/// The arguments that a plugin declares, unless it declares none.
///
/// A plugin of the same name in the project stands before Penguin's own, and what it declares is in
/// its Python code.
pub fn declared_arguments(name: &str, project: &Inputs<'_>) -> Option<&'static [&'static str]> {
    let name = name.to_ascii_lowercase();
    let arguments = DECLARED
        .iter()
        .find(|(plugin, _)| *plugin == name)
        .map(|(_, arguments)| *arguments)?;
    let own = ["plugins.d", "plugins", "."]
        .iter()
        .any(|dir| project.is_file(format!("{dir}/{name}.py")));
    (!own).then_some(arguments)
}

/// Move plugins that stand at the top level, an outdated notation, below `plugins`.
pub fn promote(
    file: &mut Map,
    reserved: &[&str],
    project: &Inputs<'_>,
    warnings: &mut Vec<String>,
) -> Result<(), String> {
    let outdated: Vec<String> = file
        .keys()
        .map(Key::text)
        .filter(|name| {
            !reserved.contains(&name.as_str()) && declared_arguments(name, project).is_some()
        })
        .collect();
    for name in outdated {
        let plugins = file.entry("plugins".into()).or_insert_with(Value::empty);
        let Some(plugins) = plugins.as_map_mut() else {
            continue;
        };
        if plugins.contains_key(&Key::from(name.as_str())) {
            return Err(format!(
                "plugin '{name}' is configured at the top level and below 'plugins'; keep the one \
                 below 'plugins'"
            ));
        }
        plugins.insert(name.as_str().into(), Value::Null);
        if let Some(value) = file.shift_remove(&Key::from(name.as_str()))
            && let Some(Value::Map(plugins)) = file.get_mut(&Key::from("plugins"))
        {
            plugins.insert(name.as_str().into(), value);
        }
        warnings.push(format!(
            "plugin '{name}' is configured at the top level, which is outdated; write it below \
             'plugins'"
        ));
    }
    Ok(())
}

/// Arguments of an enabled plugin that it does not declare.
pub struct UnknownArguments {
    pub plugin: String,
    /// What they are, and which there are.
    pub message: String,
    /// One of them is a known one, written wrongly.
    pub misspelt: bool,
}

/// What enabled plugins are given and do not declare.
pub fn unknown_arguments(plugins: &Map, project: &Inputs<'_>) -> Vec<UnknownArguments> {
    let of_plugin = |(name, entry): (&Key, &Value)| {
        let plugin = name.text();
        let arguments = declared_arguments(&plugin, project)?;
        let entry = entry
            .as_map()
            .filter(|entry| entry.get(&Key::from("enabled")) != Some(&Value::Bool(false)))?;
        let unknown: Vec<String> = entry
            .keys()
            .map(Key::text)
            .filter(|key| PLUGIN.field(key).is_none() && !arguments.contains(&key.as_str()))
            .collect();
        let message = format!(
            "plugin '{plugin}' has no argument {}; its arguments are {}",
            unknown.join(", ").escape_debug(),
            arguments.join(", ")
        );
        (!unknown.is_empty()).then(|| UnknownArguments {
            misspelt: unknown.iter().any(|name| is_misspelt(name, arguments)),
            plugin,
            message,
        })
    };
    plugins.iter().filter_map(of_plugin).collect()
}
