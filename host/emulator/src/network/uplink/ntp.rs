//! A model of a time server (RFC 5905).

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rookery_runs::plan::Time;

const LENGTH: usize = 48;
/// From 1900, where its time begins, to 1970.
const SECONDS_TO_1970: u64 = 2_208_988_800;
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
const SYMMETRIC_ACTIVE: u8 = 1;
const SYMMETRIC_PASSIVE: u8 = 2;

/// How far it is from the best of clocks, and that it is right to 2^-20 s.
const STRATUM: u8 = 2;
const PRECISION: u8 = 0xEC;

/// A clock that is asked by network.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    time: Time,
    began: Instant,
}

impl Clock {
    /// Which begins now.
    pub fn new(time: Time) -> Self {
        let began = Instant::now();
        Self { time, began }
    }

    /// What is answered to a message.
    pub fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let now = match self.time {
            Time::OfHost => SystemTime::now().duration_since(UNIX_EPOCH).ok()?,
            Time::From(seconds) => Duration::from_secs(seconds.into()) + self.began.elapsed(),
        };
        answer(question, now)
    }
}

fn answer(question: &[u8], now: Duration) -> Option<Vec<u8>> {
    let question = question.get(..LENGTH)?;
    let (version, mode) = (question[0] & 0x38, question[0] & 7);
    let mode = match mode {
        CLIENT => SERVER,
        SYMMETRIC_ACTIVE => SYMMETRIC_PASSIVE,
        _ => return None,
    };
    let now = timestamp(now);
    let mut answer = vec![version | mode, STRATUM, question[2], PRECISION];
    // The delay to the clock and its error, about 1 ms each.
    answer.extend([0, 0, 0, 64, 0, 0, 0, 64]);
    answer.extend([127, 127, 1, 0]);
    answer.extend(now);
    answer.extend(&question[40..48]);
    answer.extend(now);
    answer.extend(now);
    Some(answer)
}

/// Seconds since 1900, of which the lowest 32 bits are told, and their fraction.
fn timestamp(since_1970: Duration) -> [u8; 8] {
    let seconds = since_1970.as_secs() + SECONDS_TO_1970;
    let fraction = (u64::from(since_1970.subsec_nanos()) << 32) / 1_000_000_000;
    ((seconds << 32) | fraction).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(first: u8) -> Vec<u8> {
        let mut question = vec![0; LENGTH];
        question[0] = first;
        question[40..48].copy_from_slice(b"when-is?");
        question
    }

    #[test]
    fn a_client_gets_the_time_with_what_it_sent() {
        let now = Duration::new(1_700_000_000, 500_000_000);
        let answer = answer(&question(0x1B), now).unwrap();
        assert_eq!(answer.len(), LENGTH);
        assert_eq!((answer[0], answer[1]), (0x1C, 2), "version 3, of a server");
        assert_eq!(&answer[24..32], b"when-is?");
        let seconds = u32::from_be_bytes(answer[40..44].try_into().unwrap());
        assert_eq!(u64::from(seconds), 1_700_000_000 + SECONDS_TO_1970);
        assert_eq!(answer[44..48], [0x80, 0, 0, 0], "half a second");
    }

    #[test]
    fn what_is_not_a_question_has_no_answer() {
        for first in [0x1C, 0x1D, 0x1A, 0] {
            assert_eq!(answer(&question(first), Duration::ZERO), None);
        }
        assert_eq!(answer(&question(0x1B)[..47], Duration::ZERO), None);
    }

    #[test]
    fn a_configured_time_goes_on() {
        let clock = Clock::new(Time::From(1000));
        std::thread::sleep(Duration::from_millis(20));
        let answer = clock.answer(&question(0x23)).unwrap();
        let fraction = u32::from_be_bytes(answer[44..48].try_into().unwrap());
        assert!(fraction > 0 || answer[43] != 0);
    }
}
