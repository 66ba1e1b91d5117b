//! The files of a project directory.

/// The main file of the configuration.
pub const MAIN: &str = "config.yaml";
/// Where a project keeps its root filesystem.
pub const ARCHIVE: &str = "base/fs.tar.gz";
/// What `core.fs` is when no file sets it.
pub const DEFAULT_FS: &str = "./base/fs.tar.gz";
/// What `core.fs` becomes where the project has no root filesystem.
pub const EMPTY_FS: &str = "./base/empty_fs.tar.gz";
/// The init programs that were found when the project was made, the likeliest first.
pub const INIT_FINDER: &str = "static/InitFinder.yaml";
/// Where Penguin's container keeps what it gives to guests.
pub const STATIC_DIR: &str = "/igloo_static";
