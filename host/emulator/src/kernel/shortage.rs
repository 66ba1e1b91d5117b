//! What the supervisor itself runs out of: descriptors, memory, processes. Then something that the
//! guest did may be missing from the results, which must say so, and of which call.

use std::sync::Mutex;

use rustix::io::Errno;

/// The first since it was last asked. A supervisor is one process for one run.
static SEEN: Mutex<Option<Shortage>> = Mutex::new(None);

/// A call of the supervisor's own that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    call: &'static str,
    errno: Errno,
}

impl Shortage {
    /// What a result that lacks something says.
    pub fn note(self) -> String {
        let (name, of, help) = match self.errno {
            Errno::MFILE => ("EMFILE", "descriptors", "allow it more (ulimit -n)"),
            Errno::NFILE => (
                "ENFILE",
                "descriptors",
                "the host has too few (fs.file-max)",
            ),
            Errno::AGAIN => ("EAGAIN", "processes", "allow it more (ulimit -u)"),
            Errno::NOBUFS => ("ENOBUFS", "room for messages", "the host lacks memory"),
            _ => ("ENOMEM", "memory", "the host lacks it"),
        };
        format!(
            "the supervisor ran out of {of} ({} failed with {name}), so results of this run may \
             be incomplete; {help}, and run again",
            self.call
        )
    }
}

/// Take note of an error of the supervisor's own `call`. Gives it back.
pub fn of(call: &'static str) -> impl Fn(Errno) -> Errno {
    move |errno| {
        if matches!(
            errno,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::NOBUFS
        ) && let Ok(mut seen) = SEEN.lock()
        {
            seen.get_or_insert(Shortage { call, errno });
        }
        errno
    }
}

/// The first since this was last asked.
pub fn seen() -> Option<Shortage> {
    SEEN.lock().ok()?.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_says_of_what_and_which_call_found_it() {
        let note = |call, errno| Shortage { call, errno }.note();
        let open = note("openat2", Errno::MFILE);
        assert!(
            open.contains("ran out of descriptors (openat2 failed with EMFILE)"),
            "{open}"
        );
        let fork = note("fork", Errno::AGAIN);
        assert!(
            fork.contains("processes (fork failed with EAGAIN)"),
            "{fork}"
        );
        assert_eq!(of("open")(Errno::NOENT), Errno::NOENT);
    }
}
