//! A real project, made of the files of a case.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::answers::is_answers;
use super::case::is_case;
use super::database;

/// The name of a case's project below the root.
pub(super) const NAME: &str = "fw";
/// The configuration where a case has none.
const CONFIG: &str = "core: {}\n";
/// What a case may have beside the file that says what is asked.
const PARTS: &str = "results, plugins.sql, tables, rootfs, rootfs.tar.gz, config.yaml, \
                     patch_*.yaml, answers.yaml, README.md";
/// Most that is copied of a case.
const MAX_FILES: usize = 10_000;
const MAX_BYTES: u64 = 1 << 30;

/// Make the project `to` of the case in `folder`; a plain one where there is no case.
pub(super) fn make(folder: Option<&Path>, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    let Some(folder) = folder else {
        let results = to.join("results/0");
        fs::create_dir_all(&results)?;
        fs::write(results.join("console.log"), "")?;
        fs::write(to.join("config.yaml"), CONFIG)?;
        return Ok(());
    };
    let mut room = Room {
        files: MAX_FILES,
        bytes: MAX_BYTES,
    };
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let from = entry?.path();
        let name = from.file_name().unwrap_or_default().to_string_lossy();
        part(&name, &from, to, &mut room).with_context(|| format!("in {}", folder.display()))?;
    }
    if folder.join("plugins.sql").exists() || folder.join("tables").exists() {
        let results = to.join("results/0");
        fs::create_dir_all(&results)?;
        database::make(folder, &results.join("plugins.db"))?;
    }
    if !to.join("config.yaml").exists() {
        fs::write(to.join("config.yaml"), CONFIG)?;
    }
    Ok(())
}

fn part(name: &str, from: &Path, to: &Path, room: &mut Room) -> anyhow::Result<()> {
    let patch = name
        .strip_prefix("patch_")
        .map(|rest| rest.strip_suffix(".yaml"));
    let is_patch = patch.flatten().is_some();
    match name {
        "results" if has_numbers(from)? => room.copy(from, &to.join("results")),
        "results" => room.copy(from, &to.join("results/0")),
        "rootfs" => pack(from, &to.join("base/fs.tar.gz")),
        "rootfs.tar.gz" => room.copy(from, &to.join("base/fs.tar.gz")),
        "config.yaml" => room.copy(from, &to.join(name)),
        _ if is_patch => room.copy(from, &to.join(name)),
        "plugins.sql" | "tables" | "README.md" => Ok(()),
        _ if is_case(name) || is_answers(name) => Ok(()),
        _ => bail!("nothing is made of `{name}`; a case has {PARTS}"),
    }
}

/// Whether these are the results of several runs, each in a folder with its number.
fn has_numbers(results: &Path) -> anyhow::Result<bool> {
    let mut all = true;
    for entry in fs::read_dir(results)? {
        all &= entry?.file_name().to_string_lossy().parse::<u32>().is_ok();
    }
    Ok(all)
}

/// A directory as the archive of a root filesystem, with its links as they are.
fn pack(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    let mut archive = tar::Builder::new(GzEncoder::new(File::create(to)?, Compression::fast()));
    archive.follow_symlinks(false);
    archive.append_dir_all(".", from)?;
    archive.into_inner()?.finish()?;
    Ok(())
}

/// How much more may be copied.
struct Room {
    files: usize,
    bytes: u64,
}

impl Room {
    /// Regular files and directories: a link would lead out of the case.
    fn copy(&mut self, from: &Path, to: &Path) -> anyhow::Result<()> {
        let shown = from.display();
        let metadata =
            fs::symlink_metadata(from).with_context(|| format!("cannot read {shown}"))?;
        ensure!(
            metadata.is_file() || metadata.is_dir(),
            "{shown} is neither a regular file nor a directory"
        );
        self.files = self.files.checked_sub(1).with_context(|| {
            format!("a case may have {MAX_FILES} files, and {shown} is one too many")
        })?;
        if metadata.is_dir() {
            fs::create_dir_all(to)?;
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                self.copy(&entry.path(), &to.join(entry.file_name()))?;
            }
            return Ok(());
        }
        self.bytes = self.bytes.checked_sub(metadata.len()).with_context(|| {
            format!(
                "a case may have {} MiB, and {shown} is too much",
                MAX_BYTES >> 20
            )
        })?;
        fs::create_dir_all(to.parent().unwrap_or(to))?;
        fs::copy(from, to).with_context(|| format!("cannot copy {shown}"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A case with these files, and the project that is made of it.
    fn made(files: &[(&str, &str)]) -> (tempfile::TempDir, anyhow::Result<()>) {
        let dir = tempfile::tempdir().expect("a directory");
        let case = dir.path().join("case");
        for (path, text) in files {
            let file = case.join(path);
            fs::create_dir_all(file.parent().expect("a folder")).expect("made");
            fs::write(file, text).expect("written");
        }
        let made = make(Some(&case), &dir.path().join(NAME));
        (dir, made)
    }

    #[test]
    fn a_case_becomes_a_project_with_a_run() {
        let (dir, made) = made(&[
            ("case.yaml", "answer: {}\n"),
            ("results/console.log", "boot\n"),
            ("rootfs/etc/version", "1\n"),
        ]);
        made.expect("a project");
        let at = |path: &str| dir.path().join(NAME).join(path);
        assert_eq!(
            fs::read_to_string(at("results/0/console.log")).expect("a log"),
            "boot\n"
        );
        assert!(at("base/fs.tar.gz").is_file() && at("config.yaml").is_file());
    }

    #[test]
    fn results_in_numbered_folders_are_runs() {
        let (dir, made) = made(&[("results/0/a.csv", "x\n"), ("results/3/a.csv", "y\n")]);
        made.expect("a project");
        assert!(dir.path().join("fw/results/3/a.csv").is_file());
    }

    #[test]
    fn what_nothing_is_made_of_is_refused_and_links_are() {
        let (_dir, refused) = made(&[("result/console.log", "boot\n")]);
        let refused = format!("{:#}", refused.expect_err("a misspelt part"));
        assert!(
            refused.contains("`result`") && refused.contains("plugins.sql"),
            "{refused}"
        );

        let dir = tempfile::tempdir().expect("a directory");
        let results = dir.path().join("case/results");
        fs::create_dir_all(&results).expect("made");
        std::os::unix::fs::symlink("/etc/passwd", results.join("console.log")).expect("a link");
        let refused = make(Some(&dir.path().join("case")), &dir.path().join(NAME));
        assert!(format!("{:#}", refused.expect_err("a link")).contains("regular file"));
    }
}
