//! The top level, and the sections that are small.

use super::conditions::stub_forms;
use super::pseudofiles::PSEUDOFILES;
use super::static_files::STATIC_FILES;
use super::types::Default::{
    Absent, Bool as Flag, List as NoItems, Map as NoEntries, RequiredOverall, Str as Text,
};
use super::types::Type::{
    Any, Bool, Either, Int, Joined, List, Model as Of, NullIsEmpty, Optional, Short, Str,
    Table as TableOf, Version, Word,
};
use super::types::{Default, Keys, Model, Table, Type, fields};
use crate::penguin::architectures::NAMES;
use crate::penguin::project::DEFAULT_FS;

/// A whole configuration, and a patch of one.
pub static PROJECT: Model = Model {
    name: "configuration",
    open: false,
    rule: None,
    fields: fields! {
        "core": Of(&CORE) => RequiredOverall,
        "patches": Optional(&List(&Str)) => Absent,
        "vars": Optional(&TableOf(&VARS)) => Absent,
        "env": TableOf(&STRINGS) => RequiredOverall,
        "pseudofiles": TableOf(&PSEUDOFILES) => RequiredOverall,
        "nvram": TableOf(&NVRAM) => RequiredOverall,
        "netdevs": List(&Str) => NoItems,
        "uboot_env": Optional(&TableOf(&STRINGS)) => Absent,
        "blocked_signals": List(&Int) => NoItems,
        "lib_inject": Of(&LIB_INJECT) => RequiredOverall,
        "static_files": TableOf(&STATIC_FILES) => RequiredOverall,
        "plugins": TableOf(&PLUGINS) => RequiredOverall,
        "init_plugins": NullIsEmpty(&TableOf(&INIT_PLUGINS)) => NoEntries,
        "network": Optional(&Of(&NETWORK)) => Absent,
    },
};

const STRING: Type = Optional(&Str);
const TRACED: Type = Either(&[Bool, List(&Str)]);

static CORE: Model = Model {
    name: "core",
    open: false,
    rule: None,
    fields: fields! {
        "arch": Optional(&Word(&NAMES)) => Absent,
        "kernel": STRING => Absent,
        "fs": STRING => Text(DEFAULT_FS),
        "plugin_path": Str => Text("/pyplugins"),
        "root_shell": Bool => Flag(false),
        "analysis_scope": Either(&[Bool, Str]) => Text("firmware"),
        "strace": TRACED => Flag(false),
        "ltrace": TRACED => Flag(false),
        "gdbserver": Optional(&TableOf(&PORTS)) => Absent,
        "snapshot": Optional(&Of(&SNAPSHOT)) => Absent,
        "force_www": Bool => Flag(false),
        "cpu": STRING => Absent,
        "show_output": Bool => Flag(false),
        "log_file": STRING => Absent,
        "immutable": Bool => Flag(true),
        "network": Bool => Flag(false),
        "shared_dir": Optional(&Short(&SHARED_DIR, "path")) => Absent,
        "core_dumps": Optional(&Short(&CORE_DUMPS, "pattern")) => Absent,
        "version": Version => RequiredOverall,
        "auto_patching": Bool => Flag(true),
        "guest_cmd": Either(&[Bool, Word(&["auto"])]) => Flag(false),
        "execution_mode": Word(&["qemu", "kvm"]) => Text("qemu"),
        "extra_qemu_args": Optional(&Joined(" ")) => Absent,
        "kernel_cmdline_append": Optional(&Joined(" ")) => Absent,
        "mem": STRING => Text("2G"),
        "kernel_quiet": Bool => Flag(true),
        "smp": Optional(&Int) => Default::Int(1),
        "timeout": Optional(&Int) => Absent,
        "graphics": Bool => Flag(false),
        "allow_reboot": Bool => Flag(false),
        "startup_script": STRING => Absent,
    },
};

static SNAPSHOT: Model = Model {
    name: "snapshot",
    open: false,
    rule: None,
    fields: fields! {
        "backend": Word(&["internal", "file"]) => Text("internal"),
        "tag": Str => Text("boot"),
        "save_at": Optional(&Word(&["readiness", "manual"])) => Absent,
        "boot_from": STRING => Absent,
        "stop_after_save": Bool => Flag(false),
    },
};

static SHARED_DIR: Model = Model {
    name: "shared_dir",
    open: false,
    rule: None,
    fields: fields! {
        "path": Str => Text("shared"),
        "host_path": STRING => Absent,
        "msize": Optional(&Int) => Absent
    },
};

static CORE_DUMPS: Model = Model {
    name: "core_dumps",
    open: false,
    rule: None,
    fields: fields! { "lock": Bool => Flag(true), "pattern": STRING => Absent },
};

static NETWORK: Model = Model {
    name: "network",
    open: false,
    rule: None,
    fields: fields! { "external": Of(&EXTERNAL_NETWORK) => NoEntries },
};

static EXTERNAL_NETWORK: Model = Model {
    name: "external",
    open: false,
    rule: None,
    fields: fields! {
        "mac": STRING => Text("52:54:00:12:34:56"),
        "pcap": Optional(&Bool) => Absent
    },
};

static LIB_INJECT: Model = Model {
    name: "lib_inject",
    open: false,
    rule: None,
    fields: fields! {
        "enabled": Optional(&Bool) => Flag(true),
        "aliases": Optional(&TableOf(&STRINGS)) => Absent,
        "extra": Optional(&Joined("\n")) => Absent,
        "stubs": Optional(&TableOf(&STUBS)) => Absent,
    },
};

static STUB: Model = Model {
    name: "stub",
    open: false,
    rule: Some(stub_forms),
    fields: fields! {
        "return": Optional(&Int) => Absent,
        "type": STRING => Text("long"),
        "guard_null_args": Optional(&List(&Int)) => Absent,
        "body": Optional(&Joined("\n")) => Absent,
        "mode": STRING => Absent,
        "expect": STRING => Absent,
    },
};

/// The entry of one plugin; its arguments are extra fields.
pub static PLUGIN: Model = Model {
    name: "plugin",
    open: true,
    rule: None,
    fields: fields! {
        "description": STRING => Absent,
        "depends_on": STRING => Absent,
        "enabled": Bool => Flag(true),
        "version": STRING => Absent
    },
};

static INIT_PLUGIN: Model = Model {
    name: "init plugin",
    open: true,
    rule: None,
    fields: fields! { "enabled": Bool => Flag(true) },
};

const fn table(values: Type) -> Table {
    Table {
        keys: Keys::Str,
        values,
        rule: None,
    }
}

static VARS: Table = table(Any);
static STRINGS: Table = table(Str);
static PORTS: Table = table(Int);
static NVRAM: Table = table(Either(&[Str, Int]));
/// Libraries, and in each its symbols.
pub static STUBS: Table = table(TableOf(&LIBRARY));
static LIBRARY: Table = table(Of(&STUB));
static PLUGINS: Table = table(Of(&PLUGIN));
static INIT_PLUGINS: Table = table(Of(&INIT_PLUGIN));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::penguin::sections::Section;

    #[test]
    fn the_sections_are_those_that_the_rest_of_the_program_matches() {
        let fields: Vec<_> = PROJECT.fields.iter().map(|field| field.name).collect();
        let sections: Vec<_> = Section::ALL.iter().map(|section| section.name()).collect();
        assert_eq!(fields, sections);
    }
}
