//! Names in tables of mounts: how the kernel writes them, and what the guest calls the images that
//! it has mounted, which the kernel knows as file systems in memory.

use std::collections::VecDeque;
use std::fmt::Write as _;

/// What begins the source of a file system in memory that holds what an image holds: behind it is
/// the image's number.
const IMAGE: &str = "rookery.image:";
/// Images that are known by their numbers.
const IMAGES_MAX: usize = 1024;
/// The source of a file system in memory that holds the image of this number.
pub fn image_source(image: u64) -> String {
    format!("{IMAGE}{image}")
}

/// What the guest calls images.
#[derive(Debug, Default)]
pub struct ImageNames {
    /// By their numbers: the type and the source that the guest knows.
    images: VecDeque<(u64, String, String)>,
    next: u64,
}

impl ImageNames {
    /// A number for an image that is mounted for the first time.
    pub fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The guest mounts an image by this type and from this source.
    pub fn name(&mut self, image: u64, fstype: &str, source: &str) {
        self.images.retain(|(known, ..)| *known != image);
        if self.images.len() >= IMAGES_MAX {
            self.images.pop_front();
        }
        let name = (image, escape(fstype), escape(source));
        self.images.push_back(name);
    }

    /// The type and the source that the guest knows, from the source that the kernel knows.
    pub fn known(&self, source: &str) -> Option<(&str, &str)> {
        let number = source.strip_prefix(IMAGE)?.parse().ok();
        let mut images = self.images.iter();
        let image = images.find(|(known, ..)| Some(*known) == number);
        let shown = image.map(|(_, fstype, source)| (fstype.as_str(), source.as_str()));
        shown.or(Some(("none", "none")))
    }
}

/// As the kernel writes a name into its table.
pub fn escape(name: &str) -> String {
    if name.is_empty() {
        return "none".to_owned();
    }
    let mut text = String::new();
    for character in name.chars() {
        match character {
            ' ' | '\t' | '\n' | '\\' | '#' => {
                let _ = write!(text, "\\{:03o}", u32::from(character));
            }
            other => text.push(other),
        }
    }
    text
}

/// The kernel's numbers of mounts, and where they are, from its table (`proc_pid_mountinfo(5)`).
pub fn places(table: &str) -> Vec<(u64, String)> {
    let line = |line: &str| {
        let mut fields = line.split(' ');
        let id = fields.next()?.parse().ok()?;
        Some((id, unescape(fields.nth(3)?)))
    };
    table.lines().filter_map(line).collect()
}

/// A name as the kernel's tables write it: blanks and backslashes as three octal digits.
fn unescape(name: &str) -> String {
    let mut parts = name.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(code) = code {
            out.push(code.into());
            out.push_str(part.get(3..).unwrap_or_default());
        } else {
            out.push('\\');
            out.push_str(part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_the_kernel_writes_them() {
        let table = "21 1 0:30 / / rw - overlay x rw\n\
                     40 21 0:44 / /tmp/a\\040b rw - tmpfs m rw\n";
        let expected = [(21, "/".to_owned()), (40, "/tmp/a b".to_owned())];
        assert_eq!(places(table), expected);
        assert_eq!(unescape("a\\b"), "a\\b");
    }
}
