//! Questions to many services at once, in whatever loop drives them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rookery_contract::shapes::ServiceAnswer;
use rustix::event::PollFlags;

use crate::asking::question::Question;

/// Services that are asked at once; others wait for their turn.
const AT_ONCE: usize = 32;
/// Services that wait for their turn.
const WAITING: usize = 1024;

/// All questions that are on their way, each under a number of the caller's.
#[derive(Debug, Default)]
pub struct Questions {
    going: Vec<(u32, Question)>,
    waiting: VecDeque<(u32, SocketAddr, Duration)>,
}

impl Questions {
    /// Ask the service at an address. The question is over after `limit`, whatever happens.
    pub fn ask(&mut self, number: u32, at: SocketAddr, limit: Duration) {
        if self.waiting.len() < WAITING {
            self.waiting.push_back((number, at, limit));
        }
        self.begin();
    }

    /// What to wait for.
    pub fn sockets(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.going
            .iter()
            .filter_map(|(_, question)| question.socket())
    }

    /// When to go on, if nothing happens before. `None` where no question is on its way.
    pub fn due(&self) -> Option<Instant> {
        self.going.iter().map(|(_, question)| question.due()).min()
    }

    /// Go on; gives the answers of the questions that are over.
    pub fn advance(&mut self) -> Vec<(u32, ServiceAnswer)> {
        let mut answers = Vec::new();
        self.going.retain_mut(|(number, question)| {
            let answer = question.advance();
            let goes_on = answer.is_none();
            answers.extend(answer.map(|answer| (*number, answer)));
            goes_on
        });
        self.begin();
        answers
    }

    fn begin(&mut self) {
        while self.going.len() < AT_ONCE
            && let Some((number, at, limit)) = self.waiting.pop_front()
        {
            self.going.push((number, Question::begin(at, limit)));
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
