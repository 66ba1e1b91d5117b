//! What the supervisor itself runs out of: descriptors, memory, processes. Then something that the
//! guest did may be missing from the results, which must say so.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

/// Seen since it was last asked. A supervisor is one process for one run.
static SEEN: AtomicBool = AtomicBool::new(false);

/// What a result that lacks something says.
pub const NOTE: &str = "the supervisor ran out of descriptors, memory or processes of the host, \
                        so results of this run may be incomplete; allow it more (ulimit -n, \
                        ulimit -u) and run again";

/// Take note of an error of the supervisor's own calls. Gives it back.
pub fn of(errno: Errno) -> Errno {
    if matches!(
        errno,
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::NOBUFS
    ) {
        SEEN.store(true, Ordering::Relaxed);
    }
    errno
}

/// Whether there was any since this was last asked.
pub fn seen() -> bool {
    SEEN.swap(false, Ordering::Relaxed)
}
