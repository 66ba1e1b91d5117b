//! New files of these folders become part of the program, and the compiler watches only those that
//! it knows.

fn main() {
    for folder in [
        "templates",
        "../../wit",
        "../../plugins/sdk",
        "../../plugins/sdk-macros",
    ] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
