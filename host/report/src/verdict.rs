//! How the run went, in one sentence.

use rookery_contract::shapes::ResultsState;
use serde::Serialize;

use crate::health::Health;
use crate::services::Services;

/// The sentence in its parts: the guest's words stand apart, because the page shows them so.
#[derive(Serialize)]
pub struct Verdict {
    /// A class of the page's style: `good`, `fair`, `bad`.
    tone: &'static str,
    sentence: String,
    /// Words of the guest that belong to it.
    said: Vec<String>,
}

impl Verdict {
    fn new(tone: &'static str, sentence: impl Into<String>) -> Self {
        Self {
            tone,
            sentence: sentence.into(),
            said: Vec::new(),
        }
    }

    pub fn of(state: &ResultsState, services: &Services, health: &Health) -> Self {
        if let Some((service, answer)) = services.best() {
            let more = match services.answering - 1 {
                0 => String::new(),
                more => format!(", and {} answer", count(more, "more service")),
            };
            let port = format!("{} {}", service.proto, service.port);
            let sentence = format!("It answers: {port} says {}{more}.", answer.said);
            let said = answer.texts.iter().take(1).cloned().collect();
            return Self {
                said,
                ..Self::new("good", sentence)
            };
        }
        let blockers = match health.blockers.len() {
            0 => ".".to_owned(),
            some => format!(": {} in the way.", count(some, "thing stands")),
        };
        match state {
            ResultsState::Running => Self::new("fair", "The run goes on; nothing answers yet."),
            ResultsState::NeverRan => Self::new("bad", "Nothing ran."),
            _ if health.panic => Self::new("bad", "The guest's kernel panicked."),
            _ if services.total > 0 => {
                let open = count(services.total, "port");
                let open = if services.total == 1 {
                    format!("{open} is open")
                } else {
                    format!("{open} are open")
                };
                let silent = if services.asked > 0 {
                    ", and nothing answers"
                } else {
                    ", and none was asked for an answer"
                };
                Self::new("fair", format!("{open}{silent}{blockers}"))
            }
            ResultsState::Died => Self::new("bad", "The run broke off before anything listened."),
            ResultsState::Completed | ResultsState::Other(_) => {
                Self::new("bad", format!("No service came up{blockers}"))
            }
        }
    }
}

/// `1 port`, `2 ports`; of `thing stands` it is `2 things stand`.
fn count(number: usize, words: &str) -> String {
    match (number, words.split_once(' ')) {
        (1, _) => format!("1 {words}"),
        (_, Some(("thing", _))) => format!("{number} things stand"),
        _ => format!("{number} {words}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_noun_agree() {
        let words = |number| [count(number, "port"), count(number, "thing stands")];
        assert_eq!(words(1), ["1 port", "1 thing stands"]);
        assert_eq!(words(2), ["2 ports", "2 things stand"]);
    }
}
