//! The kernel's command line, to which Penguin adds the environment.

use super::value::Value;

/// The kernel's limit for its command line, its NUL left out.
const MAX_COMMAND_LINE: usize = 4095;
/// Room for what Penguin itself puts there.
const OWN_COMMAND_LINE: usize = 256;
/// Variables that Penguin exports from a quoted file instead of the command line.
const EXPORTED: [&str; 8] = [
    "ROOT_SHELL",
    "SHARED_DIR",
    "WWW",
    "CID",
    "STRACE",
    "PROJ_NAME",
    "LD_LIBRARY_PATH",
    "TERM",
];

/// The command line of a merged configuration must fit; a warning where only our guess of Penguin's own part says that it does not.
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
            "the kernel command line would be about {length} bytes long, and {MAX_COMMAND_LINE} is the limit; shorten or remove 'env' values"
        )
    };
    if variables + appended > MAX_COMMAND_LINE {
        Err(problem())
    } else {
        Ok((length > MAX_COMMAND_LINE).then(problem))
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

/// Whether Penguin keeps a variable off the command line.
pub fn is_exported(key: &str) -> bool {
    EXPORTED.contains(&key)
        || (key.starts_with("igloo_") || key.starts_with("IGLOO_")) && key != "igloo_task_size"
}
