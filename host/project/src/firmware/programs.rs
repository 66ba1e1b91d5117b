//! What the programs of an image are for, and what they need.

use super::elf::{self, Elf};
use super::image::Image;
use super::tree::{Entry, shown};
use crate::Result;

impl Image {
    /// The headers of an ELF file.
    pub(super) fn elf(&self, entry: &Entry) -> Result<Option<Elf>> {
        if self.read(entry, 0, 4)? != *b"\x7fELF" {
            return Ok(None);
        }
        Ok(elf::parse(&self.read(entry, 0, elf::MAX_BYTES)?))
    }

    /// The architecture of most of its programs; none if it has no program.
    pub(crate) fn arch(&self) -> Result<Option<String>> {
        let votes = self.votes()?.into_iter();
        Ok(votes.max_by_key(|(_, count)| *count).map(|(arch, _)| arch))
    }

    /// How many programs are for each architecture.
    fn votes(&self) -> Result<Vec<(String, usize)>> {
        /// Enough to be sure; a large image has thousands.
        const ENOUGH: usize = 400;
        let mut votes: Vec<(String, usize)> = Vec::new();
        let programs = ["bin", "sbin", "usr/bin", "usr/sbin", "lib", ""];
        for dir in programs {
            for (_, entry) in self
                .tree
                .below(dir.as_bytes())
                .filter(|(_, e)| e.mode & 0o111 != 0)
            {
                let Some(elf) = self.elf(entry)? else {
                    continue;
                };
                match votes.iter_mut().find(|(arch, _)| *arch == elf.arch) {
                    Some((_, count)) => *count += 1,
                    None => votes.push((elf.arch, 1)),
                }
            }
            if votes.iter().map(|(_, n)| n).sum::<usize>() >= ENOUGH {
                break;
            }
        }
        Ok(votes)
    }

    /// What keeps programs of an image for `arch` from being run, in words.
    pub(crate) fn oddities(&self, arch: &str) -> Result<Vec<String>> {
        let mut odd = Vec::new();
        let votes = self.votes()?;
        let all: usize = votes.iter().map(|(_, count)| count).sum();
        for (other, count) in votes.iter().filter(|(other, _)| other != arch) {
            odd.push(format!(
                "{count} of {all} programs are for {other}, not for {arch}, and will not run"
            ));
        }
        // Whoever starts first needs its loader: without it nothing starts, and the kernel only
        // says that it found no init.
        for path in ["sbin/init", "init", "linuxrc", "bin/sh", "bin/busybox"] {
            let Some((_, entry)) = self.tree.follow(path.as_bytes()) else {
                continue;
            };
            let Some(loader) = self.elf(entry)?.and_then(|elf| elf.interpreter) else {
                continue;
            };
            if self.tree.follow(&loader).is_none() {
                let loader = shown(loader.strip_prefix(b"/").unwrap_or(&loader));
                odd.push(format!(
                    "/{path} needs the loader {loader}, which is not in the archive: it cannot \
                     start"
                ));
                break;
            }
        }
        Ok(odd)
    }
}
