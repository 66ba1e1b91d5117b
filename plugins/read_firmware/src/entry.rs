//! A line of a listing, with what is not as usual.

use rookery_plugin::shapes::{DirectoryEntry, EntryKind};
use schemars::JsonSchema;
use serde::Serialize;

/// An entry of a directory.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Entry {
    /// A directory's ends with `/`.
    name: String,
    /// Of a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// Where it is not 0644, or 0755 of a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    /// Of what is not a file, a directory or a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    kind: Option<EntryKind>,
    /// Of a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

impl From<DirectoryEntry> for Entry {
    fn from(entry: DirectoryEntry) -> Self {
        let (end, usual) = match entry.kind {
            EntryKind::Directory => ("/", Some("0755")),
            EntryKind::File => ("", Some("0644")),
            EntryKind::Symlink => ("", None),
            _ => ("", Some("")),
        };
        Self {
            name: entry.name + end,
            bytes: (entry.kind == EntryKind::File).then_some(entry.bytes),
            mode: Some(entry.mode).filter(|mode| usual.is_some_and(|usual| usual != mode)),
            target: entry.target,
            device: entry.device,
            kind: Some(entry.kind).filter(|kind| {
                !matches!(
                    kind,
                    EntryKind::File | EntryKind::Directory | EntryKind::Symlink
                )
            }),
        }
    }
}
