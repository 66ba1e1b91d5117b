//! What the roots hold: projects, their runs and what is left of an unfinished project.

use std::path::PathBuf;

use rookery_contract::options::RunListOptions;
use rookery_contract::shapes::{NewProject, RunList};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use crate::ground::beneath::{open_beneath, open_dir};
use crate::penguin::project::MAIN;
use crate::results::{absent, list};
use crate::{Cancel, Error, Project, Result, Results, Roots, create};

/// Directories of a root in which leftovers are looked for.
const MAX_CLEARED: usize = 1000;

impl Roots {
    /// Open a project directory, absolute or relative to the first root. It must hold a
    /// `config.yaml`.
    pub fn project(&self, dir: &str) -> Result<Project> {
        let dir = self.directory(dir, "project")?;
        let handle = open_dir(&dir)?;
        let config =
            open_beneath(&handle, MAIN, OFlags::PATH).and_then(|file| rustix::fs::fstat(&file));
        match config {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_file() => Ok(Project { dir }),
            Ok(_) => Err(Error::InvalidArgument(format!(
                "{} is not a project: its config.yaml is not a regular file",
                dir.display()
            ))),
            Err(Errno::NOENT) => Err(Error::InvalidArgument(format!(
                "{} is not a project: it has no config.yaml. Name a project directory below {}, \
                 or make one with `init_project`",
                dir.display(),
                self.list()
            ))),
            Err(Errno::XDEV | Errno::LOOP) => Err(Error::Denied(format!(
                "the config.yaml of {} is a link that leads out of the project; put the file \
                 itself there",
                dir.display()
            ))),
            Err(errno) => Err(Error::io("read", &dir.join(MAIN), &errno.into())),
        }
    }

    /// Open a result directory (see `wit/results.wit`, `open`).
    ///
    /// `results_dir` is absolute, or relative to the project if one is given and has it, else to
    /// the first root.
    pub fn results(&self, project: Option<&str>, results_dir: Option<&str>) -> Result<Results> {
        let project = project.map(|dir| self.project(dir)).transpose()?;
        match (project, results_dir) {
            (Some(project), None) => Results::of_project(self, project.dir()),
            (Some(project), Some(dir)) => {
                let joined = project.dir().join(dir);
                if joined.is_dir() {
                    return self.open_results(&joined.to_string_lossy());
                }
                match self.open_results(dir) {
                    Err(Error::NotFound(_)) => Err(absent(project.dir(), &joined)),
                    opened => opened,
                }
            }
            (None, Some(dir)) => self.open_results(dir),
            (None, None) => Err(Error::InvalidArgument(
                "name a project or a result directory: `project_dir` or `results_dir`".into(),
            )),
        }
    }

    /// The runs of a project (see `wit/results.wit`, `runs`).
    pub fn runs(
        &self,
        project: &str,
        options: &RunListOptions,
        cancel: &Cancel,
    ) -> Result<RunList> {
        list(self, self.project(project)?.dir(), options, cancel)
    }

    fn open_results(&self, dir: &str) -> Result<Results> {
        Results::open(self, self.directory(dir, "result")?)
    }

    /// Make a new project (see `wit/config.wit`, `init-project`).
    ///
    /// Both paths are absolute or relative to the first root, and confined to the roots.
    pub fn create(&self, rootfs: &str, output: &str, cancel: &Cancel) -> Result<NewProject> {
        let (rootfs, output) = self.new_project(rootfs, output)?;
        create::create(&rootfs, &output, cancel)
    }

    /// What a new project would be made of, and its directory, which has nothing in it yet.
    pub fn new_project(&self, rootfs: &str, output: &str) -> Result<(PathBuf, PathBuf)> {
        let rootfs = self.existing(rootfs, "root filesystem")?;
        let output = self.resolve_below(output, "output directory")?;
        if self.dirs().contains(&output) {
            return Err(Error::InvalidArgument(format!(
                "the output directory is the root {} itself; name a new directory below it",
                output.display()
            )));
        }
        create::check_output(&rootfs, &output)?;
        Ok((rootfs, output))
    }

    /// Remove what processes that were killed left in the roots and in the directories right below
    /// them: projects that were not complete.
    pub fn clear_away(&self) {
        for root in self.dirs() {
            create::clear_away(root);
            let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
            for entry in entries.take(MAX_CLEARED) {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    create::clear_away(&entry.path());
                }
            }
        }
    }
}
