//! The files of components.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::cache;
use crate::limits::COMPONENT_BYTES;

/// Read a component whose digest must not have changed since admission.
pub(crate) fn read_again(file: &Path, digest: &str) -> Result<Vec<u8>, String> {
    let bytes = read(file)?;
    if cache::digest(&bytes) == digest {
        Ok(bytes)
    } else {
        Err(format!(
            "its file {} has changed since the server started, before it was first used; the new \
             one is admitted when the server is started again, or at once by `rookery serve \
             --watch`",
            file.display()
        ))
    }
}

/// The bytes of a component, which must be a regular file of a bearable size.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("it cannot be read: {error}");
    // A pipe in the place of a file must not hold up the start.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(file)
        .map_err(cannot)?;
    let metadata = opened.metadata().map_err(cannot)?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let too_large = |bytes: u64| {
        format!(
            "it has {bytes} bytes, and a component may have at most {} MiB",
            COMPONENT_BYTES >> 20
        )
    };
    if metadata.len() > COMPONENT_BYTES {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    opened
        .take(COMPONENT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    if bytes.len() as u64 > COMPONENT_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// The `*.wasm` files of a directory that are not hidden, in name order.
pub(crate) fn wasm_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden
            && path
                .extension()
                .is_some_and(|extension| extension == "wasm")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What the policy calls the plugin of this file.
pub(crate) fn name(file: &Path) -> String {
    file.file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}
