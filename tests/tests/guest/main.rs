//! Promises about runs and guests, each file a kind. What a machine lacks is skipped, loudly.
//!
//! One program for all of them: each would be linked with the whole client again.

mod answers;
mod blockers;
mod boots;
mod demo_guest;
mod first_process;
mod hands;
mod hooks;
mod images;
mod launchers;
mod live;
mod queue;
mod rehost;
mod rehosting_loop;
mod remodel;
mod report;
mod runs;
mod shell;
mod waiting;
mod way_out;
mod web;

use std::process::ExitCode;

fn main() -> ExitCode {
    let all = [
        answers::trials(),
        blockers::trials(),
        boots::trials(),
        first_process::trials(),
        hands::trials(),
        hooks::trials(),
        images::trials(),
        launchers::trials(),
        live::trials(),
        queue::trials(),
        rehost::trials(),
        rehosting_loop::trials(),
        remodel::trials(),
        report::trials(),
        runs::trials(),
        shell::trials(),
        waiting::trials(),
        way_out::trials(),
        web::trials(),
    ];
    rookery_tests::run(all.into_iter().flatten().collect())
}
