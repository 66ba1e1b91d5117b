//! What an extractor left of the files of an image, and how to extract them again.

use super::elf::MAX_BYTES;
use super::image::Image;
use super::tree::{Content, Entry, name, shown};
use crate::Result;

/// Directories of programs.
pub(super) const BINS: [&str; 4] = ["bin", "sbin", "usr/bin", "usr/sbin"];
/// Directories of programs and libraries.
pub(super) const PROGRAMS: [&str; 6] = ["bin", "sbin", "usr/bin", "usr/sbin", "lib", "usr/lib"];
/// Paths that a warning names.
const NAMED: usize = 5;
/// How much of a script is read.
const MAX_SCRIPT: usize = 64 << 10;

/// Programs and libraries that came out wrong.
#[derive(Default)]
struct Damaged {
    /// Links to /dev/null.
    nowhere: Vec<Vec<u8>>,
    /// Shorter than their headers say.
    cut: Vec<Vec<u8>>,
    /// Nothing but zeros, or their code is.
    zeroed: Vec<Vec<u8>>,
}

impl Image {
    /// What is damaged, in words.
    pub(super) fn damages(&self) -> Result<Vec<String>> {
        let damaged = self.damaged()?;
        let mut told = Vec::new();
        let mut tell = |paths: &[Vec<u8>], text: &dyn Fn(String) -> String| {
            if !paths.is_empty() {
                told.push(text(format!("{} in all ({})", paths.len(), named(paths))));
            }
        };
        tell(&damaged.nowhere, &|which| {
            format!(
                "programs or libraries are links to /dev/null, {which}: binwalk from 2.3.3 on \
                 makes these of absolute links; extract the firmware again with `unsquashfs`, or \
                 with `binwalk --preserve-symlinks`"
            )
        });
        tell(&damaged.cut, &|which| {
            format!(
                "programs or libraries are cut off, shorter than their headers say, {which}, and \
                 will crash: the extractor lost their end; extract the firmware again, or give \
                 its squashfs or ext image itself"
            )
        });
        tell(&damaged.zeroed, &|which| {
            format!(
                "programs or libraries hold nothing but zeros where their code is, {which}, and \
                 will not run: the extractor lost their content; extract the firmware again, or \
                 give its squashfs or ext image itself"
            )
        });
        tell(&self.called_in_vain()?, &|which| {
            format!(
                "start scripts call programs that are not executable, {which}: the device would \
                 not start them either, unless their modes were lost when the firmware was \
                 extracted; compare them with another extraction"
            )
        });
        Ok(told)
    }

    fn damaged(&self) -> Result<Damaged> {
        let mut damaged = Damaged {
            nowhere: self.links_to_nothing(),
            ..Damaged::default()
        };
        for dir in PROGRAMS {
            for (name, entry) in self.tree.children(dir.as_bytes()) {
                if entry.same_as.is_some() {
                    continue;
                }
                let path = || [dir.as_bytes(), b"/", name].concat();
                match self.elf(entry)? {
                    Some(elf) if elf.bytes > entry.content.bytes() => damaged.cut.push(path()),
                    Some(elf) if elf.zeroed => damaged.zeroed.push(path()),
                    None if is_program(name, entry) && self.is_zeros(entry)? => {
                        damaged.zeroed.push(path());
                    }
                    _ => {}
                }
            }
        }
        Ok(damaged)
    }

    fn links_to_nothing(&self) -> Vec<Vec<u8>> {
        let links = self
            .tree
            .iter()
            .filter(|(_, entry)| entry.content == Content::Symlink(b"/dev/null".into()))
            .map(|(path, _)| path.to_vec());
        links
            .filter(|path| PROGRAMS.iter().any(|dir| is_in(path, dir)))
            .collect()
    }

    fn is_zeros(&self, entry: &Entry) -> Result<bool> {
        let content = self.read(entry, 0, MAX_BYTES)?;
        Ok(!content.is_empty() && content.iter().all(|byte| *byte == 0))
    }

    /// Programs that a start script names at the beginning of a line, and that nobody may execute.
    fn called_in_vain(&self) -> Result<Vec<Vec<u8>>> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        let scripts = ["etc/init.d", "etc/rc.d", "etc"]
            .into_iter()
            .flat_map(|dir| {
                let children = self.tree.children(dir.as_bytes());
                children.filter(move |(name, _)| dir != "etc" || name.starts_with(b"rc"))
            });
        for (_, entry) in scripts {
            let text = self.read(entry, 0, MAX_SCRIPT)?;
            for line in text.split(|byte| *byte == b'\n') {
                let word = line.trim_ascii().split(u8::is_ascii_whitespace).next();
                let Some((path, entry)) = word
                    .filter(|word| word.starts_with(b"/"))
                    .and_then(|word| self.tree.follow(word))
                else {
                    continue;
                };
                if entry.mode & 0o111 == 0
                    && !found.contains(&path)
                    && self.starts_by_itself(entry)?
                {
                    found.push(path);
                }
            }
        }
        Ok(found)
    }

    /// Whether an entry is a program or a script, whatever its mode.
    pub(super) fn starts_by_itself(&self, entry: &Entry) -> Result<bool> {
        Ok(self.read(entry, 0, 2)? == *b"#!" || self.elf(entry)?.is_some_and(|elf| elf.executable))
    }
}

/// Whether a file has the name or the mode of a program or a library.
pub(super) fn is_program(path: &[u8], entry: &Entry) -> bool {
    let library = name(path).windows(3).any(|part| part == b".so");
    matches!(entry.content, Content::File { .. }) && (library || entry.mode & 0o111 != 0)
}

fn is_in(path: &[u8], dir: &str) -> bool {
    let name = path.strip_prefix(dir.as_bytes());
    name.is_some_and(|rest| rest.starts_with(b"/"))
}

/// The first of some paths.
pub(super) fn named(paths: &[Vec<u8>]) -> String {
    let shown: Vec<String> = paths.iter().take(NAMED).map(|path| shown(path)).collect();
    let more = if paths.len() > NAMED { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
