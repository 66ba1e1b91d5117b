//! What the tables of sockets say.

use super::*;
use crate::event::Process;

fn listen(collector: &mut Netbinds, at: u64, name: &str, port: u16) {
    happen(
        collector,
        at,
        name,
        What::Listen {
            proto: "tcp",
            ip: "0.0.0.0".parse().unwrap(),
            port,
        },
    );
}

fn unlisten(collector: &mut Netbinds, at: u64, name: &str, port: u16) {
    happen(
        collector,
        at,
        name,
        What::Unlisten {
            proto: "tcp",
            ip: "0.0.0.0".parse().unwrap(),
            port,
        },
    );
}

fn happen(collector: &mut Netbinds, at: u64, name: &str, what: What) {
    let process = Process {
        pid: 42,
        name: name.into(),
        ..Process::default()
    };
    collector.event(&Event {
        at: Duration::from_millis(at),
        process,
        what,
    });
}

fn read(directory: &tempfile::TempDir, name: &str) -> String {
    std::fs::read_to_string(directory.path().join(name)).unwrap()
}

#[test]
fn sockets_go_through_penguins_states() {
    let directory = tempfile::tempdir().unwrap();
    let mut collector = Netbinds::new(directory.path());
    listen(&mut collector, 1000, "httpd", 80);
    listen(&mut collector, 1000, "brief", 81);
    listen(&mut collector, 1000, "flappy", 82);
    listen(&mut collector, 1000, "closed", 83);
    unlisten(&mut collector, 1500, "brief", 81);
    unlisten(&mut collector, 9000, "flappy", 82);
    unlisten(&mut collector, 9000, "closed", 83);
    listen(&mut collector, 9500, "flappy", 82);
    collector.finish(Duration::from_secs(20)).unwrap();
    assert_eq!(
        read(&directory, "netbinds.csv"),
        format!(
            "{HEADER}httpd,4,tcp,0.0.0.0,80,42,1.000,listening,\n\
             flappy,4,tcp,0.0.0.0,82,42,1.000,listening,\n\
             closed,4,tcp,0.0.0.0,83,42,1.000,closed,9.000\n\
             brief,4,tcp,0.0.0.0,81,42,1.000,transient,1.500\n"
        )
    );
    assert_eq!(
        read(&directory, "netbinds_lifecycle.csv"),
        format!(
            "{LIFECYCLE_HEADER}httpd,4,tcp,0.0.0.0,80,42,listening,False,1,0,0,1.000,,19.000\n\
             brief,4,tcp,0.0.0.0,81,42,transient,True,1,1,0,1.000,1.500,0.500\n\
             flappy,4,tcp,0.0.0.0,82,42,listening,False,2,0,1,1.000,,19.000\n\
             closed,4,tcp,0.0.0.0,83,42,closed,False,1,1,0,1.000,9.000,8.000\n"
        )
    );
    let events = read(&directory, "netbind_events.csv");
    assert!(
        events.ends_with("close,closed,4,tcp,0.0.0.0,83,42,9.000\n"),
        "{events}"
    );
    assert!(
        events.contains("flap,flappy,4,tcp,0.0.0.0,82,42,9.500\n")
            && events.contains("transient,brief,"),
        "{events}"
    );
    assert_eq!(
        read(&directory, "netbinds_summary.csv"),
        format!("{SUMMARY_HEADER}1,1,True,1.000\n2,2,True,1.000\n3,3,True,1.000\n4,4,True,1.000\n")
    );
}

#[test]
fn a_run_is_readable_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let mut collector = Netbinds::new(directory.path());
    collector.flush(Duration::ZERO).unwrap();
    assert_eq!(read(&directory, "netbinds.csv"), HEADER);
    listen(&mut collector, 10, "httpd", 80);
    collector.flush(Duration::from_millis(20)).unwrap();
    assert!(
        read(&directory, "netbinds.csv").ends_with("httpd,4,tcp,0.0.0.0,80,42,0.010,listening,\n")
    );
}

#[test]
fn a_hostile_name_cannot_forge_a_row() {
    let directory = tempfile::tempdir().unwrap();
    let mut collector = Netbinds::new(directory.path());
    listen(
        &mut collector,
        0,
        "x\nhttpd,4,tcp,0.0.0.0,80,1,0.000,listening,\n",
        9,
    );
    collector.finish(Duration::ZERO).unwrap();
    for name in [
        "netbinds.csv",
        "netbind_events.csv",
        "netbinds_lifecycle.csv",
    ] {
        let text = read(&directory, name);
        let columns = |line: &str| line.split(',').count();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            text.lines()
                .all(|line| columns(line) == columns(text.lines().next().unwrap())),
            "{text}"
        );
    }
}

#[test]
fn a_flood_of_sockets_is_bounded_and_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut collector = Netbinds::new(directory.path());
    for number in 0..MAX_SOCKETS + 5 {
        listen(&mut collector, 0, &number.to_string(), 80);
    }
    assert_eq!(collector.binds().len(), MAX_SOCKETS);
    assert_eq!(collector.dropped().1, 5);
}
