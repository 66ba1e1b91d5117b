//! Which of the things that failed are told of.

use super::cause::{Cause, Services, State, causes};
use super::subject::Subject;
use crate::timeline::Timeline;
use crate::timeline::tests::Story;

const EXIT: &str = "exit_group";

fn silent(timeline: &Timeline) -> Vec<Cause> {
    causes(timeline, &Services { listening: &[] }, None)
}

fn serving(timeline: &Timeline, pid: i64, name: &str) -> Vec<Cause> {
    let listening = [(pid, name.to_owned())];
    causes(
        timeline,
        &Services {
            listening: &listening,
        },
        None,
    )
}

fn first(causes: &[Cause]) -> (State, Option<Subject>) {
    let cause = causes.first().expect("there is a blocker");
    (cause.state, cause.subject.clone())
}

/// `/etc/init.d/rcS` is process 2.
fn boot() -> Story {
    Story::new().runs(2, 1, 10, &["/bin/sh", "/etc/init.d/rcS"])
}

#[test]
fn a_loop_that_lasts_is_a_wait() {
    let timeline = boot()
        .runs(3, 2, 20, &["/usr/bin/web"])
        .fails(3, ("ioctl", -19, "br0"), (40, 100, 11_900))
        .until(12_000);
    let wanted = Subject::Interface("br0".into());
    assert_eq!(first(&silent(&timeline)), (State::Waits, Some(wanted)));
    assert!(
        serving(&timeline, 3, "web").is_empty(),
        "it serves all the same"
    );
    assert_eq!(
        serving(&timeline, 9, "telnetd").len(),
        1,
        "another service hides it not"
    );
}

#[test]
fn some_failures_in_a_row_shortly_before_the_end_are_no_wait() {
    let told = |times, first| {
        let timeline = boot()
            .runs(3, 2, 20, &["/sbin/netifd"])
            .fails(3, ("open", -2, "/proc/net/x"), (times, first, 11_900))
            .until(12_000);
        let waits = |cause: &&Cause| cause.state == State::Waits;
        silent(&timeline).iter().filter(waits).count()
    };
    assert_eq!(told(4, 11_760), 0);
    assert_eq!(told(4, 8_000), 1);
    assert_eq!(told(40, 11_760), 1, "it turns fast");
}

#[test]
fn a_loop_that_came_to_its_end_is_none() {
    let timeline = boot()
        .runs(3, 2, 20, &["/usr/bin/web"])
        .fails(3, ("connect", -2, "/var/run/ubus.sock"), (9, 100, 900))
        .ends(2, 1000, 0, EXIT)
        .until(12_000);
    assert!(silent(&timeline).is_empty());
}

#[test]
fn a_failure_counts_where_the_program_then_ended() {
    let story = |code| {
        boot()
            .runs(3, 2, 20, &["/usr/bin/cfgd"])
            .fails(3, ("open", -2, "/etc/cfg.db"), (1, 100, 100))
            .ends(3, 150, code, EXIT)
            .until(12_000)
    };
    let wanted = Subject::File("/etc/cfg.db".into());
    assert_eq!(first(&silent(&story(3))), (State::Ended, Some(wanted)));
    assert!(silent(&story(0)).is_empty(), "it did without");
    assert!(
        serving(&story(3), 9, "httpd").is_empty(),
        "the device is up"
    );
}

#[test]
fn a_failure_long_before_the_end_is_no_cause() {
    let timeline = boot()
        .runs(3, 2, 20, &["/usr/bin/cfgd"])
        .fails(3, ("open", -2, "/etc/cfg.db"), (1, 100, 100))
        .ends(3, 9000, 3, EXIT)
        .until(12_000);
    assert!(silent(&timeline).is_empty());
}

#[test]
fn what_says_most_of_the_last_failures_is_the_cause() {
    let timeline = boot()
        .runs(3, 2, 20, &["/usr/bin/cfgd"])
        .fails(3, ("ioctl", -19, "eth1"), (1, 100, 100))
        .fails(3, ("stat", -2, "/etc/cfg.bak"), (1, 110, 110))
        .ends(3, 150, 1, EXIT)
        .until(12_000);
    let wanted = Subject::Interface("eth1".into());
    assert_eq!(first(&silent(&timeline)), (State::Ended, Some(wanted)));
}

#[test]
fn a_no_of_a_program_that_asks_is_no_failure() {
    let timeline = boot()
        .runs(3, 2, 20, &["grep", "-q", "x", "/etc/none"])
        .fails(3, ("open", -2, "/etc/none"), (1, 30, 30))
        .ends(3, 31, 2, EXIT)
        .until(12_000);
    assert!(silent(&timeline).is_empty());
}

#[test]
fn a_crash_counts_also_while_services_are_up() {
    let timeline = boot()
        .runs(3, 2, 20, &["/usr/bin/dsad"])
        .fails(3, ("open", -2, "/dev/dsa"), (1, 100, 100))
        .ends(3, 101, 139, "signal:SIGSEGV")
        .until(12_000);
    let wanted = Subject::Device("/dev/dsa".into());
    assert_eq!(
        first(&serving(&timeline, 9, "httpd")),
        (State::Crashed, Some(wanted))
    );
}

#[test]
fn a_program_that_never_ends_holds_up_its_script() {
    let held = |argv: &[&str]| boot().runs(3, 2, 20, argv).until(12_000);
    let causes = silent(&held(&["klogd", "-n"]));
    assert_eq!(first(&causes), (State::HoldsUp, None));
    assert_eq!(causes[0].process, 2);
    assert!(silent(&held(&["sleep", "60"])).is_empty());
    let goes_on = boot()
        .runs(3, 2, 20, &["klogd", "-n"])
        .runs(4, 2, 40, &["ls"])
        .ends(4, 50, 0, EXIT)
        .fails(2, ("stat", -2, "/etc/x"), (1, 60, 60))
        .until(12_000);
    assert!(
        silent(&goes_on).is_empty(),
        "it was put into the background"
    );
    let serves = held(&["/usr/sbin/httpd", "-f"]);
    assert!(serving(&serves, 3, "httpd").is_empty());
}

#[test]
fn a_boot_that_goes_on_is_all_that_is_told() {
    let mut story = boot()
        .runs(3, 2, 20, &["/usr/bin/cfgd"])
        .fails(3, ("open", -2, "/etc/cfg.db"), (1, 100, 100))
        .ends(3, 150, 3, EXIT);
    for pid in 10..15 {
        let name = format!("/sbin/step{pid}");
        story = story
            .runs(pid, 2, pid * 1000, &[&name])
            .ends(pid, pid * 1000 + 10, 0, EXIT);
    }
    let causes = silent(&story.until(14_500));
    assert_eq!((causes.len(), first(&causes).0), (1, State::Starting));
}

#[test]
fn an_init_that_crashed_is_what_ended_the_boot() {
    let mut story = Story::new().runs(1, 0, 1, &["/sbin/init"]);
    for pid in 10..15 {
        let name = format!("/sbin/step{pid}");
        story = story
            .runs(pid, 1, pid * 100, &[&name])
            .ends(pid, pid * 100 + 10, 0, EXIT);
    }
    let timeline = story.ends(1, 1500, 139, "signal:SIGSEGV").until(1500);
    let causes = silent(&timeline);
    assert_eq!(first(&causes).0, State::Crashed);
    assert!(causes.iter().all(|cause| cause.state != State::Starting));
}

#[test]
fn a_loop_that_asks_with_other_words_each_time_is_no_boot() {
    let mut story = boot()
        .runs(3, 2, 20, &["/usr/bin/cfgd"])
        .fails(3, ("open", -2, "/etc/cfg.db"), (1, 100, 100))
        .ends(3, 150, 3, EXIT);
    for pid in 10..40 {
        let load = pid.to_string();
        story = story
            .runs(pid, 2, pid * 400, &["[", &load, "-ge", "10"])
            .ends(pid, pid * 400 + 10, 0, EXIT)
            .runs(
                pid + 100,
                2,
                pid * 400 + 20,
                &["/usr/bin/rgdb", "-g", "/cpu"],
            )
            .ends(pid + 100, pid * 400 + 30, 0, EXIT);
    }
    let causes = silent(&story.until(16_100));
    assert_eq!((causes.len(), first(&causes).0), (1, State::Ended));
}

#[test]
fn a_reboot_comes_first_with_what_its_script_lacked() {
    let timeline = boot()
        .fails(2, ("stat", -2, "/dev/watchdog"), (1, 100, 100))
        .runs(3, 2, 200, &["/sbin/reboot", "-f"])
        .until(12_000);
    let causes = causes(
        &timeline,
        &Services { listening: &[] },
        Some("/sbin/reboot"),
    );
    let wanted = Subject::Device("/dev/watchdog".into());
    assert_eq!(first(&causes), (State::Rebooted, Some(wanted)));
}

#[test]
fn one_thing_that_many_lack_is_told_of_once() {
    let mut story = boot();
    for pid in 3..9 {
        story = story
            .runs(pid, 2, 20, &["/usr/bin/cfgd"])
            .fails(pid, ("open", -2, "/etc/cfg.db"), (1, 100, 100))
            .ends(pid, 150, 3, EXIT);
    }
    assert_eq!(silent(&story.until(12_000)).len(), 1);
}
