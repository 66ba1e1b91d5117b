//! A line on the control socket of a run, from either side.

/// Read it as a supervisor does and as one who asks it does.
pub fn body(data: &[u8]) {
    rookery_runs::read_control_line(data);
}
