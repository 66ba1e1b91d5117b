//! The process that traces for hooks: there while a hook needs it.

use std::os::fd::{AsFd, BorrowedFd};

use rookery_records::event::{Process, What};

use crate::guest::access::{Callers as _, HasHooks as _, Reports as _};
use crate::guest::state::Guest;
use crate::handlers;
use crate::process::tracer::{Order, Told, Tracer};

const NO_MORE_ORDERS: &str = "the process that traces takes no more orders";

/// It, or nothing.
#[derive(Debug, Default)]
pub struct Tracing {
    tracer: Option<Tracer>,
}

impl Tracing {
    /// Readable while there is something to be told.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.tracer.as_ref().map(AsFd::as_fd)
    }

    /// Pass on what changed of the hooks.
    pub fn follow(&mut self, guest: &mut Guest<'_>) {
        let Some(orders) = guest.hooks().take_orders() else {
            return;
        };
        if orders.is_empty() {
            guest.hooks().let_go(None);
            return self.stop();
        }
        if self.tracer.is_none() {
            match Tracer::start() {
                Ok(tracer) => self.tracer = Some(tracer),
                Err(error) => return self.give_up(guest, &error.to_string()),
            }
        }
        let tracer = self.tracer.as_ref();
        let takes = |order| tracer.is_some_and(|tracer| tracer.order(order));
        if !orders.iter().all(takes) {
            self.give_up(guest, NO_MORE_ORDERS);
        }
    }

    /// Print what it tells.
    pub fn advance(&mut self, guest: &mut Guest<'_>) {
        let Some(tracer) = &self.tracer else { return };
        let Ok(all) = tracer.told() else {
            return self.give_up(guest, "the process that traces has ended");
        };
        let mut goes_on = true;
        for told in all {
            match told {
                Told::Enters {
                    thread,
                    number,
                    args,
                } => {
                    handlers::entered(guest, thread, number, &args);
                    goes_on &= tracer.order(&Order::GoOn(thread));
                }
                Told::Returns { thread, result } => handlers::returned(guest, thread, result),
                Told::Follows { process } => guest.hooks().let_go(Some(process)),
                Told::Refused { process, why } => {
                    guest.hooks().let_go(Some(process));
                    // One that has ended makes no calls.
                    if guest.procs().is_alive(process) {
                        note(guest, &why);
                    }
                }
            }
        }
        // A thread that nobody lets go on is worse than a call that is missed.
        if !goes_on {
            self.give_up(guest, NO_MORE_ORDERS);
        }
    }

    fn give_up(&mut self, guest: &mut Guest<'_>, why: &str) {
        guest.hooks().let_go(None);
        note(guest, why);
        self.stop();
    }

    /// Everything goes on untraced.
    pub fn stop(&mut self) {
        if let Some(tracer) = self.tracer.take() {
            tracer.stop();
        }
    }
}

fn note(guest: &mut Guest<'_>, why: &str) {
    let note = format!("hooks that trace a process miss calls: {why}");
    guest.report(Process::default(), What::Note(note.into()));
}
