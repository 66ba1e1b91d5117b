//! The files that a run leaves, as text that is written here, and against files that Penguin's own
//! code wrote.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use rookery_harness::{Trial, places, trials};
use rookery_project::penguin::result_files;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::world::{World, eventually};

pub fn tests() -> Vec<Trial> {
    trials![
        a_run_leaves_penguins_files,
        each_line_of_the_console_has_its_time,
        every_file_of_a_run_is_named_where_it_is_looked_for,
        the_record_holds_what_penguin_has_no_file_for,
        what_is_faked_or_only_counted_is_said,
        a_note_is_in_the_record_while_the_run_goes_on,
        files_that_could_not_be_written_are_said,
        headers_keys_and_tables_are_those_of_a_recorded_run,
    ]
}

const SCRIPT: &[(&str, &str)] = &[
    ("console", "boot\r\n"),
    ("exec", "/usr/sbin/httpd -f"),
    ("missing", "/dev/dsa"),
    ("env", "sxid"),
    ("listen", "80"),
    ("signal", "9"),
    ("mount", "/proc"),
    ("interface", "vlan7"),
    ("crash", ""),
    ("faked", "/lib/modules/x.ko"),
    ("exit", ""),
    ("end", "init exited with status 0"),
];

fn a_run_leaves_penguins_files() {
    let world = World::new();
    assert_eq!(world.run(SCRIPT)["status"], "finished");
    for (name, expected) in [
        (".ran", ""),
        ("console.log", "boot\r\n"),
        ("env_missing.yaml", "- sxid\n"),
        ("env_mtd.txt", ""),
        ("env_uboot.txt", "[]\n"),
        ("guest_ip", "127.0.0.1\n"),
        ("ipaddr.txt", "127.0.0.1\n"),
        ("health_devices_accessed.txt", "/dev/dsa\n"),
        ("health_procs.txt", "/usr/sbin/httpd\n"),
        (
            "health_procs_with_args.txt",
            "/usr/sbin/httpd /usr/sbin/httpd -f\n",
        ),
        (
            "health_final.yaml",
            "  nproc: 0\n  nproc_args: 0\n  nfiles: 0\n  nuniquedevs: 1\n  nbound_sockets: 1\n  \
             nsyscalls: 0\n  nexecs: 1\n  nexecs_args: 1\n  nioctls: 0\n",
        ),
        (
            "lifeguard.csv",
            "signal,target_process,blocked,mechanism\n9,1,1,syscall:kill\n",
        ),
        ("mounts.csv", "proc,/proc,proc,0\n"),
        ("iface.log", "vlan7\n"),
        ("iface_ioctl.log", "0x8914,vlan7,-19\n"),
        ("igloo_init.ready", "/sbin/init\n"),
        ("netbind.ready", "httpd,4,tcp,0.0.0.0,80\n"),
        (
            "vpn_bridges.csv",
            "procname,ipvn,domain,guest_ip,guest_port,host_port\nhttpd,ipv4,tcp,0.0.0.0,80,40080\n",
        ),
        (
            "endpoints.txt",
            "tcp 127.0.0.1:40080 -> 0.0.0.0:80 (httpd)\n",
        ),
        (
            "pseudofiles_modeled.yaml",
            "/dev/known:\n  read:\n    model: zero\n",
        ),
        (
            "scores.txt",
            "score_type,score\nexecs,1.00\nbound_sockets,1.00\ndevices_accessed,1.00\n\
             processes_run,0.00\nmodules_loaded,0.00\nblocks_covered,0.00\n\
             script_lines_covered,0.00\nnopanic,1.00\nblocked_signals,-1.00\ncrashes,-1.00\n",
        ),
        ("score.txt", "2.00\n"),
        ("service_answers.yaml", "services: []\n"),
    ] {
        assert_eq!(world.result(0, name), expected, "{name}");
    }
    let summary: Value = serde_json::from_str(&world.result(0, "summary.json")).unwrap();
    assert_eq!(
        (
            &summary["score"],
            &summary["panic"],
            &summary["unmodeled_pseudofiles"]
        ),
        (&json!(2.0), &json!(false), &json!(1))
    );
    assert_eq!(
        (&summary["binds"][0]["port"], &summary["binds"][0]["state"]),
        (&json!(80), &json!("listening"))
    );
    for name in ["core_config.yaml", "core_plugins.yaml"] {
        let text = world.result(0, name);
        assert!(
            serde_yaml::from_str::<Value>(&text).unwrap().is_object(),
            "{name}: {text}"
        );
    }
    let database = Connection::open(world.project().join("results/0/plugins.db")).unwrap();
    let missing: String = database
        .query_row(
            "SELECT arg1_repr FROM syscall WHERE retno = -2",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(missing, "filename=0x0(\"/dev/dsa\")");
}

fn each_line_of_the_console_has_its_time() {
    let world = World::new();
    world.run(SCRIPT);
    let times = world.result(0, "console_times.csv");
    let rows: Vec<&str> = times.lines().collect();
    assert_eq!(rows.first(), Some(&"line,time_ms"), "{times}");
    let first = rows.get(1).and_then(|row| row.strip_prefix("1,"));
    assert!(
        first.is_some_and(|time| time.parse::<u64>().is_ok()),
        "{times}"
    );
}

fn every_file_of_a_run_is_named_where_it_is_looked_for() {
    let world = World::new();
    world.run(SCRIPT);
    let looked_at = include_str!("formats.rs");
    for entry in fs::read_dir(world.project().join("results/0")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            result_files::all().any(|(known, _)| known == name),
            "{name}: say in `host/project/src/penguin/result_files.rs` where it comes from"
        );
        let table = name.trim_end_matches(".csv");
        assert!(
            [&name, table]
                .iter()
                .any(|name| looked_at.contains(&format!("{name:?}"))),
            "{name}: say in `host/runs/tests/runs/formats.rs` what a run writes into it"
        );
    }
}

fn the_record_holds_what_penguin_has_no_file_for() {
    let world = World::new();
    let status = world.run(SCRIPT);
    let record: Value = serde_json::from_str(&world.result(0, "rookery_run.json")).unwrap();
    assert_eq!(record["run_id"], status["run_id"]);
    assert_eq!(
        record["outcome"],
        json!({ "outcome": "guest-ended", "how": "init exited with status 0" })
    );
    assert_eq!(
        record["faked"],
        json!({ "init_module": { "/lib/modules/x.ko": 1 } })
    );
    assert_eq!(record["host"][0]["detail"], "script 1.0");
    assert_eq!(
        (&record["dropped"], &record["failures"]),
        (&json!({}), &json!({}))
    );
    assert_eq!(record["notes"], status["notes"]);
    assert!(
        status["notes"].to_string().contains("init_module"),
        "{status}"
    );
    assert!(
        !status["notes"].to_string().contains("x.ko"),
        "the guest's text stays in the file"
    );
}

fn a_note_is_in_the_record_while_the_run_goes_on() {
    let world = World::new();
    let run_id = world.start(&[("note", "eth9 is missing")]).unwrap();
    eventually("the note is written", || {
        world
            .result(0, "rookery_run.json")
            .contains("eth9 is missing")
    });
    let status = json!(world.registry().stop(&run_id).unwrap());
    assert_eq!(status["notes"], json!(["eth9 is missing"]));
}

fn files_that_could_not_be_written_are_said() {
    let world = World::new();
    let status = world.run(&[("in_the_way", "system_map.yaml"), ("end", "done")]);
    assert_eq!(status["status"], "finished");
    let note = status["notes"].to_string();
    assert!(
        note.contains("could not be written (") && note.contains("): system_map.yaml"),
        "{note}"
    );
    let record: Value = serde_json::from_str(&world.result(0, "rookery_run.json")).unwrap();
    assert_eq!(record["notes"], status["notes"]);
}

fn what_is_faked_or_only_counted_is_said() {
    let world = World::new();
    let status = world.run(&[
        ("flash", "/data"),
        ("missing", "/dev/dsa"),
        ("again", "/dev/dsa"),
        ("end", "init exited with status 0"),
    ]);
    let record: Value = serde_json::from_str(&world.result(0, "rookery_run.json")).unwrap();
    assert_eq!(record["faked"], json!({ "mount": { "jffs2 on /data": 1 } }));
    assert_eq!(record["dropped"], json!({ "repeated events": 7 }));
    let failures = world.result(0, "pseudofiles_failures.yaml");
    assert!(failures.contains("hits: 51\n"), "{failures}");
    let notes = status["notes"].to_string();
    assert!(
        notes.contains("mount was answered") && notes.contains("7 events"),
        "{notes}"
    );
}

fn headers_keys_and_tables_are_those_of_a_recorded_run() -> anyhow::Result<()> {
    let sample = places::shared("data/penguin/stride-sample/results/0")?;
    let world = World::new();
    world.run(SCRIPT);
    let theirs = |name: &str| fs::read_to_string(sample.join(name)).unwrap();
    let ours = |name: &str| world.result(0, name);

    let tables = [
        "netbinds",
        "netbind_events",
        "netbinds_summary",
        "netbinds_lifecycle",
        "vpn_bridges",
        "lifeguard",
    ];
    for name in tables.map(|name| format!("{name}.csv")) {
        let header = |text: String| text.lines().next().map(str::to_owned);
        assert_eq!(header(ours(&name)), header(theirs(&name)), "{name}");
    }
    // It says one thing more, behind all that Penguin says.
    let head = |text: String| text.lines().next().unwrap_or_default().to_owned();
    let theirs_and = head(theirs("nvram.csv")) + ",origin";
    assert_eq!(head(ours("nvram.csv")), theirs_and);
    let first_column = |text: String| {
        text.lines()
            .map(|line| line.split(',').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        first_column(ours("scores.txt")),
        first_column(theirs("scores.txt"))
    );

    let yaml = |text: String| serde_yaml::from_str::<Value>(&text).unwrap();
    for (name, pointer) in [
        ("health_final.yaml", ""),
        ("crashes.yaml", "/crashes/0"),
        ("system_map.yaml", ""),
        ("system_map.yaml", "/processes/0"),
        ("pseudofiles_failures.yaml", "/~1dev~1dsa"),
        ("pseudofiles_failures.yaml", "/~1dev~1dsa/impact"),
        ("pseudofiles_failures.yaml", "/~1dev~1dsa/suggest"),
        ("summary.json", ""),
        ("summary.json", "/scores"),
        ("summary.json", "/binds/0"),
        ("summary.json", "/crashes/0"),
    ] {
        assert_eq!(
            keys(&yaml(ours(name)), pointer),
            keys(&yaml(theirs(name)), pointer),
            "{name} {pointer}"
        );
    }
    let mut runtime = keys(&yaml(ours("runtime.yaml")), "");
    runtime.retain(|key| key != "run_id");
    assert_eq!(runtime, keys(&yaml(theirs("runtime.yaml")), ""));
    let comments = |text: String| text.lines().filter(|line| line.starts_with('#')).count();
    assert_eq!(
        comments(ours("pseudofiles_failures.yaml")),
        comments(theirs("pseudofiles_failures.yaml"))
    );

    let schema = |path: PathBuf| {
        columns(
            &Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap(),
        )
    };
    // A copy, because SQLite wants to write beside a database that it opens.
    let copy = world.root.join("sample.db");
    fs::copy(sample.join("plugins.db"), &copy).unwrap();
    let (ours, theirs) = (
        schema(world.project().join("results/0/plugins.db")),
        schema(copy),
    );
    assert_eq!(theirs.difference(&ours).next(), None);
    let more: Vec<_> = ours.difference(&theirs).collect();
    assert!(
        matches!(&more[..], [(table, _, name, ..)] if table == "event" && name == "time_ms"),
        "Penguin's rows have no time, and its readers ask for columns by name: {more:?}"
    );
    Ok(())
}

/// The keys of the map at `pointer`, in order.
fn keys(value: &Value, pointer: &str) -> Vec<String> {
    let map = value
        .pointer(pointer)
        .and_then(Value::as_object)
        .unwrap_or_else(|| panic!("no map at {pointer} of {value}"));
    map.keys().cloned().collect()
}

/// Every column of every table: name, type, and whether it may be null.
fn columns(database: &Connection) -> BTreeSet<(String, i64, String, String, i64)> {
    let sql = "SELECT m.name, c.cid, c.name, c.type, c.\"notnull\" FROM sqlite_master m JOIN \
        pragma_table_info(m.name) c WHERE m.type = 'table'";
    let mut query = database.prepare(sql).unwrap();
    let rows = query
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        })
        .unwrap();
    rows.map(Result::unwrap).collect()
}
