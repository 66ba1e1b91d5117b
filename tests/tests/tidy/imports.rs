//! What a file of Rust imports, as it is written.

use super::source;

/// A path that a file names.
#[derive(Debug, PartialEq)]
pub struct Import {
    pub path: Vec<String>,
    /// What the file calls it; nothing for a path within an expression.
    pub name: Option<String>,
    /// A re-export, of which the file makes no use of its own.
    pub only_passed_on: bool,
}

/// The modules that a file declares, and the paths that it names.
#[derive(Default)]
pub struct Imports {
    pub modules: Vec<String>,
    pub imports: Vec<Import>,
}

struct Reader<'a> {
    tokens: Vec<&'a str>,
    at: usize,
    depth: usize,
    /// The depths at which modules within the file began: `super` within them is the file.
    inner: Vec<usize>,
    found: Imports,
}

/// Read code, which has neither comments nor strings.
pub fn read(code: &str) -> Imports {
    let mut reader = Reader {
        tokens: source::tokens(code),
        at: 0,
        depth: 0,
        inner: Vec::new(),
        found: Imports::default(),
    };
    let mut others: Vec<&str> = Vec::new();
    let mut public = Vec::new();
    while let Some(token) = reader.token(0) {
        match (token, reader.token(1)) {
            ("mod", Some(name)) if reader.token(2) == Some(";") => {
                reader.found.modules.push(name.to_owned());
                reader.at += 3;
            }
            ("mod", Some(_)) if reader.token(2) == Some("{") => {
                reader.inner.push(reader.depth);
                reader.at += 2;
            }
            // Not the `use<'a>` of a bound.
            ("use", Some(next)) if next != "<" => {
                let is_public =
                    reader.at > 0 && [")", "pub"].contains(&reader.tokens[reader.at - 1]);
                let first = reader.found.imports.len();
                reader.at += 1;
                reader.tree(&[]);
                public.extend((first..reader.found.imports.len()).filter(|_| is_public));
            }
            // `pub(in path)` says who may see, not what is used.
            ("(", Some("in")) => {
                while reader.token(0).is_some_and(|token| token != ")") {
                    reader.at += 1;
                }
            }
            _ => {
                others.push(token);
                reader.step(token);
            }
        }
    }
    for index in public {
        let import = &mut reader.found.imports[index];
        let is_used = |name: &String| others.contains(&name.as_str());
        import.only_passed_on = !import.name.as_ref().is_some_and(is_used);
    }
    reader.found
}

impl<'a> Reader<'a> {
    fn token(&self, ahead: usize) -> Option<&'a str> {
        self.tokens.get(self.at + ahead).copied()
    }

    /// A token outside `use` and `mod`: a brace, or the begin of a path.
    fn step(&mut self, token: &str) {
        self.at += 1;
        match token {
            "{" => self.depth += 1,
            "}" => {
                self.depth = self.depth.saturating_sub(1);
                self.inner.pop_if(|begun| *begun == self.depth);
            }
            _ => self.path(token),
        }
    }

    /// A path within an expression or a type.
    fn path(&mut self, first: &str) {
        let is_word = |token: &str| token.starts_with(|c: char| c == '_' || c.is_alphabetic());
        let continues = self.at >= 2 && self.tokens[self.at - 2] == "::";
        if continues || !is_word(first) || self.token(0) != Some("::") {
            return;
        }
        let mut path = vec![first.to_owned()];
        while self.token(0) == Some("::") && self.token(1).is_some_and(is_word) {
            path.extend(self.token(1).map(str::to_owned));
            self.at += 2;
        }
        self.add(path, None);
    }

    /// The tree of a `use` behind `before`, up to the comma, brace or semicolon that ends it.
    fn tree(&mut self, before: &[String]) {
        let mut path = before.to_vec();
        while let Some(token) = self.token(0) {
            self.at += 1;
            match token {
                "::" => {}
                "{" => {
                    while self.token(0).is_some_and(|next| next != "}") {
                        self.tree(&path);
                        self.at += usize::from(self.token(0) == Some(","));
                    }
                    self.at += 1;
                    return self.end_of_use(before);
                }
                "as" => {
                    let name = self.token(0).map(str::to_owned);
                    self.at += 1;
                    self.add(path, name);
                    return self.end_of_use(before);
                }
                "," | "}" | ";" => {
                    // The caller's to look at.
                    self.at -= 1;
                    let name = path.last().cloned();
                    self.add(path, name);
                    return self.end_of_use(before);
                }
                // `a::{self}` is `a` itself.
                "self" if !before.is_empty() && path.len() == before.len() => {}
                part => path.push(part.to_owned()),
            }
        }
    }

    fn end_of_use(&mut self, before: &[String]) {
        if before.is_empty() && self.token(0) == Some(";") {
            self.at += 1;
        }
    }

    fn add(&mut self, mut path: Vec<String>, name: Option<String>) {
        for _ in &self.inner {
            match path.first().map(String::as_str) {
                Some("super") if path.len() > 1 => "self".clone_into(&mut path[0]),
                Some("self") => return,
                _ => break,
            }
        }
        self.found.imports.push(Import {
            path,
            name,
            only_passed_on: false,
        });
    }
}

#[test]
fn who_may_see_an_item_is_no_import() {
    assert!(
        read("pub(in crate::results) struct Options;")
            .imports
            .is_empty()
    );
}

#[test]
fn nested_braces_names_and_paths_in_expressions_are_read() {
    let text = "mod child; pub use self::child::Door; pub(crate) use self::child::Used;
        use crate::{a::{self, B as C}, d::*}; use std::io;
        fn f() -> Used { super::g::h(crate::i::J); child::k() }
        mod inner { use super::L; }";
    let found = read(text);
    let paths: Vec<_> = found.imports.iter().map(|i| i.path.join("::")).collect();
    assert_eq!(
        paths,
        [
            "self::child::Door",
            "self::child::Used",
            "crate::a",
            "crate::a::B",
            "crate::d::*",
            "std::io",
            "super::g::h",
            "crate::i::J",
            "child::k",
            "self::L"
        ]
    );
    assert_eq!(found.modules, ["child"]);
    assert_eq!(found.imports[3].name.as_deref(), Some("C"));
    let passed: Vec<_> = found.imports.iter().filter(|i| i.only_passed_on).collect();
    assert_eq!(passed.len(), 1);
    assert_eq!(passed[0].name.as_deref(), Some("Door"));
}
