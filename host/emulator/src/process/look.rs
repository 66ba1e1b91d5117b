//! A look at a path, as it is reported.

use rookery_records::event::What;

/// A call that names a file, and how it went.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The call's name, without `SYS_`.
    pub syscall: &'static str,
    /// Absolute, as the caller means it.
    pub path: &'a str,
    /// Those of `open`.
    pub flags: i32,
    /// 0 or a negative errno; `None` where the kernel decides.
    pub result: Option<i32>,
}

impl Look<'_> {
    /// As an event.
    pub fn event(&self) -> What {
        What::Path {
            syscall: self.syscall,
            path: self.path.to_owned(),
            flags: self.flags,
            result: self.result,
        }
    }
}
