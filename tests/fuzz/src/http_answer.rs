//! What a web service of a guest answers.

/// Read it as a request of `http` does.
pub fn body(data: &[u8]) {
    rookery_runs::read_http_answer(data);
}
