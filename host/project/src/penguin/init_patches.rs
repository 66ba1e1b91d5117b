//! The patches that `penguin init` makes (Penguin's `pyplugins/init`), by their names.

/// Aliases of the injected library for functions that show comparisons.
pub const COMPARISONS: &str = "lib_inject.string_introspection";
/// Aliases of the injected library for vendors' names.
pub const ALIASES: &str = "lib_inject.dynamic_models";
/// NVRAM from arrays in programs, tables at their places, tables by their names, and Penguin's own;
/// what comes first wins.
pub const NVRAM: [&str; 4] = [
    "nvram.01_library",
    "nvram.02_config_paths",
    "nvram.03_config_paths_basename",
    "nvram.04_defaults",
];
/// A model for everything that the firmware names below `/dev` and `/proc`.
pub const GUESSES: &str = "pseudofiles.dynamic";
/// A program that does nothing in the places of those that stop the machine.
pub const NO_STOP: &str = "static.shims.stop_bins";
/// And in the places of those that load a module.
pub const NO_MODULES: &str = "static.shims.no_modules";

/// What a guest of Penguin needs, and one of the embedded emulator has by itself or does without:
/// its library knows the vendors' names, it finds the firmware's NVRAM, and it tells of a device
/// that is missing and of a reboot, which these would hide. It leaves them out. None has a list: of
/// one, a change adds what no file below has, and that would be missing.
pub const FOR_PENGUIN_ALONE: [&str; 11] = [
    COMPARISONS,
    ALIASES,
    "lib_inject.fixed_models",
    NVRAM[0],
    NVRAM[1],
    NVRAM[2],
    NVRAM[3],
    "nvram.05_firmae_file_specific",
    GUESSES,
    NO_STOP,
    NO_MODULES,
];

/// The file of a patch, relative to the project.
pub fn file(name: &str) -> String {
    format!("static_patches/{name}.yaml")
}

/// Whether a file, relative to the project, is one that the embedded emulator leaves out.
pub fn is_for_penguin_alone(path: &str) -> bool {
    FOR_PENGUIN_ALONE.iter().any(|name| file(name) == path)
}
