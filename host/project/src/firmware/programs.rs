//! What the programs of an image are for, and what they need.

use std::collections::BTreeSet;

use super::damage::PROGRAMS;
use super::elf::{self, Elf};
use super::image::Image;
use super::tree::{Entry, shown};
use crate::Result;

/// Where the programs are that start first.
const FIRST: [&str; 5] = ["sbin/init", "init", "linuxrc", "bin/sh", "bin/busybox"];

impl Image {
    /// The headers of an ELF file.
    pub(super) fn elf(&self, entry: &Entry) -> Result<Option<Elf>> {
        if self.read(entry, 0, 4)? != *b"\x7fELF" {
            return Ok(None);
        }
        Ok(elf::parse(&self.read(entry, 0, elf::MAX_BYTES)?))
    }

    /// The architecture of what starts first, or else of most of its programs; none if it has no
    /// program. Tools that a vendor left behind are of another, and may be many.
    pub(crate) fn arch(&self) -> Result<Option<String>> {
        let first = self.first_programs()?;
        let votes = self.votes()?;
        let of = |arch: &str| {
            let first = first.iter().filter(|(_, elf)| elf.arch == arch).count();
            let all = votes.iter().find(|(known, _)| known == arch);
            (first, all.map_or(0, |(_, count)| *count))
        };
        let known = votes.iter().map(|(arch, _)| arch);
        let known = known.chain(first.iter().map(|(_, elf)| &elf.arch));
        Ok(known.max_by_key(|arch| of(arch)).cloned())
    }

    /// The programs that start before any other, each file once.
    fn first_programs(&self) -> Result<Vec<(Vec<u8>, Elf)>> {
        let mut found: Vec<(Vec<u8>, Elf)> = Vec::new();
        for path in FIRST {
            let Some((real, entry)) = self.tree.follow(path.as_bytes()) else {
                continue;
            };
            if entry.mode & 0o111 != 0
                && !found.iter().any(|(known, _)| *known == real)
                && let Some(elf) = self.elf(entry)?
            {
                found.push((real, elf));
            }
        }
        Ok(found)
    }

    /// How many programs are for each architecture.
    fn votes(&self) -> Result<Vec<(String, usize)>> {
        /// Enough to be sure; a large image has thousands.
        const ENOUGH: usize = 400;
        let mut votes: Vec<(String, usize)> = Vec::new();
        let mut seen: BTreeSet<&[u8]> = BTreeSet::new();
        for dir in PROGRAMS.into_iter().chain([""]) {
            for (path, entry) in self
                .tree
                .below(dir.as_bytes())
                .filter(|(_, e)| e.mode & 0o111 != 0 && !self.tree.is_second_name(e))
            {
                if !seen.insert(path) {
                    continue;
                }
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
        let mut odd = self.damages()?;
        let votes = self.votes()?;
        let all: usize = votes.iter().map(|(_, count)| count).sum();
        for (other, count) in votes.iter().filter(|(other, _)| other != arch) {
            odd.push(format!(
                "{count} of {all} programs are for {other}, not for {arch}, and will not run"
            ));
        }
        // Whoever starts first needs its loader: without it nothing starts, and the kernel only
        // says that it found no init.
        for path in FIRST {
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
