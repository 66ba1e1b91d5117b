//! The project of a tool: how it is built, and when.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

use super::said::{say, shown};
use super::sources::{self, Sources};
use crate::places::resolve;

/// A folder whose Makefile builds a component.
pub(super) struct Project {
    dir: PathBuf,
    component: PathBuf,
    /// As they were built.
    built: Sources,
    /// As they were at the last look, while they differ from what was built.
    changing: Option<Sources>,
}

impl Project {
    /// The project in `dir`. Builds nothing yet.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        let dir = resolve(dir)?;
        let makefile = dir.join("Makefile");
        let text = std::fs::read_to_string(&makefile).with_context(|| {
            format!(
                "cannot read {}: `rookery plugins new` makes a folder that has it",
                shown(&makefile)
            )
        })?;
        let target = component(&text).with_context(|| {
            format!(
                "{} has no target NAME.wasm, which would build the component",
                shown(&makefile)
            )
        })?;
        Ok(Self {
            component: dir.join(target),
            dir,
            built: Sources::new(),
            changing: None,
        })
    }

    /// The file that a build writes.
    pub(super) fn component(&self) -> &Path {
        &self.component
    }

    /// Build the component, and say on stderr what came of it. Gives whether it is there
    /// as it was built.
    pub(super) fn build(&mut self) -> bool {
        self.built = sources::of(&self.dir);
        self.changing = None;
        say(&format!("building {}", shown(&self.component)));
        let begun = Instant::now();
        let made = self.make();
        // What the build has added is no change of what was built.
        for (file, stamp) in sources::of(&self.dir) {
            self.built.entry(file).or_insert(stamp);
        }
        let took = begun.elapsed().as_secs_f64();
        match made {
            Ok(()) => say(&format!("built in {took:.1} s")),
            Err(error) => {
                say(&format!("the build failed after {took:.1} s: {error:#}"));
                return false;
            }
        }
        self.component.is_file()
    }

    fn make(&self) -> anyhow::Result<()> {
        let target = self.component.file_name().unwrap_or_default();
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut rookery = std::ffi::OsString::from("ROOKERY=");
        rookery.push(program);
        let status = Command::new("make")
            .arg("--no-print-directory")
            .arg(rookery)
            .arg(target)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            // stdout may be the protocol's.
            .stdout(std::io::stderr())
            .status()
            .context("cannot start make; get it: sudo apt-get install -y make")?;
        ensure!(status.success(), "make ended with {status}");
        Ok(())
    }

    /// Whether the sources are other ones than were built, and rest: an editor may still write.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = sources::of(&self.dir);
        if now == self.built {
            self.changing = None;
            return false;
        }
        let rests = self.changing.as_ref() == Some(&now);
        self.changing = Some(now);
        rests
    }
}

/// The first target of a Makefile that is a component.
fn component(makefile: &str) -> Option<&str> {
    let targets = makefile.lines().filter_map(|line| line.split_once(':'));
    let mut targets = targets.map(|(target, _)| target.trim_end());
    targets.find(|target| {
        let name = target.strip_suffix(".wasm");
        name.is_some_and(|name| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            name != "core" && !name.is_empty() && name.bytes().all(is_plain)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_the_first_target_that_is_one() {
        let makefile = "CC := a:b\ncore.wasm: tool.c\n\ttouch $@\nmy_tool.wasm: core.wasm\n";
        assert_eq!(component(makefile), Some("my_tool.wasm"));
        assert_eq!(component("all: x.o\n$(A).wasm: x\n"), None);
    }

    #[test]
    fn sources_are_built_again_once_they_rest() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).expect("written");
        };
        write("Makefile", "a.wasm: FORCE\n\tcp source $@\nFORCE:\n");
        write(".gitignore", "/a.wasm\n");
        write("source", "1");
        let mut project = Project::open(dir.path()).expect("a project");
        assert!(project.build());
        assert!(!project.has_changed());
        write("source", "22");
        assert!(!project.has_changed(), "it may still be being written");
        assert!(project.has_changed());
        assert!(project.build());
        assert!(!project.has_changed());
        assert_eq!(
            std::fs::read_to_string(project.component()).expect("built"),
            "22"
        );
    }
}
