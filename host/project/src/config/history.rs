//! The history of the patch file: a line of JSON a revision, most of them only with what differs
//! from the revision before.

use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::ground::digest;
use crate::ground::held::OWN;
use crate::ground::regular;
use crate::ground::time::rfc3339;
use crate::{Error, Result};

pub const HISTORY: &str = "history.jsonl";
/// More of a history than this, counted from its end, is not ours.
const MAX_READ: u64 = 64 << 20;
/// The newest revision is looked for in so much of the end of a history, then in more.
const NEWEST_READ: u64 = 4 << 10;
/// Revisions are numbered below this.
const MAX_REVISION: u64 = 1 << 53;
/// Revisions that are kept however large they are: undoing needs the one before.
pub const KEPT: usize = 2;
/// So many revisions follow one that is kept whole, until the next is.
const DELTAS: u32 = 64;

/// One state of the patch file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// Number, from 1.
    #[serde(rename = "revision")]
    pub number: u64,
    /// When it was made, RFC 3339 in UTC.
    pub time: String,
    /// What was done.
    pub change: String,
    /// Text of the file. Where it is missing and so is `delta`, the file did not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delta: Option<Delta>,
}

/// A text by what differs from the one before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Delta {
    /// How many bytes it begins with, and ends with, as the other does.
    front: usize,
    back: usize,
    /// What is between them.
    text: String,
    /// How many revisions ago one was kept whole.
    depth: u32,
    /// The SHA-256 digest of the whole text.
    digest: String,
}

impl Revision {
    /// The state `text` after `last`, whose text was `old`.
    pub fn after(
        last: Option<&Self>,
        number: u64,
        change: &str,
        [old, text]: [Option<&str>; 2],
    ) -> Self {
        let depth = last.map_or(DELTAS, |last| last.delta.as_ref().map_or(0, |d| d.depth)) + 1;
        let delta = match (old, text) {
            (Some(old), Some(text)) if depth <= DELTAS => Delta::between(old, text, depth),
            _ => None,
        };
        Self {
            number,
            time: rfc3339(SystemTime::now()),
            change: change.to_owned(),
            patch: text.filter(|_| delta.is_none()).map(str::to_owned),
            delta,
        }
    }

    /// Whether this is the state in which the file has `text`.
    pub fn holds(&self, text: Option<&str>) -> bool {
        match &self.delta {
            Some(delta) => text.is_some_and(|text| digest::of_text(text) == delta.digest),
            None => self.patch.as_deref() == text,
        }
    }

    pub fn line(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::Internal(error.to_string()))
    }

    /// One that no other could follow was not written by us.
    fn of_line(line: &str) -> Option<Self> {
        let revision: Self = serde_json::from_str(line).ok()?;
        (revision.number < MAX_REVISION).then_some(revision)
    }
}

impl Delta {
    /// None where it would hardly be shorter than the text.
    fn between(old: &str, text: &str, depth: u32) -> Option<Self> {
        let is_same = |(one, other): &(u8, u8)| one == other;
        let mut front = old.bytes().zip(text.bytes()).take_while(is_same).count();
        while !text.is_char_boundary(front) {
            front -= 1;
        }
        let (old_rest, rest) = (old.get(front..)?, text.get(front..)?);
        let ends = old_rest.bytes().rev().zip(rest.bytes().rev());
        let mut back = ends.take_while(is_same).count();
        while !rest.is_char_boundary(rest.len() - back) {
            back -= 1;
        }
        let changed = rest.get(..rest.len() - back)?;
        (changed.len() < text.len() / 2).then(|| Self {
            front,
            back,
            text: changed.to_owned(),
            depth,
            digest: digest::of_text(text),
        })
    }

    fn applied(&self, old: &str) -> Option<String> {
        let front = old.get(..self.front)?;
        let back = old.get(old.len().checked_sub(self.back)?..)?;
        Some([front, &self.text, back].concat())
    }
}

/// The revisions that can be read, the oldest first. What a crash left half-written is left out.
pub struct History {
    pub revisions: Vec<Revision>,
}

impl History {
    pub fn read(dir: &Path) -> Result<Self> {
        let (text, _) = end_of(dir, MAX_READ)?;
        let mut revisions: Vec<Revision> = Vec::new();
        for revision in text.lines().filter_map(Revision::of_line) {
            let follows = |last: &Revision| last.number + 1 == revision.number;
            if revision.delta.is_none() || revisions.last().is_some_and(follows) {
                revisions.push(revision);
            }
        }
        Ok(Self { revisions })
    }

    /// The text of the file in the revision at an index, or nothing where it did not exist.
    pub fn text(&self, at: usize) -> Result<Option<String>> {
        let upto = self.revisions.get(..=at).unwrap_or_default();
        let whole = upto.iter().rposition(|revision| revision.delta.is_none());
        let (whole, deltas) = upto
            .get(whole.unwrap_or(0)..)
            .and_then(<[_]>::split_first)
            .ok_or_else(|| Error::Internal("no such revision".to_owned()))?;
        let deltas = deltas.iter().filter_map(|revision| revision.delta.as_ref());
        let mut text = whole.patch.clone();
        for delta in deltas {
            text = text.and_then(|text| delta.applied(&text));
        }
        match upto.last() {
            Some(wanted) if !wanted.holds(text.as_deref()) => Err(Error::NotFound(format!(
                "revision {} cannot be read any more, because the history was changed by hand; \
                 choose another",
                wanted.number
            ))),
            _ => Ok(text),
        }
    }

    /// The lines of the newest revisions that fit into `bytes`, the first of them whole.
    pub fn newest_lines(&self, bytes: usize) -> Result<String> {
        let mut left = bytes;
        let mut first = self.revisions.len();
        for (kept, revision) in self.revisions.iter().rev().enumerate() {
            let length = revision.line()?.len() + 1;
            if length > left && kept >= KEPT {
                break;
            }
            left = left.saturating_sub(length);
            first -= 1;
        }
        let mut kept = self.revisions.get(first..).unwrap_or_default().to_vec();
        if let Some(oldest) = kept.first_mut() {
            oldest.patch = self.text(first)?;
            oldest.delta = None;
        }
        kept.iter().map(|kept| Ok(kept.line()? + "\n")).collect()
    }
}

/// The newest revision of the history: a change needs no other, and a history may be long.
pub fn newest(dir: &Path) -> Result<Option<Revision>> {
    let mut length = NEWEST_READ;
    loop {
        let (text, is_all) = end_of(dir, length)?;
        let found = text.lines().rev().find_map(Revision::of_line);
        if found.is_some() || is_all {
            return Ok(found);
        }
        length *= 4;
    }
}

/// At most so many bytes of the history, from its end, and whether there is no more to be had. The
/// first line may be half of one.
fn end_of(dir: &Path, length: u64) -> Result<(String, bool)> {
    let path = dir.join(OWN).join(HISTORY);
    let io = |error: &_| Error::io("read the history", &path, error);
    let mut file = match regular::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok((String::new(), true)),
        Err(error) => return Err(io(&error)),
    };
    let mut text = Vec::new();
    let size = file.metadata().map_err(|error| io(&error))?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(length)))
        .and_then(|_| Read::take(&mut file, length).read_to_end(&mut text))
        .map_err(|error| io(&error))?;
    let is_all = length >= size.min(MAX_READ);
    Ok((String::from_utf8_lossy(&text).into_owned(), is_all))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(texts: &[Option<String>]) -> History {
        let mut revisions: Vec<Revision> = Vec::new();
        for (number, text) in (1..).zip(texts) {
            let last = revisions.last();
            let old = last.and_then(|_| texts[revisions.len() - 1].as_deref());
            let new = Revision::after(last, number, "x", [old, text.as_deref()]);
            // What is on disk is the line.
            revisions.push(Revision::of_line(&new.line().unwrap()).unwrap());
        }
        History { revisions }
    }

    #[test]
    fn a_change_of_a_large_patch_adds_little_to_the_history() {
        let large = "k: v\n".repeat(20_000);
        let texts: Vec<_> = (0..500).map(|n| Some(format!("{large}n: {n}\n"))).collect();
        let history = made(&texts);
        let lines = history.newest_lines(usize::MAX).unwrap();
        assert!(lines.len() < 12 * large.len(), "{}", lines.len());
        for at in [0, 1, 63, 64, 65, 66, 498, 499] {
            assert_eq!(history.text(at), Ok(texts[at].clone()), "{at}");
        }
        // What is cut off takes nothing along that is kept.
        let kept = history.newest_lines(large.len() / 2).unwrap();
        let revisions: Vec<_> = kept.lines().filter_map(Revision::of_line).collect();
        let kept = History { revisions };
        assert_eq!(kept.text(0), Ok(texts[500 - kept.revisions.len()].clone()));
        assert_eq!(kept.text(kept.revisions.len() - 1), Ok(texts[499].clone()));
    }

    #[test]
    fn a_history_that_was_changed_by_hand_gives_no_text_that_never_was() {
        let large = "k: v\n".repeat(100);
        let texts: Vec<_> = (0..3).map(|n| Some(format!("{large}n: {n}\n"))).collect();
        let mut history = made(&texts);
        history.revisions[0].patch = Some("other: 1\n".repeat(100));
        let refused = history.text(2).unwrap_err().to_string();
        assert!(refused.contains("revision 3"), "{refused}");
    }

    proptest! {
        #[test]
        fn every_revision_is_given_back_as_it_was(
            texts in proptest::collection::vec(
                proptest::option::of("(ab|é|😀|\n){0,12}"), 1..12)
        ) {
            let history = made(&texts);
            for (at, text) in texts.iter().enumerate() {
                prop_assert_eq!(history.text(at), Ok(text.clone()));
                prop_assert!(history.revisions[at].holds(text.as_deref()));
            }
        }
    }
}
