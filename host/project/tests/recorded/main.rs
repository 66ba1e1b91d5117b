//! Promises that are kept to what Penguin itself recorded, and to images of real devices. Both lie
//! outside the repository.

#[allow(dead_code, reason = "a part of it is needed here")]
#[path = "../common/creating.rs"]
mod creating;
#[path = "../edge/mod.rs"]
mod edge;
#[allow(dead_code, reason = "a part of it is needed here")]
#[path = "../common/images.rs"]
mod images;
#[path = "../support/mod.rs"]
mod support;

mod config;
mod firmware;
mod results;

fn main() -> std::process::ExitCode {
    let tests = [config::tests(), firmware::tests(), results::tests()];
    rookery_harness::run(tests.into_iter().flatten().collect())
}
