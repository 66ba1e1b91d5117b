//! How a run ended, which run is looked at, and what a directory is that is none.

mod edge;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use edge::{Results, Roots};
use rookery_project::Error;
use serde_json::{Value, json};

/// A project with these runs, each with the files named.
struct Project(tempfile::TempDir);

impl Project {
    fn new(runs: &[(&str, &[&str])]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("config.yaml"), "{}").unwrap();
        fs::create_dir(dir.path().join("results")).unwrap();
        let project = Self(dir);
        for (run, files) in runs {
            fs::create_dir_all(project.run(run)).unwrap();
            for file in *files {
                fs::write(project.run(run).join(file), "").unwrap();
            }
        }
        project
    }

    fn run(&self, name: &str) -> PathBuf {
        self.0.path().join("results").join(name)
    }

    fn open(&self, results_dir: Option<&str>) -> Result<Results, Error> {
        let roots = Roots::new([self.0.path().to_owned()]).unwrap();
        roots.results(results_dir.is_none().then_some("."), results_dir)
    }

    fn status(&self) -> Value {
        self.open(None).unwrap().status().unwrap()
    }

    fn state(&self) -> String {
        self.status()["state"].as_str().unwrap().to_owned()
    }
}

fn date(file: &Path, time: SystemTime) {
    let file = File::options().append(true).open(file).unwrap();
    file.set_modified(time).unwrap();
}

#[test]
fn the_runs_of_a_project_are_listed_with_their_state_and_times() {
    let project = Project::new(&[("0", DONE), ("2", &["console.log"]), ("notes", &[])]);
    date(
        &project.run("0").join(".ran"),
        SystemTime::UNIX_EPOCH + Duration::from_secs(951_827_696),
    );
    symlink("0", project.run("latest")).unwrap();
    let roots = Roots::new([project.0.path().to_owned()]).unwrap();
    let listed = roots.runs(".", &Value::Null).unwrap();
    let states: Vec<_> = listed["runs"].as_array().unwrap().iter().collect();
    assert_eq!((states.len(), &listed["total"]), (2, &json!(2)));
    assert_eq!(
        (&states[0]["run"], &states[0]["state"]),
        (&json!(2), &json!("died"))
    );
    assert_eq!(
        (&states[1]["run"], &states[1]["state"]),
        (&json!(0), &json!("completed"))
    );
    assert_eq!(states[1]["started"], "2000-02-29T12:34:56Z");
    assert!(states[1]["written"].as_str().unwrap() > "2026");
    assert_eq!(states[1]["files"], 3);
    let one = roots.runs(".", &json!({"limit": 1})).unwrap();
    assert_eq!(
        (&one["truncated"], &one["runs"][0]["run"]),
        (&json!(true), &json!(2))
    );
    let other = roots.runs(".", &json!({"offset": 1})).unwrap();
    assert_eq!(
        (&other["truncated"], &other["runs"][0]["run"]),
        (&json!(false), &json!(0))
    );
    let never = Project::new(&[]);
    let roots = Roots::new([never.0.path().to_owned()]).unwrap();
    assert_eq!(roots.runs(".", &Value::Null).unwrap()["total"], 0);
}

const DONE: &[&str] = &[".ran", "summary.json", "console.log"];

#[test]
fn only_a_file_that_changes_beside_older_ones_is_a_run_that_goes_on() {
    let project = Project::new(&[("0", &["console.log", "runtime.yaml"])]);
    assert_eq!(project.state(), "died", "a copy has all files at once");
    let now = SystemTime::now();
    let (console, runtime) = (
        project.run("0").join("console.log"),
        project.run("0").join("runtime.yaml"),
    );
    date(&runtime, now - Duration::from_secs(30));
    assert_eq!(project.state(), "running");
    date(&console, now + Duration::from_hours(1));
    assert_eq!(
        project.state(),
        "died",
        "a time in the future tells nothing"
    );
    date(&console, now - Duration::from_secs(20));
    assert_eq!(project.state(), "died");
    fs::write(project.run("0").join("netbinds.csv"), "").unwrap();
    assert_eq!(
        project.state(),
        "running",
        "a router prints nothing for minutes"
    );
}

#[test]
fn a_page_about_a_run_does_not_make_it_go_on() {
    let project = Project::new(&[("0", &["console.log", "core_config.yaml", "report.html"])]);
    let hours_ago = |hours| SystemTime::now() - Duration::from_hours(hours);
    date(&project.run("0").join("core_config.yaml"), hours_ago(20));
    date(&project.run("0").join("console.log"), hours_ago(19));
    assert_eq!(project.state(), "died");
    let roots = Roots::new([project.0.path().to_owned()]).unwrap();
    let runs = roots.runs(".", &json!({})).unwrap();
    let written = runs["runs"][0]["written"].as_str().unwrap().to_owned();
    let started = runs["runs"][0]["started"].as_str().unwrap();
    assert!(started < &*written, "{runs}");
    fs::remove_file(project.run("0").join("report.html")).unwrap();
    let runs = roots.runs(".", &json!({})).unwrap();
    assert_eq!(
        runs["runs"][0]["written"], written,
        "the page counts for nothing"
    );
}

#[test]
fn a_run_that_may_only_be_quiet_is_not_called_dead_for_sure() {
    let project = Project::new(&[("0", &["console.log", "core_config.yaml"])]);
    let age = |file: &str, seconds: u64| {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        date(&project.run("0").join(file), time);
    };
    let perhaps = || {
        let status = project.status();
        assert_eq!(status["state"], "died");
        let said = status["why"]
            .as_str()
            .unwrap()
            .contains("still running without output");
        assert_eq!(status["perhaps_running"] == true, said, "{status}");
        said
    };
    let config = project.run("0").join("core_config.yaml");
    age("core_config.yaml", 1000);
    age("console.log", 30);
    assert!(perhaps(), "it has no timeout");
    fs::write(&config, "core: {timeout: 900}\n").unwrap();
    age("core_config.yaml", 1000);
    assert!(perhaps(), "its timeout has just passed");
    fs::write(&config, "core: {timeout: 600}\n").unwrap();
    age("core_config.yaml", 1000);
    assert!(!perhaps(), "Penguin has killed it by now");
    fs::write(&config, "").unwrap();
    age("core_config.yaml", 90_000);
    age("console.log", 80_000);
    assert!(!perhaps(), "nobody waits for a day");
    age("console.log", 30);
    fs::write(project.run("0").join("penguin.log"), "").unwrap();
    assert!(!perhaps(), "Penguin's output was kept after its end");
}

/// A process with the command line of a run's supervisor. Killed when dropped.
struct Supervisor(Child);

impl Supervisor {
    fn of(run_id: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("supervise"), "echo; read line\n").unwrap();
        let mut child = Command::new("sh")
            .args(["supervise", &format!("/state/runs/{run_id}/spec.json")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .current_dir(directory.path())
            .spawn()
            .unwrap();
        // The parent goes on before the kernel shows the new command line.
        let output = child.stdout.as_mut().unwrap();
        output.read_exact(&mut [0]).unwrap();
        Self(child)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_run_of_real_penguin_goes_on_while_its_supervisor_lives() {
    let project = Project::new(&[("0", &["console.log"]), ("1", &[])]);
    fs::write(project.0.path().join(".rookery-run.lock"), "run-p-1").unwrap();
    let state = |run: &str| {
        let status = project.open(Some(run)).unwrap().status().unwrap();
        (status["state"].clone(), status["run_id"].clone())
    };
    assert_eq!(state("results/1"), (json!("never-ran"), Value::Null));
    let supervisor = Supervisor::of("run-p-1");
    assert_eq!(state("results/1"), (json!("running"), json!("run-p-1")));
    assert_eq!(
        state("results/0"),
        (json!("died"), Value::Null),
        "that run is older"
    );
    drop(supervisor);
    assert_eq!(state("results/1"), (json!("never-ran"), Value::Null));
}

#[test]
fn a_run_of_ours_goes_on_while_its_own_supervisor_lives() {
    let project = Project::new(&[("0", &["console.log"])]);
    let note = |pid: u32| {
        fs::write(
            project.run("0").join("runtime.yaml"),
            format!("run_id: run-r-1\npid: {pid}\n"),
        )
        .unwrap();
    };
    // Neither another process nor the supervisor of another run is meant, however fresh the files
    // are.
    let (ours, others) = (Supervisor::of("run-r-1"), Supervisor::of("run-r-2"));
    for (pid, state) in [
        (1, "died"),
        (4_194_305, "died"),
        (std::process::id(), "died"),
        (others.0.id(), "died"),
        (ours.0.id(), "running"),
    ] {
        note(pid);
        assert_eq!(project.state(), state, "{pid}");
        assert_eq!(project.status()["run_id"], "run-r-1");
    }
    drop(ours);
    assert_eq!(project.state(), "died");
}

#[test]
fn older_runs_that_left_only_scores_are_complete() {
    for outcome in ["summary.json", "score.txt", "scores.txt"] {
        let project = Project::new(&[("0", &[".ran", outcome])]);
        assert_eq!(project.state(), "completed", "{outcome}");
    }
    assert_eq!(Project::new(&[("0", &[".ran"])]).state(), "died");
    assert_eq!(Project::new(&[("0", &["summary.json"])]).state(), "died");
}

#[test]
fn a_newer_run_that_did_not_complete_is_told_of() {
    let project = Project::new(&[("0", DONE), ("1", &["console.log"])]);
    let status = project.status();
    assert_eq!(status["run"], 0);
    let note = status["note"].as_str().unwrap();
    let newer = project.run("1").display().to_string();
    assert!(
        note.contains("run 1 is newer and died") && note.contains(&newer),
        "{note}"
    );
    assert_eq!(
        status["newer"],
        json!({"run": 1, "state": "died", "results_dir": newer})
    );
    let newest = project.open(Some("results/1")).unwrap().status().unwrap();
    assert_eq!((newest.get("note"), newest.get("newer")), (None, None));
    symlink("./2", project.run("latest")).unwrap();
    assert_eq!(
        project.status()["newer"],
        json!({"run": 2, "state": "never-ran", "results_dir": null})
    );
}

#[test]
fn what_is_no_run_says_what_to_give_instead() {
    let refusal = |project: &Project, dir: Option<&str>| match project.open(dir) {
        Err(error) => error.to_string(),
        Ok(results) => panic!("{dir:?} opened: {:?}", results.status()),
    };
    let project = Project::new(&[("0", DONE)]);
    assert!(refusal(&project, Some(".")).contains("give it as project_dir"));
    let all = refusal(&project, Some("results"));
    assert!(
        all.contains("project_dir") && all.contains(&project.run("0").display().to_string()),
        "{all}"
    );

    let compose = Project::new(&[("0/camera", DONE), ("0/router", DONE)]);
    let several = refusal(&compose, None);
    assert!(
        several.contains("0/camera") && several.contains("0/router"),
        "{several}"
    );

    let named = Project::new(&[("mine", DONE), ("latest", DONE)]);
    let error = refusal(&named, None);
    assert!(
        error.contains("results/latest") && error.contains("results/mine"),
        "{error}"
    );
    assert_eq!(
        named.open(Some("results/mine")).unwrap().status().unwrap()["state"],
        "completed"
    );

    let refused = Project::new(&[]);
    symlink("./0", refused.run("latest")).unwrap();
    let error = refusal(&refused, None);
    assert!(error.contains("run 0 left nothing"), "{error}");
    let link = refusal(&refused, Some("results/latest"));
    assert!(link.contains("leads to nothing"), "{link}");
}

#[test]
fn a_result_directory_that_a_project_does_not_have_is_named_as_the_project_s() {
    let project = Project::new(&[("0", DONE)]);
    symlink("./1", project.run("latest")).unwrap();
    let roots = Roots::new([project.0.path().parent().unwrap().to_owned()]).unwrap();
    let name = project.0.path().file_name().unwrap().to_str().unwrap();
    for (dir, what) in [
        ("results/latest", "left nothing"),
        ("results/7", "does not exist"),
    ] {
        let error = roots.results(Some(name), Some(dir)).unwrap_err();
        let error = error.to_string();
        let named = project.0.path().join(dir).display().to_string();
        let known = project.run("0").display().to_string();
        assert!(
            error.contains(what) && error.contains(&named) && error.contains(&known),
            "{error}"
        );
    }
}

#[test]
fn a_directory_of_other_files_is_not_a_died_run() {
    let project = Project::new(&[("0", &["letter.txt"])]);
    let status = project.status();
    assert_eq!(status["state"], "never-ran");
    assert!(
        status["why"]
            .as_str()
            .unwrap()
            .contains("not a result directory")
    );
    assert_eq!(
        Project::new(&[("0", &[])]).status()["files"],
        json!([]),
        "one that is empty left nothing"
    );
}

/// The least time that a piece of work took, of several tries.
fn least(mut work: impl FnMut()) -> Duration {
    let time = |_| {
        let begun = std::time::Instant::now();
        work();
        begun.elapsed()
    };
    (0..20).map(time).min().unwrap()
}

#[test]
fn the_newest_run_is_found_without_a_look_at_each_of_thousands() {
    const RUNS: usize = 4000;
    let project = Project::new(&[]);
    for run in 0..RUNS {
        fs::create_dir(project.run(&run.to_string())).unwrap();
    }
    let newest = project.run(&(RUNS - 1).to_string());
    for file in DONE {
        fs::write(newest.join(file), "").unwrap();
    }
    let found = || assert_eq!(project.status()["run"], RUNS - 1);
    found();
    // Thousands are no more than a list of names; each of them by itself costs more.
    let looked_at = least(|| {
        for run in 0..RUNS {
            let dir = project.run(&run.to_string());
            assert!(dir.is_dir() && dir.canonicalize().is_ok());
            assert_eq!(dir.join(".ran").exists(), run == RUNS - 1);
        }
    });
    let chosen = least(found);
    assert!(chosen < looked_at / 2, "{chosen:?} and {looked_at:?}");
    // Those that are removed or added count at once.
    fs::remove_dir_all(&newest).unwrap();
    assert_eq!(
        project.status()["run"],
        RUNS - 2,
        "the newest where none is complete"
    );
    fs::rename(project.run("7"), project.run("9000")).unwrap();
    assert_eq!(project.status()["run"], 9000);
}
