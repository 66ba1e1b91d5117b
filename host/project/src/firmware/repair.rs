//! What an extractor or a file system of the host made of an image's files, put right where there
//! is no doubt: links that became small files, and programs that nobody may execute any more.

use super::damage::{BINS, PROGRAMS, named};
use super::image::Image;
use super::inittab;
use super::tree::{Content, Entry, Tree, parent, shown};
use crate::Result;

/// How many files have to look like links: one or two may be what they are.
const SEVERAL: usize = 3;
/// Modes were lost in a directory where at least one of so many programs lacks them.
const ONE_OF: usize = 4;
/// The longest text that can be a link's target.
const MAX_TARGET: u64 = 4095;
/// What busybox's init runs without an inittab.
const RC: &str = "/etc/init.d/rcS";
/// How a link begins that Cygwin keeps as a file.
const CYGWIN: &[u8] = b"!<symlink>";

/// An image that was put right, and what was done.
pub(crate) struct Repaired {
    /// None if nothing was to be done.
    pub image: Option<Image>,
    /// In words, for whoever made the project.
    pub told: Vec<String>,
    /// Each file.
    pub repairs: Vec<Repair>,
}

/// One file that is not as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Repair {
    /// A file became a link to what it named.
    Link { path: String, target: String },
    /// Nobody could execute it, and now everybody can who may read it.
    Executable { path: String, mode: u32, was: u32 },
}

/// Put an image right.
pub(crate) fn repair(image: &Image) -> Result<Repaired> {
    let mut repaired = Repaired {
        image: None,
        told: Vec::new(),
        repairs: Vec::new(),
    };
    let mut tree = image.tree.clone();
    links(image, &mut tree, &mut repaired)?;
    let linked = image.with_tree(tree)?;
    let mut tree = linked.tree.clone();
    modes(&linked, &mut tree, &mut repaired)?;
    if !repaired.repairs.is_empty() {
        repaired.image = Some(linked.with_tree(tree)?);
    }
    Ok(repaired)
}

fn links(image: &Image, tree: &mut Tree, repaired: &mut Repaired) -> Result<()> {
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for dir in PROGRAMS {
        for (name, entry) in image.tree.children(dir.as_bytes()) {
            let path = [dir.as_bytes(), b"/", name].concat();
            if let Some(target) = target(image, &path, entry)? {
                found.push((path, target));
            }
        }
    }
    let paths: Vec<_> = found.iter().map(|(path, _)| path.clone()).collect();
    let which = format!("{} in all ({})", paths.len(), named(&paths));
    let how = "the firmware was extracted where links cannot be made, as on Windows; extract it \
               again on Linux, or give its squashfs or ext image itself";
    if found.is_empty() {
        return Ok(());
    }
    if found.len() < SEVERAL {
        repaired.told.push(format!(
            "files look like links that became files, {which}: each holds nothing but the path of \
             another file. They are left as they are; if {how}"
        ));
        return Ok(());
    }
    for (path, target) in found {
        repaired.repairs.push(Repair::Link {
            path: shown(&path),
            target: String::from_utf8_lossy(&target).into_owned(),
        });
        if let Some(entry) = tree.get_mut(&path) {
            entry.content = Content::Symlink(target);
            entry.mode = 0o777;
            entry.same_as = None;
        }
    }
    repaired.told.push(format!(
        "links had become small files, {which}, and are links again in this project: {how}"
    ));
    Ok(())
}

/// What a file names that is nothing but a link's target, and exists.
fn target(image: &Image, path: &[u8], entry: &Entry) -> Result<Option<Vec<u8>>> {
    let bytes = entry.content.bytes();
    if !matches!(entry.content, Content::File { .. }) || bytes == 0 || bytes > MAX_TARGET {
        return Ok(None);
    }
    let text = image.read(entry, 0, usize::try_from(bytes).unwrap_or(0))?;
    let text = match text.strip_prefix(CYGWIN) {
        Some(target) => narrow(target),
        None => text,
    };
    let text = text.strip_suffix(b"\0").unwrap_or(&text).trim_ascii_end();
    let plain = |byte: &u8| byte.is_ascii_graphic() && !b"#!$*?\"'`\\;&|<>(){}[]=,".contains(byte);
    // An applet may be called `[` or `[[`, but is no target.
    if text.is_empty() || !text.iter().all(plain) {
        return Ok(None);
    }
    let from = if text.starts_with(b"/") {
        text.to_vec()
    } else {
        [parent(path), b"/", text].concat()
    };
    let leads = image.tree.resolve(&from, true);
    Ok(leads
        .is_ok_and(|to| to != path && !to.is_empty())
        .then(|| text.to_vec()))
}

/// Cygwin's targets are of two bytes a character where they begin with this mark.
fn narrow(target: &[u8]) -> Vec<u8> {
    match target.strip_prefix(b"\xff\xfe") {
        Some(wide) => wide.iter().step_by(2).copied().collect(),
        None => target.to_vec(),
    }
}

fn modes(image: &Image, tree: &mut Tree, repaired: &mut Repaired) -> Result<()> {
    let mut lost = lost_modes(image)?;
    for path in run_by_init(image)? {
        if !lost.contains(&path) {
            lost.push(path);
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    // Nothing starts without its loader, which the kernel executes too.
    for loader in loaders(image, &lost)? {
        let found = image.tree.follow(&loader);
        if let Some((path, entry)) = found
            && entry.mode & 0o111 == 0
            && !lost.contains(&path)
        {
            lost.push(path);
        }
    }
    for path in &lost {
        if let Some(entry) = tree.get_mut(path) {
            let was = entry.mode;
            entry.mode |= was >> 2 & 0o111;
            repaired.repairs.push(Repair::Executable {
                path: shown(path),
                mode: entry.mode,
                was,
            });
        }
    }
    repaired.told.push(format!(
        "programs had lost the mode that makes them executable, {} in all ({}), and have it again \
         in this project; what else was lost, such as set-user-id bits and modes in other \
         directories, is not known: extract the firmware again on a file system that keeps modes, \
         or give its squashfs or ext image itself",
        lost.len(),
        named(&lost)
    ));
    Ok(())
}

/// Programs that nobody may execute where many others are: all of an image that knows no such
/// modes, as on Windows, else those of directories where too many lack them.
fn lost_modes(image: &Image) -> Result<Vec<Vec<u8>>> {
    let mut lost: Vec<Vec<u8>> = Vec::new();
    let files = || {
        let all = image.tree.iter();
        all.filter(|(_, entry)| matches!(entry.content, Content::File { .. }))
    };
    if files().all(|(_, entry)| entry.mode & 0o111 == 0) {
        for (path, entry) in files() {
            if image.starts_by_itself(entry)? {
                lost.push(path.to_vec());
            }
        }
        return Ok(lost);
    }
    for dir in BINS {
        let mut programs = 0;
        let mut lacking = Vec::new();
        for (name, entry) in image.tree.children(dir.as_bytes()) {
            if !matches!(entry.content, Content::File { .. }) || !image.starts_by_itself(entry)? {
                continue;
            }
            programs += 1;
            if entry.mode & 0o111 == 0 {
                lacking.push([dir.as_bytes(), b"/", name].concat());
            }
        }
        if lacking.len() > 1 && lacking.len() * ONE_OF >= programs {
            lost.append(&mut lacking);
        }
    }
    Ok(lost)
}

/// What init runs and nobody may execute: the device would not come up with it so.
fn run_by_init(image: &Image) -> Result<Vec<Vec<u8>>> {
    let lines = inittab::lines(image)?;
    let programs = lines.iter().filter_map(inittab::Line::program);
    let mut lost = Vec::new();
    for program in programs.chain([RC]).filter(|path| path.starts_with('/')) {
        if let Some((path, entry)) = image.tree.follow(program.as_bytes())
            && entry.mode & 0o111 == 0
            && matches!(entry.content, Content::File { .. })
            && image.starts_by_itself(entry)?
        {
            lost.push(path);
        }
    }
    Ok(lost)
}

/// The loaders that some programs ask for.
fn loaders(image: &Image, programs: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    let mut loaders = Vec::new();
    for path in programs {
        if let Some(entry) = image.tree.get(path)
            && let Some(loader) = image.elf(entry)?.and_then(|elf| elf.interpreter)
            && !loaders.contains(&loader)
        {
            loaders.push(loader);
        }
    }
    Ok(loaders)
}
