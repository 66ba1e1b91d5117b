//! What of a configuration the embedded emulator cannot honour.

use std::path::Path;

use serde_json::Value;

use crate::plan::notes::Notes;

/// Keys that have no effect when they are set, by their path, with what that means.
const IGNORED: &[(&[&str], &str)] = &[
    (
        &["core", "extra_qemu_args"],
        "core.extra_qemu_args is not honoured: the embedded emulator runs no system QEMU",
    ),
    (
        &["core", "strace"],
        "core.strace is not honoured; enable the plugins db and syscalls_logger instead",
    ),
    (&["core", "ltrace"], "core.ltrace is not honoured"),
    (&["core", "gdbserver"], "core.gdbserver is not honoured"),
    (
        &["core", "snapshot"],
        "core.snapshot is not honoured: the embedded emulator has no snapshots",
    ),
    (&["core", "shared_dir"], "core.shared_dir is not honoured"),
    (&["core", "core_dumps"], "core.core_dumps is not honoured"),
    (
        &["core", "force_www"],
        "core.force_www is not honoured: start the web server by the firmware's own scripts",
    ),
    (
        &["core", "startup_script"],
        "core.startup_script is not run",
    ),
    (&["core", "graphics"], "core.graphics is not honoured"),
    (
        &["core", "network"],
        "core.network is not honoured: network.external asks for a way out of the guest's network",
    ),
    (
        &["network", "external", "pcap"],
        "network.external.pcap is not honoured: plugins.vpn.pcap records all interfaces",
    ),
    (
        &["lib_inject", "extra"],
        "lib_inject.extra is not honoured: the injected library was compiled before",
    ),
];

/// Plugins whose work the embedded emulator does in its own way, or whose absence changes nothing
/// that a run leaves behind.
const KNOWN_PLUGINS: &[&str] = &[
    "bash_command",
    "core",
    "core_pattern_guard",
    "crashes",
    "db",
    "env",
    "exec_logger",
    "health",
    "hyperfile",
    "indiv_debug",
    "interfaces",
    "lifeguard",
    "mount",
    "mtd",
    "netbinds",
    "nmap",
    "nvram2",
    "processes",
    "pseudofile_tracker",
    "pseudofiles",
    "readiness",
    "root_shell",
    "scope",
    "send_hypercall",
    "shell",
    "snapshot",
    "syscalls_logger",
    "uboot",
    "vpn",
];

/// Whether a plugin is configured and not switched off.
pub(crate) fn is_enabled(config: &Value, plugin: &str) -> bool {
    config
        .get("plugins")
        .and_then(|plugins| plugins.get(plugin))
        .is_some_and(|plugin| plugin.get("enabled") != Some(&Value::Bool(false)))
}

/// Note everything of `config` and the project's drop-in folders that has no effect.
pub(crate) fn note_ignored(config: &Value, project_dir: &Path, notes: &mut Notes) {
    for (path, sentence) in IGNORED {
        let value = path.iter().try_fold(config, |value, key| value.get(key));
        if value.is_some_and(is_set) {
            notes.say(*sentence);
        }
    }
    if config.pointer("/core/kernel").is_some_and(Value::is_string) {
        notes.say(
            "the guest sees the configured kernel's release, but its system calls are answered by \
             the host's kernel; kernel modules are not loaded",
        );
    }
    let plugins = config.get("plugins").and_then(Value::as_object);
    for plugin in plugins.into_iter().flat_map(|plugins| plugins.keys()) {
        if is_enabled(config, plugin) && !KNOWN_PLUGINS.contains(&plugin.as_str()) {
            notes.about("plugins that run in Penguin only", plugin.as_str());
        }
    }
    for folder in ["init.d", "source.d", "plugins.d", "lib_inject.d"] {
        let mut entries = std::fs::read_dir(project_dir.join(folder))
            .into_iter()
            .flatten()
            .flatten();
        if entries.any(|entry| {
            entry
                .file_name()
                .to_str()
                .is_some_and(|name| !name.starts_with('.'))
        }) {
            notes.about("folders of the project that have no effect", folder);
        }
    }
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use rookery_project::penguin::sections::Section;

    use super::*;

    /// What becomes of a section.
    enum Treated {
        /// The plan is made of it.
        Read,
        /// Nothing here looks at it.
        Elsewhere,
    }

    fn treated(section: Section) -> Treated {
        match section {
            Section::Core
            | Section::Env
            | Section::Pseudofiles
            | Section::Nvram
            | Section::Netdevs
            | Section::UbootEnv
            | Section::BlockedSignals
            | Section::StaticFiles
            | Section::LibInject
            | Section::Plugins
            | Section::Network => Treated::Read,
            // They are used up while the configuration is loaded.
            Section::Patches | Section::Vars
            // By its name it is for the making of a project.
            | Section::InitPlugins => Treated::Elsewhere,
        }
    }

    #[test]
    fn every_section_of_a_configuration_is_read_or_noted() {
        let sources = [include_str!("build.rs"), include_str!("unsupported.rs")];
        let code = sources.map(|text| text.split("mod tests {").next().unwrap_or_default());
        for section in Section::ALL {
            let name = section.name();
            let is_noted = IGNORED.iter().any(|(path, _)| path[0] == name);
            let is_read = code.iter().any(|text| text.contains(&format!("{name:?}")));
            match treated(*section) {
                Treated::Read => assert!(is_read, "{name}: no plan is made of it"),
                Treated::Elsewhere => assert!(!is_read && !is_noted, "{name}"),
            }
        }
        for (path, _) in IGNORED {
            assert!(Section::by_name(path[0]).is_some(), "{path:?}");
        }
    }
}
