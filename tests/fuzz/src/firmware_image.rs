//! The image of a firmware's file system.

use std::fs::File;
use std::io::{self, Read, Write};

use rookery_images::Reading;

/// The most of a tar stream that is made of one image; whoever reads a stream stops it too.
const MOST: usize = 16 << 20;

/// Have it read by a confined process. That may end in any way: readers of images reserve as much
/// memory as an image says, and some panic on damage.
///
/// # Panics
///
/// Where the process cannot be started.
pub fn body(data: &[u8]) {
    let mut image = tempfile::tempfile().expect("a file for the image");
    image.write_all(data).expect("room for the image");
    let mut reading = start(image, data.len()).expect("a process for the image");
    let most = u64::try_from(MOST).unwrap_or(u64::MAX);
    let _ = io::copy(&mut reading.by_ref().take(most), &mut io::sink());
    let _ = reading.end();
}

fn start(image: File, bytes: usize) -> io::Result<Reading> {
    Reading::start(
        image,
        u64::try_from(bytes).unwrap_or(u64::MAX),
        rookery_images::MEMORY_BYTES,
        || false,
    )
}

/// Read it in this process, for libFuzzer: an end of the process is a finding there.
pub fn in_process(data: &[u8]) {
    let _ = rookery_images::convert_unconfined(data.to_vec(), Bounded(MOST));
}

/// Takes so many bytes, and refuses the rest.
struct Bounded(usize);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.0.checked_sub(bytes.len());
        self.0 = left.ok_or_else(|| io::Error::other("it is long enough"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
