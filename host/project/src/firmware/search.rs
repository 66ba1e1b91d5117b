//! Find files by path or by content.

use std::time::{Duration, Instant};

use regex::bytes::{Regex, RegexBuilder};
use rookery_contract::options::{FindOptions, Place};
use rookery_contract::shapes::{FoundFile, FoundFiles};

use super::image::Image;
use super::tree::{Content, Entry, shown};
use crate::{Cancel, Error, Result};
use rookery_contract::text::escape;

/// How much of a file is searched at once.
const CHUNK: usize = 8 << 20;
/// A match that lies across two chunks is found when it is no longer than this.
const OVERLAP: usize = 64 << 10;
/// The most text shown of a match, in bytes.
const MAX_TEXT: usize = 200;
/// The longest search.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) fn search(
    image: &Image,
    pattern: &str,
    options: &FindOptions,
    cancel: &Cancel,
) -> Result<FoundFiles> {
    let regex = RegexBuilder::new(pattern)
        .unicode(false)
        .build()
        .or_else(|_| Regex::new(pattern))
        .map_err(|error| {
            Error::InvalidArgument(format!(
                "the pattern is not a regular expression: {error}. The syntax is that of Rust's \
                 regex crate"
            ))
        })?;
    let under = image
        .tree
        .resolve(options.under.as_bytes(), true)
        .map_err(|why| {
            Error::NotFound(format!(
                "there is no {:?} in the root filesystem: {why}",
                options.under
            ))
        })?;
    let mut found = Found {
        matches: Vec::new(),
        total: 0,
        limit: options.limit.min(FindOptions::MAX_MATCHES) as usize,
    };
    let deadline = Instant::now() + TIMEOUT;
    let mut files = 0u64;
    for (path, entry) in image
        .tree
        .get(&under)
        .map(|e| (under.as_slice(), e))
        .into_iter()
        .chain(image.tree.below(&under))
    {
        cancel.check()?;
        if Instant::now() > deadline {
            return Err(Error::Limit(format!(
                "the search took longer than {} s: narrow it with `under`, or use a simpler \
                 pattern",
                TIMEOUT.as_secs()
            )));
        }
        let is_file = matches!(entry.content, Content::File { .. });
        files += u64::from(is_file);
        match options.r#in {
            Place::Path if !path.is_empty() => {
                let name = [b"/", path].concat();
                if let Some(m) = regex.find(&name) {
                    found.add(path, m.start() as u64, &name);
                }
            }
            Place::Content if is_file && entry.same_as.is_none() => {
                content(image, path, entry, &regex, &mut found, cancel)?;
            }
            _ => {}
        }
    }
    let truncated = found.total > found.matches.len() as u64;
    Ok(FoundFiles {
        matches: found.matches,
        total: found.total,
        truncated,
        files,
    })
}

struct Found {
    matches: Vec<FoundFile>,
    total: u64,
    limit: usize,
}

impl Found {
    fn add(&mut self, path: &[u8], offset: u64, text: &[u8]) {
        self.total += 1;
        if self.matches.len() < self.limit {
            self.matches.push(FoundFile {
                path: shown(path),
                offset,
                text: escape(text),
            });
        }
    }
}

/// Each line (in a binary file: each string) that matches, once.
fn content(
    image: &Image,
    path: &[u8],
    entry: &Entry,
    regex: &Regex,
    found: &mut Found,
    cancel: &Cancel,
) -> Result<()> {
    let mut base = 0u64;
    loop {
        cancel.check()?;
        let chunk = image.read(entry, base, CHUNK)?;
        let last = chunk.len() < CHUNK;
        // What begins in the overlap is found with the next chunk.
        let end = if last {
            chunk.len()
        } else {
            chunk.len() - OVERLAP
        };
        let mut at = 0;
        while let Some(m) = regex.find_at(&chunk, at) {
            if m.start() > end || (m.start() == end && !last) {
                break;
            }
            let (start, stop) = line(&chunk, m.start(), m.end());
            found.add(
                path,
                base + m.start() as u64,
                chunk.get(start..stop).unwrap_or_default(),
            );
            at = stop.max(m.end()) + 1;
            if at > chunk.len() {
                break;
            }
        }
        if last {
            return Ok(());
        }
        base += (end.max(at.min(chunk.len()))) as u64;
    }
}

/// The line or string around a match, at most [`MAX_TEXT`] bytes of it.
fn line(chunk: &[u8], start: usize, end: usize) -> (usize, usize) {
    let ends = |b: &u8| matches!(b, b'\n' | b'\r' | 0);
    let low = start.saturating_sub(MAX_TEXT / 4);
    let before = chunk.get(low..start).unwrap_or_default();
    let first = before.iter().rposition(ends).map_or(low, |i| low + i + 1);
    let high = chunk.len().min((first + MAX_TEXT).max(start));
    let after = chunk.get(end.min(high)..high).unwrap_or_default();
    let stop = after
        .iter()
        .position(ends)
        .map_or(high, |i| end.min(high) + i);
    (first, stop)
}
