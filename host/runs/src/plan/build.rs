//! Build a plan from a project's effective configuration.

use std::path::{Path, PathBuf};

use rookery_contract::options::StartOptions;
use rookery_project::penguin::env::is_penguins_own;
use rookery_project::{Error, Result, rules};
use serde_json::{Map, Value};

use crate::plan::notes::Notes;
use crate::plan::paths::{in_project, is_guest_path, read_head};
use crate::plan::unsupported::{is_enabled, note_ignored};
use crate::plan::{Plan, addresses, files, flash, library, models, uplink};
use crate::ports::Ports;

const DEFAULT_TIMEOUT_S: u64 = StartOptions::TIMEOUT_S as u64;
const LOGGERS: &[&str] = &["syscalls_logger", "exec_logger", "rw_logger", "processes"];
const INIT_FINDER: &str = "static/InitFinder.yaml";

impl Plan {
    /// Whether nobody gave the run a length, neither its call nor its project.
    pub fn is_open_ended(&self) -> bool {
        self.extended_s.is_some()
    }

    /// Build the plan of a run of the project in `project_dir`, an absolute path, from its
    /// effective configuration.
    ///
    /// `timeout_s` overrides `core.timeout`; without either the run may be extended. `results_dir`
    /// is left empty. What the embedded emulator does not honour is in `notes`; a configuration
    /// that cannot be run is `InvalidArgument` or `NotFound`, with what to change.
    pub fn from_config(
        config: &Value,
        project_dir: &Path,
        cache_dir: &Path,
        timeout_s: Option<u64>,
    ) -> Result<Self> {
        let mut notes = Notes::default();
        let arch = string(config, "core", "arch").ok_or_else(|| {
            Error::InvalidArgument(
                "core.arch is not set: the configuration does not say which processor the \
                 firmware is for"
                    .into(),
            )
        })?;
        note_ignored(config, project_dir, &mut notes);
        let mut netdevs = netdevs(config, &mut notes);
        let uplink = uplink::uplink(config, &mut netdevs, &mut notes);
        let plan = Self {
            project_dir: project_dir.to_owned(),
            archive: archive(config, project_dir)?,
            results_dir: PathBuf::new(),
            cache_dir: cache_dir.to_owned(),
            cache_max: None,
            arch: arch.to_owned(),
            init: init(config, project_dir)?,
            env: env(config, &mut notes),
            netdevs,
            uplink,
            addresses: addresses::addresses(config, &mut notes),
            capture: captures(config),
            blocked_signals: blocked_signals(config, &mut notes),
            pseudofiles: models::pseudofiles(
                section(config, "pseudofiles"),
                project_dir,
                &mut notes,
            )?,
            interface_ioctls: models::interface_ioctls(config, project_dir, &mut notes),
            flash: flash::partitions(config, project_dir, &mut notes)?,
            static_files: files::static_files(
                section(config, "static_files"),
                project_dir,
                &mut notes,
            )?,
            nvram: nvram(config, &mut notes),
            library: library::of(section(config, "lib_inject"), &mut notes),
            uboot_env: uboot_env(config),
            cpu: string(config, "core", "cpu").map(str::to_owned),
            kernel_release: string(config, "core", "kernel").and_then(kernel_release),
            kernel_cmdline_append: string(config, "core", "kernel_cmdline_append")
                .map(|text| text.trim().replace('\n', " "))
                .filter(|text| !text.is_empty()),
            record_events: is_enabled(config, "db")
                && LOGGERS.iter().any(|logger| is_enabled(config, logger)),
            record_env: is_enabled(config, "env"),
            timeout_s: timeout_s.unwrap_or_else(|| timeout(config, &mut notes)),
            extended_s: (timeout_s.is_none() && config.pointer("/core/timeout").is_none())
                .then_some(StartOptions::EXTENDED_S.into()),
            memory_max: crate::plan::memory_max(),
            ports: Ports::default(),
            notes: Vec::new(),
        };
        Ok(Self {
            notes: notes.into_vec(),
            ..plan
        })
    }
}

fn section<'a>(config: &'a Value, name: &str) -> &'a Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    config
        .get(name)
        .and_then(Value::as_object)
        .unwrap_or(&EMPTY)
}

fn string<'a>(config: &'a Value, section: &str, key: &str) -> Option<&'a str> {
    config.get(section)?.get(key)?.as_str()
}

fn archive(config: &Value, project_dir: &Path) -> Result<PathBuf> {
    let name = string(config, "core", "fs").unwrap_or("./base/fs.tar.gz");
    if let Some(archive) = in_project(project_dir, name) {
        return Ok(archive);
    }
    Err(if project_dir.join(name).exists() {
        Error::Denied(format!(
            "core.fs is {name:?}, which lies outside of the project; copy the archive into the \
             project"
        ))
    } else {
        Error::NotFound(format!(
            "core.fs is {name:?}, and there is no such file in the project; make the project anew \
             with init_project"
        ))
    })
}

/// `env.igloo_init`, else the first of the init programs that were found when the project was made.
fn init(config: &Value, project_dir: &Path) -> Result<String> {
    const ADVICE: &str = "set it with set_env igloo_init, for example to /sbin/init";
    if let Some(init) = string(config, "env", "igloo_init") {
        return if is_guest_path(init) {
            Ok(init.to_owned())
        } else {
            Err(Error::InvalidArgument(format!(
                "env.igloo_init is {init:?}; it must be an absolute path in the guest: {ADVICE}"
            )))
        };
    }
    let found =
        in_project(project_dir, INIT_FINDER).and_then(|path| read_head(&path, 1 << 20).ok());
    let candidates: Vec<String> = found
        .and_then(|(text, _)| serde_yaml::from_slice(&text).ok())
        .unwrap_or_default();
    candidates
        .into_iter()
        .find(|path| is_guest_path(path))
        .ok_or_else(|| {
            Error::InvalidArgument(format!(
                "env.igloo_init is not set, and {INIT_FINDER} names no init program: {ADVICE}"
            ))
        })
}

fn env(config: &Value, notes: &mut Notes) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for (name, value) in section(config, "env") {
        let Some(value) = value.as_str() else {
            continue;
        };
        // Penguin's own start-up needs it, and no firmware does.
        if is_penguins_own(name) {
            continue;
        }
        if name == "LD_PRELOAD" && value.contains("lib_inject.so") {
            // Programs are given the library where they ask for what it has.
            continue;
        }
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            notes.about(
                "variables of env that an environment cannot hold are left out",
                name.as_str(),
            );
            continue;
        }
        env.push((name.clone(), value.to_owned()));
    }
    env
}

/// Penguin's own argument: it records what goes through the ports that lead to the guest.
fn captures(config: &Value) -> bool {
    let asked = config.pointer("/plugins/vpn/pcap").and_then(Value::as_bool);
    asked == Some(true) && is_enabled(config, "vpn")
}

fn netdevs(config: &Value, notes: &mut Notes) -> Vec<String> {
    let mut netdevs: Vec<String> = Vec::new();
    for name in config
        .get("netdevs")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !rules::is_interface_name(name) {
            notes.about(
                "names that a network device cannot have are left out of netdevs",
                name,
            );
        } else if !netdevs.iter().any(|known| known == name) {
            netdevs.push(name.to_owned());
        }
    }
    netdevs
}

fn blocked_signals(config: &Value, notes: &mut Notes) -> Vec<i32> {
    let mut signals = Vec::new();
    for value in config
        .get("blocked_signals")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        match value
            .as_i64()
            .and_then(|signal| i32::try_from(signal).ok())
            .filter(|signal| rules::is_signal_number((*signal).into()))
        {
            Some(signal) if signals.contains(&signal) => {}
            Some(signal) => signals.push(signal),
            None => notes.about(
                "numbers that are not signal numbers are left out of blocked_signals",
                value.to_string(),
            ),
        }
    }
    signals
}

fn nvram(config: &Value, notes: &mut Notes) -> Vec<(String, String)> {
    let mut values = Vec::new();
    for (key, value) in section(config, "nvram") {
        // A key becomes the name of a file.
        if !rules::is_nvram_key(key) {
            notes.about(
                "keys that cannot be file names are left out of nvram",
                key.as_str(),
            );
            continue;
        }
        match value {
            Value::String(text) => values.push((key.clone(), text.clone())),
            Value::Number(number) => values.push((key.clone(), number.to_string())),
            _ => {}
        }
    }
    values
}

fn uboot_env(config: &Value) -> Vec<(String, String)> {
    section(config, "uboot_env")
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// `core.timeout`. Penguin takes zero and less for "end at once", which is never what is wanted.
fn timeout(config: &Value, notes: &mut Notes) -> u64 {
    let Some(seconds) = config.pointer("/core/timeout").and_then(Value::as_i64) else {
        return DEFAULT_TIMEOUT_S;
    };
    u64::try_from(seconds)
        .ok()
        .filter(|&seconds| seconds > 0)
        .unwrap_or_else(|| {
            notes.say(format!(
                "core.timeout is {seconds}; the run gets {DEFAULT_TIMEOUT_S} s"
            ));
            DEFAULT_TIMEOUT_S
        })
}

/// The release in `4.10`, or in a path such as `/igloo_static/kernels/4.10/zImage.armel`: three
/// numbers, as `uname -r` has them.
fn kernel_release(kernel: &str) -> Option<String> {
    let version = kernel.split('/').find(|part| {
        part.contains('.') && part.split('.').all(|number| number.parse::<u16>().is_ok())
    })?;
    Some(if version.split('.').count() == 2 {
        format!("{version}.0")
    } else {
        version.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn project() -> tempfile::TempDir {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(project.path().join("base")).unwrap();
        std::fs::write(project.path().join("base/fs.tar.gz"), "").unwrap();
        project
    }

    fn plan(project: &tempfile::TempDir, config: &Value) -> Result<Plan> {
        Plan::from_config(config, project.path(), Path::new("/cache"), None)
    }

    fn minimal() -> Value {
        json!({ "core": { "arch": "mipsel" }, "env": { "igloo_init": "/sbin/init" } })
    }

    #[test]
    fn a_small_configuration_is_enough_and_needs_no_note() {
        let plan = plan(&project(), &minimal()).unwrap();
        assert_eq!(
            (plan.arch.as_str(), plan.init.as_str(), plan.timeout_s),
            ("mipsel", "/sbin/init", 60)
        );
        assert!(plan.archive.ends_with("base/fs.tar.gz"));
        assert!(
            plan.notes.is_empty() && plan.env.is_empty() && !plan.record_events && !plan.record_env,
            "{:?}",
            plan.notes
        );
    }

    #[test]
    fn sections_are_cleaned_and_what_is_left_out_is_said() {
        let mut config = minimal();
        config["env"] = json!({
            "igloo_init": "/sbin/init",
            "sxid": "0190",
            "IGLOO_X": "1",
            "PROJ_NAME": "p",
            "LD_PRELOAD": "lib_inject.so"
        });
        config["netdevs"] = json!(["eth0", "br0", "eth0", "a-name-too-long-for-it", "../x", "*"]);
        config["blocked_signals"] = json!([9, 9, 6, 999, -1]);
        config["nvram"] = json!({ "lan": "x", "n": 8, "../x": "y" });
        config["uboot_env"] = json!({ "a": "b" });
        config["core"]["kernel"] = json!("4.10");
        config["core"]["timeout"] = json!(0);
        config["core"]["strace"] = json!(false);
        config["core"]["ltrace"] = json!(["httpd"]);
        config["plugins"] = json!({
            "db": {},
            "exec_logger": {},
            "env": { "enabled": false },
            "verifier": {},
            "ficd": { "enabled": false }
        });
        let plan = plan(&project(), &config).unwrap();
        assert_eq!(plan.env, [("sxid".to_owned(), "0190".to_owned())]);
        assert_eq!(plan.netdevs, ["eth0", "br0"]);
        assert_eq!(plan.blocked_signals, [9, 6]);
        assert_eq!(
            plan.nvram,
            [("lan".into(), "x".into()), ("n".into(), "8".to_owned())]
        );
        assert_eq!(plan.uboot_env, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(plan.kernel_release.as_deref(), Some("4.10.0"));
        assert_eq!(
            (plan.timeout_s, plan.record_events, plan.record_env),
            (60, true, false)
        );
        for expected in [
            "ltrace",
            "netdevs: a-name-too",
            "blocked_signals: 999, -1",
            "nvram: ../x",
            "core.timeout is 0",
            "Penguin only: verifier",
            "kernel",
        ] {
            assert!(
                plan.notes.iter().any(|note| note.contains(expected)),
                "{expected} in {:#?}",
                plan.notes
            );
        }
        assert!(
            !plan
                .notes
                .iter()
                .any(|note| note.contains("strace is") || note.contains("ficd")),
            "{:#?}",
            plan.notes
        );
    }

    #[test]
    fn init_comes_from_the_analysis_where_none_is_set() {
        let project = project();
        let config = json!({ "core": { "arch": "mipsel" } });
        assert!(matches!(
            plan(&project, &config),
            Err(Error::InvalidArgument(message)) if message.contains("set_env")
        ));
        std::fs::create_dir(project.path().join("static")).unwrap();
        std::fs::write(
            project.path().join(INIT_FINDER),
            "- /sbin/init\n- /etc/preinit\n",
        )
        .unwrap();
        assert_eq!(plan(&project, &config).unwrap().init, "/sbin/init");
    }

    #[test]
    fn what_cannot_run_is_refused_with_advice() {
        let project = project();
        let with = |path: &str, value: Value| {
            let mut config = minimal();
            *config.pointer_mut(path).unwrap() = value;
            plan(&project, &config)
        };
        assert!(matches!(
            with("/core/arch", Value::Null),
            Err(Error::InvalidArgument(_))
        ));
        assert!(matches!(
            with("/env/igloo_init", json!("init")),
            Err(Error::InvalidArgument(_))
        ));
        assert!(matches!(
            with("/env/igloo_init", json!("/../init")),
            Err(Error::InvalidArgument(_))
        ));
        assert!(matches!(
            with("/core", json!({ "arch": "mipsel", "fs": "/etc/passwd" })),
            Err(Error::Denied(_))
        ));
        assert!(matches!(
            with("/core", json!({ "arch": "mipsel", "fs": "none" })),
            Err(Error::NotFound(_))
        ));
    }

    #[test]
    fn kernel_releases_have_three_numbers() {
        for (kernel, release) in [
            ("4.10", Some("4.10.0")),
            ("6.13.7", Some("6.13.7")),
            ("/igloo_static/kernels/4.10/zImage.armel", Some("4.10.0")),
            ("/boot/vmlinux", None),
        ] {
            assert_eq!(kernel_release(kernel).as_deref(), release);
        }
    }
}
