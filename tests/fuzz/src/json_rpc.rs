//! A line on the server's standard input.

/// Read it with and without batches; what it is refused with can be sent.
pub fn body(data: &[u8]) {
    rookery_server::read_line(data);
}
