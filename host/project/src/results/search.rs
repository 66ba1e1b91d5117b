//! Search a text file of any size by regular expression, in chunks of fixed size.
//!
//! The matcher is ripgrep's: it knows that a match lies within one line, so it searches a whole
//! chunk at once and looks for line ends only where something matched.

use std::collections::VecDeque;
use std::fs::File;
use std::time::{Duration, Instant};

use grep_matcher::{LineMatchKind, Matcher};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use memchr::{memchr, memchr_iter, memrchr};
use rookery_contract::options::SearchOptions;
use rookery_contract::shapes::{Match, Matches};

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
    timeout: Duration,
}

impl Wanted {
    fn of(options: &SearchOptions) -> Self {
        Self {
            limit: options.limit.min(SearchOptions::MAX_MATCHES) as usize,
            from_end: options.from_end,
            context: options.context.unwrap_or(0).min(SearchOptions::MAX_CONTEXT) as usize,
            max_line_bytes: (options.max_line_bytes as usize).clamp(16, CHUNK),
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
    let bytes = scan.run(file, name, cancel)?;

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
            .map_err(|e| Error::Internal(format!("cannot read {name}: {e}")))?;
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
    /// Search the whole file; gives the number of bytes searched. Afterwards `newlines` counts
    /// lines.
    fn run(&mut self, file: &File, name: &str, cancel: &Cancel) -> Result<u64> {
        let deadline = Instant::now() + self.wanted.timeout;
        let mut buffer = vec![0; CHUNK];
        let mut offset = 0;
        let mut mid_line = false;
        let mut is_piece = false;
        loop {
            cancel.check()?;
            if Instant::now() > deadline {
                return Err(Error::Limit(format!(
                    "searching {name} took longer than {} ms; {offset} bytes were searched. Use a \
                     simpler pattern, or read-text",
                    self.wanted.timeout.as_millis()
                )));
            }
            let filled = read_at_most(file, &mut buffer, offset)
                .map_err(|e| Error::Internal(format!("cannot read {name}: {e}")))?;
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
