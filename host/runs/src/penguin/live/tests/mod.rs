//! Against stand-ins for Penguin's servers, with the faults that they have. Penguin itself is not
//! run here.

mod bridge;
mod command;
mod guesthopper;
mod qmp;
mod remotectrl;

use std::path::Path;

use super::files::RunFiles;

/// The files of a run in `directory`, with a `runtime.yaml`.
fn files(directory: &Path, runtime: &str) -> RunFiles {
    let results_dir = directory.join("results/0");
    std::fs::create_dir_all(&results_dir).unwrap();
    std::fs::write(results_dir.join("runtime.yaml"), runtime).unwrap();
    RunFiles {
        project_dir: directory.to_owned(),
        results_dir,
    }
}
