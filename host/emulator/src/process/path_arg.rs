//! Which arguments of a system call name a file.

/// A path, and the directory that it counts from where it is relative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathArg {
    /// The index of the argument that is a directory's descriptor; `None` where the call has none,
    /// and the caller's working directory counts.
    pub directory: Option<usize>,
    /// The index of the argument that is the path.
    pub path: usize,
}

impl PathArg {
    /// The path is the call's first argument.
    pub const FIRST: Self = Self {
        directory: None,
        path: 0,
    };
    /// The first argument is a directory, the second a path: `openat(2)` and its kin.
    pub const AT: Self = Self {
        directory: Some(0),
        path: 1,
    };

    /// The index of the `n`th argument after the path, counted from 1.
    pub const fn after(self, n: usize) -> usize {
        self.path + n
    }
}
