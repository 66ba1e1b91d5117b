//! Being called `penguin`, as in Penguin's image, where this program stands before Penguin's own
//! command on PATH: `penguin mcp [PROJECT]` is our server, and everything else is Penguin's.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use rustix::fs::{Access, access};

const NAME: &str = "penguin";
/// Where Penguin's wrapper mounts the directory of the path that it was given.
const WORKSPACE: &str = "/workspace";
/// The project, as the wrapper tells it to what it starts.
const PROJECT: &str = "PENGUIN_PROJECT_DIR";

/// The command line that is meant: our own where this program was not called `penguin`, or was with
/// `mcp`. Where Penguin is meant, this does not return but by an error.
pub fn command_line() -> anyhow::Result<Vec<OsString>> {
    let mut given = std::env::args_os();
    let name = given.next().unwrap_or_default();
    let arguments: Vec<OsString> = given.collect();
    if Path::new(&name).file_name() != Some(OsStr::new(NAME)) {
        return Ok([vec![name], arguments].concat());
    }
    match arguments.split_first() {
        Some((command, rest)) if command == "mcp" => serve(name, rest),
        _ => Err(become_penguin(&arguments)?).context("cannot start Penguin's own command"),
    }
}

/// `mcp [PROJECT] [OPTIONS]` as `serve --root PROJECT [OPTIONS]`. Without a project, it is what the
/// wrapper mounted, or the current directory.
fn serve(name: OsString, arguments: &[OsString]) -> anyhow::Result<Vec<OsString>> {
    let (project, options) = match arguments.split_first() {
        Some((first, rest)) if !first.as_encoded_bytes().starts_with(b"-") => {
            (Some(PathBuf::from(first)), rest)
        }
        _ => (None, arguments),
    };
    let told = || {
        std::env::var_os(PROJECT)
            .map(PathBuf::from)
            .filter(|dir| dir.is_dir())
    };
    let mounted = || Some(PathBuf::from(WORKSPACE)).filter(|dir| dir.is_dir());
    let root = project
        .or_else(told)
        .or_else(mounted)
        .unwrap_or_else(|| ".".into());
    // Penguin takes the file of a configuration for its project.
    let root = match root.parent() {
        Some(dir) if root.is_file() => dir.to_owned(),
        _ => root,
    };
    if !root.is_dir() {
        bail!(
            "{} is not a directory: call `penguin mcp PROJECT` with a project, or with the \
             directory of several; Penguin's wrapper passes on only paths that exist",
            root.display()
        );
    }
    let server = [name, "serve".into(), "--root".into(), root.into_os_string()];
    Ok(server.into_iter().chain(options.iter().cloned()).collect())
}

/// Become the next `penguin` on PATH.
fn become_penguin(arguments: &[OsString]) -> anyhow::Result<io::Error> {
    let own = std::fs::metadata("/proc/self/exe").context("cannot find this program's own file")?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_other = |file: &PathBuf| {
        let metadata = std::fs::metadata(file);
        let other = |file: std::fs::Metadata| (file.dev(), file.ino()) != (own.dev(), own.ino());
        metadata.is_ok_and(|file| file.is_file() && other(file))
            && access(file, Access::EXEC_OK).is_ok()
    };
    let mut found = std::env::split_paths(&path).map(|dir| dir.join(NAME));
    let Some(penguin) = found.find(is_other) else {
        bail!(
            "this program was called `penguin`, and Penguin's own command is not on PATH; our \
             server is `penguin mcp [PROJECT]`"
        );
    };
    Ok(Command::new(penguin).args(arguments).exec())
}
