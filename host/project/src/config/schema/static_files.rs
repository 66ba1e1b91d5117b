//! `static_files`: what is done to the root filesystem before boot.

use super::types::Default::{Absent, Int as Number, Required, Str as Text};
use super::types::Type::{
    Hex, Int, List, Model as Of, Natural, Optional, Str, Tagged as OneOf, Word,
};
use super::types::{Keys, Model, Table, Tagged, Type, fields, variant};

pub static STATIC_FILES: Table = Table {
    keys: Keys::Str,
    values: OneOf(&ACTION),
    rule: None,
};

const EDITS: Type = Optional(&List(&Of(&EDIT)));
const MISMATCH: Type = Word(&["fail", "skip", "warn"]);

static ACTION: Tagged = Tagged {
    tag: "type",
    variants: &[
        variant!(
            "type" = "inline_file",
            "mode": Int => Number(0o644),
            "contents": Str => Required,
            "patches": EDITS => Absent
        ),
        variant!(
            "type" = "host_file",
            "mode": Int => Number(0o755),
            "host_path": Str => Required,
            "patches": EDITS => Absent
        ),
        variant!("type" = "dir", "mode": Int => Number(0o755)),
        variant!("type" = "symlink", "target": Str => Required),
        variant!(
            "type" = "dev",
            "devtype": Word(&["char", "block"]) => Required,
            "major": Int => Required,
            "minor": Int => Required,
            "mode": Int => Number(0o666)
        ),
        variant!("type" = "delete"),
        variant!("type" = "move", "from": Str => Required, "mode": Optional(&Int) => Absent),
        variant!("type" = "shim", "target": Str => Required),
        variant!(
            "type" = "binary_patch",
            "file_offset": Optional(&Natural) => Absent,
            "hex_bytes": Optional(&Hex) => Absent,
            "asm": Optional(&Str) => Absent,
            "mode": Optional(&Str) => Absent,
            "expect": Optional(&Hex) => Absent,
            "on_mismatch": MISMATCH => Text("fail"),
            "why": Optional(&Str) => Absent,
            "tag": Optional(&Str) => Absent,
            "patches": EDITS => Absent
        ),
    ],
};

/// One edit of a file's bytes.
static EDIT: Model = Model {
    name: "binary patch entry",
    open: false,
    rule: None,
    fields: fields! {
        "file_offset": Natural => Required,
        "hex_bytes": Optional(&Hex) => Absent,
        "asm": Optional(&Str) => Absent,
        "mode": Optional(&Str) => Absent,
        "expect": Optional(&Hex) => Absent,
        "on_mismatch": MISMATCH => Text("fail"),
        "why": Optional(&Str) => Absent,
        "tag": Optional(&Str) => Absent,
    },
};
