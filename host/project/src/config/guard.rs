//! What Penguin's structure allows but a run does not survive, or the host should not: refused
//! before it is written.

use std::path::Path;

use super::inputs::Inputs;
use super::interfaces;
use super::plugins::declared_arguments;
use super::schema::Problem;
use crate::ground::yaml::value::{Key, Map, Value};
use crate::penguin::env::{MAGIC, is_exported};
use crate::penguin::plugins::FRAMEWORK;
use crate::penguin::sections::Section;
use crate::rules::{
    ioctl_number, is_clean_path, is_interface_name, is_nvram_key, is_pseudofile_path,
    is_signal_number,
};

/// All that is wrong with a fragment that has passed the check against the structure; odd things go
/// to `warnings`.
pub fn guard(project: &Path, fragment: &Value, warnings: &mut Vec<String>) -> Vec<Problem> {
    let mut guard = Guard {
        project,
        problems: Vec::new(),
        warnings,
    };
    for (section, value) in fragment.as_map().into_iter().flatten() {
        // The check against the structure refuses all others.
        if let Some(section) = Section::by_name(&section.text()) {
            guard.section(section, value);
        }
    }
    guard.problems
}

/// A file mode in octal notation, with or without `0o`.
pub fn octal(text: &str) -> Option<i128> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let only_digits = !digits.is_empty() && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
    only_digits
        .then(|| i128::from_str_radix(digits, 8).ok())
        .flatten()
}

/// Whether a decimal number is one that people mean in octal: `755`, `1777`.
fn looks_octal(number: u64) -> bool {
    const USUAL: [u64; 20] = [
        400, 440, 444, 500, 550, 555, 600, 640, 644, 660, 664, 666, 700, 711, 744, 750, 755, 770,
        775, 777,
    ];
    number < 4000 && USUAL.contains(&(number % 1000))
}

/// What Penguin would convert without a word, and so lose: JSON types that are not what the guest
/// sees, and nulls.
pub fn lossy_json(fragment: &serde_json::Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |path: &[&str], message: &str| {
        problems.push(Problem {
            path: path.iter().map(|step| (*step).to_owned()).collect(),
            message: message.to_owned(),
        });
    };
    for (section, value) in fragment.as_object().into_iter().flatten() {
        if value.is_null() {
            refuse(
                &[section],
                "null sets nothing; remove a key of the patch to undo it",
            );
        }
        for (key, value) in value.as_object().into_iter().flatten() {
            let mode = value
                .get("mode")
                .filter(|_| section == "static_files" && value["type"] != "binary_patch");
            if let Some(text) = mode.and_then(serde_json::Value::as_str)
                && octal(text).is_none()
            {
                refuse(
                    &[section, key, "mode"],
                    &format!("{text:?} is not a file mode; write it in octal, \"0755\""),
                );
            }
            if let Some(number) = mode.and_then(serde_json::Value::as_u64)
                && looks_octal(number)
            {
                refuse(
                    &[section, key, "mode"],
                    &format!(
                        "{number} is a decimal number, octal {number:o}; write \"0{number}\" in \
                         quotes"
                    ),
                );
            }
            if section == "nvram" && (value.is_boolean() || value.is_f64()) {
                refuse(
                    &[section, key],
                    "must be a string (or an integer); write the text that the guest is to read, \
                     in quotes",
                );
            } else if section == "core" && value.is_null() {
                refuse(
                    &[section, key],
                    "null sets nothing; remove the key from the patch to undo it",
                );
            }
        }
    }
    problems
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

struct Guard<'a> {
    project: &'a Path,
    problems: Vec<Problem>,
    warnings: &'a mut Vec<String>,
}

impl Guard<'_> {
    fn refuse(&mut self, path: &[&str], message: impl Into<String>) {
        self.problems.push(Problem {
            path: path.iter().map(|step| (*step).to_owned()).collect(),
            message: message.into(),
        });
    }

    fn section(&mut self, section: Section, value: &Value) {
        let items: &[Value] = match value {
            Value::List(items) => items,
            _ => &[],
        };
        match section {
            Section::Core => value.as_map().into_iter().for_each(|core| self.core(core)),
            Section::Patches => self.refuse(
                &["patches"],
                "has no effect in a patch; list the file in config.yaml",
            ),
            Section::Netdevs => items.iter().for_each(|item| self.netdev(item)),
            Section::BlockedSignals => items.iter().for_each(|item| {
                if !matches!(item, Value::Int(number) if is_signal_number(*number)) {
                    self.refuse(
                        &["blocked_signals"],
                        format!(
                            "{} is not a signal number; these are 1 to 64",
                            item.to_json()
                        ),
                    );
                }
            }),
            Section::Env => self.each(value, |this, key, value| this.env(key, text(value))),
            Section::Nvram => self.each(value, |this, key, value| this.nvram(key, text(value))),
            Section::UbootEnv => {
                self.each(value, |this, key, value| this.uboot_env(key, text(value)));
            }
            Section::Pseudofiles => self.each(value, Self::pseudofile),
            Section::StaticFiles => self.each(value, Self::static_file),
            Section::Plugins => self.each(value, Self::plugin),
            // What the structure allows is harmless.
            Section::Vars | Section::LibInject | Section::InitPlugins | Section::Network => {}
        }
    }

    fn each(&mut self, section: &Value, check: impl Fn(&mut Self, &str, &Value)) {
        for (key, value) in section.as_map().into_iter().flatten() {
            check(self, &key.text(), value);
        }
    }

    fn nvram(&mut self, key: &str, value: &str) {
        let at = &["nvram", key];
        if !is_nvram_key(key) {
            self.refuse(
                at,
                "is stored in a file of this name, which must have 1 to 255 bytes without '/' or \
                 NUL and not be '.' or '..'",
            );
        }
        self.no_nul(at, value);
    }

    fn uboot_env(&mut self, key: &str, value: &str) {
        let at = &["uboot_env", key];
        if key.is_empty() || key.contains('=') || key.chars().any(char::is_control) {
            self.refuse(
                at,
                "a U-Boot variable's name is not empty and has no '=' and no control characters",
            );
        }
        self.no_nul(at, value);
    }

    fn no_nul(&mut self, path: &[&str], text: &str) {
        if text.contains('\0') {
            self.refuse(
                path,
                "contains a NUL character, which ends a string in the guest",
            );
        }
    }

    fn env(&mut self, key: &str, value: &str) {
        let path = &["env", key];
        let breaks = |c: char| c.is_whitespace() || c.is_control() || c == '"';
        if key.is_empty() || key.contains(|c| breaks(c) || c == '=') {
            self.refuse(
                path,
                "a variable's name is not empty and has no '=', space, quote or control character",
            );
        }
        if is_exported(key) {
            if value.chars().any(char::is_control) {
                self.refuse(path, "the value has a control character");
            }
            return;
        }
        if value.contains(breaks) {
            self.refuse(
                path,
                "the value has a space, a double quote or a control character, which would split \
                 the kernel command line",
            );
        }
        if value.bytes().chain(key.bytes()).any(|byte| byte == 0xa0) {
            self.warnings.push(format!(
                "env.{}: a character here contains the byte A0, which the kernel takes for a space",
                key.escape_debug()
            ));
        }
        if value == MAGIC {
            self.warnings.push(format!(
                "env.{}: {MAGIC} ends the run when plugin 'env' is on",
                key.escape_debug()
            ));
        }
    }

    fn netdev(&mut self, item: &Value) {
        let name = item.as_str().unwrap_or_default();
        if !is_interface_name(name) {
            self.refuse(
                &["netdevs"],
                format!(
                    "{name:?} is not an interface name: use 1 to 15 letters, digits, '_', '.' or \
                     '-'"
                ),
            );
        }
    }

    fn pseudofile(&mut self, path: &str, node: &Value) {
        let at = &["pseudofiles", path];
        if !is_pseudofile_path(path) {
            self.refuse(
                at,
                "must be a path below /dev, /proc or /sys without '.', '..', '//', a trailing '/' \
                 or control characters; others are skipped at run time. For ordinary files use \
                 add_static_file (static_files)",
            );
        }
        let process = path
            .strip_prefix("/proc/")
            .and_then(|rest| rest.split('/').next())
            .unwrap_or_default();
        if process == "PID" || !process.is_empty() && process.bytes().all(|b| b.is_ascii_digit()) {
            self.refuse(
                at,
                "a process's directory cannot be modelled; /proc/PID in results stands for any \
                 process",
            );
        }
        if path.starts_with("/dev/mtd") || path == "/proc/mtd" {
            self.warnings.push(format!(
                "{}: Penguin takes this for flash, which its plugin mtd serves \
                 (plugins.mtd.devices), and ignores the model",
                path.escape_debug()
            ));
        }
        if matches!(node.get("size"), Some(Value::Int(..0))) {
            self.refuse(at, "'size' must not be negative");
        }
        self.ioctl_numbers(path, node);
        for operation in ["read", "write"] {
            if let Some(Value::Str(file)) =
                node.get(operation).and_then(|model| model.get("filename"))
            {
                self.host_path(&["pseudofiles", path, operation, "filename"], file, false);
            }
        }
    }

    fn ioctl_numbers(&mut self, path: &str, node: &Value) {
        let commands = node.get("ioctl").and_then(Value::as_map);
        for key in commands.into_iter().flat_map(Map::keys) {
            let text = key.text();
            if matches!(key, Key::Int(_)) && ioctl_number(&text).is_none() {
                self.refuse(
                    &["pseudofiles", path, "ioctl", &text],
                    "an ioctl command is 0 to 4294967295; write the 32 bits of a negative one \
                     in hexadecimal digits",
                );
            }
        }
    }

    fn static_file(&mut self, path: &str, entry: &Value) {
        let at = &["static_files", path];
        if !path.starts_with('/')
            || path.len() < 2
            || !is_clean_path(path)
            || path.contains(['*', '?', '['])
        {
            self.refuse(
                at,
                "must be an absolute path in the guest without '.', '..', '//', wildcards, a \
                 trailing '/' or control characters",
            );
        }
        if let Some(Value::Int(mode)) = entry.get("mode")
            && !(0..=0o7777).contains(mode)
        {
            self.refuse(
                &["static_files", path, "mode"],
                format!("{mode} is not a file mode; write it in octal as a string, \"0755\""),
            );
        }
        match entry.get("type").and_then(Value::as_str) {
            Some("host_file") => {
                let host_path = entry
                    .get("host_path")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                self.host_path(&["static_files", path, "host_path"], host_path, true);
            }
            Some("symlink" | "shim") => {
                let target = entry
                    .get("target")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                if target.is_empty() || target.chars().any(char::is_control) {
                    self.refuse(
                        &["static_files", path, "target"],
                        "must not be empty nor have control characters",
                    );
                }
            }
            Some("move") => {
                let from = entry
                    .get("from")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                if !from.starts_with('/') || !is_clean_path(from) {
                    self.refuse(
                        &["static_files", path, "from"],
                        "must be an absolute path in the guest without '.' or '..'",
                    );
                }
            }
            Some("dev") => {
                let in_range = |name: &str, max: i128| {
                    let number = entry.get(name);
                    matches!(number, Some(Value::Int(number)) if (0..=max).contains(number))
                };
                if !in_range("major", 0xfff) || !in_range("minor", 0xf_ffff) {
                    self.refuse(at, "'major' must be 0 to 4095 and 'minor' 0 to 1048575");
                }
            }
            Some("binary_patch") => {
                let one = entry.get("file_offset").is_some()
                    && (entry.get("hex_bytes").is_some() != entry.get("asm").is_some());
                let many =
                    matches!(entry.get("patches"), Some(Value::List(items)) if !items.is_empty());
                if one == many {
                    self.refuse(
                        at,
                        "a binary patch needs 'file_offset' with either 'hex_bytes' or 'asm', or \
                         else a list 'patches' of such",
                    );
                }
            }
            _ => {}
        }
    }

    /// A file of the host must lie in the project, links resolved.
    fn host_path(&mut self, at: &[&str], text: &str, must_exist: bool) {
        if text.is_empty() || text.chars().any(char::is_control) || text.contains(['*', '?', '[']) {
            return self.refuse(
                at,
                "must be the path of one file of the project, without wildcards or control \
                 characters",
            );
        }
        if Path::new(text)
            .components()
            .any(|part| part == std::path::Component::ParentDir)
        {
            return self.refuse(at, "must not contain '..'; name a file of the project");
        }
        let Ok(root) = self.project.canonicalize() else {
            return;
        };
        let path = self.project.join(text);
        let existing = path.ancestors().find_map(|path| path.canonicalize().ok());
        if existing.is_none_or(|existing| !existing.starts_with(&root)) {
            self.refuse(
                at,
                "lies outside the project directory; copy the file into the project and name it \
                 relative to that",
            );
        } else if let Ok(relative) = path.strip_prefix(&root)
            && Path::new(text).is_absolute()
        {
            let relative = relative.display();
            self.refuse(
                at,
                format!(
                    "is absolute, and the project has another path inside Penguin; write it \
                     relative to the project: {relative}"
                ),
            );
        } else if must_exist && !path.exists() {
            self.refuse(at, "does not exist; put the file into the project first");
        }
    }

    fn plugin(&mut self, name: &str, entry: &Value) {
        if name.is_empty()
            || !name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        {
            self.refuse(
                &["plugins", name],
                "a plugin's name has only letters, digits, '_' and '-'",
            );
        }
        if name == interfaces::PLUGIN_NAME {
            let problems = interfaces::problems(entry, self.warnings);
            self.problems.extend(problems);
        }
        let declared = declared_arguments(name, &Inputs::new(self.project)).unwrap_or_default();
        for key in entry
            .as_map()
            .into_iter()
            .flat_map(Map::keys)
            .map(Key::text)
        {
            if FRAMEWORK.contains(&key.as_str()) && !declared.contains(&key.as_str()) {
                self.refuse(
                    &["plugins", name, &key],
                    "is an argument that Penguin itself gives to plugins; setting it stops the run",
                );
            }
        }
    }

    fn core(&mut self, core: &Map) {
        for (key, value) in core {
            let key = key.text();
            let at = &["core", key.as_str()];
            match (key.as_str(), value) {
                ("auto_patching", _) => {
                    self.refuse(at, "has an effect only in config.yaml; edit it there");
                }
                ("version", _) => self.refuse(at, "belongs in config.yaml only"),
                ("extra_qemu_args" | "plugin_path" | "kernel", _) => self.refuse(
                    at,
                    "reaches outside the project on the host; a person can set it in config.yaml",
                ),
                ("fs" | "log_file", Value::Str(path)) => self.host_path(at, path, key == "fs"),
                ("shared_dir", Value::Map(dir)) if dir.contains_key(&Key::from("host_path")) => {
                    self.refuse(
                        at,
                        "'host_path' reaches outside the project on the host; a person can set it \
                         in config.yaml",
                    );
                }
                ("shared_dir", Value::Map(dir)) => {
                    if let Some(Value::Str(path)) = dir.get(&Key::from("path")) {
                        self.host_path(at, path, false);
                    }
                }
                ("timeout", Value::Int(..=0)) => self.refuse(at, "must be at least 1 second"),
                ("smp", Value::Int(number)) if !(1..=64).contains(number) => {
                    self.refuse(at, "must be 1 to 64");
                }
                ("kernel_cmdline_append", Value::Str(text))
                    if text.chars().any(char::is_control) =>
                {
                    self.refuse(at, "must not have control characters");
                }
                _ => {}
            }
        }
    }
}
