//! What `binaries` gives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `binaries.symbols`: the symbols of an ELF file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Symbols {
    /// The file, symbolic links resolved.
    pub path: String,
    /// At most as many as asked for, sorted by name.
    #[serde(default)]
    pub symbols: Vec<Symbol>,
    /// How many there are that were asked for.
    #[serde(default)]
    pub total: u64,
    /// Whether `symbols` holds fewer than `total`.
    #[serde(default)]
    pub truncated: bool,
    /// Whether there is no table of local symbols.
    #[serde(default)]
    pub stripped: bool,
}

/// One symbol.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Symbol {
    /// Its name, with hidden characters written out.
    pub name: String,
    /// What it is.
    #[serde(default)]
    #[schemars(with = "String")]
    pub kind: SymbolKind,
    /// Who has it, and who can use it.
    #[serde(default)]
    #[schemars(with = "String")]
    pub which: SymbolSide,
    /// Its address, in hexadecimal; 0 where another library has it.
    #[serde(default)]
    pub address: String,
    /// Its size.
    #[serde(default)]
    pub bytes: u64,
}

/// What a symbol is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SymbolKind {
    /// Code.
    Function,
    /// A variable.
    Object,
    /// Anything else.
    #[default]
    Other,
}

/// Who has a symbol, and who can use it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SymbolSide {
    /// Another library has to give it.
    Imported,
    /// Others can use it.
    Exported,
    /// Neither.
    #[default]
    Local,
}

/// `binaries.strings`: runs of printable characters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Strings {
    /// The file, symbolic links resolved.
    pub path: String,
    /// At most as many as asked for, in the order of the file.
    #[serde(default)]
    pub strings: Vec<FoundString>,
    /// How many there are that were asked for.
    #[serde(default)]
    pub total: u64,
    /// Whether `strings` holds fewer than `total`.
    #[serde(default)]
    pub truncated: bool,
}

/// One string.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoundString {
    /// Where in the file.
    pub at: u64,
    /// Its characters, cut where they are many.
    pub text: String,
}
