//! A stand-in for Penguin's remote control: it answers with what Penguin answered, only after the
//! requester has closed its side, one request a connection.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rookery_contract::options::{
    HookOptions, HookOutputOptions, PluginOptions, SnapshotAction, SnapshotOptions, UnhookOptions,
};
use rookery_project::{Error, Result};
use serde_json::{Value, json};

use super::files;
use crate::live::{LiveAnswer, LiveRequest};
use crate::penguin::live::{Kept, RunFiles};

/// Requests and replies as they were recorded.
const RECORDED: &str = include_str!("remotectrl.json");

struct Penguin {
    directory: tempfile::TempDir,
    files: RunFiles,
    kept: Kept,
    asked: Arc<Mutex<Vec<Value>>>,
}

/// The recorded reply to a request, whose log file has a name of our own.
fn reply(request: &Value) -> Value {
    let mut wanted = request.clone();
    if let Some(wanted) = wanted.as_object_mut() {
        wanted.remove("logfile");
        wanted.remove("tag");
    }
    let recorded: Vec<Value> = serde_json::from_str(RECORDED).unwrap();
    let found = recorded.iter().find(|recorded| recorded["send"] == wanted);
    match found {
        Some(recorded) => recorded["recv"].clone(),
        None => json!({ "status": "error", "message": "Unknown command: None" }),
    }
}

impl Penguin {
    fn new(core_config: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path(), "guest_cmd: true\n");
        let results = &files.results_dir;
        std::fs::write(results.join("core_config.yaml"), core_config).unwrap();
        let plugins = "remotectrl: {enabled: true}\nnmap: {enabled: false}\ncrashes: {}\n";
        std::fs::write(results.join("core_plugins.yaml"), plugins).unwrap();
        Self {
            directory,
            files,
            kept: Kept::default(),
            asked: Arc::default(),
        }
    }

    /// With its socket open.
    fn up(core_config: &str) -> Self {
        let penguin = Self::new(core_config);
        serve(&penguin.files.results_dir, &penguin.asked);
        penguin
    }

    fn ask(&self, request: &LiveRequest) -> Result<Value> {
        let answer: LiveAnswer = self.kept.answer(&self.files, request)?;
        Ok(serde_json::to_value(answer).unwrap())
    }

    fn hook(&self, kind: &str, target: &str, action: &str, process: Option<&str>) -> Result<Value> {
        self.ask(&LiveRequest::Hook(HookOptions {
            kind: kind.into(),
            target: target.into(),
            action: action.into(),
            process: process.map(str::to_owned),
        }))
    }

    fn snapshot(&self, action: SnapshotAction, tag: Option<&str>) -> Result<Value> {
        self.ask(&LiveRequest::Snapshot(SnapshotOptions {
            action,
            tag: tag.map(str::to_owned),
        }))
    }

    fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(results: &Path, asked: &Arc<Mutex<Vec<Value>>>) {
    let listener = UnixListener::bind(results.join("remotectrl.sock")).unwrap();
    let asked = Arc::clone(asked);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = String::new();
            // Until the other side is closed.
            stream.read_to_string(&mut request).unwrap();
            let request: Value = serde_json::from_str(&request).unwrap();
            asked.lock().unwrap().push(request.clone());
            let _ = stream.write_all(reply(&request).to_string().as_bytes());
        }
    });
}

#[test]
fn hooks_are_made_listed_read_and_removed() {
    let penguin = Penguin::up("core: {}\n");
    let none = penguin.ask(&LiveRequest::Hooks).unwrap();
    assert_eq!(none["ways"].as_array().map(Vec::len), Some(2));
    let first = penguin
        .hook(
            "function",
            "/lib/libc.so.0:strlen",
            "print %s",
            Some("httpd"),
        )
        .unwrap();
    assert_eq!(first, json!({ "hook_id": 1 }));
    let sent = penguin.asked().pop().unwrap();
    assert_eq!(sent["logfile"], "rookery_hook_1.log");
    assert_eq!(
        (&sent["path"], &sent["symbol"]),
        (&json!("/lib/libc.so.0"), &json!("strlen"))
    );
    let second = penguin
        .hook("syscall", "read", "print %fd, %s, %d", None)
        .unwrap();
    assert_eq!(second["hook_id"], 3);
    assert!(second["note"].as_str().unwrap().contains("every process"));
    assert_eq!(penguin.asked().pop().unwrap()["name"], "sys_read");

    let log = penguin.files.results_dir.join("rookery_hook_1.log");
    let read = |offset| {
        let options = HookOutputOptions {
            hook_id: 1,
            offset,
            max_bytes: Some(8),
        };
        penguin.ask(&LiveRequest::HookOutput(options)).unwrap()
    };
    assert_eq!(read(0)["bytes"], 0, "nothing was printed yet");
    std::fs::write(log, "httpd:strlen(\"x\")\n").unwrap();
    assert_eq!(read(0)["text"], "httpd:st");
    assert_eq!(
        (&read(8)["next_offset"], &read(8)["bytes"]),
        (&json!(16), &json!(18))
    );
    assert_eq!(read(-5)["text"], "x\")\n".replacen('x', "\"x", 1));

    let removed = penguin.ask(&LiveRequest::Unhook(UnhookOptions { hook_id: Some(1) }));
    assert_eq!(removed.unwrap(), json!({ "removed": [1] }));
    let gone = penguin.ask(&LiveRequest::Unhook(UnhookOptions { hook_id: Some(99) }));
    assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
}

#[test]
fn what_penguin_lists_and_nobody_here_made_is_not_taken_for_ours() {
    let penguin = Penguin::up("core: {}\n");
    // The recorded list has three.
    std::fs::remove_file(penguin.files.results_dir.join("remotectrl.sock")).unwrap();
    let listener = UnixListener::bind(penguin.files.results_dir.join("remotectrl.sock")).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = String::new();
        stream.read_to_string(&mut request).unwrap();
        let hooks = json!([{ "id": 7, "type": "syscall", "action": "a\u{1b}", "logfile": null }]);
        let reply = json!({ "status": "success", "hooks": hooks });
        let _ = stream.write_all(reply.to_string().as_bytes());
    });
    let listed = penguin.ask(&LiveRequest::Hooks).unwrap();
    let hook = &listed["hooks"][0];
    assert_eq!(
        (&hook["hook_id"], &hook["target"]),
        (&json!(7), &json!("?"))
    );
    assert!(
        hook["note"].as_str().unwrap().contains("not made here"),
        "{hook}"
    );
}

#[test]
fn a_request_that_harms_is_refused_before_it_is_sent() {
    let penguin = Penguin::up("core: {}\n");
    for (kind, target, action, process) in [
        ("syscall", "read", "break", None),
        ("function", "/a:b", "print %s,subp", None),
        ("function", "/a:b", "print(%s) = %d", None),
        ("syscall", "read", "print %q", None),
        ("syscall", "", "print %d", None),
        ("syscall", "sys_", "print %d", None),
        ("syscall", "re ad", "print %d", None),
        ("function", "a:b", "print %d", None),
        ("function", "/a", "print %d", None),
        ("uprobe", "/a:b", "print %d", None),
        ("syscall", "read", "print %d", Some("/usr/sbin/httpd")),
        (
            "syscall",
            "read",
            "print %d",
            Some("a name that is too long"),
        ),
    ] {
        let answer = penguin.hook(kind, target, action, process);
        let refused = matches!(answer, Err(Error::InvalidArgument(_)));
        assert!(refused, "{target} {action}: {answer:?}");
    }
    assert_eq!(penguin.asked(), [] as [Value; 0]);
}

#[test]
fn what_penguin_says_is_wrong_is_passed_on() {
    let penguin = Penguin::up("core: {}\n");
    let answer = penguin.hook("function", "/a:nosuch", "print %s", None);
    let Err(Error::Backend(why)) = answer else {
        panic!("{answer:?}")
    };
    assert!(why.contains("refused it"), "{why}");
}

#[test]
fn without_its_socket_the_call_that_opens_it_is_named() {
    let missing = |penguin: &Penguin| match penguin.ask(&LiveRequest::Hooks) {
        Err(Error::Unavailable(missing)) => missing,
        other => panic!("{other:?}"),
    };
    let penguin = Penguin::new("core: {}\n");
    assert!(
        missing(&penguin).why.contains("not opened"),
        "it is configured"
    );
    let plugins = penguin.files.results_dir.join("core_plugins.yaml");
    std::fs::write(plugins, "crashes: {}\n").unwrap();
    let how = missing(&penguin).how_to_enable;
    assert!(how.contains("plugins.remotectrl.enabled"), "{how}");
    // One that a killed Penguin left.
    let socket = penguin.files.results_dir.join("remotectrl.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(missing(&penguin).why.contains("cannot be connected with"));
    // And one that leads elsewhere.
    std::fs::remove_file(&socket).unwrap();
    let elsewhere = penguin.directory.path().join("docker.sock");
    let _listener = UnixListener::bind(&elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &socket).unwrap();
    assert!(missing(&penguin).why.contains("not a socket"));
}

#[test]
fn only_the_name_of_a_plugin_is_sent() {
    let penguin = Penguin::up("core: {}\n");
    let ask = |op: &str, name: &str| {
        let options = json!({ "op": op, "name": name });
        let options: PluginOptions = serde_json::from_value(options).unwrap();
        penguin.ask(&LiveRequest::Plugin(options))
    };
    let listed = ask("list", "").unwrap();
    let names = listed["plugins"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|of| of["name"].clone()).collect();
    assert_eq!(names, ["remotectrl", "crashes"]);
    assert!(matches!(
        ask("load", "/tmp/x.py"),
        Err(Error::InvalidArgument(_))
    ));
    let answer = ask("enable", "nope");
    let Err(Error::Backend(why)) = answer else {
        panic!("{answer:?}")
    };
    assert!(why.contains("'nope' is not loaded"), "{why}");
}

#[test]
fn snapshots_that_would_be_lost_are_refused_in_words() {
    use SnapshotAction::{Load, Save};
    let off = Penguin::up("core: {}\n");
    let Err(Error::Unavailable(missing)) = off.snapshot(Save, Some("warm")) else {
        panic!("the run has no snapshots")
    };
    assert!(missing.why.contains("throws away"), "{missing:?}");
    assert!(
        missing.how_to_enable.contains("core.snapshot.save_at"),
        "{missing:?}"
    );
    assert_eq!(off.asked(), [] as [Value; 0]);
    let file = Penguin::up("core: {snapshot: {save_at: manual, backend: file}}\n");
    assert!(matches!(
        file.snapshot(Save, None),
        Err(Error::Unavailable(_))
    ));

    let on = Penguin::up("core: {snapshot: {save_at: manual, tag: warm}}\n");
    for tag in ["../x", "a b", &"x".repeat(41)] {
        let answer = on.snapshot(Save, Some(tag));
        assert!(matches!(answer, Err(Error::InvalidArgument(_))), "{tag}");
    }
    let Err(Error::NotFound(why)) = on.snapshot(Load, None) else {
        panic!("nothing was saved")
    };
    assert!(why.contains("new overlay"), "{why}");
    let saved = on.snapshot(Save, None).unwrap();
    assert_eq!(saved["tag"], "warm");
    let notes = saved["notes"].to_string();
    assert!(
        notes.contains("does not say when") && notes.contains("is lost"),
        "{notes}"
    );
    on.snapshot(Load, None).unwrap();
    let sent: Vec<_> = on
        .asked()
        .into_iter()
        .map(|sent| sent["action"].clone())
        .collect();
    assert_eq!(sent, ["save", "load"]);

    let booted = Penguin::up("core: {snapshot: {boot_from: warm, tag: warm}}\n");
    booted.snapshot(Load, Some("warm")).unwrap();
    let qcows = booted.directory.path().join("qcows");
    std::fs::create_dir(&qcows).unwrap();
    std::fs::write(qcows.join("snapshot_other.meta.json"), "{}").unwrap();
    let at = "saved_at: '2026-11-22T08:18:47'\ntag: warm\n";
    std::fs::write(booted.files.results_dir.join("snapshot.yaml"), at).unwrap();
    let listed = booted.ask(&LiveRequest::Snapshots).unwrap();
    let expected = json!([
        { "tag": "other", "loadable": false },
        { "tag": "warm", "saved_at": "2026-11-22T08:18:47", "loadable": true },
    ]);
    assert_eq!(
        (&listed["snapshots"], &listed["can_save"]),
        (&expected, &json!(true))
    );
    let refused = off.ask(&LiveRequest::Snapshots).unwrap();
    assert_eq!(refused["can_save"], false);
}
