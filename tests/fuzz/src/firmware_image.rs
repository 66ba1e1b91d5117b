//! The image of a firmware's file system.

use std::io::{self, Write};
use std::sync::Once;

/// The most of a tar stream that is made of one image; whoever reads a stream stops it too.
const MOST: usize = 16 << 20;

/// Read it as the confined process does, without its limits.
pub fn body(data: &[u8]) {
    static QUIET: Once = Once::new();
    QUIET.call_once(expect_panics);
    let _ = rookery_images::convert_unconfined(data.to_vec(), Bounded(MOST));
}

/// A reader of one compressor panics on damage, which is caught and taken for damage: that is not
/// worth a trace each time.
fn expect_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let of = panic.location().map_or("", std::panic::Location::file);
        if !of.contains("lzokay-native") {
            usual(panic);
        }
    }));
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
