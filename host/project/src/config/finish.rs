//! What Penguin does to a configuration after the merge: additions of its own, then the rules over
//! the whole.

use super::files::{self, MAIN};
use super::inputs::Inputs;
use super::layer::{Layer, origin};
use super::plugins::unknown_arguments;
use super::refusal::{Fault, Kind, Refusal};
use super::schema::{Nulls, PROJECT, Problem, Scope, Type, check, complete};
use super::templates::resolve_kernel_version;
use crate::ground::yaml;
use crate::ground::yaml::value::{Key, Map, Value};
use crate::penguin::architectures::Architecture;
use crate::penguin::kernels;
use crate::penguin::project::{ARCHIVE, DEFAULT_FS, EMPTY_FS, STATIC_DIR};

/// The final configuration out of the merged files.
pub fn finish(
    inputs: &Inputs<'_>,
    mut merged: Value,
    layers: &mut Vec<Layer>,
    warnings: &mut Vec<String>,
) -> Result<Value, Refusal> {
    if let Value::Map(map) = &mut merged {
        map.shift_remove(&Key::from("vars"));
        legacy_timeout(map, warnings);
    }
    // Defaults first: the additions look at them.
    let mut config = complete(Type::Model(&PROJECT), merged, Nulls::Keep);
    let arch = config
        .get("core")
        .and_then(|core| core.get("arch"))
        .and_then(Value::as_str)
        .and_then(Architecture::by_name);
    if let (Some(arch), Some(core)) = (arch, section(&mut config, "core")) {
        core.insert("arch".into(), Value::from(arch.name));
    }
    let additions = additions(inputs, &config, arch.map(|arch| arch.name))?;
    for (file, name, key, value) in additions {
        let Some(target) = section(&mut config, name) else {
            continue;
        };
        if target.insert(key.as_str().into(), value.clone()).is_some() {
            warnings.push(format!(
                "{file} overrides {name}.{key}, which another file sets"
            ));
        }
        let tree = Value::Map(Map::from([(
            name.into(),
            Value::Map(Map::from([(key.as_str().into(), value)])),
        )]));
        layers.push(Layer {
            file,
            text: String::new(),
            tree,
        });
    }
    if let Some(core) = section(&mut config, "core") {
        let kernel = kernel(core, arch).map_err(|problem| {
            Refusal::new(
                Kind::Rule,
                &origin(layers, &["core".into(), "kernel".into()]),
                problem,
            )
        })?;
        core.insert("kernel".into(), Value::from(kernel.as_str()));
        let version = kernel.rsplit('/').nth(1).unwrap_or_default();
        resolve_kernel_version(&mut config, version);
    }
    let checked = check(Type::Model(&PROJECT), config, Scope::Whole)
        .map_err(|problems| whole(layers, &problems))?;
    let mut config = complete(Type::Model(&PROJECT), checked.value, Nulls::Drop);
    rules(&config, layers)?;
    let plugins = config.get("plugins").and_then(Value::as_map);
    let unknown = plugins.map(|plugins| unknown_arguments(plugins, inputs));
    for unknown in unknown.unwrap_or_default() {
        if unknown.misspelt {
            let file = origin(layers, &["plugins".into(), unknown.plugin]);
            return Err(Refusal::new(Kind::Rule, &file, unknown.message));
        }
        let passed_on = "they are passed on, as a newer Penguin may know them";
        warnings.push(format!("{}; {passed_on}", unknown.message));
    }
    if let Some(core) = section(&mut config, "core")
        && !core.contains_key(&Key::from("fs"))
    {
        let fs = if inputs.exists(ARCHIVE) {
            DEFAULT_FS
        } else {
            EMPTY_FS
        };
        core.insert("fs".into(), Value::from(fs));
    }
    Ok(config)
}

fn section<'a>(config: &'a mut Value, name: &str) -> Option<&'a mut Map> {
    config.as_map_mut()?.get_mut(&Key::from(name))?.as_map_mut()
}

fn whole(layers: &[Layer], problems: &[Problem]) -> Refusal {
    let file = problems
        .first()
        .map_or_else(|| MAIN.to_owned(), |problem| origin(layers, &problem.path));
    Refusal {
        kind: Kind::Structure,
        file,
        faults: problems.iter().map(Fault::from).collect(),
    }
}

/// `plugins.core.timeout` is where `core.timeout` used to be.
fn legacy_timeout(config: &mut Map, warnings: &mut Vec<String>) {
    let timeout = config
        .get_mut(&Key::from("plugins"))
        .and_then(Value::as_map_mut)
        .and_then(|plugins| plugins.get_mut(&Key::from("core"))?.as_map_mut())
        .and_then(|core| core.shift_remove(&Key::from("timeout")));
    if let (Some(timeout), Some(core)) = (
        timeout,
        config
            .get_mut(&Key::from("core"))
            .and_then(Value::as_map_mut),
    ) && matches!(core.get(&Key::from("timeout")), None | Some(Value::Null))
    {
        warnings.push("plugins.core.timeout is outdated; write core.timeout".to_owned());
        core.insert("timeout".into(), timeout);
    }
}

/// What Penguin adds, in order: the cause, the section, the key and the value.
type Addition = (String, &'static str, String, Value);

fn additions(
    inputs: &Inputs<'_>,
    config: &Value,
    arch: Option<&str>,
) -> Result<Vec<Addition>, Refusal> {
    let mut out = Vec::new();
    let core = |name: &str| config.get("core").and_then(|core| core.get(name));
    if core("guest_cmd") == Some(&Value::Bool(true)) {
        let cause = || "(core.guest_cmd)".to_owned();
        let program = format!(
            "{STATIC_DIR}/guesthopper/guesthopper.{}",
            arch.unwrap_or_default()
        );
        out.push((
            cause(),
            "static_files",
            "/igloo/utils/guesthopper".to_owned(),
            host_file(&program),
        ));
        let start = "RUST_LOG=info /igloo/utils/guesthopper --shell /igloo/utils/sh &";
        out.push((
            cause(),
            "static_files",
            "/igloo/init.d/guesthopper".to_owned(),
            script(start),
        ));
    }
    for folder in ["init.d", "source.d"] {
        for name in inputs.names(folder, |name| !name.starts_with('.')) {
            let path = inputs.dir().join(folder).join(&name);
            let is_c = folder == "init.d" && files::has_extension(&name, "c");
            if !inputs.is_file(&path) || folder == "init.d" && files::has_extension(&name, "h") {
                continue;
            }
            // Penguin compiles C; its output's name is known only there.
            let target = if is_c {
                name.strip_suffix(".c").unwrap_or(&name)
            } else {
                &name
            };
            out.push((
                format!("{folder}/{name}"),
                "static_files",
                format!("/igloo/{folder}/{target}"),
                host_file(&path.to_string_lossy()),
            ));
        }
    }
    if let Some(Value::Str(body)) = core("startup_script")
        && !body.is_empty()
    {
        let entry = script(&format!("#!/igloo/utils/sh\n{body}"));
        out.push((
            "(core.startup_script)".to_owned(),
            "static_files",
            "/igloo/init.d/zz_startup_script".to_owned(),
            entry,
        ));
    }
    for name in inputs.names("plugins.d", |name| files::has_extension(name, "py")) {
        if !inputs.is_file(format!("plugins.d/{name}")) {
            continue;
        }
        let plugin = name.strip_suffix(".py").unwrap_or(&name);
        let sidecar = format!("plugins.d/{plugin}.yaml");
        let arguments = match inputs.read(&sidecar)? {
            Some(text) => yaml::parse(&text).map_err(|error| Refusal::yaml(&sidecar, &error))?,
            None => Value::Null,
        };
        let arguments = if arguments.as_map().is_some() {
            arguments
        } else {
            Value::empty()
        };
        out.push((
            format!("plugins.d/{name}"),
            "plugins",
            plugin.to_owned(),
            arguments,
        ));
    }
    Ok(out)
}

fn host_file(path: &str) -> Value {
    Value::Map(Map::from([
        ("type".into(), "host_file".into()),
        ("mode".into(), Value::Int(0o755)),
        ("host_path".into(), path.into()),
    ]))
}

fn script(text: &str) -> Value {
    Value::Map(Map::from([
        ("type".into(), "inline_file".into()),
        ("mode".into(), Value::Int(0o755)),
        ("contents".into(), text.into()),
    ]))
}

/// The kernel image: a path as it is, part of a version, or the default version.
fn kernel(core: &Map, arch: Option<&Architecture>) -> Result<String, String> {
    let wanted = core
        .get(&Key::from("kernel"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    if wanted.contains('/') {
        return Ok(wanted.to_owned());
    }
    let Some(arch) = arch else {
        return Err("no file sets core.arch; set it to the firmware's architecture".to_owned());
    };
    let Some(path) = kernels::paths(arch).find(|path| path.contains(wanted)) else {
        return Err(format!(
            "core.kernel: {wanted:?} is not a kernel that Penguin has; write one of {} or a path",
            kernels::VERSIONS.join(", ")
        ));
    };
    Ok(path)
}

/// The rules that Penguin applies after validation.
fn rules(config: &Value, layers: &[Layer]) -> Result<(), Refusal> {
    let Some(core) = config.get("core").and_then(Value::as_map) else {
        return Ok(());
    };
    let get = |name: &str| core.get(&Key::from(name));
    let refuse = |key: &str, problem: String| {
        Err(Refusal::new(
            Kind::Rule,
            &origin(layers, &["core".into(), key.into()]),
            problem,
        ))
    };
    let mips64 = get("arch")
        .and_then(Value::as_str)
        .is_some_and(|arch| arch.starts_with("mips64"));
    if mips64 && get("ltrace").is_some_and(is_on) {
        return refuse(
            "ltrace",
            "core.ltrace does not work on mips64; set it to false".to_owned(),
        );
    }
    if let Some((key, problem)) = tracing_conflict(core) {
        return refuse(key, problem);
    }
    if get("version") != Some(&Value::Int(2)) {
        return refuse(
            "version",
            "core.version is outdated; bring the project to version 2 with 'penguin run' once, or \
             set it to 2"
                .to_owned(),
        );
    }
    if get("arch").is_none() {
        return refuse(
            "arch",
            "no file sets core.arch; set it to the firmware's architecture".to_owned(),
        );
    }
    Ok(())
}

fn is_on(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => !map.is_empty(),
        _ => false,
    }
}

/// A program can be debugged by one tool only, and by name only with a way into the guest and a
/// place for logs.
fn tracing_conflict(core: &Map) -> Option<(&'static str, String)> {
    const TOOLS: [&str; 3] = ["strace", "ltrace", "gdbserver"];
    let get = |name: &str| core.get(&Key::from(name));
    let everywhere = |tool: &str| get(tool) == Some(&Value::Bool(true));
    if everywhere("strace") && everywhere("ltrace") {
        return Some((
            "strace",
            "core.strace and core.ltrace exclude each other; keep one".to_owned(),
        ));
    }
    let mut seen: Vec<(String, &str)> = Vec::new();
    for tool in TOOLS {
        let programs: Vec<String> = match get(tool) {
            Some(Value::List(items)) => items
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            Some(Value::Map(map)) => map.keys().map(Key::text).collect(),
            _ => Vec::new(),
        };
        for program in programs {
            let shown = program.escape_debug().to_string();
            if get("guest_cmd") != Some(&Value::Bool(true)) {
                return Some((
                    tool,
                    format!("core.{tool} for {shown} needs core.guest_cmd: true"),
                ));
            }
            if !get("shared_dir").is_some_and(is_on) {
                return Some((
                    tool,
                    format!("core.{tool} for {shown} needs core.shared_dir for its logs"),
                ));
            }
            if everywhere("strace") || everywhere("ltrace") {
                return Some((
                    tool,
                    format!(
                        "core.{tool} for {shown} excludes strace or ltrace of the whole system"
                    ),
                ));
            }
            if let Some((_, other)) = seen
                .iter()
                .find(|(name, other)| *name == program && *other != tool)
            {
                return Some((
                    tool,
                    format!("core.{tool} and core.{other} both name {shown}; keep one"),
                ));
            }
            seen.push((program, tool));
        }
    }
    None
}
