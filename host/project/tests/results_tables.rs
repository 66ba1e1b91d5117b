//! Tables of every age: with a header, without one, with a byte order mark.

mod edge;
use std::fs;

use edge::Roots;
use rookery_project::Cancel;
use serde_json::{Value, json};

fn read(file: &str, content: &str) -> Value {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(file), content).unwrap();
    let results = Roots::new([dir.path().to_owned()])
        .unwrap()
        .results(None, Some("."))
        .unwrap();
    results
        .read_csv(file, &Value::Null, &Cancel::default())
        .unwrap()
}

#[test]
fn a_table_without_a_header_loses_no_row() {
    for (row, column, value) in [
        ("httpd,4,tcp,0.0.0.0,80", "guest_port", "80"),
        ("httpd,4,tcp,0.0.0.0,80,1.5", "time", "1.5"),
        ("httpd,4,tcp,0.0.0.0,80,412,1.5", "pid", "412"),
        (
            "httpd,4,tcp,0.0.0.0,80,412,1.5,closed,2.0",
            "state",
            "closed",
        ),
        ("time,4,tcp,0.0.0.0,80", "procname", "time"),
    ] {
        let table = read("netbinds.csv", &format!("{row}\n{row}\n"));
        assert_eq!(table["total"], 2, "{row}");
        assert_eq!(table["rows"][0][column], value, "{row}");
    }
    let nvram = read("nvram.csv", "lan,hit,\nboot,set,1\n");
    assert_eq!(
        (&nvram["total"], &nvram["rows"][1]["value"]),
        (&json!(2), &json!("1"))
    );
    let nvram = read(
        "nvram.csv",
        "key,operation,value,origin\nlan,hit,,/etc/nvram.default\nboot,set,1,guest\nx,miss,,\n",
    );
    let row =
        |at: usize| ["key", "value", "origin"].map(|column| nvram["rows"][at][column].clone());
    assert_eq!(nvram["total"], 3, "{nvram}");
    assert_eq!(
        row(0),
        [json!("lan"), json!(""), json!("/etc/nvram.default")]
    );
    assert_eq!(row(1), [json!("boot"), json!("1"), json!("guest")]);
    assert_eq!(row(2), [json!("x"), json!(""), json!("")]);
    let bridges = read("vpn_bridges.csv", "a,ipv4,tcp,0.0.0.0,80,1080\n");
    assert_eq!(bridges["rows"][0]["host_port"], "1080");
}

#[test]
fn names_of_columns_are_free_of_marks_and_blanks() {
    for (file, content) in [
        (
            "netbinds.csv",
            "\u{feff}procname, domain , guest_port\nhttpd,tcp,80\n",
        ),
        (
            "unknown.csv",
            "\u{feff}procname, domain , guest_port\nhttpd,tcp,80\n",
        ),
    ] {
        let table = read(file, content);
        assert_eq!(
            table["columns"],
            json!(["procname", "domain", "guest_port"]),
            "{file}"
        );
        assert_eq!(table["total"], 1);
    }
}

#[test]
fn an_empty_table_still_has_its_columns() {
    let table = read("netbinds.csv", "");
    assert_eq!(
        (&table["total"], &table["columns"][7]),
        (&json!(0), &json!("state"))
    );
}
