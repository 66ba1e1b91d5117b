//! Sleeps when it is asked for its tools. Implements the contract by hand, since `plugin!` would
//! not let it.

#![cfg(target_family = "wasm")]

use std::time::Duration;

use rookery_plugin::{Error, Guest, Result, ToolDefinition};

struct Asleep;

impl Guest for Asleep {
    fn describe() -> Vec<ToolDefinition> {
        loop {
            std::thread::sleep(Duration::from_hours(1));
        }
    }

    fn call(_name: String, _arguments: String) -> Result<String> {
        Err(Error::Internal(
            "a tool that must not be admitted was called".to_owned(),
        ))
    }
}

#[allow(unsafe_code)]
const _: () = {
    rookery_plugin::bindings::export!(Asleep with_types_in rookery_plugin::bindings);
};
