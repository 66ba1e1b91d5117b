//! Analysis plugins of a running guest. Which of them may be changed was decided before: they are
//! code of Penguin's side.

use rookery_contract::options::{PluginOp, PluginOptions};
use rookery_contract::shapes::{GuestPlugin, PluginControl};
use rookery_project::{Error, Result};
use serde_json::json;

use super::files::RunFiles;
use super::remotectrl;
use crate::live::is_plugin_name;

pub(super) fn control(files: &RunFiles, options: &PluginOptions) -> Result<PluginControl> {
    let request = match options.op {
        PluginOp::List => return Ok(list(files)),
        PluginOp::Load => "load_plugin",
        PluginOp::Enable => "enable_plugin",
        PluginOp::Disable => "disable_plugin",
    };
    let name = options.name.as_deref().unwrap_or_default();
    // Penguin loads the code of a path.
    if !is_plugin_name(name) {
        return Err(Error::InvalidArgument("name is not a plugin's".into()));
    }
    remotectrl::ask(files, &json!({ "type": request, "name": name }))?;
    Ok(PluginControl {
        plugins: Vec::new(),
        message: Some(format!("{}: {name}", options.op.word())),
    })
}

/// Penguin does not say which are loaded; its file says which it was started with.
fn list(files: &RunFiles) -> PluginControl {
    let configured = files.configured_plugins();
    let plugins = configured.into_iter().map(|name| GuestPlugin {
        name,
        allowed: false,
        configured: true,
    });
    PluginControl {
        plugins: plugins.collect(),
        message: None,
    }
}
