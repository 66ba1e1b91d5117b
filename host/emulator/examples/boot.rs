//! Boot a root filesystem under the embedded backend and print what happens:
//! `cargo run -p rookery-emulator --example boot -- ARCHIVE ARCH INIT SECONDS [NETDEV…]`

#[path = "../tests/support/mod.rs"]
mod support;

use std::path::Path;

use rookery_emulator::UserBackend;
use rookery_records::event::What;
use rookery_runs::backend::Backend;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [archive, arch, init, seconds, netdevs @ ..] = arguments.as_slice() else {
        eprintln!("usage: boot ARCHIVE ARCH INIT SECONDS [NETDEV…]");
        std::process::exit(2)
    };
    let work = std::env::temp_dir().join(format!("rookery-boot-{}", UserBackend::guest_uid()));
    let mut plan = support::plan(&work, Path::new(archive), arch, init);
    plan.timeout_s = seconds.parse().unwrap_or(10);
    plan.netdevs = netdevs.to_vec();
    support::unpack_with_tar(&plan);
    let all = std::env::var_os("ALL").is_some();
    let mut control = support::Recorder::new(|event| {
        let at = event.at.as_secs_f64();
        let who = format!("{}[{}]", event.process.name, event.process.pid);
        match &event.what {
            What::Console(bytes) => {
                println!("{at:8.3} | {}", String::from_utf8_lossy(bytes).trim_end());
            }
            What::Path { .. } if !all => {}
            What::Exec {
                path, argv, result, ..
            } => println!("{at:8.3} {who:20} exec {path} {argv:?} -> {result}"),
            what => println!("{at:8.3} {who:20} {what:?}"),
        }
        None
    });
    match UserBackend.run(&plan, &mut control) {
        Ok(outcome) => println!("{outcome:?}"),
        Err(error) => println!("error: {error}"),
    }
}
