//! Tools look into programs of the firmware, whatever these are.

use std::process::Command;

use anyhow::{Context, Result};
use rookery_tests::places;
use serde_json::Value;

/// What the tool `symbols` says of a program, by way of a case of `plugins test`.
fn looked(program: &[u8], pattern: &str, expected: &str) -> Result<Value> {
    let home = tempfile::tempdir()?;
    let case = home.path().join("cases/program");
    let bin = case.join("rootfs/bin");
    std::fs::create_dir_all(&bin)?;
    std::fs::write(bin.join("program"), program)?;
    std::os::unix::fs::symlink("program", bin.join("link"))?;
    let arguments = format!("{{project_dir: fw, path: /bin/link, pattern: \"{pattern}\"}}");
    std::fs::write(
        case.join("case.yaml"),
        format!("arguments: {arguments}\n{expected}\n"),
    )?;
    let output = Command::new(places::dist().join("rookery"))
        .args(["plugins", "test", "--json"])
        .arg(places::dist().join("test-plugins/symbols.wasm"))
        .arg("cases")
        .current_dir(home.path())
        .env("ROOKERY_CACHE_DIR", places::dist().join("cache"))
        .env("ROOKERY_STATE_DIR", home.path().join(".state"))
        .output()?;
    let report: Value =
        serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))?;
    let mut tried = report["tried"].as_array().into_iter().flatten();
    let case = tried.find(|one| one["name"] == "program");
    case.cloned().context("the case was tried")
}

#[test]
fn a_tool_that_only_reads_finds_the_symbols_and_the_strings_of_a_program() -> Result<()> {
    // A real one: it imports this function, as every dynamic program of this libc does.
    let program = std::fs::read("/bin/true")?;
    let tried = looked(
        &program,
        "^__libc_start_main$",
        "answer:
  symbols:
    path: /bin/program
    symbols:
    - {name: __libc_start_main, kind: function, which: imported, address: \"0x0\", bytes: 0}
    total: 1
    truncated: false
    stripped: true
  strings:
    path: /bin/program
    strings: [{at: \"*\", text: __libc_start_main}]
    total: 1
    truncated: false",
    )?;
    assert_eq!(tried["passed"], true, "{tried:#}");
    Ok(())
}

#[test]
fn a_program_whose_structure_lies_ends_its_own_call_with_an_error() -> Result<()> {
    let whole = std::fs::read("/bin/true")?;
    // Its section headers lead to where there is nothing.
    let mut lying = whole.clone();
    lying[0x28..0x30].fill(0x7f);
    let halved = &whole[..whole.len() / 2];
    let many: Vec<u8> = whole
        .iter()
        .copied()
        .chain(std::iter::repeat_n(0x41, 1 << 20))
        .collect();
    for program in [
        &b"#!/bin/sh\n"[..],
        b"\x7fELF\x02\x01\x01 and nothing",
        &lying,
        halved,
    ] {
        let tried = looked(program, "", "error: {kind: invalid-argument}")?;
        assert_eq!(tried["passed"], true, "{tried:#}");
    }
    // What follows the program is only a long string.
    let tried = looked(
        &many,
        "^A+$",
        "answer: {symbols: \"*\", strings: {total: 1, \"...\": x}}",
    )?;
    assert_eq!(tried["passed"], true, "{tried:#}");
    Ok(())
}
