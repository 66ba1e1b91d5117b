//! Takes memory without end.

use rookery_plugin::args::NoArguments;
use rookery_plugin::{Content, Result, plugin, tool};

/// Hostile: allocate and touch memory until there is no more, then abort.
#[tool(read_only)]
fn allocates(_arguments: NoArguments) -> Result<Content> {
    let mut taken = Vec::new();
    loop {
        taken.push(std::hint::black_box(vec![1_u8; 16 << 20]));
    }
}

/// Hostile: recurse until the stack is full.
#[tool(read_only)]
fn recurses(_arguments: NoArguments) -> Result<Content> {
    Ok(Content::new().text(&deeper(0).to_string()))
}

#[allow(unconditional_recursion)]
fn deeper(level: u64) -> u64 {
    let room = std::hint::black_box([level; 64]);
    deeper(level + 1).wrapping_add(room.iter().sum::<u64>())
}

plugin!(allocates, recurses);
