//! What nearly every tool uses: `use rookery_plugin::prelude::*;`

pub use crate::{
    Answer, Binaries, Config, ConfigMutation, Content, Creation, Emulation, Error, Firmware, Host,
    Http, Live, Log, Next, Notes, Result, Results, RootFilesystem, RunResults, Toolbox, args,
    invalid, optional, plugin, shapes, tool,
};
