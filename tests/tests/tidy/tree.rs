//! The files of the repository.

use std::path::Path;

/// What is built, downloaded or kept by git, or is the input of a test and stays as it is.
const NOT_OURS: [&str; 7] = [
    ".git",
    "target",
    "dist",
    "gen",
    "node_modules",
    "__pycache__",
    "seeds",
];

/// A text file, by its path in the repository.
pub struct File {
    pub path: String,
    pub text: String,
}

/// All text files, in the order of their paths.
pub struct Tree {
    pub files: Vec<File>,
}

impl Tree {
    pub fn read(root: &Path) -> Self {
        let mut files = Vec::new();
        walk(root, "", &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        assert!(files.len() > 100, "{} is no repository", root.display());
        Self { files }
    }

    /// A tree for the tests of a rule.
    pub fn sample(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        Self {
            files: files.iter().map(file).collect(),
        }
    }

    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.ends_with(".rs"))
    }

    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl File {
    pub fn ends_with(&self, end: &str) -> bool {
        self.path.ends_with(end)
    }

    /// Whether it is only built for tests, benches and examples.
    pub fn is_test(&self) -> bool {
        let folders = ["tests", "examples", "benches"];
        ["/tests.rs", "/testing.rs"]
            .iter()
            .any(|end| self.path.ends_with(end))
            || self.path.split('/').any(|part| folders.contains(&part))
    }
}

/// Links are left out: what they lead to is found where it lies.
fn walk(root: &Path, below: &str, files: &mut Vec<File>) {
    let entries = std::fs::read_dir(root.join(below)).expect("a folder of the repository");
    for entry in entries {
        let entry = entry.expect("an entry of a folder");
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().expect("the kind of an entry");
        if NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if kind.is_dir() {
            walk(root, &path, files);
        } else if kind.is_file()
            && let Ok(text) = std::fs::read_to_string(entry.path())
            && !text.contains('\0')
        {
            files.push(File { path, text });
        }
    }
}
