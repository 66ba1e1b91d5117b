//! What an inittab has init run (`inittab(5)`).

use super::image::Image;
use crate::Result;

/// Where it is; the second is Ralink's.
const PLACES: [&[u8]; 2] = [b"etc/inittab", b"etc_ro/inittab"];
/// How much of one is read.
const MAX: usize = 64 << 10;

/// One line of it.
pub(super) struct Line {
    /// When it is run: `sysinit`, `respawn`, and so on.
    pub action: String,
    /// The command, with its arguments.
    pub process: String,
}

impl Line {
    /// The program, or the script that a shell is to run.
    pub fn program(&self) -> Option<&str> {
        let mut words = self.process.split_whitespace();
        let program = words.next()?.trim_start_matches('-');
        if matches!(base(program), "sh" | "ash" | "bash") {
            return words.find(|word| !word.starts_with('-'));
        }
        Some(program)
    }
}

/// The lines of the image's inittab; none where it has none.
pub(super) fn lines(image: &Image) -> Result<Vec<Line>> {
    let mut found = PLACES.iter().filter_map(|place| image.tree.follow(place));
    let Some((_, entry)) = found.next() else {
        return Ok(Vec::new());
    };
    let text = image.read(entry, 0, MAX)?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().map(str::trim);
    let lines = lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut fields = line.splitn(4, ':').skip(2);
            Some(Line {
                action: fields.next()?.to_owned(),
                process: fields.next()?.to_owned(),
            })
        });
    Ok(lines.collect())
}

/// The last part of a path.
pub(super) fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
