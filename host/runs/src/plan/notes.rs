//! Notes on what is not honoured or does not work, gathered by kind so that a hundred of a kind are
//! one sentence.

/// How many examples a note names.
const EXAMPLES: usize = 3;

/// The notes of a plan or a run, in the order in which their kinds came up.
#[derive(Debug, Default)]
pub struct Notes {
    kinds: Vec<(String, Vec<String>)>,
}

impl Notes {
    /// A sentence by itself.
    pub fn say(&mut self, sentence: impl Into<String>) {
        self.kinds.push((sentence.into(), Vec::new()));
    }

    /// A sentence that is said once, however often it is true.
    pub fn once(&mut self, sentence: &str) {
        if !self.kinds.iter().any(|(kind, _)| kind == sentence) {
            self.say(sentence);
        }
    }

    /// `what` is something about which `sentence` is true.
    pub fn about(&mut self, sentence: &str, what: impl Into<String>) {
        let what = what.into();
        match self.kinds.iter_mut().find(|(kind, _)| kind == sentence) {
            Some((_, examples)) => examples.push(what),
            None => self.kinds.push((sentence.to_owned(), vec![what])),
        }
    }

    /// All of them, in order.
    pub fn into_vec(self) -> Vec<String> {
        self.kinds
            .into_iter()
            .map(|(sentence, examples)| render(sentence, &examples))
            .collect()
    }
}

fn render(sentence: String, examples: &[String]) -> String {
    if examples.is_empty() {
        return sentence;
    }
    let named: Vec<_> = examples
        .iter()
        .take(EXAMPLES)
        .map(|example| example.escape_debug().to_string())
        .collect();
    match examples.len().saturating_sub(EXAMPLES) {
        0 => format!("{sentence}: {}", named.join(", ")),
        more => format!("{sentence}: {} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_a_kind_are_one_sentence() {
        let mut notes = Notes::default();
        for path in ["/a", "/b", "/c\n", "/d", "/e"] {
            notes.about("not copied", path);
        }
        notes.say("alone");
        notes.once("alone");
        assert_eq!(
            notes.into_vec(),
            ["not copied: /a, /b, /c\\n and 2 more", "alone"]
        );
    }
}
