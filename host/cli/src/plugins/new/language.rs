//! The languages, and what is special to each.

use anyhow::ensure;
use clap::ValueEnum;
use include_dir::{Dir, include_dir};

/// Words that cannot be a function's name in Rust, and crates that the project has or may get.
const TAKEN_IN_RUST: &str = "abstract alloc as async await become box break const continue core \
    crate do dyn else enum extern false final fn for gen if impl in let loop macro match mod move \
    mut override priv proc_macro pub ref return schemars self serde serde_json static std struct \
    super test tests trait true try type typeof unsafe unsized use virtual where while yield \
    call check count json plugin rookery rookery_contract rookery_plugin tool wit_bindgen";

/// A language of tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Language {
    Rust,
    Python,
    Javascript,
    #[value(hide = true)]
    Typescript,
    C,
    Go,
}

impl Language {
    /// The files that only this language has.
    pub(super) fn template(self) -> &'static Dir<'static> {
        static RUST: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/rust");
        static PYTHON: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/python");
        static JAVASCRIPT: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/javascript");
        static TYPESCRIPT: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/typescript");
        static GO: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/go");
        static C: Dir = include_dir!("$CARGO_MANIFEST_DIR/templates/c");
        match self {
            Self::Rust => &RUST,
            Self::Python => &PYTHON,
            Self::Javascript => &JAVASCRIPT,
            Self::Typescript => &TYPESCRIPT,
            Self::C => &C,
            Self::Go => &GO,
        }
    }

    /// What the language itself says of a tool's name.
    pub(super) fn check_name(self, name: &str) -> anyhow::Result<()> {
        ensure!(
            self != Self::Rust || !TAKEN_IN_RUST.split_whitespace().any(|word| word == name),
            "`{name}` has a meaning in Rust or in the new project; choose another name"
        );
        Ok(())
    }
}
