//! `rookery plugins componentize`: a component of what a compiler made.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata, metadata};

use super::new::bindings;
use crate::show;

/// Make a component of a core module that was compiled for wasm32-wasi with generated bindings
#[derive(Args)]
#[command(after_help = "\
Compilers of C and Go make core modules. C's bindings say in them what the component has; a module \
that does not say so may use
all of the contract.

Example:
  rookery plugins componentize core.wasm --output my_tool.wasm")]
pub struct Componentize {
    /// The core module
    module: PathBuf,
    /// The component's file
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Made {
    file: String,
    bytes: usize,
}

impl Componentize {
    pub fn execute(&self) -> anyhow::Result<ExitCode> {
        let shown = self.module.display();
        let mut module =
            std::fs::read(&self.module).with_context(|| format!("cannot read {shown}"))?;
        let cannot = || format!("{shown} cannot become a component");
        let (described, _) = metadata::decode(&module).with_context(cannot)?;
        if described.is_none() {
            let (resolve, world) = bindings::world()?;
            let encoding = StringEncoding::UTF8;
            embed_component_metadata(&mut module, &resolve, world, encoding, false)?;
        }
        let component = ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|encoder| {
                encoder.adapter(
                    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
                    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
                )
            })
            .and_then(ComponentEncoder::encode)
            .with_context(cannot)?;
        std::fs::write(&self.output, &component)
            .with_context(|| format!("cannot write {}", self.output.display()))?;
        let made = Made {
            file: self.output.to_string_lossy().into_owned(),
            bytes: component.len(),
        };
        show::result(&made, self.json, |made| {
            vec![format!("{}: {} KiB", made.file, made.bytes.div_ceil(1024))]
        });
        Ok(ExitCode::SUCCESS)
    }
}
