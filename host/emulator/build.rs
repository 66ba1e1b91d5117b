//! Builds `launcher/main.rs` into the static program that the embedded backend carries.

use std::path::PathBuf;
use std::process::Command;

const FLAGS: &[&str] = &[
    "--edition=2024",
    "--crate-type=bin",
    "--crate-name=launcher",
    "-Cpanic=abort",
    "-Copt-level=s",
    "-Cstrip=symbols",
    "-Crelocation-model=static",
    "-Ctarget-feature=+crt-static",
    "-Clink-args=-nostdlib -nostartfiles -static -Wl,--build-id=none -Wl,-z,norelro \
     -Wl,-z,noseparate-code",
];

fn main() {
    println!("cargo::rerun-if-changed=launcher/main.rs");
    let out =
        PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("launcher");
    if std::env::var("TARGET").is_ok_and(|target| {
        target == "x86_64-unknown-linux-gnu" || target == "x86_64-unknown-linux-musl"
    }) {
        let rustc = std::env::var_os("RUSTC").expect("cargo sets RUSTC");
        let status = Command::new(rustc)
            .args(FLAGS)
            .arg("launcher/main.rs")
            .arg("-o")
            .arg(&out)
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "rustc could not build launcher/main.rs (is a C linker installed?)"
        );
    } else {
        // The embedded backend says in its probe that it needs an x86-64 host.
        std::fs::write(&out, []).expect("OUT_DIR is writable");
    }
}
