//! That every system call which the filter sends is answered, found out by the compiler.
//!
//! Invariant 15: what the filter sends has a row.

/// Stop the compilation where one of the calls in `sent` has no row among `rows`, both by their
/// numbers: the guest would wait for ever, or the kernel would do what nobody looked at.
///
/// ```
/// const _: () = rookery_emulator::answered::check(&[9], &[2, 9]);
/// ```
///
/// ```compile_fail
/// const _: () = rookery_emulator::answered::check(&[9, 101], &[2, 9]);
/// ```
pub const fn check(sent: &[i64], rows: &[i64]) {
    let mut call = 0;
    while call < sent.len() {
        assert!(
            holds(rows, sent[call]),
            "the filter sends a system call that has no row in handlers/table.rs"
        );
        call += 1;
    }
}

const fn holds(numbers: &[i64], wanted: i64) -> bool {
    let mut index = 0;
    while index < numbers.len() {
        if numbers[index] == wanted {
            return true;
        }
        index += 1;
    }
    false
}
