//! What `wit-bindgen` makes of the contract. Tools use the traits of [`crate::host`] instead.
//!
//! `wit/` is a link to the repository's contract, so that the crate carries it wherever Cargo takes
//! the crate from.

#![allow(unsafe_code, missing_docs, clippy::all, clippy::pedantic)]

wit_bindgen::generate!({
    path: "wit",
    world: "tool-caller",
    pub_export_macro: true,
    default_bindings_module: "rookery_plugin::bindings",
    additional_derives: [PartialEq],
    with: {
        "rookery:plugin/types@0.1.1/error": rookery_contract::Error,
        "rookery:plugin/types@0.1.1/unavailable": rookery_contract::Unavailable,
    },
});
