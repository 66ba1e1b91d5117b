//! Files import downwards only: no circle of more than two files, and none between folders.
//!
//! A `mod.rs` that passes on what its files define counts as those files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

/// A module's path: `["config", "load"]`; the crate's root is empty.
type Module = Vec<String>;

struct Sources {
    code: BTreeMap<Module, String>,
    /// What a module passes on: its name there, and the path where it comes from.
    passed: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
}

fn read(dir: &Path, at: &Module, code: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let below = [at.as_slice(), &[stem.clone()]].concat();
        if path.is_dir() {
            read(&path, &below, code);
        } else if stem != "tests" {
            let text = fs::read_to_string(&path).unwrap();
            // Tests stand at the end of a file.
            let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let lines = product.lines().map(|line| line.split("//").next().unwrap());
            let is_parent = stem == "mod" || stem == "lib";
            let module = if is_parent { at.clone() } else { below };
            code.insert(module, lines.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// `a::{b, c::{d}}` as `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let Some((before, group)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap().trim().to_owned()];
    };
    let group = group.trim_end().strip_suffix('}').unwrap();
    let (mut depth, mut part, mut parts) = (0, String::new(), Vec::new());
    for c in group.chars().chain([',']) {
        match c {
            ',' if depth == 0 => parts.push(std::mem::take(&mut part)),
            '{' | '}' => {
                depth += if c == '{' { 1 } else { -1 };
                part.push(c);
            }
            c => part.push(c),
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    let paths = parts.flat_map(|part| expand(&format!("{}{}", before.trim(), part.trim())));
    paths.collect()
}

impl Sources {
    fn new() -> Self {
        let mut code = BTreeMap::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        read(&root, &Vec::new(), &mut code);
        let mut sources = Self {
            code,
            passed: BTreeMap::new(),
        };
        let modules: Vec<_> = sources.code.keys().cloned().collect();
        for module in modules {
            let passed = sources
                .uses(&module)
                .into_iter()
                .filter(|(public, _)| *public);
            let named = passed
                .map(|(_, path)| (path.last().unwrap().clone(), path))
                .collect();
            sources.passed.insert(module, named);
        }
        sources
    }

    /// The paths from the crate's root that a module imports, and whether it passes them on.
    fn uses(&self, module: &Module) -> Vec<(bool, Vec<String>)> {
        let code = &self.code[module];
        let statement = Regex::new(r"(?m)^\s*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);").unwrap();
        let inline = Regex::new(r"\b(?:crate|super)(?:::\w+)+").unwrap();
        let mut uses = Vec::new();
        for found in statement.captures_iter(code) {
            let paths = expand(&found[2].replace('\n', " "));
            uses.extend(paths.into_iter().map(|path| (found.get(1).is_some(), path)));
        }
        let rest = statement.replace_all(code, "");
        uses.extend(
            inline
                .find_iter(&rest)
                .map(|path| (false, path.as_str().to_owned())),
        );
        uses.iter()
            .filter_map(|(public, path)| Some((*public, self.from_root(module, path)?)))
            .collect()
    }

    fn from_root(&self, module: &Module, path: &str) -> Option<Vec<String>> {
        let mut steps: Vec<String> = path.split("::").map(str::to_owned).collect();
        let mut base = module.clone();
        match steps[0].as_str() {
            "crate" => return Some(steps.split_off(1)),
            "self" => drop(steps.remove(0)),
            "super" => {
                while steps.first().is_some_and(|step| step == "super") {
                    base.pop();
                    steps.remove(0);
                }
            }
            child => {
                let below = [base.as_slice(), &[child.to_owned()]].concat();
                self.code.get(&below)?;
            }
        }
        Some([base, steps].concat())
    }

    /// The module that defines what a path names.
    fn defines(&self, path: &[String]) -> Module {
        let longest = (0..=path.len())
            .rev()
            .find(|length| self.code.contains_key(&path[..*length]))
            .unwrap();
        let (module, rest) = path.split_at(longest);
        let passed = rest.first().and_then(|name| self.passed[module].get(name));
        match passed {
            Some(from) => self.defines(&[from.as_slice(), &rest[1..]].concat()),
            None => module.to_vec(),
        }
    }

    /// What each module needs; what a parent only passes on is left out.
    fn needs(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let of = |module: &Module| {
            self.uses(module)
                .into_iter()
                .map(|(public, path)| (public, self.defines(&path)))
                .filter(|(public, needed)| !(*public && needed.starts_with(module)))
                .map(|(_, needed)| needed)
                .filter(|needed| needed != module)
                .collect()
        };
        self.code
            .keys()
            .map(|module| (module.clone(), of(module)))
            .collect()
    }
}

/// The groups of more than `allowed` things of which each leads to each.
fn circles<T: Ord + Clone>(needs: &BTreeMap<T, BTreeSet<T>>, allowed: usize) -> Vec<Vec<T>> {
    let reached = |from: &T| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(at) = next.pop() {
            let new = needs.get(&at).into_iter().flatten();
            next.extend(new.filter(|to| seen.insert((*to).clone())).cloned());
        }
        seen
    };
    let all: BTreeMap<&T, BTreeSet<T>> = needs.keys().map(|from| (from, reached(from))).collect();
    let group = |from: &T| -> Vec<T> {
        let back = |to: &&T| all.get(*to).is_some_and(|reached| reached.contains(from));
        all[from].iter().filter(back).cloned().collect()
    };
    let groups: BTreeSet<Vec<T>> = needs.keys().map(group).collect();
    groups
        .into_iter()
        .filter(|group| group.len() > allowed)
        .collect()
}

#[test]
fn imports_do_not_go_in_circles() {
    let needs = Sources::new().needs();
    assert!(needs.len() > 80 && needs.values().any(|needed| needed.len() > 5));
    let found = circles(&needs, 2);
    assert!(found.is_empty(), "files that need each other: {found:#?}");

    let folder = |module: &Module| module.first().cloned().unwrap_or_default();
    let mut folders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, needed) in &needs {
        let own = folder(module);
        let others = needed.iter().map(folder).filter(|other| *other != own);
        folders.entry(own.clone()).or_default().extend(others);
    }
    let found = circles(&folders, 1);
    assert!(found.is_empty(), "folders that need each other: {found:#?}");
}
