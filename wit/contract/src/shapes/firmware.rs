//! What `firmware` gives.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EntryKind, InitCandidate};

/// `root-filesystem.list-directory`: the entries of a directory, sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Listing {
    /// As it was asked for.
    pub path: String,
    /// At most as many as asked for.
    #[serde(default)]
    pub entries: Vec<DirectoryEntry>,
    /// Entries of the directory.
    #[serde(default)]
    pub total: u64,
    /// Whether there are more behind `entries`.
    #[serde(default)]
    pub truncated: bool,
}

/// One entry of a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DirectoryEntry {
    /// Its name; hidden characters and what is not UTF-8 escaped.
    pub name: String,
    /// `file`, `directory`, `symlink`, `character-device`, `block-device` or `fifo`.
    #[schemars(with = "String")]
    pub kind: EntryKind,
    /// Of a file.
    #[serde(default)]
    pub bytes: u64,
    /// Octal.
    #[serde(default)]
    pub mode: String,
    /// Where a symbolic link leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Of a device: `MAJOR:MINOR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// `root-filesystem.stat`: one entry, symbolic links followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileStat {
    /// As it was asked for.
    pub path: String,
    /// The path that it leads to.
    #[serde(default)]
    pub resolved: String,
    /// As in [`DirectoryEntry::kind`].
    #[schemars(with = "String")]
    pub kind: EntryKind,
    /// Of a file.
    #[serde(default)]
    pub bytes: u64,
    /// Octal.
    #[serde(default)]
    pub mode: String,
    /// Of a second name of a file, the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// What an ELF file's headers say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elf: Option<ElfHeaders>,
}

/// What the headers of an ELF file say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ElfHeaders {
    /// Penguin's name for the architecture, or another word where Penguin has none.
    pub arch: String,
    /// `big` or `little`.
    #[serde(default)]
    pub endianness: String,
    /// The dynamic loader that a program asks for.
    #[serde(default)]
    pub interpreter: Option<String>,
    /// Libraries that are asked for by name.
    #[serde(default)]
    pub needed: Vec<String>,
    /// How long the file has to be; a shorter one is cut off.
    #[serde(default)]
    pub bytes: u64,
}

/// `root-filesystem.search`: files whose path or content matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoundFiles {
    /// At most as many as asked for.
    #[serde(default)]
    pub matches: Vec<FoundFile>,
    /// How many there are.
    #[serde(default)]
    pub total: u64,
    /// Whether `matches` holds fewer than `total`.
    #[serde(default)]
    pub truncated: bool,
    /// Files that were looked at.
    #[serde(default)]
    pub files: u64,
}

/// One match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FoundFile {
    /// The file's path in the guest.
    pub path: String,
    /// Where in the path or in the file.
    #[serde(default)]
    pub offset: u64,
    /// The path, or the line or string around the match.
    #[serde(default)]
    pub text: String,
}

/// `root-filesystem.init-candidates`: the programs that could be the guest's init, best first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InitCandidates {
    /// All that were found.
    #[serde(default)]
    pub candidates: Vec<InitCandidate>,
}
