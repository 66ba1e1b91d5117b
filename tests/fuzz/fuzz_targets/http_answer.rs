#![no_main]
#![allow(
    unsafe_code,
    missing_docs,
    reason = "the macro defines the function that libFuzzer calls"
)]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rookery_fuzz::http_answer::body(data));
