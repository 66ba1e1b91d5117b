//! The kernel's command line, to which Penguin adds the environment.

use crate::ground::yaml::value::Value;
use crate::penguin::env::is_exported;
use crate::penguin::sizes::{COMMAND_LINE, OWN_COMMAND_LINE};

/// [`check`] of a configuration that was loaded before.
pub fn check_loaded(config: &serde_json::Value) -> Result<Option<String>, String> {
    check(&Value::from_json(config))
}

/// The command line of a merged configuration must fit; a warning where only our guess of Penguin's
/// own part says that it does not.
pub fn check(config: &Value) -> Result<Option<String>, String> {
    let env = config.get("env").and_then(Value::as_map);
    let tokens = env
        .into_iter()
        .flatten()
        .filter(|(key, _)| !is_exported(&key.text()));
    let variables: usize = tokens
        .map(|(key, value)| key.text().len() + value.as_str().map_or(0, str::len) + 2)
        .sum();
    let appended = config
        .get("core")
        .and_then(|core| core.get("kernel_cmdline_append"))
        .and_then(Value::as_str)
        .map_or(0, str::len);
    let length = OWN_COMMAND_LINE + variables + appended;
    let problem = || {
        format!(
            "the kernel command line would be about {length} bytes long, and {COMMAND_LINE} is \
             the limit; shorten or remove 'env' values"
        )
    };
    if variables + appended > COMMAND_LINE {
        Err(problem())
    } else {
        Ok((length > COMMAND_LINE).then(problem))
    }
}

/// Whether a path leads to what the command line is made of.
pub fn is_on_it(path: &[String]) -> bool {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    matches!(
        path.as_slice(),
        ["env", ..] | ["core", "kernel_cmdline_append"]
    )
}
