//! The firmware's root filesystem is unpacked by a thread, while requests are heard here.

use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rookery_project::{Cancel, Error, Progress, Result};
use rookery_runs::backend::{Control, Request};
use rookery_runs::plan::Plan;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::sandbox::guest_user;
use crate::sandbox::rootfs::{self, Making, Rootfs};

/// An unpacking that is over sooner needs no word.
const PROMPT: Duration = Duration::from_millis(500);
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 250_000_000,
};

/// The root filesystem; none where a stop was asked for before it was there.
pub fn unpacked(
    plan: &Plan,
    deadline: Instant,
    control: &mut dyn Control,
) -> Result<Option<Rootfs>> {
    let (cancel, progress) = (Cancel::at(deadline), Progress::default());
    let made = eventfd(0, EventfdFlags::CLOEXEC)
        .map_err(|errno| Error::Backend(format!("cannot wait for a thread: {errno}")))?;
    let mut stopped = false;
    let rootfs = thread::scope(|scope| {
        let work = scope.spawn(|| {
            let _told = Told(&made);
            rootfs::prepare(&Making {
                cache: &plan.cache_dir,
                archive: &plan.archive,
                uid: guest_user::uid(),
                most: plan.cache_max,
                cancel: &cancel,
                progress: &progress,
            })
        });
        let begun = Instant::now();
        while !work.is_finished() {
            wait(&made, control);
            while let Some(request) = control.next_request() {
                stopped |= matches!(request, Request::Stop);
                request.refuse(Error::Conflict(
                    "the guest's root filesystem is still being unpacked; run_wait waits for the \
                     guest"
                        .into(),
                ));
            }
            if stopped {
                cancel.cancel();
            } else if begun.elapsed() > PROMPT {
                control.preparing(&told(&progress));
            }
        }
        work.join()
            .unwrap_or_else(|_| Err(Error::Internal("unpacking panicked".into())))
    });
    match rootfs {
        Err(Error::Cancelled) if stopped => Ok(None),
        Err(Error::Cancelled) => Err(Error::Backend(format!(
            "the deadline of {} s passed while the root filesystem was unpacked, which happens \
             only once; give the run more time",
            plan.timeout_s
        ))),
        rootfs => rootfs.map(Some),
    }
}

/// Until the thread is done, a request comes, or a moment is over.
fn wait(made: &OwnedFd, control: &dyn Control) {
    let requests = control.requests();
    let mut both = [
        PollFd::new(made, PollFlags::IN),
        PollFd::new(&requests, PollFlags::IN),
    ];
    // A failure is a look too soon.
    let _ = poll(&mut both, Some(&LOOK));
}

/// Makes the descriptor readable when the thread ends, however it ends.
struct Told<'a>(&'a OwnedFd);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        let _ = rustix::io::write(self.0.as_fd(), &1_u64.to_ne_bytes());
    }
}

fn told(progress: &Progress) -> String {
    let how_far = match progress.entries() {
        Some((written, all)) => format!("{} %, {written} of {all} entries", written * 100 / all),
        None => "its archive is being read".to_owned(),
    };
    format!("unpacking the root filesystem, once for each firmware: {how_far}")
}
