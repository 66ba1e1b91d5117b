//! Promises about the server and its tools, for which no guest is started; each file a kind.
//!
//! One program for all of them: each would be linked with the whole client again.

mod bad_input;
mod binaries;
mod cases;
mod contract;
mod developing;
mod examples;
mod growth;
mod hostile_tools;
mod kit;
mod locked_down;
mod old_tools;
mod operator;
mod penguin;
mod penguin_init;
mod penguin_mcp;
mod portable;
mod reloading;
mod strangers;
mod strict_clients;
mod toolbox;
