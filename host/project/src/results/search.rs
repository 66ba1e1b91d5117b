//! Search a text file of any size by regular expression, in chunks of fixed size.
//!
//! The matcher is ripgrep's: it knows that a match lies within one line, so it searches a whole
//! chunk at once and looks for line ends only where something matched.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::time::Duration;

use grep_matcher::{LineMatchKind, Matcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use memchr::{memchr, memchr_iter, memrchr};
use rookery_contract::options::SearchOptions;
use rookery_contract::shapes::{Match, Matches};

use super::lines::{self, Patience};
use crate::ground::regular::read_at_most;
use crate::{Cancel, Error, Result};
use rookery_contract::text;

/// How much is searched at once. A longer line is searched in pieces of this size.
const CHUNK: usize = 256 << 10;
/// A match that lies across two pieces of a line is found when it is no longer than this.
const OVERLAP: usize = 64 << 10;
/// The most text of all matches together, in bytes.
const MAX_OUTPUT: usize = 1 << 20;

/// What was asked for, within the bounds.
struct Wanted {
    limit: usize,
    from_end: bool,
    context: usize,
    max_line_bytes: usize,
    ends_bytes: Option<u64>,
    timeout: Duration,
}

impl Wanted {
    fn of(options: &SearchOptions) -> Self {
        Self {
            limit: options.limit.min(SearchOptions::MAX_MATCHES) as usize,
            from_end: options.from_end,
            context: options.context.unwrap_or(0).min(SearchOptions::MAX_CONTEXT) as usize,
            max_line_bytes: (options.max_line_bytes as usize).clamp(16, CHUNK),
            ends_bytes: options.ends_bytes.map(u64::from),
            timeout: Duration::from_millis(options.timeout_ms().into()),
        }
    }
}

pub(super) fn search(
    file: &File,
    name: &str,
    pattern: &str,
    options: &SearchOptions,
    cancel: &Cancel,
) -> Result<Matches> {
    let wanted = Wanted::of(options);
    let regex = if pattern.is_empty() {
        None
    } else {
        Some(compile(pattern, options.case_insensitive)?)
    };
    let mut scan = Scan {
        matcher: regex,
        wanted: &wanted,
        hits: VecDeque::new(),
        total: 0,
        newlines: 0,
        last_hit: 0,
    };
    let patience = Patience::new(name, wanted.timeout, cancel);
    let bytes = scan.whole(file, &patience)?;

    let mut output = 0;
    let mut shown = Vec::new();
    // When the output grows too long, the matches farthest from the asked end are dropped.
    let hits: Box<dyn Iterator<Item = &Hit>> = if wanted.from_end {
        Box::new(scan.hits.iter().rev())
    } else {
        Box::new(scan.hits.iter())
    };
    for hit in hits {
        let found = scan
            .show(file, hit)
            .map_err(|error| patience.unreadable(&error))?;
        output += serde_json::to_string(&found).map_or(0, |text| text.len());
        if output > MAX_OUTPUT {
            break;
        }
        shown.push(found);
    }
    if wanted.from_end {
        shown.reverse();
    }
    let truncated = scan.total > shown.len() as u64;
    Ok(Matches {
        matches: shown,
        total: scan.total,
        lines: scan.newlines,
        bytes,
        truncated,
    })
}

fn compile(pattern: &str, case_insensitive: bool) -> Result<RegexMatcher> {
    let built = RegexMatcherBuilder::new()
        .multi_line(true)
        .crlf(true)
        .unicode(true)
        .case_insensitive(case_insensitive)
        .build(pattern);
    built.map_err(|error| {
        Error::InvalidArgument(format!(
            "the pattern is not a regular expression that can be searched line by line: {error}. \
             The syntax is that of Rust's regex crate; escape literal ( ) [ ] {{ }} . * + ? | \
             with a backslash"
        ))
    })
}

/// One line that matches.
struct Hit {
    line: u64,
    offset: u64,
    bytes: usize,
}

struct Scan<'a> {
    /// None matches every line.
    matcher: Option<RegexMatcher>,
    wanted: &'a Wanted,
    hits: VecDeque<Hit>,
    total: u64,
    /// Line ends seen so far.
    newlines: u64,
    /// The number of the last line that matched.
    last_hit: u64,
}

impl Scan<'_> {
    /// Search all that is wanted of a file, and give its size. Afterwards `newlines` counts lines.
    fn whole(&mut self, file: &File, patience: &Patience) -> Result<u64> {
        let metadata = file.metadata().map_err(|e| patience.unreadable(&e))?;
        let bytes = metadata.len();
        if self.matcher.is_none() && self.wanted.from_end {
            self.tail(file, bytes, patience)?;
            return Ok(bytes);
        }
        match self.wanted.ends_bytes {
            Some(ends) if bytes / 2 > ends => {
                let begin = lines::end_of_line(file, ends, patience)?;
                self.run(file, 0..begin, patience)?;
                let end = lines::end_of_line(file, bytes - ends, patience)?;
                self.end(file, begin.max(end)..bytes, patience)?;
                Ok(bytes)
            }
            _ => self.run(file, 0..u64::MAX, patience),
        }
    }

    /// The last lines, for which nothing but them is read.
    fn tail(&mut self, file: &File, bytes: u64, patience: &Patience) -> Result<()> {
        self.newlines = lines::total(file, bytes, patience)?;
        self.total = self.newlines;
        let last = lines::last(file, bytes, self.wanted.limit, patience)?;
        for (line, (offset, length)) in (1..=self.newlines).rev().zip(last) {
            self.hits.push_front(Hit {
                line,
                offset,
                bytes: usize::try_from(length).map_or(CHUNK, |length| length.min(CHUNK)),
            });
        }
        Ok(())
    }

    /// Search the end of a file whose middle is left out. All lines are counted only if one of them
    /// matches, and is asked for by its number.
    fn end(&mut self, file: &File, part: Range<u64>, patience: &Patience) -> Result<()> {
        let before = std::mem::take(&mut self.newlines);
        self.last_hit = 0;
        self.run(file, part.clone(), patience)?;
        let is_of_end = |hit: &Hit| hit.offset >= part.start;
        if self.hits.iter().any(is_of_end) {
            let all = lines::total(file, part.end, patience)?;
            let left_out = all.saturating_sub(self.newlines);
            for hit in self.hits.iter_mut().filter(|hit| is_of_end(hit)) {
                hit.line += left_out;
            }
        }
        self.newlines += before;
        Ok(())
    }

    /// Search a part of the file, which begins with a line; gives where the search ended.
    /// Afterwards `newlines` counts lines.
    fn run(&mut self, file: &File, part: Range<u64>, patience: &Patience) -> Result<u64> {
        let mut buffer = vec![0; CHUNK];
        let mut offset = part.start;
        let mut mid_line = false;
        let mut is_piece = false;
        loop {
            patience.check(offset - part.start)?;
            let want = usize::try_from(part.end - offset).map_or(CHUNK, |left| left.min(CHUNK));
            let wanted = buffer.get_mut(..want).unwrap_or_default();
            let filled = read_at_most(file, wanted, offset).map_err(|e| patience.unreadable(&e))?;
            let chunk = buffer.get(..filled).unwrap_or_default();
            let at_end = filled < CHUNK;
            // Whole lines only; what follows the last line end is read again with the next chunk.
            let whole = match memrchr(b'\n', chunk) {
                Some(last) if !at_end => last + 1,
                _ => filled,
            };
            let region = chunk.get(..whole).unwrap_or_default();
            self.region(region, offset, is_piece)?;
            is_piece = !at_end && memrchr(b'\n', region).is_none();
            offset += if is_piece { whole - OVERLAP } else { whole } as u64;
            mid_line = region.last().map_or(mid_line, |&last| last != b'\n');
            if at_end {
                self.newlines += u64::from(mid_line);
                return Ok(offset);
            }
        }
    }

    /// Search whole lines, or a piece of a long one; `continues` where the first began before.
    fn region(&mut self, region: &[u8], base: u64, continues: bool) -> Result<()> {
        let mut counted = 0;
        let mut at = 0;
        if continues {
            let end = memchr(b'\n', region).unwrap_or(region.len());
            // What matches at the very start was seen in the piece before; here it would be taken
            // for a line's start.
            if self.is_match(&region[..end], 1)? {
                self.hit(Hit {
                    line: self.newlines + 1,
                    offset: base,
                    bytes: end,
                });
            }
            at = end + 1;
        }
        while let Some(rest) = region.get(at..).filter(|rest| !rest.is_empty()) {
            let Some((found, confirmed)) = self.next_match(rest)? else {
                break;
            };
            let start = memrchr(b'\n', &rest[..found]).map_or(0, |i| i + 1);
            let end = memchr(b'\n', &rest[found..]).map_or(rest.len(), |i| found + i);
            if start == rest.len() {
                break;
            }
            let line = &rest[start..end];
            let start = at + start;
            at += end + 1;
            if !confirmed && !self.is_match(line, 0)? {
                continue;
            }
            self.newlines += memchr_iter(b'\n', &region[counted..start]).count() as u64;
            counted = start;
            self.hit(Hit {
                line: self.newlines + 1,
                offset: base + start as u64,
                bytes: line.len(),
            });
        }
        self.newlines += memchr_iter(b'\n', &region[counted..]).count() as u64;
        Ok(())
    }

    /// A position in the first line of `rest` that (if not confirmed: may) match.
    fn next_match(&self, rest: &[u8]) -> Result<Option<(usize, bool)>> {
        let Some(matcher) = &self.matcher else {
            return Ok(Some((0, true)));
        };
        match matcher.find_candidate_line(rest) {
            Ok(Some(LineMatchKind::Confirmed(at))) => Ok(Some((at, true))),
            Ok(Some(LineMatchKind::Candidate(at))) => Ok(Some((at, false))),
            Ok(None) => Ok(None),
            Err(error) => Err(Error::Internal(error.to_string())),
        }
    }

    fn is_match(&self, line: &[u8], from: usize) -> Result<bool> {
        let Some(matcher) = &self.matcher else {
            return Ok(true);
        };
        matcher
            .is_match_at(line, from.min(line.len()))
            .map_err(|e| Error::Internal(e.to_string()))
    }

    fn hit(&mut self, hit: Hit) {
        // A long line is searched in pieces, and counts once.
        if self.last_hit == hit.line {
            return;
        }
        self.last_hit = hit.line;
        self.total += 1;
        if self.wanted.limit == 0 || (!self.wanted.from_end && self.hits.len() >= self.wanted.limit)
        {
            return;
        }
        if self.hits.len() >= self.wanted.limit {
            self.hits.pop_front();
        }
        self.hits.push_back(hit);
    }

    /// One match, its text read again: only lines that are shown are ever copied.
    fn show(&self, file: &File, hit: &Hit) -> std::io::Result<Match> {
        let max = self.wanted.max_line_bytes;
        let mut line = vec![0; hit.bytes];
        let got = read_at_most(file, &mut line, hit.offset)?;
        line.truncate(got);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        // The part of a long line around the match.
        let found = self
            .matcher
            .as_ref()
            .and_then(|m| m.find(line).ok().flatten());
        let from = match found {
            Some(m) if line.len() > max && m.end() > max => {
                m.start().saturating_sub(max / 4).min(line.len() - max)
            }
            _ => 0,
        };
        let shown = line
            .get(from..line.len().min(from + max))
            .unwrap_or_default();
        let (mut before, mut after) = (None, None);
        if self.wanted.context > 0 {
            before = Some(self.before(file, hit.offset)?);
            after = Some(self.after(file, hit.offset + hit.bytes as u64 + 1)?);
        }
        Ok(Match {
            line: hit.line,
            text: text::escape(shown),
            cut: shown.len() < line.len(),
            before,
            after,
        })
    }

    fn before(&self, file: &File, end: u64) -> std::io::Result<Vec<String>> {
        let start = end.saturating_sub(CHUNK as u64);
        let mut window = vec![0; usize::try_from(end - start).unwrap_or(0)];
        let got = read_at_most(file, &mut window, start)?;
        window.truncate(got);
        if window.is_empty() {
            return Ok(Vec::new());
        }
        let window = window.strip_suffix(b"\n").unwrap_or(&window);
        let mut lines: Vec<_> = window
            .rsplit(|&b| b == b'\n')
            .take(self.wanted.context)
            .map(|l| self.cut(l))
            .collect();
        lines.reverse();
        Ok(lines)
    }

    fn after(&self, file: &File, start: u64) -> std::io::Result<Vec<String>> {
        let mut window = vec![0; CHUNK];
        let got = read_at_most(file, &mut window, start)?;
        window.truncate(got);
        if window.is_empty() {
            return Ok(Vec::new());
        }
        let window = window.strip_suffix(b"\n").unwrap_or(&window);
        Ok(window
            .split(|&b| b == b'\n')
            .take(self.wanted.context)
            .map(|l| self.cut(l))
            .collect())
    }

    fn cut(&self, line: &[u8]) -> String {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        text::escape(line.get(..self.wanted.max_line_bytes).unwrap_or(line))
    }
}
