//! `rookery plugins lock`: what is installed now is what may be served from now on.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use rookery_project::regular;
use serde::Serialize;

use super::a_root;
use crate::places::PluginOptions;
use crate::policy::LockFile;
use crate::show;

/// Write down the digests of the plugins that are installed, for `serve --locked`
#[derive(Args)]
#[command(after_help = "\
A plugin that would be refused is not locked, and this exits with 1. A policy that names its \
`lock` under [serve] needs no `--locked`.

Example:
  rookery plugins lock && rookery serve --root firmware --locked")]
pub struct Lock {
    #[command(flatten)]
    options: PluginOptions,
    #[command(flatten)]
    file: LockFile,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Locked {
    file: String,
    plugins: usize,
    /// Beside the lock that was there.
    changes: Vec<String>,
    refused: Vec<rookery_runtime::Rejected>,
}

impl Lock {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let policy = self.options.policy().read()?;
        let file = self.file.path(&policy)?;
        let (_, report) = self.options.load(a_root()?)?;
        let lock = report.lock();
        let old = rookery_runtime::Lock::read(&file).ok();
        if let Some(dir) = file.parent() {
            std::fs::create_dir_all(dir)
                .with_context(|| format!("cannot make the directory {}", dir.display()))?;
        }
        regular::replace(&file, lock.to_toml().as_bytes(), true)
            .with_context(|| format!("cannot write the lock to {}", file.display()))?;
        let locked = Locked {
            file: file.to_string_lossy().into_owned(),
            plugins: lock.len(),
            changes: old.map(|old| lock.differences(&old)).unwrap_or_default(),
            refused: report.rejected,
        };
        show::result(&locked, self.json, |locked| {
            let first = format!("locked {} plugins in {}", locked.plugins, locked.file);
            let changes = locked.changes.iter().map(|change| format!("  {change}"));
            let refused = locked.refused.iter().map(|refused| {
                format!("not locked: {}: {}", refused.file.display(), refused.reason)
            });
            let next = "next: rookery serve --locked".to_owned();
            let lines = std::iter::once(first).chain(changes).chain(refused);
            lines.chain([next]).collect()
        });
        Ok(if locked.refused.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
