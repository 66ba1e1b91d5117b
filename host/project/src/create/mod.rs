//! Make a new project from a root filesystem.

mod archive;
mod layout;
mod root;
mod survey;
mod workplace;
mod yaml;

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use self::workplace::Workplace;
use crate::firmware::tree::{Content, Entry};
use crate::firmware::{self, Image};
use crate::{Cancel, Error, Result};

/// Make the project directory `output` from `rootfs`. Both are canonical and confined.
///
/// The project is built beside `output` and moved there when it is complete. A failure leaves nothing behind.
pub(crate) fn create(rootfs: &Path, output: &Path, cancel: &Cancel) -> Result<Value> {
    check_output(rootfs, output)?;
    let source = Image::of(rootfs, cancel)?;
    let root = root::find(&source.tree, rootfs)?;
    let image = if root.is_empty() {
        source
    } else {
        source.with_tree(source.tree.rerooted(&root))?.into()
    };

    let arch = image.arch()?.ok_or_else(|| no_program(&image, rootfs))?;
    if !firmware::is_supported(&arch) {
        return Err(Error::InvalidArgument(format!(
            "the programs in {} are for {arch}, which is not supported; 64-bit Intel, ARM, MIPS, PowerPC, RISC-V 64 and LoongArch are",
            rootfs.display()
        )));
    }
    let inits = firmware::candidates(&image, Some(&arch))?;
    let survey = survey::survey(&image, cancel)?;
    let mut warnings = image.warnings.clone();
    warnings.extend(image.oddities(&arch)?);
    if inits.is_empty() {
        warnings.push(
            "no program was found that could be the guest's init; set env.igloo_init to one"
                .to_owned(),
        );
    }

    let parents = Parents::make(output)?;
    let workplace = Workplace::make(parents.dir())?;
    let fresh = workplace.dir.path();
    for (path, content) in layout::files(&arch, &inits, &survey) {
        write(&fresh.join(path), content.as_bytes())?;
    }
    let archive = fresh.join(firmware::ARCHIVE);
    make_parent(&archive)?;
    let file = File::create(&archive).map_err(|e| Error::io("make", &archive, &e))?;
    archive::write(&image, file, cancel)?;

    std::fs::set_permissions(fresh, Permissions::from_mode(0o755))
        .and_then(|()| std::fs::rename(fresh, output))
        // Someone else may have made it since.
        .map_err(|e| match check_output(rootfs, output) {
            Err(taken) => taken,
            Ok(()) => Error::io("make", output, &e),
        })?;
    let _ = workplace.dir.keep();
    parents.keep();

    Ok(json!({
        "project_dir": output,
        "arch": arch,
        "init": inits.first().map(|init| init.path.as_str()),
        "init_candidates": inits,
        "files": image.tree.len(),
        "warnings": warnings,
    }))
}

/// Why an image has no architecture.
fn no_program(image: &Image, rootfs: &Path) -> Error {
    let shown = rootfs.display();
    let is_file = |entry: &&Entry| matches!(entry.content, Content::File { .. });
    let entries = image.tree.iter().map(|(_, entry)| entry);
    let files: Vec<&Entry> = entries.filter(is_file).collect();
    let why = if !files.is_empty() && files.iter().all(|file| file.mode & 0o111 == 0) {
        format!(
            "none of the {} files in {shown} is executable: their modes were lost when it was unpacked or packed; unpack the firmware on a \
             file system that keeps modes, and pack it with `tar czf`",
            files.len()
        )
    } else {
        format!(
            "{shown} holds no program of any architecture: it is not a firmware's root filesystem, or only a part of one"
        )
    };
    Error::InvalidArgument(why)
}

/// The output must not exist, or be an empty directory, and not lie in a directory that is its source.
fn check_output(rootfs: &Path, output: &Path) -> Result<()> {
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
        Ok(_) if output.join("config.yaml").exists() => Err(Error::Conflict(format!(
            "{shown} is a project already; use it as it is, or name another output directory"
        ))),
        Ok(_) => Err(Error::Conflict(format!(
            "{shown} is not empty; name a new or empty output directory"
        ))),
    }
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    std::fs::create_dir_all(parent).map_err(|e| Error::io("make", parent, &e))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    make_parent(path)?;
    std::fs::write(path, content).map_err(|e| Error::io("write", path, &e))
}

/// The directories above the output that had to be made; removed again unless kept.
struct Parents {
    dir: PathBuf,
    made: Vec<PathBuf>,
}

impl Parents {
    fn make(output: &Path) -> Result<Self> {
        let dir = output.parent().unwrap_or(output).to_owned();
        let missing: Vec<PathBuf> = dir
            .ancestors()
            .take_while(|d| !d.exists())
            .map(Path::to_owned)
            .collect();
        let mut parents = Self {
            dir,
            made: Vec::new(),
        };
        for ancestor in missing.into_iter().rev() {
            std::fs::create_dir(&ancestor).map_err(|e| Error::io("make", &ancestor, &e))?;
            parents.made.push(ancestor);
        }
        Ok(parents)
    }

    fn dir(&self) -> &Path {
        &self.dir
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
