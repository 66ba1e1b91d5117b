//! Files of a run's results that models write to (`to_file`).

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rookery_runs::plan::{Plan, Write};

/// The directory of the results that they are in.
const DIRECTORY: &str = "written";

/// The open files, by the path that the configuration names.
pub type Written = HashMap<PathBuf, File>;

/// Make those of a plan; a path that cannot be made is told with the reason.
pub fn written_files(plan: &Plan) -> (Written, Vec<String>) {
    let mut files = Written::new();
    let mut failed = Vec::new();
    for (_, model) in &plan.pseudofiles {
        if let Write::ToFile(path) = &model.write
            && !files.contains_key(path)
        {
            match make(&plan.results_dir.join(DIRECTORY).join(path)) {
                Ok(file) => drop(files.insert(path.clone(), file)),
                Err(error) => failed.push(format!("{}: {error}", path.display())),
            }
        }
    }
    (files, failed)
}

fn make(path: &Path) -> std::io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    options
        .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW)
        .open(path)
}
