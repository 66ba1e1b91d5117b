//! The tree is tidy: what the compiler, clippy and rustfmt do not hold of CONTRIBUTING.md.
//!
//! Exceptions of today stand in `allowed.toml`, each with its number, and a number can only shrink.
//! `TIDY_WRITE=1 cargo test --release --test tidy` writes the file anew from the tree.

mod circles;
mod crates;
mod dependencies;
mod directions;
mod folders;
mod imports;
mod invariants;
mod licences;
mod lines;
mod modules;
mod pages;
mod ratchet;
mod source;
mod state;
mod tree;
mod words;

use ratchet::{Found, hold};

/// A rule, its name in `allowed.toml`, and what it promises.
type Rule = fn(&tree::Tree) -> Found;

const RULES: [(&str, Rule); 16] = [
    ("long-files", lines::long_files),
    ("wide-lines", lines::wide_lines),
    ("untidy-line-ends", lines::untidy_ends),
    ("module-style", folders::modules_beside_their_folder),
    ("left-over-marks", words::marks),
    ("unwraps", words::unwraps),
    ("words", words::unused_words),
    ("circles-of-files", crates::circles_of_files),
    ("circles-of-folders", crates::circles_of_folders),
    ("directions", directions::against),
    ("unused-dependencies", dependencies::unused),
    ("open-fields", state::open_fields),
    ("invariants", invariants::apart_from_their_code),
    ("tools-in-lists", pages::tools_that_are_not_named),
    ("paths-of-pages", pages::paths_that_are_not_there),
    ("claims", pages::claims_without_their_test),
];

#[test]
fn no_rust_file_has_more_than_500_lines() {
    hold("long-files");
}

#[test]
fn no_line_of_code_or_comment_is_wider_than_100_columns() {
    hold("wide-lines");
}

#[test]
fn no_line_ends_with_blanks_and_every_file_ends_with_a_newline() {
    hold("untidy-line-ends");
}

#[test]
fn a_module_with_parts_is_a_folder_with_mod_rs() {
    hold("module-style");
}

#[test]
fn no_mark_of_unfinished_work_is_left() {
    hold("left-over-marks");
}

#[test]
fn product_code_unwraps_nothing() {
    hold("unwraps");
}

#[test]
fn texts_use_the_words_of_the_glossary() {
    hold("words");
}

#[test]
fn no_more_than_two_files_of_a_crate_import_each_other_in_a_circle() {
    hold("circles-of-files");
}

#[test]
fn no_folders_of_a_crate_import_each_other_in_a_circle() {
    hold("circles-of-folders");
}

#[test]
fn imports_and_dependencies_go_in_the_directions_that_are_written_down() {
    hold("directions");
}

#[test]
fn every_dependency_is_used() {
    hold("unused-dependencies");
}

#[test]
fn only_its_own_folder_reaches_the_fields_of_the_guests_state() {
    hold("open-fields");
}

#[test]
fn an_invariant_stands_beside_the_code_that_keeps_it() {
    hold("invariants");
}

#[test]
fn every_built_in_tool_is_named_where_tools_are_listed() {
    hold("tools-in-lists");
}

#[test]
fn every_path_of_the_architecture_page_is_there() {
    hold("paths-of-pages");
}

#[test]
fn every_claim_of_the_threat_model_has_its_test() {
    hold("claims");
}
