//! A change for one run: the project as it would be with the change in the patch, to which nothing
//! is written.

use std::path::Path;

use compact_str::format_compact;
use serde_json::Value as Json;

use super::change::{Addition, check_merged, laid, unloadable};
use super::edit;
use super::files::{self, MAIN, PATCH};
use super::load::{Loaded, Patch, load, load_for_embedded};
use super::refusal::Refusal;
use super::store::{parse_patch, read_patch};
use super::written::text_of;
use crate::ground::yaml;
use crate::ground::yaml::value::{Key, Map, Value};
use crate::{Error, Result};

/// The files that Penguin reads instead of the project's own: a main file that finds no patch by
/// its name but lists them all, and the patch with the change in it.
#[derive(Debug, Clone, PartialEq)]
pub struct PenguinTrial {
    main: Map,
    /// In the order in which they apply, relative to the project.
    patches: Vec<String>,
    /// None where the change leaves nothing in it.
    patch: Option<String>,
}

/// The whole configuration as the embedded emulator would use it with a fragment in the patch, by
/// the rules of `apply`.
pub fn tried(dir: &Path, fragment: &Json, replace: &[String]) -> Result<Value> {
    Ok(with(dir, fragment, replace, load_for_embedded)?.0.config)
}

/// The same as Penguin would use it, and the files that have it do so.
pub fn tried_by_penguin(
    dir: &Path,
    fragment: &Json,
    replace: &[String],
) -> Result<(Value, PenguinTrial)> {
    let (loaded, patch) = with(dir, fragment, replace, load)?;
    let text = files::read(dir, MAIN).map_err(|refusal| unloadable(None, &refusal))?;
    let main = yaml::parse(&text.unwrap_or_default()).ok();
    let Some(Value::Map(main)) = main else {
        return Err(Error::Conflict(format!(
            "{MAIN} was just changed by another process"
        )));
    };
    let files = PenguinTrial {
        main,
        patches: loaded.patches,
        patch,
    };
    Ok((loaded.config, files))
}

/// The project with a fragment in its patch, and the text that the patch would have.
fn with(
    dir: &Path,
    fragment: &Json,
    replace: &[String],
    loading: impl Fn(&Path, Patch<'_>) -> Result<Loaded, Refusal>,
) -> Result<(Loaded, Option<String>)> {
    let Addition {
        tree,
        touched,
        mut warnings,
    } = Addition::of(dir, fragment)?;
    let mut patch = parse_patch(read_patch(dir)?.as_deref())?;
    edit::number_commands(&mut patch);
    let below = load(dir, Patch::OnDisk)?.below;
    let new = laid(patch, tree, replace, &below, &mut warnings);
    let text = text_of(&new, None)?;
    let patch = text.as_deref().map_or(Patch::Absent, Patch::Text);
    let loaded = loading(dir, patch).map_err(|refusal| unloadable(None, &refusal))?;
    check_merged(&loaded.config, &touched, &mut warnings)?;
    Ok((loaded, text))
}

impl PenguinTrial {
    /// The main file.
    pub const MAIN: &str = MAIN;

    /// The files to write into `place`, a directory of the project that is named relative to it:
    /// their names and texts.
    pub fn files(&self, place: &str) -> Vec<(&'static str, String)> {
        let listed = |file: &String| {
            let is_ours = file == PATCH;
            if is_ours {
                Value::Str(format_compact!("{place}/{PATCH}"))
            } else {
                Value::from(file.as_str())
            }
        };
        let mut main = self.main.clone();
        main.insert(
            Key::from("patches"),
            Value::List(self.patches.iter().map(listed).collect()),
        );
        if let Some(Value::Map(core)) = main.get_mut(&Key::from("core")) {
            core.insert(Key::from("auto_patching"), Value::Bool(false));
        }
        let main = (MAIN, yaml::write(&Value::Map(main)));
        let patch = self.patch.clone().map(|text| (PATCH, text));
        [main].into_iter().chain(patch).collect()
    }
}
