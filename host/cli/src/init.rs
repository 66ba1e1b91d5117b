//! `rookery init`: a root filesystem becomes a project.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use rookery_contract::options::Maker;
use rookery_contract::shapes::NewProject;
use rookery_project::{Cancel, Roots};
use rookery_report::word;
use rookery_runs::penguin::make_project;

use crate::advice;
use crate::interrupt::Interrupt;
use crate::places::{existing_parent, resolve, utf8};
use crate::show::{self, Activity};

/// Make a project from a root filesystem
#[derive(Args)]
#[command(after_help = "\
The project is a Penguin project directory: either program can run it.

Example:
  rookery init fw.rootfs.tar.gz -o dlink-850l")]
pub struct Init {
    /// Root filesystem: a directory, a tar or cpio archive, or a squashfs, ext2, ext3 or ext4
    /// image; each file also packed with gzip, xz, lzma or zstd
    rootfs: PathBuf,
    /// The project directory to make [default: the root filesystem's name, without endings, in the
    /// current directory]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Who makes the project: `penguin` has Penguin's own init do it, `auto` does so where Penguin
    /// is, and goes on without it where that fails
    #[arg(long, value_name = "WHO", value_parser = maker, default_value = "auto")]
    with: Maker,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

fn maker(name: &str) -> Result<Maker, String> {
    match name {
        "auto" => Ok(Maker::Auto),
        "penguin" => Ok(Maker::Penguin),
        "rookery" => Ok(Maker::Rookery),
        _ => Err("it is auto, penguin or rookery".to_owned()),
    }
}

impl Init {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let rootfs = resolve(&self.rootfs)?;
        if !rootfs.exists() {
            bail!("there is no {}", rootfs.display());
        }
        // A link is what the user calls it.
        let named = Some(&self.rootfs).filter(|path| path.file_name().is_some());
        let output = resolve(
            &self
                .output
                .clone()
                .unwrap_or_else(|| default_output(named.unwrap_or(&rootfs))),
        )?;
        let allowed = Roots::new([existing_parent(&output), existing_parent(&rootfs)])?;

        let cancel = Cancel::default();
        let _interrupt = Interrupt::watch({
            let cancel = cancel.clone();
            move || cancel.cancel()
        })?;
        let mut activity = Activity::new(None, self.json);
        activity.phase(&format!("reading {}", self.rootfs.display()));
        let (from, to) = (utf8(&rootfs)?, utf8(&output)?);
        let made = make_project(&allowed, from, to, self.with, &cancel);
        activity.end();
        let made =
            made.with_context(|| format!("no project was made from {}", self.rootfs.display()))?;

        show::result(&made, self.json, describe);
        Ok(ExitCode::SUCCESS)
    }
}

fn describe(made: &NewProject) -> Vec<String> {
    let mut lines = vec![
        format!("made {}", made.project_dir),
        format!("  architecture  {}", made.arch),
        format!("  files         {}", made.files),
        format!("  init          {}", made.init.as_deref().unwrap_or("-")),
    ];
    for candidate in &made.init_candidates {
        if Some(&candidate.path) != made.init.as_ref() {
            let (path, why) = (&candidate.path, &candidate.why);
            lines.push(format!("  or            {path}  ({why})"));
        }
    }
    for warning in &made.warnings {
        let warning = advice::sentence(warning);
        lines.push(format!("  warning       {warning}"));
    }
    lines.push(format!("next: rookery run {}", word(&made.project_dir)));
    lines
}

/// Endings of names that say how a file is packed.
const PACKED: [&str; 6] = [".gz", ".tgz", ".xz", ".txz", ".lzma", ".zst"];
/// Endings of names that say what a file is, outer ones first.
const KINDS: [&str; 11] = [
    ".tar",
    ".cpio",
    ".squashfs",
    ".sqfs",
    ".sqsh",
    ".ext2",
    ".ext3",
    ".ext4",
    ".img",
    ".bin",
    ".rootfs",
];

/// `fw.rootfs.tar.gz` makes `fw`.
fn default_output(rootfs: &Path) -> PathBuf {
    let name = rootfs
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut stem = name.as_str();
    for ending in PACKED.into_iter().chain(KINDS) {
        stem = stem.strip_suffix(ending).unwrap_or(stem);
    }
    // A directory keeps its name, so its project needs another one.
    let stem = if stem.is_empty() || stem == name {
        format!("{name}-project")
    } else {
        stem.to_owned()
    };
    PathBuf::from(stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_named_after_its_root_filesystem() {
        for (rootfs, output) in [
            ("/x/fw.rootfs.tar.gz", "fw"),
            ("lede-17.01.4.tar", "lede-17.01.4"),
            ("a.tgz", "a"),
            ("router.squashfs", "router"),
            ("initramfs.cpio.xz", "initramfs"),
            ("squashfs-root", "squashfs-root-project"),
            (".tar.gz", ".tar.gz-project"),
        ] {
            assert_eq!(
                default_output(Path::new(rootfs)),
                Path::new(output),
                "{rootfs}"
            );
        }
    }
}
