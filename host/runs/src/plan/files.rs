//! Static files: what is put into, changed in and taken out of the root filesystem before the
//! start.

use std::collections::HashSet;
use std::path::Path;

use rookery_project::{Error, Result};
use serde_json::{Map, Value};

use crate::plan::StaticFile;
use crate::plan::notes::Notes;
use crate::plan::paths::{expand, is_guest_path};

/// Below this, Penguin keeps tools of its own, most of which the embedded emulator does not have.
const IGLOO: &str = "/igloo/";
/// Where Penguin's image has the files that it puts there.
const IMAGE: [&str; 2] = ["/igloo_static/", "/pkg/"];
/// As many links as the kernel follows (`path_resolution(7)`).
const LINKS_MAX: usize = 40;
const OWN_TOOLS: &str =
    "Penguin's own tools are not put into the guest; the firmware is run with its own";

/// Turn the section `static_files` into actions, in configuration order.
pub(crate) fn static_files(
    section: &Map<String, Value>,
    project_dir: &Path,
    notes: &mut Notes,
) -> Result<Vec<(String, StaticFile)>> {
    let mut builder = Builder {
        section,
        project_dir,
        files: Vec::new(),
        stubs: HashSet::new(),
    };
    for (path, entry) in section {
        if !is_guest_path(path) {
            return Err(Error::InvalidArgument(format!(
                "static_files has the path {path:?}; it must be absolute, without \"..\""
            )));
        }
        builder.add(path, entry, notes)?;
    }
    Ok(builder.files)
}

fn is_in_image(host_path: &str) -> bool {
    IMAGE.iter().any(|image| host_path.starts_with(image))
}

struct Builder<'a> {
    section: &'a Map<String, Value>,
    project_dir: &'a Path,
    files: Vec<(String, StaticFile)>,
    stubs: HashSet<String>,
}

impl Builder<'_> {
    fn add(&mut self, path: &str, entry: &Value, notes: &mut Notes) -> Result<()> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
        let needed = |key: &str| {
            text(key)
                .ok_or_else(|| Error::InvalidArgument(format!("static_files.{path} lacks {key}")))
        };
        let number = |key: &str| {
            entry
                .get(key)
                .and_then(Value::as_u64)
                .and_then(|number| u32::try_from(number).ok())
        };
        let mode = |default: u32| number("mode").unwrap_or(default) & 0o7777;
        let file = match text("type").as_deref() {
            Some("inline_file") => StaticFile::Inline {
                contents: needed("contents")?.into_bytes(),
                mode: mode(0o644),
            },
            Some("host_file") => {
                self.host_file(path, &needed("host_path")?, mode(0o755), notes);
                return self.patches(path, entry, notes);
            }
            Some("dir") => StaticFile::Directory { mode: mode(0o755) },
            Some("symlink") => {
                let target = needed("target")?;
                if !self.provides(&target) && !self.stub(&target) {
                    notes.once(OWN_TOOLS);
                    return Ok(());
                }
                StaticFile::Symlink { target }
            }
            Some("dev") => StaticFile::Device {
                block: needed("devtype")? == "block",
                major: number("major").unwrap_or_default(),
                minor: number("minor").unwrap_or_default(),
                mode: mode(0o666),
            },
            Some("delete") => StaticFile::Delete,
            Some("move") => {
                let from = needed("from")?;
                if !is_guest_path(&from) {
                    return Err(Error::InvalidArgument(format!(
                        "static_files.{path} moves from {from:?}; it must be absolute, without \
                         \"..\""
                    )));
                }
                StaticFile::Move {
                    from,
                    mode: number("mode").map(|mode| mode & 0o7777),
                }
            }
            Some("shim") => {
                let target = needed("target")?;
                if !self.provides(&target) && !self.stub(&target) {
                    notes.about(
                        "shims that need Penguin's own tools are not made; the firmware's own \
                         program stays",
                        path,
                    );
                    return Ok(());
                }
                StaticFile::Shim { target }
            }
            Some("binary_patch") => return self.patches(path, entry, notes),
            other => {
                notes.about(
                    "static files of an unknown type are skipped",
                    format!("{path} ({})", other.unwrap_or("no type")),
                );
                return Ok(());
            }
        };
        self.files.push((path.to_owned(), file));
        self.patches(path, entry, notes)
    }

    /// Whether `target` is a path of the firmware, or one that the configuration makes here: a
    /// file of Penguin's image is named by a project and is not on this machine.
    fn provides(&self, target: &str) -> bool {
        self.leads_somewhere(target, LINKS_MAX)
    }

    fn leads_somewhere(&self, target: &str, links: usize) -> bool {
        if !target.starts_with(IGLOO) {
            return true;
        }
        let Some(entry) = self.section.get(target) else {
            return false;
        };
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        match (text("type"), text("host_path")) {
            (Some("host_file"), Some(path)) => {
                !is_in_image(path) && !expand(self.project_dir, path).is_empty()
            }
            (Some("shim" | "symlink"), _) => {
                let next = text("target").filter(|_| links > 0);
                next.is_some_and(|next| self.leads_somewhere(next, links - 1))
            }
            _ => true,
        }
    }

    /// Make the two of Penguin's tools that are a line of shell: programs that only succeed or
    /// fail.
    fn stub(&mut self, target: &str) -> bool {
        let status = match target {
            "/igloo/utils/exit0.sh" => 0,
            "/igloo/utils/exit1.sh" => 1,
            _ => return false,
        };
        if self.stubs.insert(target.to_owned()) {
            let contents = format!("#!/bin/sh\nexit {status}\n").into_bytes();
            self.files.push((
                target.to_owned(),
                StaticFile::Inline {
                    contents,
                    mode: 0o755,
                },
            ));
        }
        true
    }

    fn host_file(&mut self, path: &str, host_path: &str, mode: u32, notes: &mut Notes) {
        let found = expand(self.project_dir, host_path);
        if is_in_image(host_path) {
            notes.once(OWN_TOOLS);
        } else if found.is_empty() {
            notes.about(
                "files of the host that are missing, or lie outside of the project, are not copied",
                host_path,
            );
        }
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        for file in found {
            let name = file
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let into = if path.ends_with("/*") {
                format!("{directory}/{name}")
            } else {
                path.to_owned()
            };
            self.files
                .push((into, StaticFile::Host { path: file, mode }));
        }
    }

    /// The byte edits of an entry: its own, where it is a `binary_patch`, and those of its list
    /// `patches`.
    fn patches(&mut self, path: &str, entry: &Value, notes: &mut Notes) -> Result<()> {
        let listed = entry
            .get("patches")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let own = Some(entry).filter(|entry| entry.get("file_offset").is_some());
        let mut edits = Vec::new();
        for patch in own.into_iter().chain(listed) {
            if patch.get("expect").is_some_and(Value::is_string) {
                notes.about(
                    "byte patches are made without a check of the bytes that they expect",
                    path,
                );
            }
            let Some(hex) = patch.get("hex_bytes").and_then(Value::as_str) else {
                notes.about("byte patches in assembly are not made", path);
                continue;
            };
            let offset = patch.get("file_offset").and_then(Value::as_u64);
            let offset = offset.ok_or_else(|| {
                Error::InvalidArgument(format!(
                    "a byte patch of static_files.{path} lacks file_offset"
                ))
            })?;
            edits.push((offset, bytes(path, hex)?));
        }
        if !edits.is_empty() {
            self.files
                .push((path.to_owned(), StaticFile::Patch { edits }));
        }
        Ok(())
    }
}

fn bytes(path: &str, hex: &str) -> Result<Vec<u8>> {
    let digits: String = hex
        .trim()
        .trim_start_matches("0x")
        .chars()
        .filter(|character| !character.is_ascii_whitespace())
        .collect();
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(digits.as_bytes())
        .map_err(|error| {
            Error::InvalidArgument(format!(
                "hex_bytes of static_files.{path} is {hex:?}: {error}; give an even number of \
                 hexadecimal digits"
            ))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn build(section: &Value) -> (Result<Vec<(String, StaticFile)>>, Vec<String>) {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir(project.path().join("files")).unwrap();
        for name in ["a", "b"] {
            std::fs::write(project.path().join("files").join(name), "x").unwrap();
        }
        let mut notes = Notes::default();
        let files = static_files(section.as_object().unwrap(), project.path(), &mut notes);
        (files, notes.into_vec())
    }

    #[test]
    fn every_type_is_mapped() {
        let (files, notes) = build(&json!({
            "/etc/a": { "type": "inline_file", "contents": "x", "mode": 384 },
            "/etc/d": { "type": "dir" },
            "/etc/l": { "type": "symlink", "target": "../x" },
            "/dev/n": { "type": "dev", "devtype": "char", "major": 1, "minor": 3 },
            "/etc/gone": { "type": "delete" },
            "/etc/m": { "type": "move", "from": "/etc/o" },
            "/sbin/reboot": { "type": "shim", "target": "/igloo/utils/exit0.sh" },
            "/sbin/halt": { "type": "shim", "target": "/igloo/utils/exit0.sh" },
            "/bin/sh": { "type": "shim", "target": "/igloo/utils/sh" },
            "/bin/d": {
                "type": "binary_patch",
                "file_offset": 16,
                "hex_bytes": "0x00 ff",
                "patches": [{ "file_offset": 32, "hex_bytes": "01" }]
            },
            "/opt/*": { "type": "host_file", "host_path": "files/*" },
            "/etc/passwd": { "type": "host_file", "host_path": "/etc/passwd" },
            "/igloo/dylibs/*": { "type": "host_file", "host_path": "/igloo_static/dylibs/x/*" },
            "/lib/lib_inject.so": { "type": "symlink", "target": "/igloo/lib_inject.so" }
        }));
        let files = files.unwrap();
        let named = |path: &str| {
            files
                .iter()
                .find(|(name, _)| name == path)
                .map(|(_, file)| file.clone())
        };
        assert_eq!(
            named("/etc/a"),
            Some(StaticFile::Inline {
                contents: b"x".to_vec(),
                mode: 0o600
            })
        );
        assert_eq!(named("/etc/d"), Some(StaticFile::Directory { mode: 0o755 }));
        assert_eq!(
            named("/etc/l"),
            Some(StaticFile::Symlink {
                target: "../x".into()
            })
        );
        assert_eq!(
            named("/dev/n"),
            Some(StaticFile::Device {
                block: false,
                major: 1,
                minor: 3,
                mode: 0o666
            })
        );
        assert_eq!(named("/etc/gone"), Some(StaticFile::Delete));
        assert_eq!(
            named("/etc/m"),
            Some(StaticFile::Move {
                from: "/etc/o".into(),
                mode: None
            })
        );
        assert_eq!(
            named("/sbin/halt"),
            Some(StaticFile::Shim {
                target: "/igloo/utils/exit0.sh".into()
            })
        );
        assert_eq!(
            named("/bin/d"),
            Some(StaticFile::Patch {
                edits: vec![(16, vec![0, 255]), (32, vec![1])]
            })
        );
        assert!(
            matches!(named("/opt/a"), Some(StaticFile::Host { .. })) && named("/opt/b").is_some()
        );
        assert_eq!(
            files
                .iter()
                .filter(|(path, _)| path == "/igloo/utils/exit0.sh")
                .count(),
            1,
            "the stub is made once"
        );
        assert_eq!(
            (named("/bin/sh"), named("/lib/lib_inject.so")),
            (None, None)
        );
        assert_eq!(notes.len(), 3, "{notes:?}");
    }

    #[test]
    fn a_shim_never_leads_to_a_file_of_penguins_image() {
        let (files, notes) = build(&json!({
            "/igloo/utils/*": { "type": "host_file", "host_path": "/igloo_static/mipsel/*" },
            "/igloo/utils/exit0.sh": {
                "type": "host_file", "host_path": "/igloo_static/guest-utils/scripts/exit0.sh"
            },
            "/igloo/utils/shell": { "type": "host_file", "host_path": "/igloo_static/shell" },
            "/igloo/own": { "type": "host_file", "host_path": "files/a" },
            "/igloo/missing": { "type": "host_file", "host_path": "files/none" },
            "/igloo/a": { "type": "symlink", "target": "/igloo/b" },
            "/igloo/b": { "type": "symlink", "target": "/igloo/a" },
            "/sbin/reboot": { "type": "shim", "target": "/igloo/utils/exit0.sh" },
            "/sbin/halt": { "type": "symlink", "target": "/igloo/utils/exit0.sh" },
            "/sbin/getty": { "type": "shim", "target": "/igloo/utils/shell" },
            "/sbin/own": { "type": "shim", "target": "/igloo/own" },
            "/sbin/missing": { "type": "shim", "target": "/igloo/missing" },
            "/sbin/round": { "type": "shim", "target": "/igloo/a" },
        }));
        let files = files.unwrap();
        let has = |path: &str| files.iter().any(|(known, _)| known == path);
        let made = [
            "/igloo/utils/exit0.sh",
            "/sbin/reboot",
            "/sbin/halt",
            "/sbin/own",
        ];
        for path in made {
            assert!(has(path), "{path}");
        }
        for path in ["/sbin/getty", "/sbin/missing", "/sbin/round", "/igloo/a"] {
            assert!(!has(path), "{path}");
        }
        let shims = notes
            .iter()
            .find(|note| note.starts_with("shims that need"));
        let shims = shims.expect("what is not made is said");
        assert!(
            ["getty", "missing", "round"]
                .iter()
                .all(|name| shims.contains(name)),
            "{shims}"
        );
    }

    #[test]
    fn paths_that_leave_the_guest_are_refused() {
        for section in [
            json!({ "/../../etc/x": { "type": "delete" } }),
            json!({ "etc/x": { "type": "delete" } }),
            json!({ "/x": { "type": "move", "from": "/../x" } }),
            json!({ "/x\u{0}": { "type": "delete" } }),
        ] {
            assert!(
                matches!(build(&section).0, Err(Error::InvalidArgument(_))),
                "{section}"
            );
        }
    }
}
