//! `pseudofiles`: device nodes and `/proc` entries, with a model for each operation.

use super::conditions::pseudofile_operations;
use super::types::Default::{Absent, Bool as Flag, Int as Number, Required, Str as Text};
use super::types::Type::{
    Any, Bool, Either, Int, List, Model as Of, Natural, OneOrTable, Optional, Str,
    Table as TableOf, Tagged as OneOf,
};
use super::types::{Keys, Model, Table, Tagged, fields, variant};
use crate::penguin::sizes::SPARSE_FILE;

/// A call into a plugin, by default to its function of the operation's name.
macro_rules! from_plugin {
    ($operation:literal) => {
        variant!(
            "model" = "from_plugin",
            "plugin": Str => Required,
            "function": Optional(&Str) => Text($operation)
        )
    };
}

/// A model that a plugin registered under `model_name`; the other fields are its own.
macro_rules! custom {
    () => {
        variant!("model" = "custom", "model_name": Str => Required; open = true)
    };
}

/// An operation that only plugins implement.
macro_rules! plugin_operation {
    ($name:ident, $operation:literal) => {
        static $name: Tagged = Tagged {
            tag: "model",
            variants: &[from_plugin!($operation), custom!()],
        };
    };
}

pub static PSEUDOFILES: Table = Table {
    keys: Keys::Str,
    values: Of(&PSEUDOFILE),
    rule: Some(pseudofile_operations),
};

static PSEUDOFILE: Model = Model {
    name: "pseudofile",
    open: false,
    rule: None,
    fields: fields! {
        "name": Optional(&Str) => Absent,
        "size": Optional(&Int) => Absent,
        "plugin": Optional(&Str) => Absent,
        "read": Optional(&OneOf(&READ)) => Absent,
        "write": Optional(&OneOf(&WRITE)) => Absent,
        "ioctl": Optional(&OneOrTable(&IOCTL, &COMMANDS)) => Absent,
        "poll": Optional(&OneOf(&POLL)) => Absent,
        "lseek": Optional(&OneOf(&LSEEK)) => Absent,
        "mmap": Optional(&OneOf(&MMAP)) => Absent,
        "open": Optional(&OneOf(&OPEN)) => Absent,
        "release": Optional(&OneOf(&RELEASE)) => Absent,
        "compat_ioctl": Optional(&OneOf(&COMPAT_IOCTL)) => Absent,
        "flush": Optional(&OneOf(&FLUSH)) => Absent,
        "fsync": Optional(&OneOf(&FSYNC)) => Absent,
        "fasync": Optional(&OneOf(&FASYNC)) => Absent,
        "lock": Optional(&OneOf(&LOCK)) => Absent,
        "read_iter": Optional(&OneOf(&READ_ITER)) => Absent,
        "write_iter": Optional(&OneOf(&WRITE_ITER)) => Absent,
        "get_unmapped_area": Optional(&OneOf(&GET_UNMAPPED_AREA)) => Absent,
    },
};

static READ: Tagged = Tagged {
    tag: "model",
    variants: &[
        variant!("model" = "zero"),
        variant!("model" = "one"),
        variant!("model" = "empty"),
        variant!(
            "model" = "const_buf",
            "val": Str => Required,
            "null_terminate": Bool => Flag(false),
            "nul_terminate": Bool => Flag(false)
        ),
        variant!(
            "model" = "const_map",
            "pad": Either(&[Str, Int]) => Number(0),
            "size": Natural => Number(SPARSE_FILE as i128),
            "vals": TableOf(&OFFSETS) => Required
        ),
        variant!(
            "model" = "const_map_file",
            "filename": Str => Required,
            "pad": Either(&[Str, Int]) => Number(0),
            "size": Natural => Number(SPARSE_FILE as i128),
            "vals": TableOf(&OFFSETS) => Required
        ),
        variant!("model" = "cycle", "val": Str => Required),
        variant!("model" = "from_file", "filename": Str => Required),
        variant!("model" = "stateful", "initial": Optional(&Str) => Absent),
        variant!(
            "model" = "sequence",
            "vals": List(&Any) => Required,
            "cycle": Bool => Flag(false)
        ),
        from_plugin!("read"),
        variant!("model" = "default"),
        custom!(),
    ],
};

/// Bytes by offset: text, bytes as numbers, or strings separated by NUL.
static OFFSETS: Table = Table {
    keys: Keys::Int,
    values: Either(&[Str, List(&Int), List(&Str)]),
    rule: None,
};

static WRITE: Tagged = Tagged {
    tag: "model",
    variants: &[
        variant!("model" = "to_file", "filename": Str => Required),
        from_plugin!("write"),
        variant!("model" = "discard"),
        variant!("model" = "return_const", "const": Int => Required),
        variant!("model" = "unhandled"),
        variant!("model" = "default"),
        custom!(),
    ],
};

static IOCTL: Tagged = Tagged {
    tag: "model",
    variants: &[
        variant!("model" = "return_const", "val": Int => Number(0)),
        variant!("model" = "zero"),
        variant!("model" = "unhandled"),
        variant!("model" = "write_data", "data": Str => Required, "val": Int => Number(0)),
        from_plugin!("ioctl"),
    ],
};

static COMMANDS: Table = Table {
    keys: Keys::IntOrStar,
    values: OneOf(&IOCTL),
    rule: None,
};

static POLL: Tagged = Tagged {
    tag: "model",
    variants: &[
        variant!("model" = "always_ready"),
        variant!("model" = "blocking"),
        variant!("model" = "periodic", "interval_ms": Int => Number(1000)),
        from_plugin!("poll"),
        custom!(),
    ],
};

static LSEEK: Tagged = Tagged {
    tag: "model",
    variants: &[
        variant!("model" = "default"),
        variant!("model" = "unsupported"),
        from_plugin!("lseek"),
        custom!(),
    ],
};

static COMPAT_IOCTL: Tagged = Tagged {
    tag: "model",
    variants: &[
        variant!("model" = "same_as_ioctl"),
        from_plugin!("compat_ioctl"),
    ],
};

plugin_operation!(MMAP, "mmap");
plugin_operation!(OPEN, "open");
plugin_operation!(RELEASE, "release");
plugin_operation!(FLUSH, "flush");
plugin_operation!(FSYNC, "fsync");
plugin_operation!(FASYNC, "fasync");
plugin_operation!(LOCK, "lock");
plugin_operation!(READ_ITER, "read_iter");
plugin_operation!(WRITE_ITER, "write_iter");
plugin_operation!(GET_UNMAPPED_AREA, "get_unmapped_area");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::penguin::device_models::{IoctlModel, ReadModel, WriteModel};

    #[test]
    fn the_models_are_those_that_runs_are_made_of() {
        let names = |tagged: &Tagged| tagged.variants.iter().map(|v| v.name).collect::<Vec<_>>();
        let reads: Vec<_> = ReadModel::ALL.iter().map(|model| model.name()).collect();
        assert_eq!(names(&READ), reads);
        let writes: Vec<_> = WriteModel::ALL.iter().map(|model| model.name()).collect();
        assert_eq!(names(&WRITE), writes);
        let ioctls: Vec<_> = IoctlModel::ALL.iter().map(|model| model.name()).collect();
        assert_eq!(names(&IOCTL), ioctls);
    }
}
