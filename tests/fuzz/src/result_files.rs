//! Files of a result directory, which the guest's own words are in.

use std::fs;

use rookery_contract::options::{CsvOptions, SearchOptions};
use rookery_project::{Cancel, Roots};

/// Read the bytes as each kind of file.
pub fn body(data: &[u8]) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let names = ["netbinds.csv", "nvram.csv", "crashes.yaml", "console.log"];
    for name in names {
        fs::write(dir.path().join(name), data).expect("a file of a temporary directory");
    }
    let roots = Roots::new([dir.path().to_owned()]).expect("a root");
    let results = roots.results(None, Some(".")).expect("a result directory");
    let cancel = Cancel::default();
    for table in ["netbinds.csv", "nvram.csv"] {
        let _ = results.read_csv(table, &CsvOptions::default(), &cancel);
    }
    let _ = results.read_yaml("crashes.yaml");
    let options = SearchOptions {
        context: Some(2),
        ..SearchOptions::default()
    };
    let _ = results.search("console.log", "[a-z]+:", &options, &cancel);
    for offset in [0, -100, 7] {
        let _ = results.read_text("console.log", offset, 1000);
    }
    let _ = results.status();
}
