//! `rookery prune`: remove old results, and what is kept only to save time.

mod units;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use rookery_project::Roots;
use rookery_report::word;
use rookery_runs::keeping::{self, Item, Limits};
use rookery_runtime::Policy;
use serde::Serialize;

use crate::places::{ROOTS, StateDir, given_or, resolve, user_dir};
use crate::policy::PolicyFile;
use crate::prune::units::{bytes, days};
use crate::show;

/// Removals that are told one by one.
const TOLD: usize = 20;

/// Remove old results and caches, by their age, number and size
#[derive(Args)]
#[command(after_help = "\
What is kept is what the options say, else the policy under [keep]. The newest results of a \
project and runs that are under way are
never removed. A cache only saves time: what is missing is made again.

Example:
  rookery prune                                   # says what is there
  rookery prune --keep 5 --older-than 30d --dry-run
  rookery prune dlink-850l --keep 1 --cache-size 1G")]
pub struct Prune {
    /// Projects, or directories that hold projects [default: `$ROOKERY_ROOT`, else the policy's
    /// `roots`, else the current directory]
    dirs: Vec<PathBuf>,
    /// Keep so many results of each project
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    keep: Option<u64>,
    /// Remove results that are older, such as `30d` or `12h`
    #[arg(long, value_name = "AGE", value_parser = days)]
    older_than: Option<std::time::Duration>,
    /// Remove the oldest results until all together are no larger, such as `10G`
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    max_size: Option<u64>,
    /// Remove the oldest of the caches until all together are no larger, such as `1G`
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    cache_size: Option<u64>,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Where compiled plugins are kept [default: rookery below `$XDG_CACHE_HOME` or ~/.cache]
    #[arg(long, value_name = "DIR", env = "ROOKERY_CACHE_DIR")]
    cache_dir: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyFile,
    #[command(flatten)]
    state: StateDir,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What is printed with `--json`.
#[derive(Serialize)]
struct Pruned {
    dry_run: bool,
    removed: Vec<Told>,
    removed_bytes: u64,
    kept: usize,
    kept_bytes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<String>,
    /// Nothing said what to keep.
    unlimited: bool,
}

#[derive(Serialize)]
struct Told {
    path: String,
    bytes: u64,
    why: String,
}

impl Prune {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let policy = self.policy.read()?;
        let mut items = keeping::results(&self.roots(&policy)?)?;
        let cache = self.cache_dir.clone();
        let cache = cache.map_or_else(|| user_dir("XDG_CACHE_HOME", ".cache", "--cache-dir"), Ok);
        items.extend(keeping::caches(&cache?, &self.state.path()?));
        let limits = self.limits(&policy);
        let mut pruned = Pruned {
            dry_run: self.dry_run,
            unlimited: limits == Limits::default(),
            removed: Vec::new(),
            removed_bytes: 0,
            kept: 0,
            kept_bytes: 0,
            failed: Vec::new(),
        };
        for (item, why) in limits.judge(items) {
            pruned.take(&item, why);
        }
        let failed = !pruned.failed.is_empty();
        show::result(&pruned, self.json, |pruned| self.lines(pruned));
        Ok(if failed {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    fn roots(&self, policy: &Policy) -> anyhow::Result<Roots> {
        let mut dirs = given_or(&self.dirs, ROOTS);
        if dirs.is_empty() {
            dirs.clone_from(&policy.serve().roots);
        }
        if dirs.is_empty() {
            dirs.push(PathBuf::from("."));
        }
        let dirs: Vec<PathBuf> = dirs
            .iter()
            .map(|dir| resolve(dir))
            .collect::<Result<_, _>>()?;
        if let Some(missing) = dirs.iter().find(|dir| !dir.is_dir()) {
            bail!("{} is not a directory", missing.display());
        }
        Ok(Roots::new(dirs)?)
    }

    fn limits(&self, policy: &Policy) -> Limits {
        let keep = policy.keep().limits();
        Limits {
            runs: self.keep.or(keep.runs),
            age: self.older_than.or(keep.age),
            results: self.max_size.or(keep.results),
            caches: self.cache_size.or(keep.caches),
        }
    }

    fn lines(&self, pruned: &Pruned) -> Vec<String> {
        let verb = if self.dry_run {
            "would remove"
        } else {
            "removed"
        };
        let told = pruned.removed.iter().take(TOLD);
        let mut lines: Vec<String> = told
            .map(|one| format!("{verb} {} ({}, {})", one.path, size(one.bytes), one.why))
            .collect();
        let more = pruned.removed.len().saturating_sub(TOLD);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines.extend(pruned.failed.clone());
        if !pruned.removed.is_empty() {
            lines.push(format!("{verb} {}", size(pruned.removed_bytes)));
        }
        let kept = format!(
            "{} in {} results and caches",
            size(pruned.kept_bytes),
            pruned.kept
        );
        lines.push(if self.dry_run {
            format!("would keep {kept}")
        } else {
            format!("kept {kept}")
        });
        lines.push(match (pruned.unlimited, self.dry_run) {
            (true, _) => "next: rookery prune --keep 5 --older-than 30d --dry-run".to_owned(),
            (false, true) if !pruned.removed.is_empty() => again(),
            _ => "next: rookery ps".to_owned(),
        });
        lines
    }
}

impl Pruned {
    /// Remove an item if there is a reason, and keep count.
    fn take(&mut self, item: &Item, why: Option<String>) {
        let Some(why) = why else {
            self.kept += 1;
            self.kept_bytes = self.kept_bytes.saturating_add(item.bytes);
            return;
        };
        if !self.dry_run
            && let Err(error) = item.remove()
        {
            let path = item.path.display();
            self.failed.push(format!("cannot remove {path}: {error}"));
            return;
        }
        self.removed_bytes = self.removed_bytes.saturating_add(item.bytes);
        self.removed.push(Told {
            path: item.path.to_string_lossy().into_owned(),
            bytes: item.bytes,
            why,
        });
    }
}

/// The same command, which then removes.
fn again() -> String {
    let mut line = "next: rookery prune".to_owned();
    let words = std::env::args().skip(2).filter(|word| word != "--dry-run");
    for given in words {
        line.push(' ');
        line.push_str(&if given.starts_with("--") {
            given
        } else {
            word(&given)
        });
    }
    line
}

/// `1.5 MiB`
fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
