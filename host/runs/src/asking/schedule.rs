//! Which service is asked when.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use rookery_contract::shapes::AnswerKind;

/// A service that listens settles for so long before it is asked.
const SETTLES: Duration = Duration::from_secs(1);
/// When a silent one is asked again, after it began to listen: it may listen long before it serves.
const AGAIN: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(15)];
/// Questions of one run, so that a guest that opens ports for ever is not asked for ever.
const MOST: u32 = 2000;

/// The services of a guest, each under what names it.
#[derive(Debug)]
pub struct Schedule<K> {
    services: HashMap<K, Service>,
    left: u32,
}

#[derive(Debug)]
struct Service {
    since: Instant,
    /// When it is to be asked next, before the end.
    due: Option<Instant>,
    /// How often it was asked.
    asked: usize,
}

impl<K: Clone + Eq + Hash> Default for Schedule<K> {
    fn default() -> Self {
        Self {
            services: HashMap::new(),
            left: MOST,
        }
    }
}

impl<K: Clone + Eq + Hash> Schedule<K> {
    /// These services listen now, and no others.
    pub fn listen(&mut self, now: Instant, services: impl IntoIterator<Item = K>) {
        let mut before = std::mem::take(&mut self.services);
        for key in services {
            let service = before.remove(&key).unwrap_or(Service {
                since: now,
                due: Some(now + SETTLES),
                asked: 0,
            });
            self.services.insert(key, service);
        }
    }

    /// Those to be asked now.
    pub fn take_due(&mut self, now: Instant) -> Vec<K> {
        let due = self
            .services
            .iter_mut()
            .filter(|(_, service)| service.due.is_some_and(|due| due <= now))
            .take(self.left as usize);
        let due: Vec<K> = due
            .map(|(key, service)| {
                service.due = None;
                service.asked += 1;
                key.clone()
            })
            .collect();
        self.left -= u32::try_from(due.len()).unwrap_or(self.left).min(self.left);
        due
    }

    /// A service said this.
    pub fn answered(&mut self, key: &K, kind: &AnswerKind) {
        if let Some(service) = self.services.get_mut(key)
            && *kind == AnswerKind::Silent
            && let Some(again) = service.asked.checked_sub(1).and_then(|at| AGAIN.get(at))
        {
            service.due = Some(service.since + *again);
        }
    }

    /// All that were asked before, for the last question. No other follows.
    pub fn take_all(&mut self) -> Vec<K> {
        let services = std::mem::take(&mut self.services);
        services.into_keys().take(self.left as usize).collect()
    }

    /// Whether one that listens has yet to be asked, or is silent so far and will be asked again.
    pub fn is_waiting(&self) -> bool {
        self.left > 0 && self.services.values().any(|service| service.due.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_asked_once_and_a_silent_one_twice_more() {
        let mut schedule = Schedule::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        schedule.listen(at(0), [80, 23]);
        assert!(schedule.take_due(at(900)).is_empty() && schedule.is_waiting());
        let mut due = schedule.take_due(at(1000));
        due.sort_unstable();
        assert_eq!(due, [23, 80]);
        schedule.answered(&80, &AnswerKind::Http);
        schedule.answered(&23, &AnswerKind::Silent);
        schedule.listen(at(2000), [80, 23]);
        assert_eq!(schedule.take_due(at(60_000)), [23]);
        schedule.answered(&23, &AnswerKind::Silent);
        assert_eq!(schedule.take_due(at(60_000)), [23]);
        schedule.answered(&23, &AnswerKind::Silent);
        assert!(schedule.take_due(at(90_000)).is_empty() && !schedule.is_waiting());
        assert_eq!(schedule.take_all().len(), 2);
    }

    #[test]
    fn one_that_went_before_it_settled_is_not_asked_and_one_that_came_back_is_asked_again() {
        let mut schedule = Schedule::default();
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        schedule.listen(at(0), [80]);
        schedule.listen(at(1), []);
        assert!(schedule.take_due(at(5)).is_empty());
        schedule.listen(at(6), [80]);
        assert_eq!(schedule.take_due(at(7)), [80]);
    }

    #[test]
    fn a_guest_that_opens_ports_for_ever_is_not_asked_for_ever() {
        let mut schedule = Schedule::default();
        let start = Instant::now();
        let mut asked = 0;
        for turn in 0..100 {
            schedule.listen(start, turn * 100..(turn + 1) * 100);
            asked += schedule.take_due(start + SETTLES).len();
        }
        assert_eq!(asked, MOST as usize);
        assert!(schedule.take_all().is_empty());
    }
}
