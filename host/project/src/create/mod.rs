//! Make a new project from a root filesystem.

mod archive;
mod expected;
mod flash;
mod for_penguin;
mod kernel_files;
mod layout;
mod members;
mod root;
mod survey;

use std::fs::{File, Permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rookery_contract::shapes::NewProject;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use crate::firmware::{self, Image};
use crate::ground::scratch::{self, Scratch};
use crate::penguin::architectures::{ARCHITECTURES, Architecture};
use crate::penguin::project::{ARCHIVE, MAIN};
use crate::{Cancel, Error, Result};

/// What begins the name of a project that is being made.
pub const SCRATCH: &str = ".rookery-init-";

/// Remove what a process that was killed in [`create`] left in `dir`.
pub(crate) fn clear_away(dir: &Path) {
    scratch::clear_away(dir, SCRATCH);
}

/// Make the project directory `output` from `rootfs`. Both are canonical and confined.
///
/// The project is built beside `output` and moved there when it is complete. A failure leaves
/// nothing behind.
pub(crate) fn create(rootfs: &Path, output: &Path, cancel: &Cancel) -> Result<NewProject> {
    check_output(rootfs, output)?;
    let source = Image::of_source(rootfs, cancel)?;
    let root = root::find(&source.tree, rootfs)?;
    let image = if root.is_empty() {
        source
    } else {
        source.with_tree(source.tree.rerooted(&root))?.into()
    };

    let repaired = firmware::repair(&image)?;
    let image = repaired.image.map_or(image, Arc::new);
    let arch = image.arch()?.ok_or_else(|| no_program(rootfs))?;
    let Some(known) = Architecture::by_name(&arch) else {
        return Err(Error::InvalidArgument(format!(
            "the programs in {} are for {arch}, which is not supported; {} are",
            rootfs.display(),
            ARCHITECTURES.map(|known| known.name).join(", ")
        )));
    };
    let inits = firmware::candidates(&image, Some(&arch))?;
    let survey = survey::survey(&image, cancel)?;
    let mut warnings = image.warnings.clone();
    warnings.extend(repaired.told);
    warnings.extend(image.oddities(&arch)?);
    if inits.is_empty() {
        warnings.push(
            "no program was found that could be the guest's init; set env.igloo_init to one"
                .to_owned(),
        );
    }

    let expected = expected::patches(&image)?;
    place(
        &image,
        &layout::files(known, &inits, &image.tree, &survey, &repaired.repairs, expected),
        output,
        cancel,
    )
    // Someone else may have made it since.
    .map_err(|error| check_output(rootfs, output).err().unwrap_or(error))?;

    Ok(NewProject {
        project_dir: output.to_string_lossy().into_owned(),
        arch,
        init: inits.first().map(|init| init.path.clone()),
        init_candidates: inits,
        files: image.tree.len() as u64,
        warnings,
    })
}

/// Why an image has no architecture.
fn no_program(rootfs: &Path) -> Error {
    Error::InvalidArgument(format!(
        "{} holds no program of any architecture: it is not a firmware's root filesystem, or only \
         a part of one",
        rootfs.display()
    ))
}

/// The output must not exist, or be an empty directory, and not lie in a directory that is its
/// source.
pub(crate) fn check_output(rootfs: &Path, output: &Path) -> Result<()> {
    if output.starts_with(rootfs) {
        return Err(Error::InvalidArgument(format!(
            "the output directory {} lies in the root filesystem itself; name one elsewhere",
            output.display()
        )));
    }
    let shown = output.display();
    match output.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(meta) if !meta.is_dir() => Err(Error::InvalidArgument(format!(
            "{shown} exists and is not a directory; name a new directory"
        ))),
        Ok(_)
            if output
                .read_dir()
                .is_ok_and(|mut entries| entries.next().is_none()) =>
        {
            Ok(())
        }
        Ok(_) if output.join(MAIN).exists() => Err(Error::Conflict(format!(
            "{shown} is a project already; use it as it is, or name another output directory"
        ))),
        Ok(_) => Err(Error::Conflict(format!(
            "{shown} is not empty; name a new or empty output directory"
        ))),
    }
}

/// Build the project beside its place, and move it there.
///
/// What takes long is written to a file without a name, so that a process that is killed rarely
/// leaves anything; what it leaves nevertheless is cleared away by the next.
fn place(image: &Image, files: &[(String, String)], output: &Path, cancel: &Cancel) -> Result<()> {
    let shown = |path: &str| output.join(path);
    let near = output.ancestors().skip(1).find(|dir| dir.is_dir());
    let near = near.unwrap_or(Path::new("/"));
    let unnamed = unnamed(near);
    if let Some(file) = &unnamed {
        let file = file
            .try_clone()
            .map_err(|e| Error::io("write", output, &e))?;
        archive::write(image, file, cancel)?;
    }

    let scratch = Scratch::make(near, SCRATCH)
        .map_err(|error| Error::io("make a directory in", near, &error))?;
    let fresh = scratch.path();
    let write = |path: &str, content: &[u8]| {
        let at = fresh.join(path);
        std::fs::create_dir_all(at.parent().unwrap_or(fresh))?;
        std::fs::write(at, content)
    };
    for (path, content) in files {
        write(path, content.as_bytes()).map_err(|e| Error::io("write", &shown(path), &e))?;
    }
    let archive = fresh.join(ARCHIVE);
    let failed = |e: std::io::Error| Error::io("write", &shown(ARCHIVE), &e);
    std::fs::create_dir_all(archive.parent().unwrap_or(fresh)).map_err(failed)?;
    if let Some(file) = unnamed {
        name(&file, &archive).map_err(failed)?;
    } else {
        let file = File::create_new(&archive).map_err(failed)?;
        archive::write(image, file, cancel)?;
    }

    let parents = Parents::make(output)?;
    std::fs::set_permissions(fresh, Permissions::from_mode(0o755))
        .and_then(|()| scratch.persist(output))
        .map_err(|e| Error::io("make", output, &e))?;
    parents.keep();
    Ok(())
}

/// A file that vanishes with this process unless it gets a name. Not every file system has such
/// files.
fn unnamed(dir: &Path) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open(dir, flags, Mode::from_raw_mode(0o644))
        .map(File::from)
        .ok()
}

fn name(file: &File, path: &Path) -> std::io::Result<()> {
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, unnamed, CWD, path, AtFlags::SYMLINK_FOLLOW)?;
    Ok(())
}

/// The directories above the output that had to be made; removed again unless kept.
struct Parents {
    made: Vec<PathBuf>,
}

impl Parents {
    fn make(output: &Path) -> Result<Self> {
        let missing: Vec<&Path> = output
            .ancestors()
            .skip(1)
            .take_while(|dir| !dir.exists())
            .collect();
        let mut parents = Self { made: Vec::new() };
        for dir in missing.into_iter().rev() {
            std::fs::create_dir(dir).map_err(|e| Error::io("make", dir, &e))?;
            parents.made.push(dir.to_owned());
        }
        Ok(parents)
    }

    fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for Parents {
    fn drop(&mut self) {
        for dir in self.made.iter().rev() {
            let _ = std::fs::remove_dir(dir);
        }
    }
}
