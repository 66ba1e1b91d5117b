//! The guest's console as it grows.

use rookery_contract::shapes::RunStatus;
use rookery_project::{Results, Roots};

/// Bytes of one look.
const PART: u32 = 64 << 10;
/// Bytes of a line after which its end is not waited for.
const LONGEST: usize = 1 << 20;
const FILE: &str = "console.log";

/// A reader of a run's console.
pub struct Console {
    results: Results,
    offset: u64,
    /// A line that has no end yet.
    begun: String,
}

impl Console {
    /// Of a run, from its beginning. None where the run has no result directory yet.
    pub fn of(roots: &Roots, run: &RunStatus) -> Option<Self> {
        let dir = run.results_dir.as_deref()?;
        Some(Self {
            results: roots.results(None, Some(dir)).ok()?,
            offset: 0,
            begun: String::new(),
        })
    }

    /// Go to the last `lines` lines, or as many as are in what is read at once.
    pub fn skip_to_last(&mut self, lines: usize) {
        let Ok(end) = self.results.read_text(FILE, -i64::from(PART), PART) else {
            return;
        };
        self.offset = end.next_offset;
        let last: Vec<&str> = end.text.split_inclusive('\n').rev().take(lines).collect();
        self.begun = last.into_iter().rev().collect();
    }

    /// Give the lines that came since the last look, in parts; with `all`, also one that has no
    /// end. It is text of the guest's, in which what steers a terminal was written out.
    pub fn new_lines(&mut self, all: bool, mut each: impl FnMut(&[String])) {
        while let Ok(part) =
            self.results
                .read_text(FILE, i64::try_from(self.offset).unwrap_or(i64::MAX), PART)
        {
            if part.next_offset <= self.offset {
                break;
            }
            self.offset = part.next_offset;
            self.begun.push_str(&part.text);
            self.give(false, &mut each);
        }
        self.give(all, &mut each);
    }

    fn give(&mut self, all: bool, each: &mut impl FnMut(&[String])) {
        let end = match self.begun.rfind('\n') {
            _ if all || self.begun.len() > LONGEST => self.begun.len(),
            Some(end) => end + 1,
            None => return,
        };
        let ended: String = self.begun.drain(..end).collect();
        let lines = ended.lines().map(|line| line.trim_end_matches('\r'));
        let lines: Vec<String> = lines.map(|line| line.replace('\r', "\\r")).collect();
        if !lines.is_empty() {
            each(&lines);
        }
    }
}
