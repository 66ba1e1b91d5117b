//! The server and a client that says what it wants, on in-memory pipes.

mod calls;
mod loading;
mod support;
#[path = "../../examples/fixtures/tools.rs"]
mod tools;
mod transport;
