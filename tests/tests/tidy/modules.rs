//! The modules of a crate, and which of its files import which.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::{self, Imports};
use super::source;
use super::tree::Tree;

/// File to file.
pub type Edges = BTreeSet<(String, String)>;

/// How many re-exports are followed to where a thing is defined.
const DOORS: usize = 8;

struct Module {
    file: String,
    read: Imports,
}

/// A crate's modules by their path; its root has an empty one.
struct Crate(BTreeMap<Vec<String>, Module>);

/// What the files below `src` import of each other; test modules are left out.
pub fn edges(tree: &Tree, src: &str) -> Edges {
    let all = Crate::read(tree, src);
    let mut edges = Edges::new();
    for (path, module) in &all.0 {
        for import in &module.read.imports {
            if import.only_passed_on {
                continue;
            }
            let target = all
                .absolute(path, &import.path)
                .and_then(|absolute| all.file(&absolute, DOORS));
            if let Some(file) = target.filter(|file| *file != module.file) {
                edges.insert((module.file.clone(), file.to_owned()));
            }
        }
    }
    edges
}

impl Crate {
    fn read(tree: &Tree, src: &str) -> Self {
        let has_lib = tree.file(&format!("{src}/lib.rs")).is_some();
        let mut modules = BTreeMap::new();
        for file in tree.rust().filter(|file| !file.ends_with("/tests.rs")) {
            let Some(inside) = file.path.strip_prefix(&format!("{src}/")) else {
                continue;
            };
            // Programs beside a library are crates of their own.
            if inside.starts_with("bin/") || (has_lib && inside == "main.rs") {
                continue;
            }
            let code = source::without_tests(&source::code(&file.text));
            let module = Module {
                file: file.path.clone(),
                read: imports::read(&code),
            };
            modules.insert(module_path(inside), module);
        }
        Self(modules)
    }

    /// A path that `module` names, from the root of the crate; none for what is of other crates.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let (first, mut rest) = path.split_first()?;
        let mut base = module.to_vec();
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop()?;
                while let Some((_, more)) = rest.split_first().filter(|(part, _)| *part == "super")
                {
                    base.pop()?;
                    rest = more;
                }
            }
            child
                if self
                    .0
                    .get(module)?
                    .read
                    .modules
                    .iter()
                    .any(|name| name == child) =>
            {
                base.push(child.to_owned());
            }
            _ => return None,
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// The file that defines what an absolute path names.
    fn file(&self, path: &[String], doors: usize) -> Option<&str> {
        let length = (0..=path.len())
            .rev()
            .find(|n| self.0.contains_key(&path[..*n]))?;
        let (at, rest) = path.split_at(length);
        let module = &self.0[at];
        let Some((name, more)) = rest.split_first().filter(|_| doors > 0) else {
            return Some(&module.file);
        };
        let passed = module
            .read
            .imports
            .iter()
            .filter(|import| import.name.as_ref() == Some(name))
            .find_map(|import| self.absolute(at, &import.path));
        match passed {
            Some(defined) => self.file(&[&defined, more].concat(), doors - 1),
            None => Some(&module.file),
        }
    }
}

/// `a/mod.rs` and `a.rs` are the module `a`.
fn module_path(inside: &str) -> Vec<String> {
    let path = inside.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if path == "lib" || path == "main" {
        return Vec::new();
    }
    path.split('/').map(str::to_owned).collect()
}

#[test]
fn an_import_leads_to_the_file_that_defines_what_is_imported() {
    let tree = Tree::sample(&[
        ("src/lib.rs", "mod a; mod b; pub use b::Thing;"),
        (
            "src/a/mod.rs",
            "mod part; use crate::Thing; fn f() { part::g() }",
        ),
        (
            "src/a/part.rs",
            "use super::super::b; #[cfg(test)] mod t { use crate::a; }",
        ),
        ("src/b.rs", "pub struct Thing;"),
    ]);
    let found: Vec<_> = edges(&tree, "src").into_iter().collect();
    let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(
        found,
        [
            edge("src/a/mod.rs", "src/a/part.rs"),
            edge("src/a/mod.rs", "src/b.rs"),
            edge("src/a/part.rs", "src/b.rs"),
        ]
    );
}
