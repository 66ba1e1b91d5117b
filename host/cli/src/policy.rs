//! What the operator decides: the policy file, and the options of the command line that say the
//! same. Where both say something, the command line counts.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use rookery_runtime::{Lock, Policy, RuntimeConfig};

use crate::places::{absolute, existing_parent, user_dir};

/// Where the policy is.
#[derive(Args, Clone)]
pub struct PolicyFile {
    /// What the operator decides, as TOML, which docs/policy.md explains: roots, ports, what is
    /// served, and what plugins may do [default: built-in plugins may do everything, others may
    /// only read]
    #[arg(long, value_name = "FILE", env = "ROOKERY_POLICY")]
    policy: Option<PathBuf>,
}

impl PolicyFile {
    /// The policy, with its paths in full; empty, if no file was named.
    pub fn read(&self) -> anyhow::Result<Policy> {
        let Some(file) = &self.policy else {
            return Ok(Policy::default());
        };
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let policy = Policy::from_toml(&text).with_context(|| format!("in {}", file.display()))?;
        Ok(policy.at(&existing_parent(&absolute(file)?)))
    }

    /// The file.
    pub fn path(&self) -> Option<&Path> {
        self.policy.as_deref()
    }
}

/// Where the lock is.
#[derive(Args, Clone)]
pub struct LockFile {
    /// Where the digests of the installed plugins are kept [default: the policy's `lock`, or
    /// rookery/plugins.lock below `$XDG_CONFIG_HOME` or ~/.config]
    #[arg(long = "lock", value_name = "FILE", env = "ROOKERY_LOCK")]
    file: Option<PathBuf>,
}

impl LockFile {
    /// The file, which need not be there.
    pub fn path(&self, policy: &Policy) -> anyhow::Result<PathBuf> {
        if let Some(file) = self.file.as_ref().or(policy.serve().lock.as_ref()) {
            return Ok(file.clone());
        }
        Ok(user_dir("XDG_CONFIG_HOME", ".config", "--lock")?.join("plugins.lock"))
    }
}

/// What is served of what is installed.
#[derive(Args, Clone)]
pub struct Served {
    /// Serve nothing but the plugins that `rookery plugins lock` has found, unchanged; a policy
    /// that names a `lock` says this too
    #[arg(long, env = "ROOKERY_LOCKED")]
    locked: bool,
    #[command(flatten)]
    lock: LockFile,
    /// Serve nothing that changes a project, runs one, or reaches into a guest
    #[arg(long, env = "ROOKERY_READ_ONLY")]
    read_only: bool,
    /// Serve only the tools of these sets, separated by `,`: project, run, change, diagnose, look,
    /// reach, and those of the policy [default: all tools]
    #[arg(
        long,
        value_name = "SETS",
        env = "ROOKERY_TOOLSETS",
        value_delimiter = ','
    )]
    toolsets: Option<Vec<String>>,
}

impl Served {
    /// Put what was said into a runtime's configuration.
    pub fn apply(&self, config: &mut RuntimeConfig) -> anyhow::Result<()> {
        if self.read_only {
            config.policy.make_read_only();
        }
        if let Some(sets) = &self.toolsets {
            config.policy.choose_toolsets(sets.clone())?;
        }
        if self.is_locked(&config.policy) {
            config.lock = Some(Lock::read(&self.lock.path(&config.policy)?)?);
        }
        Ok(())
    }

    /// Whether a lock counts.
    pub fn is_locked(&self, policy: &Policy) -> bool {
        self.locked || policy.serve().lock.is_some()
    }

    /// Where the lock is.
    pub fn lock(&self, policy: &Policy) -> anyhow::Result<PathBuf> {
        self.lock.path(policy)
    }
}

/// Refuse what the operator decides with to lie below a root, where an agent's other tools may
/// write.
pub fn out_of_reach(config: &RuntimeConfig, files: &[(&str, &Path)]) -> anyhow::Result<()> {
    for (what, file) in files {
        if config.roots.contains(file) {
            bail!(
                "{what} {} lies below a root, where projects are written. A locked server takes \
                 it from elsewhere only: move it, or name other roots",
                file.display()
            );
        }
    }
    Ok(())
}
