//! Uses instructions that each take as long as their memory is large, and cannot be interrupted.

use rookery_plugin::args::NoArguments;
use rookery_plugin::{Content, Result, plugin, tool};

/// So much that two at once have room in the memory that plugins share.
const BYTES: usize = 50 << 20;

/// Hostile: fill all memory, again and again.
#[tool(read_only)]
fn bulk_fill(_arguments: NoArguments) -> Result<Content> {
    let mut memory = vec![0_u8; BYTES];
    let mut byte = 0_u8;
    loop {
        memory.fill(std::hint::black_box(byte));
        byte = byte.wrapping_add(1);
    }
}

/// Hostile: move all memory by a byte, again and again.
#[tool(read_only)]
fn bulk_copy(_arguments: NoArguments) -> Result<Content> {
    let mut memory = vec![0_u8; BYTES];
    loop {
        std::hint::black_box(&mut memory).copy_within(1.., 0);
    }
}

plugin!(bulk_fill, bulk_copy);
