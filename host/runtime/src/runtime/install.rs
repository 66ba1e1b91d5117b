//! Installing the code of the built-in plugins with the program.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::Context;

use super::Runtime;
use crate::{LoadReport, cache, component_file, engine};

impl Runtime {
    /// Write what the next start needs of the built-in plugins of `report` into `dir`: their code
    /// for every CPU of this architecture, and what admission found. Gives how many.
    pub fn install_code(&self, report: &LoadReport, dir: &Path) -> anyhow::Result<usize> {
        let baseline = engine::baseline()?;
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        fs::set_permissions(dir, Permissions::from_mode(0o755))?;
        let built_in = report.plugins.iter().filter(|plugin| plugin.built_in);
        let mut written = 0;
        for plugin in built_in {
            let of_it = || format!("{}", plugin.file.display());
            let component = component_file::read_again(&plugin.file, &plugin.digest)
                .map_err(anyhow::Error::msg)
                .with_context(of_it)?;
            let code = baseline
                .precompile_component(&component)
                .map_err(anyhow::Error::from)
                .with_context(of_it)?;
            let record = self
                .machine()
                .cache
                .record_text(&plugin.digest)
                .context("the cache cannot be used: name one with --cache-dir")?;
            for (name, bytes) in [
                (cache::installed_name(&plugin.digest), code),
                (cache::record_name(&plugin.digest), record),
            ] {
                let file = dir.join(name);
                fs::write(&file, bytes)
                    .and_then(|()| fs::set_permissions(&file, Permissions::from_mode(0o644)))
                    .with_context(|| format!("cannot write {}", file.display()))?;
            }
            written += 1;
        }
        Ok(written)
    }
}
