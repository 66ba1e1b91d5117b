//! The contract as functions of C and Go.

use anyhow::{Context, anyhow};
use wit_bindgen_core::wit_parser::{Resolve, SourceMap, WorldId};
use wit_bindgen_core::{Files as Generated, WorldGenerator};
use wit_bindgen_go::Format;

use super::sdk::contract;
use super::tree::Files;

/// Both import what they call, so this is the world with all that can be called.
pub const WORLD: &str = "tool-caller";

/// The bindings for C.
pub(super) fn put_c(files: &mut Files) -> anyhow::Result<()> {
    put(files, "gen/", &mut *wit_bindgen_c::Opts::default().build())
}

/// The bindings for Go: the packages of what is imported, and the package that calls ours.
pub(super) fn put_go(files: &mut Files) -> anyhow::Result<()> {
    let options = wit_bindgen_go::Opts {
        // Else it starts a program.
        format: Format::False,
        quiet: true,
        ..wit_bindgen_go::Opts::default()
    };
    put(files, "", &mut *options.build())
}

fn put(files: &mut Files, below: &str, generator: &mut dyn WorldGenerator) -> anyhow::Result<()> {
    let (mut resolve, world) = world()?;
    let mut generated = Generated::default();
    generator.generate(&mut resolve, world, &mut generated)?;
    for (name, bytes) in generated.iter() {
        files.insert(format!("{below}{name}"), bytes.into());
    }
    Ok(())
}

/// The contract that this program carries.
pub fn world() -> anyhow::Result<(Resolve, WorldId)> {
    let mut source = SourceMap::new();
    for (name, text) in contract() {
        source.push_str(name, text);
    }
    let package = source
        .parse()
        .map_err(|(_, error)| anyhow!("{error}"))
        .context("the contract cannot be read")?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(package)?;
    let world = resolve.select_world(&[package], Some(WORLD))?;
    Ok((resolve, world))
}
