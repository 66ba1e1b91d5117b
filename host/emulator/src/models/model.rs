//! One modelled file: what reading and writing it does, as Penguin's models do
//! (`pyplugins/hyperfile/models/`). Only that an open that has read an entry of a sequence to its
//! end is at the end of the file, as they mean it: theirs reads on in an entry that is longer.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use rookery_runs::plan::{Poll, Pseudofile, Read, Write};
use rustix::io::Errno;

/// What a stateful model may hold that is not told to be larger, and any at all.
const STATE_MAX: u64 = 64 << 10;
const STATE_LIMIT: u64 = 16 << 20;
/// What may be written to a file of the results.
const WRITTEN_MAX: u64 = 16 << 20;

/// Whether these models do not say what writing does. A stateful one takes what is written.
pub fn lacks_writing(read: &Read, write: &Write) -> bool {
    match write {
        Write::Unhandled => true,
        Write::Record => !matches!(read, Read::Stateful(_)),
        Write::Return(_) | Write::Discard | Write::ToFile(_) => false,
    }
}

/// Whether a model refuses what is written.
pub fn refuses_writing(write: &Write) -> bool {
    matches!(write, Write::Unhandled | Write::Return(i32::MIN..0))
}

/// Whether an open of a model for this `access` is a stream, where it can be no file of a file
/// system: a socket or else memory. A socket has no position and nothing to map, but it waits; and
/// it refuses nothing that is written.
pub fn is_stream(model: &Pseudofile, access: i32) -> bool {
    let takes = !refuses_writing(&model.write);
    let has_no_end = model.unseekable || matches!(model.read, Read::Cycle(_));
    let waits = has_no_end || model.poll != Poll::Always;
    let has_no_content = match &model.read {
        Read::Default => true,
        Read::Bytes(bytes) => bytes.is_empty() && model.size.is_none(),
        Read::Cycle(_) | Read::Stateful(_) | Read::Sequence { .. } => false,
    };
    match access {
        // What is written is read again.
        _ if matches!(model.read, Read::Stateful(_)) => false,
        libc::O_WRONLY => takes,
        // Where reading fails, it does whoever waits for it.
        libc::O_RDONLY => waits && model.read != Read::Default,
        _ => waits || (has_no_content && takes),
    }
}

/// One file and what it holds now.
#[derive(Debug)]
pub struct Model {
    read: Read,
    write: Write,
    /// When it is ready.
    pub poll: Poll,
    /// Whether its position cannot be set.
    pub unseekable: bool,
    /// The size that it is told to have.
    size: u64,
    /// What a stateful one holds.
    state: Vec<u8>,
    /// The entry of a sequence whose turn it is.
    turn: usize,
    /// The entry that each open of a sequence reads.
    reading: HashMap<u64, usize>,
    /// Whether a periodic one has become ready since it was last asked.
    ticked: bool,
    /// Where it writes to.
    written: Option<File>,
}

impl Model {
    /// As it is at first.
    pub fn new(file: &Pseudofile, written: Option<File>) -> Self {
        let state = match &file.read {
            Read::Stateful(initial) => initial.clone(),
            _ => Vec::new(),
        };
        Self {
            read: file.read.clone(),
            write: file.write.clone(),
            poll: file.poll,
            unseekable: file.unseekable,
            size: file.size.unwrap_or(0),
            state,
            turn: 0,
            reading: HashMap::new(),
            ticked: false,
            written,
        }
    }

    /// Its size as its mappings and `SEEK_END` see it.
    pub fn size(&self) -> u64 {
        let held = match &self.read {
            Read::Bytes(bytes) | Read::Cycle(bytes) => bytes.len(),
            Read::Stateful(_) => self.state.len(),
            Read::Sequence { .. } => self.entry(self.turn).len(),
            Read::Default => 0,
        };
        self.size.max(held as u64)
    }

    /// What a read of so many bytes gives the open `handle` at a position; nothing at its end.
    pub fn read(&mut self, handle: u64, offset: u64, size: usize) -> Result<Vec<u8>, Errno> {
        let from = |bytes: &[u8]| {
            let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
            let rest = rest.unwrap_or_default();
            rest.get(..size).unwrap_or(rest).to_vec()
        };
        Ok(match &self.read {
            Read::Default => return Err(Errno::INVAL),
            Read::Bytes(bytes) => from(bytes),
            Read::Stateful(_) => from(&self.state),
            Read::Cycle(bytes) => {
                let begin = usize::try_from(offset.checked_rem(bytes.len() as u64).unwrap_or(0));
                let skipped = begin.unwrap_or(0);
                bytes
                    .iter()
                    .copied()
                    .cycle()
                    .skip(skipped)
                    .take(size)
                    .collect()
            }
            Read::Sequence { .. } => {
                let now = self.turn;
                let turn = match self.reading.get(&handle) {
                    Some(turn) if offset > 0 => *turn,
                    _ => now,
                };
                let entry = self.entry(turn);
                let given = from(entry);
                let is_read = offset.saturating_add(given.len() as u64) >= entry.len() as u64;
                self.reading.insert(handle, turn);
                if is_read && turn == now {
                    self.turn = now.saturating_add(1);
                }
                given
            }
        })
    }

    /// An open is gone.
    pub fn close(&mut self, handle: u64) {
        self.reading.remove(&handle);
    }

    /// The entry of a sequence at a turn.
    fn entry(&self, turn: usize) -> &[u8] {
        let Read::Sequence { entries, wraps } = &self.read else {
            return &[];
        };
        let index = if *wraps {
            turn.checked_rem(entries.len()).unwrap_or(0)
        } else {
            turn.min(entries.len().saturating_sub(1))
        };
        entries.get(index).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether nobody has said what writing does.
    pub fn lacks_writing(&self) -> bool {
        lacks_writing(&self.read, &self.write)
    }

    /// What a write at a position returns.
    pub fn write(&mut self, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        match &self.write {
            Write::Unhandled => Err(Errno::INVAL),
            // The kernel takes no longer count than was asked for.
            Write::Return(value) => match usize::try_from(*value) {
                Ok(count) => Ok(count.min(data.len())),
                Err(_) => Err(Errno::from_raw_os_error(value.saturating_neg())),
            },
            Write::Record if matches!(self.read, Read::Stateful(_)) => self.record(offset, data),
            Write::Record | Write::Discard => Ok(data.len()),
            Write::ToFile(_) => {
                if end_of(offset, data) > WRITTEN_MAX {
                    return Err(Errno::NOSPC);
                }
                let file = self.written.as_ref();
                if let Some(Err(error)) = file.map(|file| file.write_all_at(data, offset)) {
                    return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO));
                }
                Ok(data.len())
            }
        }
    }

    /// Keep what is written, as a file does.
    fn record(&mut self, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        let most = STATE_MAX.max(self.size).min(STATE_LIMIT);
        let end = end_of(offset, data);
        let held = self.state.len() as u64;
        let (Ok(at), Ok(end)) = (usize::try_from(offset), usize::try_from(end)) else {
            return Err(Errno::NOSPC);
        };
        if end as u64 > most.max(held) {
            return Err(Errno::NOSPC);
        }
        if self.state.len() < end {
            self.state.resize(end, 0);
        }
        if let Some(room) = self.state.get_mut(at..end) {
            room.copy_from_slice(data);
        }
        Ok(data.len())
    }

    /// Whoever opens a stateful file to replace what it holds, does.
    pub fn truncate(&mut self, size: u64) {
        if matches!(self.read, Read::Stateful(_)) && self.write == Write::Record {
            self.state
                .truncate(usize::try_from(size).unwrap_or(usize::MAX));
        }
    }

    /// The interval of a periodic one has passed.
    pub fn tick(&mut self) {
        self.ticked = true;
    }

    /// Whether it is ready to be read, and to be written; a tick counts once.
    pub fn ready(&mut self) -> (bool, bool) {
        match self.poll {
            Poll::Always => (true, true),
            Poll::Never => (false, false),
            Poll::Periodic(_) => (std::mem::take(&mut self.ticked), false),
        }
    }
}

fn end_of(offset: u64, data: &[u8]) -> u64 {
    offset.saturating_add(data.len() as u64)
}

/// What reading a model gives that was opened so often before; `None` where reading fails.
pub fn contents(model: &Pseudofile, opened: usize) -> Option<&[u8]> {
    match &model.read {
        Read::Bytes(bytes) | Read::Cycle(bytes) | Read::Stateful(bytes) => Some(bytes),
        Read::Sequence { entries, wraps } => {
            let last = entries.len().saturating_sub(1);
            let turn = if *wraps {
                opened.checked_rem(entries.len()).unwrap_or(0)
            } else {
                opened.min(last)
            };
            Some(entries.get(turn).map(Vec::as_slice).unwrap_or_default())
        }
        Read::Default => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(read: Read, write: Write) -> Model {
        let file = Pseudofile {
            read,
            write,
            ..Pseudofile::default()
        };
        Model::new(&file, None)
    }

    fn text(model: &mut Model, offset: u64, size: usize) -> String {
        String::from_utf8(model.read(1, offset, size).unwrap()).unwrap()
    }

    #[test]
    fn fixed_bytes_end_and_a_cycle_does_not() {
        let mut fixed = model(Read::Bytes(b"abc".to_vec()), Write::Discard);
        assert_eq!(text(&mut fixed, 1, 9), "bc");
        assert_eq!(text(&mut fixed, 3, 9), "");
        assert_eq!(text(&mut fixed, u64::MAX, 9), "");
        let mut cycle = model(Read::Cycle(b"abc".to_vec()), Write::Discard);
        assert_eq!(text(&mut cycle, 0, 7), "abcabca");
        assert_eq!(text(&mut cycle, 7, 4), "bcab");
        let mut empty = model(Read::Cycle(Vec::new()), Write::Discard);
        assert_eq!(text(&mut empty, 0, 7), "");
    }

    #[test]
    fn a_sequence_goes_on_once_an_entry_was_read_to_its_end() {
        let told = |wraps| {
            let entries = vec![b"busy".to_vec(), b"it is ok".to_vec()];
            let mut model = model(Read::Sequence { entries, wraps }, Write::Discard);
            // In two pieces, then to the end of file; whole; whole again.
            let mut all = vec![text(&mut model, 0, 2), text(&mut model, 2, 9)];
            all.extend([
                text(&mut model, 4, 9),
                text(&mut model, 0, 9),
                text(&mut model, 0, 9),
            ]);
            all.join(",")
        };
        assert_eq!(told(false), "bu,sy,,it is ok,it is ok");
        assert_eq!(told(true), "bu,sy,,it is ok,busy");
    }

    #[test]
    fn a_stateful_file_has_what_was_written_where_it_was_written() {
        let mut state = model(Read::Stateful(b"0123".to_vec()), Write::Record);
        assert_eq!(state.write(1, b"ab").unwrap(), 2);
        assert_eq!(text(&mut state, 0, 9), "0ab3");
        assert_eq!(state.write(6, b"z").unwrap(), 1);
        assert_eq!(state.read(1, 0, 9).unwrap(), b"0ab3\0\0z");
        state.truncate(0);
        assert_eq!(state.write(0, b"new\n").unwrap(), 4);
        assert_eq!(
            (text(&mut state, 0, 9).as_str(), state.size()),
            ("new\n", 4)
        );
        assert_eq!(state.write(STATE_MAX, b"x"), Err(Errno::NOSPC));
        assert_eq!(state.write(u64::MAX, b"x"), Err(Errno::NOSPC));
        let mut fixed = model(Read::Stateful(b"kept".to_vec()), Write::Discard);
        fixed.truncate(0);
        assert_eq!(fixed.write(0, b"lost").unwrap(), 4);
        assert_eq!(text(&mut fixed, 0, 9), "kept");
    }

    #[test]
    fn a_flash_partition_may_hold_as_much_as_it_is_told_to() {
        let file = Pseudofile {
            size: Some(1 << 20),
            read: Read::Stateful(Vec::new()),
            ..Pseudofile::default()
        };
        let mut model = Model::new(&file, None);
        assert_eq!(model.size(), 1 << 20);
        assert_eq!(model.write((1 << 20) - 1, b"x").unwrap(), 1);
        assert_eq!(model.write(1 << 20, b"x"), Err(Errno::NOSPC));
    }

    #[test]
    fn a_write_returns_what_its_model_says() {
        for (write, expected) in [
            (Write::Discard, Ok(3)),
            (Write::Record, Ok(3)),
            (Write::Unhandled, Err(Errno::INVAL)),
            (Write::Return(2), Ok(2)),
            (Write::Return(7), Ok(3)),
            (Write::Return(-5), Err(Errno::IO)),
        ] {
            assert_eq!(
                model(Read::Default, write.clone()).write(0, b"abc"),
                expected,
                "{write:?}"
            );
        }
        assert_eq!(
            model(Read::Default, Write::Discard).read(1, 0, 1),
            Err(Errno::INVAL)
        );
    }

    #[test]
    fn a_model_is_a_stream_unless_a_program_could_seek_or_map_what_it_holds_or_is_refused() {
        let bytes = |text: &str| Read::Bytes(text.into());
        let cycle = || Read::Cycle(b"ab".to_vec());
        let plain = |read, write| Pseudofile {
            read,
            write,
            ..Pseudofile::default()
        };
        let waits = |write| Pseudofile {
            poll: Poll::Never,
            ..plain(bytes(""), write)
        };
        let unseekable = || Pseudofile {
            unseekable: true,
            ..plain(bytes("x"), Write::Discard)
        };
        let sized = || Pseudofile {
            size: Some(4096),
            ..plain(bytes(""), Write::Discard)
        };
        let state = Read::Stateful(b"x".to_vec());
        // Opened for reading, for writing, for both.
        for (model, expected) in [
            (plain(bytes("x"), Write::Discard), [false, true, false]),
            (plain(bytes(""), Write::Record), [false, true, true]),
            (plain(bytes(""), Write::Unhandled), [false, false, false]),
            (plain(bytes("x"), Write::Return(-5)), [false, false, false]),
            (plain(Read::Default, Write::Discard), [false, true, true]),
            (plain(cycle(), Write::Record), [true, true, true]),
            (plain(cycle(), Write::Unhandled), [true, false, true]),
            (plain(state, Write::Record), [false, false, false]),
            (waits(Write::Unhandled), [true, false, true]),
            (unseekable(), [true, true, true]),
            (sized(), [false, true, false]),
        ] {
            let accesses = [libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR];
            let got = accesses.map(|access| is_stream(&model, access));
            assert_eq!(got, expected, "{model:?}");
        }
    }

    #[test]
    fn a_periodic_file_is_ready_once_a_tick() {
        let file = Pseudofile {
            poll: Poll::Periodic(5),
            ..Pseudofile::default()
        };
        let mut model = Model::new(&file, None);
        assert_eq!(model.ready(), (false, false));
        model.tick();
        assert_eq!(
            (model.ready(), model.ready()),
            ((true, false), (false, false))
        );
    }
}
