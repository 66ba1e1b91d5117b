//! The edges at which others choose the bytes, each a module with one `body`: it takes any bytes,
//! and must neither panic nor take long.
//!
//! A libFuzzer target calls it (`fuzz_targets/`), and so does the bounded run of `tests/fuzz.rs`,
//! which needs no other compiler than the rest: it changes the files of `seeds/` at random.

pub mod component_file;
pub mod control_socket;
pub mod firmware_archive;
pub mod firmware_image;
pub mod firmware_symbols;
pub mod http_answer;
pub mod json_rpc;
mod mutate;
pub mod netlink;
pub mod patch_yaml;
pub mod result_files;
pub mod run;
