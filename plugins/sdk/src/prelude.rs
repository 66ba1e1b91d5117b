//! What nearly every tool uses: `use rookery_plugin::prelude::*;`

pub use crate::{
    Answer, Binaries, Config, ConfigMutation, Content, Creation, Emulation, Error, Firmware, Host,
    Live, Log, Next, Notes, Result, Results, RootFilesystem, RunResults, args, invalid, optional,
    plugin, shapes, tool,
};
