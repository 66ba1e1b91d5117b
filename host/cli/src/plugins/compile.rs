//! `rookery plugins compile`: the code of the built-in plugins, for whoever starts the program.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;
use serde::Serialize;

use super::a_root;
use crate::places::{PluginOptions, compiled};
use crate::show;

/// Compile the built-in plugins into the program's own directory, for an image or a package
#[derive(Args)]
#[command(after_help = "\
The code is for every CPU of this architecture (x86-64: SSE2) and for every user, so that no start \
compiles anything. It lies in
`compiled` beside this program, and is used as long as nobody but the program's owner can write \
there.

Example, in a Dockerfile:
  RUN rookery plugins compile")]
pub struct Compile {
    #[command(flatten)]
    options: PluginOptions,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Compiled {
    dir: String,
    plugins: usize,
}

impl Compile {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let dir = compiled().context("cannot find this program's own directory")?;
        let (runtime, report) = self.options.load(a_root()?)?;
        ensure!(
            report.plugins.iter().any(|plugin| plugin.built_in),
            "there is no built-in plugin: they lie in `plugins` beside this program"
        );
        let compiled = Compiled {
            plugins: runtime.install_code(&report, &dir)?,
            dir: dir.to_string_lossy().into_owned(),
        };
        show::result(&compiled, self.json, |compiled| {
            let (plugins, dir) = (compiled.plugins, &compiled.dir);
            vec![
                format!("compiled {plugins} plugins into {dir}"),
                "next: rookery serve, which compiles none of them".to_owned(),
            ]
        });
        Ok(ExitCode::SUCCESS)
    }
}
