//! The patches that only a guest of Penguin needs ([`init_patches::FOR_PENGUIN_ALONE`]), as its own
//! init makes them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::expected::plain;
use super::kernel_files;
use super::layout::harmless;
use super::survey::Survey;
use crate::config::neutralise;
use crate::firmware::nvram::Trust;
use crate::firmware::tree::{Content, Tree, name};
use crate::penguin::{init_patches, library, nvram};

/// Programs that stop the machine.
const STOPS: [&[u8]; 2] = [b"reboot", b"halt"];
/// Programs that load a module, which is for another kernel.
const LOADS: [&[u8]; 1] = [b"insmod"];

/// Serial lines that are Penguin's own: the guest must not talk into them.
const OWN_LINES: [&str; 2] = ["/dev/ttyS1", "/dev/ttyAMA1"];

/// The patches, by name; those with nothing in them are left out. Devices and files that are
/// `modelled` already are not guessed at.
pub(super) fn patches(
    tree: &Tree,
    survey: &Survey,
    modelled: &Map<String, Value>,
) -> Vec<(&'static str, Value)> {
    let sections = [
        (
            init_patches::GUESSES,
            "pseudofiles",
            guesses(survey, modelled),
        ),
        (
            init_patches::COMPARISONS,
            "aliases",
            aliases(survey, is_comparison),
        ),
        (
            init_patches::ALIASES,
            "aliases",
            aliases(survey, |name| !is_comparison(name)),
        ),
        (init_patches::NO_STOP, "static_files", shims(tree, &STOPS)),
        (
            init_patches::NO_MODULES,
            "static_files",
            shims(tree, &LOADS),
        ),
    ];
    let is_filled = |section: &Value| section.as_object().is_some_and(|map| !map.is_empty());
    let patch = |section: &str, value: Value| match section {
        "aliases" => json!({ "lib_inject": { "aliases": value } }),
        section => json!({ section: value }),
    };
    let of_sections = sections
        .into_iter()
        .filter(|(_, _, value)| is_filled(value));
    let patches = of_sections.map(|(name, section, value)| (name, patch(section, value)));
    // The last listed wins.
    let nvram = init_patches::NVRAM.into_iter().zip(values(survey)).rev();
    let nvram = nvram.filter(|(_, values)| !values.is_empty());
    patches
        .chain(nvram.map(|(name, values)| (name, json!({ "nvram": values }))))
        .collect()
}

/// A node that reads as `0` and swallows what is written, where nothing is known of it. Penguin
/// counts how often it is used.
fn guesses(survey: &Survey, modelled: &Map<String, Value>) -> Value {
    let all: BTreeSet<&String> = survey.devices.iter().chain(&survey.procs).collect();
    let is_directory = |path: &str| {
        let beneath = format!("{path}/");
        let next = all.range(beneath.clone()..).next();
        next.is_some_and(|next| next.starts_with(&beneath))
    };
    let unknown = all.iter().filter(|path| {
        !modelled.contains_key(path.as_str())
            && !is_directory(path)
            && !kernel_files::is_of_a_driver(path)
    });
    let guess = |path: &&&String| {
        let mut models = json!({
            "read": { "model": "zero", "provenance": "default" },
            "write": { "model": "discard", "provenance": "default" },
        });
        if path.starts_with("/dev/") {
            models["ioctl"] =
                json!({ "*": { "model": "return_const", "val": 0, "provenance": "default" } });
        }
        models
    };
    let guessed = unknown.map(|path| ((*path).clone(), guess(&path)));
    let own = OWN_LINES.map(|line| (line.to_owned(), harmless(line)));
    guessed.chain(own).collect()
}

fn is_comparison(name: &str) -> bool {
    library::COMPARISONS.contains(&name)
}

/// Names of functions in the firmware's libraries that the injected library has one for.
fn aliases(survey: &Survey, wanted: impl Fn(&str) -> bool) -> Value {
    let known: BTreeMap<_, _> = library::NAMES.iter().copied().collect();
    let found = survey.functions.iter().filter(|name| wanted(name));
    found
        .map(|name| {
            let function = known.get(name).unwrap_or(name);
            let function = format!("{}{function}", library::PREFIX);
            ((*name).to_owned(), json!(function))
        })
        .collect()
}

/// Every program of these names gives way to one that does nothing.
fn shims(tree: &Tree, names: &[&[u8]]) -> Value {
    let is_program = |content: &Content, mode: u32| match content {
        Content::File { .. } => mode & 0o111 != 0,
        Content::Symlink(_) => true,
        _ => false,
    };
    let programs = tree.iter().filter(|(path, entry)| {
        names.contains(&name(path)) && is_program(&entry.content, entry.mode)
    });
    let shim = json!({ "type": "shim", "target": "/igloo/utils/exit0.sh" });
    programs
        .filter_map(|(path, _)| Some((plain(path)?, shim.clone())))
        .collect()
}

/// The values of each of [`init_patches::NVRAM`].
fn values(survey: &Survey) -> [BTreeMap<String, String>; 4] {
    let mut values: [BTreeMap<String, String>; 4] = Default::default();
    let [of_arrays, of_places, of_names, of_penguin] = &mut values;
    for (trust, table) in &survey.nvram {
        let into = match trust {
            Trust::Array(_) => &mut *of_arrays,
            Trust::Place(_) => &mut *of_places,
            Trust::Name(_) => &mut *of_names,
        };
        for (key, value) in &table.values {
            // A value is no template, whatever it looks like.
            let value = || neutralise(value);
            into.entry(neutralise(key)).or_insert_with(value);
        }
    }
    of_penguin.extend(nvram::defaults());
    values
}
