//! Which tools there are, what they reach, and what is recorded of them: for `serve` and `call`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use rookery_project::Roots;
use rookery_runtime::{Audit, LoadReport, Policy, RuntimeConfig};

use crate::places::{PluginOptions, PortOptions};
use crate::policy::{Served, out_of_reach};

/// What the command line says of tools.
#[derive(Args, Clone)]
pub struct Tooling {
    /// Append a line of JSON to this file for each call and each decision: what was granted or
    /// refused, and by which rule
    #[arg(long, value_name = "FILE", env = "ROOKERY_AUDIT")]
    audit: Option<PathBuf>,
    #[command(flatten)]
    served: Served,
    #[command(flatten)]
    ports: PortOptions,
    #[command(flatten)]
    pub plugins: PluginOptions,
}

impl Tooling {
    /// The policy, as its file has it.
    pub fn policy(&self) -> anyhow::Result<Policy> {
        self.plugins.policy().read()
    }

    /// A runtime's configuration, and the plugins' directories: as the policy says, and the command
    /// line.
    pub fn config(
        &self,
        policy: Policy,
        roots: Roots,
    ) -> anyhow::Result<(RuntimeConfig, Vec<PathBuf>)> {
        let dirs = self.plugins.dirs(&policy)?;
        Ok((self.config_with(policy, roots, &dirs)?, dirs))
    }

    /// The same, with the directories that are not there yet.
    pub fn watched_config(
        &self,
        policy: Policy,
        roots: Roots,
    ) -> anyhow::Result<(RuntimeConfig, Vec<PathBuf>)> {
        let dirs = self.plugins.watched_dirs(&policy);
        Ok((self.config_with(policy, roots, &dirs)?, dirs))
    }

    fn config_with(
        &self,
        policy: Policy,
        roots: Roots,
        dirs: &[PathBuf],
    ) -> anyhow::Result<RuntimeConfig> {
        let ports = self.ports.ports(&policy);
        let mut config = self.plugins.config(roots, policy)?;
        config.runs = config.runs.with_ports(ports);
        self.served.apply(&mut config)?;
        let audit = self.audit.as_ref().or(config.policy.serve().audit.as_ref());
        let audit = audit.cloned();
        if config.lock.is_some() {
            let lock = self.served.lock(&config.policy)?;
            let mut files = vec![("the lock", lock.as_path())];
            files.extend(
                self.plugins
                    .policy()
                    .path()
                    .map(|file| ("the policy", file)),
            );
            files.extend(audit.as_deref().map(|file| ("the audit", file)));
            files.extend(
                dirs.iter()
                    .map(|dir| ("the plugin directory", dir.as_path())),
            );
            out_of_reach(&config, &files)?;
        }
        if let Some(file) = audit {
            let audit = Audit::open(&file)
                .with_context(|| format!("cannot write the audit to {}", file.display()))?;
            config.audit = Some(audit);
        }
        Ok(config)
    }
}

/// Tell the operator what is missing. It goes to stderr: clients show that, or keep it.
pub fn report(loaded: &LoadReport) {
    for rejected in &loaded.rejected {
        tracing::warn!("skipped {}: {}", rejected.file.display(), rejected.reason);
    }
    let withheld = loaded.plugins.iter().flat_map(|plugin| &plugin.withheld);
    for withheld in withheld {
        tracing::debug!("withheld `{}`: {}", withheld.tool, withheld.reason);
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
}
