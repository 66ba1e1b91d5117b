//! What the guest wrote to models that do not say what writing does, kept in the process that
//! serves them until the supervisor asks for it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use rookery_records::event::Written;

/// The most writes that are kept between two questions; further ones are lost.
const KEPT: usize = 64;
/// The longest answer: a packet holds it.
const ANSWER_MAX: usize = 48 << 10;

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Of the model.
    pub path: String,
    /// Who wrote, by its number in the guest.
    pub pid: u32,
    /// What.
    pub written: Written,
}

/// Writes that nobody has asked for yet.
#[derive(Debug, Default)]
pub struct Log(Mutex<VecDeque<Sent>>);

impl Log {
    /// Keep a write, the first bytes of it.
    pub fn keep(&self, path: &str, pid: u32, data: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push_back(Sent {
                path: path.to_owned(),
                pid,
                written: Written::of(data),
            });
        }
    }

    /// Give away what is kept, as much of it as an answer holds.
    pub fn answer(&self) -> Vec<u8> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answer = Vec::new();
        while let Some(sent) = kept.front() {
            let mut record = sent.pid.to_ne_bytes().to_vec();
            record.extend(sent.written.bytes.to_ne_bytes());
            for text in [sent.path.as_bytes(), &sent.written.payload] {
                record.extend(u16::try_from(text.len()).unwrap_or(0).to_ne_bytes());
                record.extend(text);
            }
            if answer.len() + record.len() > ANSWER_MAX {
                break;
            }
            answer.extend(record);
            kept.pop_front();
        }
        answer
    }
}

/// The writes of an answer.
pub fn read(mut answer: &[u8]) -> Vec<Sent> {
    std::iter::from_fn(|| next(&mut answer)).collect()
}

fn next(rest: &mut &[u8]) -> Option<Sent> {
    let pid = u32::from_ne_bytes(*rest.split_off(..4)?.first_chunk()?);
    let bytes = u64::from_ne_bytes(*rest.split_off(..8)?.first_chunk()?);
    let mut text = || {
        let length = u16::from_ne_bytes(*rest.split_off(..2)?.first_chunk()?);
        rest.split_off(..usize::from(length))
    };
    let path = String::from_utf8_lossy(text()?).into_owned();
    let payload = text()?.to_vec();
    Some(Sent {
        path,
        pid,
        written: Written { payload, bytes },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_once_and_a_flood_is_bounded() {
        let log = Log::default();
        log.keep("/dev/led", 7, b"on\n");
        log.keep("/dev/modem", 8, &[0xff; 5000]);
        let [led, modem] = read(&log.answer()).try_into().unwrap();
        assert_eq!((led.path.as_str(), led.pid), ("/dev/led", 7));
        assert_eq!(
            (led.written.payload.as_slice(), led.written.bytes),
            (&b"on\n"[..], 3)
        );
        assert_eq!(modem.written.bytes, 5000);
        assert!(modem.written.payload.len() < 100, "only its beginning");
        assert_eq!(read(&log.answer()), []);
        let far = "x".repeat(4000);
        for _ in 0..1000 {
            log.keep(&far, 1, b"");
        }
        let answers: Vec<_> = (0..20).map(|_| log.answer()).collect();
        assert!(answers.iter().all(|answer| answer.len() <= ANSWER_MAX));
        let all = answers.iter().map(|answer| read(answer).len());
        assert_eq!(all.sum::<usize>(), KEPT);
    }

    #[test]
    fn a_damaged_answer_is_read_as_far_as_it_goes() {
        let log = Log::default();
        log.keep("/dev/led", 7, b"on\n");
        let answer = log.answer();
        for length in 0..answer.len() {
            assert_eq!(read(&answer[..length]), []);
        }
    }
}
