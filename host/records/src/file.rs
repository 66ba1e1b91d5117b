//! How result files are written.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rookery_project::regular;

/// Replace `path` by a file with `contents`; a reader sees the old file or the new one, never a
/// part.
pub(crate) fn write_atomic(path: &Path, contents: &[u8]) -> io::Result<()> {
    regular::replace(path, contents, false)
}

/// What waits in memory for a disk that is full.
const PENDING_MAX: usize = 1 << 20;

/// A file that only grows, up to a limit. What comes after the limit is counted and dropped.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: Option<File>,
    pending: Vec<u8>,
    room: u64,
    dropped: u64,
}

impl Log {
    /// At most `limit` bytes. The file is made now if there is a `header`, else by the first entry.
    pub(crate) fn new(directory: &Path, name: &str, header: Option<&str>, limit: u64) -> Self {
        let mut log = Self {
            path: directory.join(name),
            file: None,
            pending: Vec::new(),
            room: limit,
            dropped: 0,
        };
        if let Some(header) = header {
            log.pending.extend_from_slice(header.as_bytes());
            if let Err(error) = log.open().map(|_| ()).and_then(|()| log.flush()) {
                tracing::error!(%error, path = %log.path.display(), "cannot make the file");
            }
        }
        log
    }

    /// Add one entry, whole or not at all.
    pub(crate) fn push(&mut self, entry: &[u8]) {
        match u64::try_from(entry.len())
            .ok()
            .and_then(|length| self.room.checked_sub(length))
        {
            Some(room) if self.pending.len() < PENDING_MAX => {
                self.room = room;
                self.pending.extend_from_slice(entry);
            }
            _ => self.dropped += 1,
        }
    }

    /// Hand everything to the kernel; what it does not take is kept for the next time.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            let pending = std::mem::take(&mut self.pending);
            let written = self.open().and_then(|file| file.write(&pending));
            self.pending = pending;
            self.pending.drain(..written?);
        }
        Ok(())
    }

    /// Entries that did not fit.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn open(&mut self) -> io::Result<&mut File> {
        if self.file.is_none() {
            self.file = Some(regular::append(&self.path)?);
        }
        self.file
            .as_mut()
            .ok_or_else(|| io::Error::other("the file is not open"))
    }
}

/// `text` as one field of Penguin's CSV files, which know no quoting: what would end the field or
/// the line is written `\xNN`.
pub(crate) fn field(text: &str) -> String {
    escape(text, |character| {
        character == ',' || character == '"' || character == '\\'
    })
}

/// `text` on one line: control characters are written `\xNN`.
pub(crate) fn one_line(text: &str) -> String {
    escape(text, |character| character == '\\')
}

/// `text`, which [`one_line`] gave, as a YAML scalar that YAML 1.1 and 1.2 both read as this
/// string: Penguin writes and reads its results as 1.1.
pub(crate) fn scalar(text: &str) -> String {
    rookery_project::yaml::scalar(text)
}

fn escape(text: &str, also: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        // U+2028 and U+2029 end lines for some readers, as U+0085 does, which is a control
        // character already.
        if character.is_control() || also(character) || matches!(character, '\u{2028}' | '\u{2029}')
        {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                let _ = write!(escaped, "\\x{byte:02x}");
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_in_its_field() {
        assert_eq!(field("httpd"), "httpd");
        assert_eq!(field("a,b\n\"c\\"), "a\\x2cb\\x0a\\x22c\\x5c");
        assert_eq!(field("größe"), "größe");
        assert_eq!(one_line("a,b\r\n\u{2028}"), "a,b\\x0d\\x0a\\xe2\\x80\\xa8");
    }

    #[test]
    fn names_that_yaml_readers_disagree_on_are_quoted() {
        for plain in ["sxid", "SX_DEBUG", "a.b-c", "yesterday"] {
            assert_eq!(scalar(plain), plain);
        }
        for ambiguous in [
            "yes", "No", "y", "08", "0o17", "1e3", "~", "null", "12:30", ".inf", "a: b", "- c", "",
            "!x", "ä",
        ] {
            let quoted = scalar(ambiguous);
            assert!(quoted.starts_with('"'), "{quoted}");
            assert_eq!(serde_yaml::from_str::<String>(&quoted).unwrap(), ambiguous);
        }
    }

    #[test]
    fn a_log_stops_at_its_limit_between_entries() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::new(directory.path(), "log", Some("h\n"), 6);
        for entry in ["abc\n", "too long\n", "x\n", "y\n"] {
            log.push(entry.as_bytes());
        }
        log.flush().unwrap();
        assert_eq!(
            std::fs::read_to_string(directory.path().join("log")).unwrap(),
            "h\nabc\nx\n"
        );
        assert_eq!(log.dropped(), 2);
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_written_later() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::new(directory.path(), "log", None, 1 << 30);
        log.file = Some(File::options().write(true).open("/dev/full").unwrap());
        log.push(b"abc\n");
        assert!(log.flush().is_err());
        log.push(&vec![b'x'; PENDING_MAX]);
        log.push(b"dropped\n");
        assert_eq!(log.dropped(), 1);
        log.file = None;
        log.flush().unwrap();
        let text = std::fs::read(directory.path().join("log")).unwrap();
        assert!(text.starts_with(b"abc\nx") && text.len() == 4 + PENDING_MAX);
    }

    #[test]
    fn a_log_without_entries_makes_no_file() {
        let directory = tempfile::tempdir().unwrap();
        Log::new(directory.path(), "log", None, 6).flush().unwrap();
        assert!(!directory.path().join("log").exists());
    }

    proptest::proptest! {
        #[test]
        fn no_text_leaves_its_place(text: String) {
            let field = field(&text);
            assert!(!field.contains([',', '"', '\n', '\r', '\u{85}', '\u{2028}']), "{field:?}");
            let line = one_line(&text);
            assert_eq!(line.lines().count(), usize::from(!line.is_empty()));
            let list = format!("- {}\n- x\n", scalar(&line));
            assert_eq!(serde_yaml::from_str::<Vec<String>>(&list).unwrap(), [line, "x".to_owned()]);
        }
    }
}
