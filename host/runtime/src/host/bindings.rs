//! What `bindgen!` makes of `wit/`: one Rust trait for each interface that a component may import,
//! and its exports.
#![allow(missing_docs, clippy::pedantic, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "tool-caller",
    // The instance blocks, the host does not: functions are plain in WIT and async here.
    imports: { default: async | trappable },
    exports: { default: async },
    trappable_error_type: {
        "rookery:plugin/types.error" => crate::host::HostError,
    },
    with: {
        "rookery:plugin/results.run-results": crate::host::RunResults,
        "rookery:plugin/firmware.root-filesystem": crate::host::RootFilesystem,
    },
});

/// A component that can be instantiated.
pub type ToolPre<T> = ToolCallerPre<T>;

pub use exports::rookery::plugin::tools::ToolDefinition;
pub use rookery::plugin::{
    binaries, config, config_mutation, creation, emulation, firmware, http, live, log, notes,
    results, toolbox, types,
};
