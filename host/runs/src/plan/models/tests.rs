use serde_json::json;

use super::*;

fn model(entry: &Value) -> (Result<Pseudofile>, Vec<String>) {
    let project = tempfile::tempdir().unwrap();
    std::fs::write(project.path().join("data.bin"), b"\x00\xff").unwrap();
    let section = json!({ "/dev/x": entry });
    let mut notes = Notes::default();
    let models = pseudofiles(section.as_object().unwrap(), project.path(), &mut notes);
    (
        models.map(|mut models| models.remove(0).1),
        notes.into_vec(),
    )
}

fn bytes(read: &Value) -> (Vec<u8>, usize) {
    let (model, notes) = model(&json!({ "read": read }));
    match model.unwrap().read {
        Read::Bytes(bytes) | Read::Stateful(bytes) => (bytes, notes.len()),
        Read::Default | Read::Cycle(_) | Read::Sequence { .. } => panic!("no bytes for {read}"),
    }
}

#[test]
fn an_empty_entry_is_a_file_with_defaults() {
    let (model, notes) = model(&json!({}));
    assert_eq!((model.unwrap(), notes.len()), (Pseudofile::default(), 0));
}

#[test]
fn read_models_give_their_bytes() {
    for (read, expected, notes) in [
        (json!({ "model": "zero" }), &b"0"[..], 0),
        (json!({ "model": "one" }), b"1", 0),
        (json!({ "model": "empty" }), b"", 0),
        (
            json!({ "model": "const_buf", "val": "ready\n" }),
            b"ready\n",
            0,
        ),
        (
            json!({ "model": "const_buf", "val": "a", "null_terminate": true }),
            b"a\0",
            0,
        ),
        (json!({ "model": "stateful", "initial": "s" }), b"s", 0),
        (json!({ "model": "stateful" }), b"", 0),
        (
            json!({ "model": "from_file", "filename": "data.bin" }),
            b"\x00\xff",
            0,
        ),
        (
            json!({ "model": "from_file", "filename": "/etc/passwd" }),
            b"",
            1,
        ),
        (
            json!({
                "model": "const_map",
                "size": 6,
                "pad": 255,
                "vals": { "1": [0, 128], "4": "z" }
            }),
            b"\xff\x00\x80\xffz\xff",
            0,
        ),
        (
            json!({ "model": "const_map", "size": 3, "vals": { "0": ["a", "b"] } }),
            b"a\0b",
            0,
        ),
        (
            json!({
                "model": "const_map_file",
                "filename": "none",
                "size": 2,
                "vals": { "0": "a" }
            }),
            b"a\0",
            0,
        ),
        (
            json!({ "model": "const_map_file", "filename": "data.bin", "vals": {} }),
            b"\x00\xff",
            0,
        ),
        (json!({ "model": "from_plugin", "plugin": "p" }), b"", 1),
        (json!({ "model": "custom", "model_name": "m" }), b"", 1),
    ] {
        assert_eq!(bytes(&read), (expected.to_vec(), notes), "{read}");
    }
    let sequence = json!({ "model": "sequence", "vals": [7, "b"], "cycle": true });
    assert_eq!(
        model(&json!({ "read": sequence })).0.unwrap().read,
        Read::Sequence {
            entries: vec![b"7".to_vec(), b"b".to_vec()],
            wraps: true
        }
    );
    assert_eq!(
        model(&json!({ "read": { "model": "cycle", "val": "ab" } }))
            .0
            .unwrap()
            .read,
        Read::Cycle(b"ab".to_vec())
    );
    assert_eq!(
        model(&json!({ "read": { "model": "default" } }))
            .0
            .unwrap()
            .read,
        Read::Default
    );
}

#[test]
fn a_file_is_ready_and_seekable_as_its_models_say() {
    for (poll, expected) in [
        (json!({ "model": "always_ready" }), Poll::Always),
        (json!({ "model": "blocking" }), Poll::Never),
        (json!({ "model": "periodic" }), Poll::Periodic(1000)),
        (
            json!({ "model": "periodic", "interval_ms": 20 }),
            Poll::Periodic(20),
        ),
    ] {
        let (model, notes) = model(&json!({ "poll": poll }));
        assert_eq!((model.unwrap().poll, notes.len()), (expected, 0));
    }
    let (model, _) = model(&json!({ "lseek": { "model": "unsupported" } }));
    assert!(model.unwrap().unseekable);
}

#[test]
fn a_map_that_does_not_fit_is_refused_with_the_reason() {
    for read in [
        json!({ "model": "const_map", "size": 2, "vals": { "1": "ab" } }),
        json!({ "model": "const_map", "vals": { "18446744073709551615": "ab" } }),
        json!({ "model": "const_map", "vals": { "x": "ab" } }),
        json!({ "model": "const_map", "vals": { "0": [256] } }),
    ] {
        assert!(
            matches!(
                model(&json!({ "read": read })).0,
                Err(Error::InvalidArgument(_))
            ),
            "{read}"
        );
    }
}

#[test]
fn ioctl_and_write_models_are_mapped() {
    let (model, notes) = model(&json!({
        "write": { "model": "unhandled" },
        "ioctl": {
            "*": { "model": "return_const", "val": 0 },
            "2147768069": { "model": "return_const", "val": -5 },
            "4294967295": { "model": "write_data", "data": "hi", "val": 2 },
            "7": { "model": "unhandled" },
            "8": { "model": "from_plugin", "plugin": "p" },
        },
        "mmap": { "model": "from_plugin", "plugin": "p" },
    }));
    let model = model.unwrap();
    assert_eq!(model.write, Write::Unhandled);
    assert_eq!(
        model.ioctl,
        [
            (IoctlCommand::Any, Ioctl::Return(0)),
            (IoctlCommand::Number(0x8004_5705), Ioctl::Return(-5)),
            (
                IoctlCommand::Number(u32::MAX),
                Ioctl::WriteData(b"hi".to_vec(), 2)
            ),
            (IoctlCommand::Number(7), Ioctl::Unhandled),
            (IoctlCommand::Number(8), Ioctl::Return(0)),
        ]
    );
    assert_eq!(notes.len(), 2, "{notes:?}");
    for (write, expected) in [
        (
            json!({ "model": "return_const", "const": -5 }),
            Write::Return(-5),
        ),
        (
            json!({ "model": "return_const", "const": 2 }),
            Write::Return(2),
        ),
        (json!({ "model": "discard" }), Write::Discard),
        (json!({ "model": "default" }), Write::Record),
        (
            json!({ "model": "to_file", "filename": "out/led.txt" }),
            Write::ToFile("out/led.txt".into()),
        ),
    ] {
        let (model, notes) = self::model(&json!({ "write": write }));
        assert_eq!((model.unwrap().write, notes.len()), (expected, 0));
    }
    for outside in ["../config.yaml", "/etc/passwd", "", "a/../../b"] {
        let to_file = json!({ "write": { "model": "to_file", "filename": outside } });
        let (model, notes) = self::model(&to_file);
        assert_eq!(
            (model.unwrap().write, notes.len()),
            (Write::Discard, 1),
            "{outside}"
        );
    }
    let whole = self::model(&json!({ "ioctl": { "model": "zero" } }))
        .0
        .unwrap();
    assert_eq!(whole.ioctl, [(IoctlCommand::Any, Ioctl::Return(0))]);
    for no_command in ["99999999999", "-1"] {
        let (model, _) = self::model(&json!({ "ioctl": { no_command: { "model": "zero" } } }));
        assert!(model.is_err(), "{no_command}");
    }
}
