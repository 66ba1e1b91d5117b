//! The files of a new project, laid out as `penguin init` does.
//!
//! What differs from run to run stands in `static_patches`, listed in `config.yaml`, so that each
//! can be switched off by taking out one line.

use rookery_contract::shapes::InitCandidate;
use serde_json::{Map, Value, json};

use super::for_penguin;
use super::survey::Survey;
use crate::device_kinds::DeviceKind;
use crate::firmware::Repair;
use crate::firmware::tree::Tree;
use crate::ground::yaml;
use crate::penguin::architectures::Architecture;
use crate::penguin::init_patches::{self, FOR_PENGUIN_ALONE};
use crate::penguin::plugins::{DIAGNOSTICS, ENABLED};
use crate::penguin::project::{DEFAULT_FS, MAIN};

/// Files of many vendors' own drivers, whose content programs ignore, as firmadyne and `FirmAE`
/// found them. Modelled only where the firmware names them, as the usual devices are.
const HARMLESS: [&str; 23] = [
    "/dev/acos_nat_cli",
    "/dev/brcmboard",
    "/dev/dsl_cpe_api",
    "/dev/pib",
    "/dev/sc_led",
    "/dev/tca0",
    "/dev/ticfg",
    "/dev/zybtnio",
    "/proc/BtnMode",
    "/proc/RstBtnCnt",
    "/proc/blankstatus",
    "/proc/br_igmpProxy",
    "/proc/btnCnt",
    "/proc/gpio",
    "/proc/led",
    "/proc/push_button",
    "/proc/quantum/drv_ctl",
    "/proc/rt3052/mii/ctrl",
    "/proc/rt3052/mii/data",
    "/proc/rtk_promiscuous",
    "/proc/rtk_vlan_support",
    "/proc/simple_config/reset_button_s",
    "/proc/sw_nat",
];

/// Heads the patches that only Penguin uses.
const ABOUT: &str = "# For Penguin; the embedded emulator leaves this file out.\n";

/// Starts what the project adds, then the guest's init, without the variables that are for tools:
/// of those that Penguin sets at boot, the guest keeps what tools read from within its processes.
/// Runs in Penguin only; the embedded emulator starts init itself.
const PENGUIN_INIT: &str = r#"#!/igloo/utils/sh
for script in /igloo/source.d/*; do
  . "$script"
done
for script in /igloo/init.d/*; do
  if [ -x "$script" ]; then
    "$script"
  fi
done
if [ -z "$igloo_init" ]; then
  echo "[IGLOO INIT] Fatal: no igloo_init specified in env. Abort"
  exit 1
fi
/igloo/utils/send_hypercall readiness igloo_init "$igloo_init" >/dev/null 2>&1
echo "[IGLOO] user init dispatched $igloo_init"
# No variable of the environment has the name of an argument.
set -- "$igloo_init"
if [ -f /igloo/boot/igloo_env.sh ]; then
  while read -r word assigned; do
    name=${assigned%%=*}
    case "$word $name" in
      "export IGLOO_LTRACE" | "export IGLOO_LTRACE_EXCLUDED" | "export PROJ_NAME") ;;
      "export "[0-9]* | "export "*[!A-Za-z0-9_]*) ;;
      "export "?*) unset "$name" ;;
    esac
  done </igloo/boot/igloo_env.sh
fi
unset igloo_init IGLOO_NO_SHELL_COV
if /igloo/utils/busybox unshare -u /igloo/utils/busybox true >/dev/null 2>&1; then
  exec /igloo/utils/busybox unshare -u "$1"
fi
exec "$1"
"#;

/// Every text file of the project, by its path in it.
pub(super) fn files(
    arch: &Architecture,
    inits: &[InitCandidate],
    tree: &Tree,
    survey: &Survey,
    repairs: &[Repair],
    expected: Vec<(&'static str, Value)>,
) -> Vec<(String, String)> {
    let mut patches = vec![
        ("base", base(arch, inits)),
        ("diagnostics", json!({ "plugins": enabled(&DIAGNOSTICS) })),
        ("netdevs.dynamic", json!({ "netdevs": survey.interfaces })),
    ];
    patches.extend(expected);
    let devices = known_devices(arch, survey);
    patches.extend(for_penguin::patches(tree, survey, &devices));
    if !devices.is_empty() {
        patches.push((
            "pseudofiles.expert_knowledge",
            json!({ "pseudofiles": devices }),
        ));
    }

    let partitions = survey.flash.devices();
    if !partitions.is_empty() {
        patches.push((
            "mtd.dynamic",
            json!({ "plugins": { "mtd": { "devices": partitions } } }),
        ));
    }

    let paths: Vec<&str> = inits.iter().map(|init| init.path.as_str()).collect();
    let statics = [
        ("ArchId", json!(arch.name)),
        ("InitFinder", json!(paths)),
        ("EnvFinder", json!({ "igloo_init": paths })),
        ("InterfaceFinder", json!({ "commands": survey.interfaces })),
        (
            "PseudofileFinder",
            json!({ "dev": survey.devices, "proc": survey.procs }),
        ),
    ];
    let repairs: Vec<_> = repairs.iter().map(repair).collect();
    let repairs = (!repairs.is_empty()).then(|| ("Repairs", json!(repairs)));
    let listed: Vec<_> = patches
        .iter()
        .map(|(name, _)| init_patches::file(name))
        .collect();
    let mut files = vec![(MAIN.to_owned(), to_yaml(&config(arch.name, &listed)))];
    files.extend(patches.iter().map(|(name, patch)| {
        let about = if FOR_PENGUIN_ALONE.contains(name) {
            ABOUT
        } else {
            ""
        };
        (
            init_patches::file(name),
            format!("{about}{}", to_yaml(patch)),
        )
    }));
    files.extend(
        statics
            .iter()
            .chain(&repairs)
            .map(|(name, value)| (format!("static/{name}.yaml"), to_yaml(value))),
    );
    files
}

fn repair(repair: &Repair) -> Value {
    match repair {
        Repair::Link { path, target } => json!({ "path": path, "link_to": target }),
        Repair::Executable { path, mode, was } => json!({
            "path": path,
            "mode": format!("{mode:04o}"),
            "was": format!("{was:04o}"),
        }),
    }
}

fn to_yaml(value: &Value) -> String {
    yaml::write(&yaml::value::Value::from_json(value))
}

fn config(arch: &str, patches: &[String]) -> Value {
    json!({
        "core": { "version": 2, "arch": arch, "fs": DEFAULT_FS },
        "patches": patches,
        "env": {},
        "pseudofiles": {},
        "nvram": {},
        "netdevs": [],
        "blocked_signals": [],
        "lib_inject": { "enabled": true },
        "static_files": {},
        "plugins": {},
    })
}

/// As Penguin's patch of this name, which takes its place at `penguin refresh`.
fn base(arch: &Architecture, inits: &[InitCandidate]) -> Value {
    let mut files = penguin_guest(arch);
    files.extend([
        (
            "/dev/fd".to_owned(),
            json!({ "type": "symlink", "target": "/proc/self/fd" }),
        ),
        (
            "/dev/pts".to_owned(),
            json!({ "type": "dir", "mode": 0o755 }),
        ),
        (
            "/dev/shm".to_owned(),
            json!({ "type": "dir", "mode": 0o1777 }),
        ),
    ]);
    let mut base = json!({
        "core": { "arch": arch.name },
        "plugins": enabled(&ENABLED),
        "static_files": files,
    });
    if let Some(init) = inits.first() {
        base["env"] = json!({ "igloo_init": init.path });
    }
    base
}

/// What Penguin's container puts into the guest. Its host paths exist only there.
fn penguin_guest(arch: &Architecture) -> Map<String, Value> {
    let host =
        |path: &str, mode: u32| json!({ "type": "host_file", "host_path": path, "mode": mode });
    let (major, minor) = arch.serial;
    let link = |target: &str| json!({ "type": "symlink", "target": target });
    let files = json!({
            "/igloo/init": { "type": "inline_file", "mode": 0o755, "contents": PENGUIN_INIT },
            "/igloo/dylibs/*": host("/igloo_static/dylibs/{{ dylib_dir }}/*", 0o755),
            "/igloo/ltrace/*": host("/igloo_static/ltrace/*", 0o444),
            "/igloo/source.d/*": host("/pkg/resources/source.d/*", 0o755),
            "/igloo/utils/*": host("/igloo_static/{{ arch_dir }}/*", 0o755),
            "/igloo/utils/exit0.sh": host("/igloo_static/guest-utils/scripts/exit0.sh", 0o755),
            "/igloo/utils/igloo_profile":
                host("/igloo_static/guest-utils/scripts/igloo_profile", 0o755),
            "/igloo/utils/rootshell": host("/igloo_static/guest-utils/scripts/rootshell", 0o755),
            "/igloo/utils/sh": link("/igloo/utils/busybox"),
            "/igloo/utils/sleep": link("/igloo/utils/busybox"),
            "/igloo/serial": {
                "type": "dev",
                "devtype": "char",
                "major": major,
                "minor": minor,
                "mode": 0o666
            }
    });
    match files {
        Value::Object(files) => files,
        _ => Map::new(),
    }
}

fn enabled(plugins: &[&str]) -> Value {
    plugins
        .iter()
        .map(|plugin| ((*plugin).to_owned(), json!({})))
        .collect::<Map<_, _>>()
        .into()
}

/// The files that the firmware names whose answers are known: what the usual ones are at rest.
fn known_devices(arch: &Architecture, survey: &Survey) -> Map<String, Value> {
    let model = |path: &String| {
        let of_vendor = || HARMLESS.contains(&path.as_str()).then(|| harmless(path));
        let kind = DeviceKind::of_path(path);
        let model = kind.map_or_else(of_vendor, |kind| kind.at_rest(Some(arch)));
        Some((path.clone(), model?))
    };
    let named = survey.devices.iter().chain(&survey.procs);
    named.filter_map(model).collect()
}

/// A file that reads as `0`, swallows what is written, and says yes to every command.
pub(super) fn harmless(path: &str) -> Value {
    let mut models = json!({
        "read": { "model": "zero" },
        "write": { "model": "discard" },
    });
    if path.starts_with("/dev/") {
        models["ioctl"] = json!({ "*": { "model": "return_const", "val": 0 } });
    }
    models
}
