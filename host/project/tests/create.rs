//! New projects: complete, or not there at all.

#[path = "common/creating.rs"]
mod creating;
mod edge;
#[path = "common/images.rs"]
mod images;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use creating::{create, names};
use edge::Roots;
use images::{Archive, elf, small_root};
use rookery_project::{Cancel, Error};
use serde_json::{Value, json};

fn yaml(path: &Path) -> Value {
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn a_project_has_penguins_layout() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("fw.tar.gz"), small_root("./").gz()).unwrap();
    let made = create(dir.path(), "fw.tar.gz", "projects/new").unwrap();
    let project = dir.path().canonicalize().unwrap().join("projects/new");
    assert_eq!(made["project_dir"], project.to_str().unwrap());
    assert_eq!(
        (&made["arch"], &made["init"], &made["warnings"]),
        (&json!("mipsel"), &json!("/sbin/init"), &json!([]))
    );
    assert_eq!(made["init_candidates"][1]["path"], "/etc/init.d/rcS");

    let config = yaml(&project.join("config.yaml"));
    assert_eq!(
        config["core"],
        json!({"version": 2, "arch": "mipsel", "fs": "./base/fs.tar.gz"})
    );
    for section in [
        "env",
        "pseudofiles",
        "nvram",
        "lib_inject",
        "static_files",
        "plugins",
    ] {
        assert!(config[section].is_object(), "{section}");
    }
    for patch in config["patches"].as_array().unwrap() {
        assert!(
            yaml(&project.join(patch.as_str().unwrap())).is_object(),
            "{patch}"
        );
    }
    let base = yaml(&project.join("static_patches/base.yaml"));
    assert_eq!(base["env"]["igloo_init"], "/sbin/init");
    assert_eq!(base["static_files"]["/dev/shm"]["mode"], 0o1777);
    assert!(base["plugins"]["netbinds"].is_object());
    let serial = &base["static_files"]["/igloo/serial"];
    assert_eq!(
        (&serial["major"], &serial["minor"]),
        (&json!(4), &json!(65))
    );
    let diagnostics = yaml(&project.join("static_patches/diagnostics.yaml"));
    assert!(diagnostics["plugins"]["env"].is_object() && diagnostics["plugins"]["db"].is_object());
    assert_eq!(
        yaml(&project.join("static_patches/netdevs.dynamic.yaml"))["netdevs"],
        json!(["br0", "eth0", "eth1", "vlan2"]),
        "those that a script makes itself are not made beforehand"
    );
    let models = yaml(&project.join("static_patches/pseudofiles.expert_knowledge.yaml"));
    assert_eq!(
        models["pseudofiles"]
            .as_object()
            .unwrap()
            .keys()
            .collect::<Vec<_>>(),
        ["/dev/watchdog"]
    );
    assert_eq!(
        yaml(&project.join("static/InitFinder.yaml")),
        json!(["/sbin/init", "/etc/init.d/rcS"])
    );
    assert_eq!(
        yaml(&project.join("static/PseudofileFinder.yaml"))["proc"],
        json!(["/proc/vendor_x"])
    );
    assert_eq!(yaml(&project.join("static/ArchId.yaml")), "mipsel");
    assert_eq!(names(dir.path()), ["fw.tar.gz", "projects"]);

    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    let firmware = roots
        .project("projects/new")
        .unwrap()
        .firmware(&Cancel::default())
        .unwrap();
    assert_eq!(
        firmware.stat("/dev/dsa").unwrap()["kind"],
        "character-device"
    );
    assert_eq!(firmware.stat("/bin/[[").unwrap()["elf"]["arch"], "mipsel");
    assert!(matches!(
        create(dir.path(), "fw.tar.gz", "projects/new"),
        Err(Error::Conflict(_))
    ));
}

#[test]
fn a_root_is_found_below_a_folder_and_in_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("folder.tar"),
        small_root("image/squashfs-root/")
            .file("README", 0o644, b"x")
            .tar(),
    )
    .unwrap();
    assert_eq!(
        create(dir.path(), "folder.tar", "a").unwrap()["init"],
        "/sbin/init"
    );
    fs::write(
        dir.path().join("two.tar"),
        Archive::new()
            .dir("a/bin")
            .dir("a/etc")
            .dir("b/bin")
            .dir("b/etc")
            .tar(),
    )
    .unwrap();
    assert!(
        create(dir.path(), "two.tar", "b")
            .unwrap_err()
            .to_string()
            .contains("2 root filesystems (/a, /b)")
    );

    let root = dir.path().join("tree");
    fs::create_dir_all(root.join("bin")).unwrap();
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("bin/busybox"), images::mipsel()).unwrap();
    fs::set_permissions(
        root.join("bin/busybox"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    fs::hard_link(root.join("bin/busybox"), root.join("bin/init")).unwrap();
    symlink("/etc/passwd", root.join("etc/passwd")).unwrap();
    symlink("..", root.join("up")).unwrap();
    let made = create(dir.path(), "tree", "c").unwrap();
    assert_eq!(made["init"], "/bin/init");
    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    let firmware = roots
        .project("c")
        .unwrap()
        .firmware(&Cancel::default())
        .unwrap();
    assert!(
        firmware.stat("/etc/passwd").is_err(),
        "a link is resolved in the image, not on the host"
    );
    assert!(
        create(dir.path(), "tree", "tree/out")
            .unwrap_err()
            .to_string()
            .contains("itself")
    );
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let write =
        |name: &str, archive: Archive| fs::write(dir.path().join(name), archive.gz()).unwrap();
    write("dots.tgz", small_root("").file("../../evil", 0o644, b"x"));
    write(
        "intel.tgz",
        Archive::new()
            .file("bin/x", 0o755, &elf(3, false, false))
            .dir("etc"),
    );
    write("empty.tgz", Archive::new().dir("bin").dir("etc"));
    write("docs.tgz", Archive::new().file("doc/readme", 0o644, b"x"));
    fs::write(dir.path().join("junk.tgz"), b"junk").unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("fifo.tgz"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    symlink("/etc", dir.path().join("outside")).unwrap();
    fs::create_dir(dir.path().join("full")).unwrap();
    fs::write(dir.path().join("full/keep"), "k").unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let before = names(dir.path());
    for (rootfs, output, word) in [
        ("dots.tgz", "deep/er/out", "`..`"),
        ("intel.tgz", "out", "i386"),
        ("empty.tgz", "out", "no program"),
        ("docs.tgz", "out", "not a root filesystem"),
        ("junk.tgz", "out", "Taken are a directory"),
        ("fifo.tgz", "out", "regular file"),
        ("nothing.tgz", "out", "there is no"),
        ("outside", "out", "outside the roots"),
        ("dots.tgz", "outside/out", "outside the roots"),
        ("dots.tgz", "full", "not empty"),
        ("dots.tgz", "file", "not a directory"),
        ("dots.tgz", ".", "root"),
    ] {
        let error = create(dir.path(), rootfs, output)
            .expect_err(rootfs)
            .to_string();
        assert!(error.contains(word), "{rootfs} {output}: {error}");
        assert_eq!(names(dir.path()), before, "{rootfs} {output}");
    }
    let cancel = Cancel::default();
    cancel.cancel();
    write("good.tgz", small_root(""));
    let before = names(dir.path());
    let roots = Roots::new([dir.path().to_owned()]).unwrap();
    assert_eq!(
        roots.create("good.tgz", "deep/out", &cancel),
        Err(Error::Cancelled)
    );
    assert_eq!(names(dir.path()), before);
}

#[test]
fn what_penguins_init_adds_for_firmware_is_added() {
    let dir = tempfile::tempdir().unwrap();
    let archive = small_root("")
        .file("lib/libc.so.0", 0o755, &elf(8, false, false))
        .file("etc/hosts", 0o644, b"10.0.0.1 router")
        .file("etc/securetty", 0o644, b"ttyS0\n")
        .tar();
    fs::write(dir.path().join("fw.tar"), archive).unwrap();
    create(dir.path(), "fw.tar", "out").unwrap();
    let patch = |name: &str| yaml(&dir.path().join(format!("out/static_patches/{name}.yaml")));
    let inject = patch("lib_inject.core");
    assert_eq!(inject["env"]["LD_PRELOAD"], "lib_inject.so");
    let link = &inject["static_files"]["/lib/lib_inject.so"];
    assert_eq!(link["target"], "/igloo/lib_inject_o32.so");
    let directories = &patch("static.missing_dirs")["static_files"];
    assert_eq!(directories["/tmp/var/run"]["type"], "dir");
    assert!(directories.get("/bin").is_none());
    let files = &patch("static.missing_files")["static_files"];
    assert_eq!(
        files["/etc/hosts"]["contents"],
        "10.0.0.1 router\n127.0.0.1 localhost\n"
    );
    assert_eq!(files["/etc/TZ"]["contents"], "EST5EDT");
    let deleted = &patch("static.delete_files")["static_files"];
    assert_eq!(deleted["/etc/securetty"]["type"], "delete");
    // `penguin refresh` writes its own patches anew, so none of ours may come after them.
    for patch in yaml(&dir.path().join("out/config.yaml"))["patches"]
        .as_array()
        .unwrap()
    {
        let text =
            fs::read_to_string(dir.path().join("out").join(patch.as_str().unwrap())).unwrap();
        let is_base = patch == "static_patches/base.yaml";
        assert_eq!(text.contains("/igloo/init"), is_base, "{patch}");
    }
}

#[test]
fn the_guests_init_begins_without_the_variables_of_tools() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("fw.tar"), small_root("").tar()).unwrap();
    create(dir.path(), "fw.tar", "out").unwrap();
    let base = yaml(&dir.path().join("out/static_patches/base.yaml"));
    let script = base["static_files"]["/igloo/init"]["contents"]
        .as_str()
        .unwrap();
    // Penguin's directory is another one here, and its tools do nothing.
    let igloo = dir.path().join("igloo");
    let there = |text: &str| text.replace("/igloo/", &format!("{}/", igloo.display()));
    let program = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let file = igloo.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    };
    program("init", &there(script));
    program("utils/busybox", "#!/bin/sh\nexit 1\n");
    program("utils/send_hypercall", "#!/bin/sh\n");
    program("source.d/10", "sourced=1\n");
    program("guest", "#!/bin/sh\nenv\n");
    let environment = "export igloo_init=/x\nexport IGLOO_KNOB='a b'\nexport ROOT_SHELL=1\n\
                       export PROJ_NAME=p\nexport name=/no\nexport $(reboot)=1\n";
    program("boot/igloo_env.sh", environment);
    let output = std::process::Command::new("/bin/sh")
        .arg(igloo.join("init"))
        .env_clear()
        .env("igloo_init", igloo.join("guest"))
        .envs(
            [
                "IGLOO_KNOB",
                "IGLOO_NO_SHELL_COV",
                "ROOT_SHELL",
                "PROJ_NAME",
            ]
            .map(|k| (k, "1")),
        )
        .env("board_id", "rook")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let has = |name: &str| {
        said.lines()
            .any(|line| line.starts_with(&format!("{name}=")))
    };
    assert!(
        output.status.success() && has("board_id") && has("PROJ_NAME"),
        "{said}"
    );
    for scrubbed in [
        "igloo_init",
        "IGLOO_KNOB",
        "IGLOO_NO_SHELL_COV",
        "ROOT_SHELL",
    ] {
        assert!(!has(scrubbed), "{scrubbed}: {said}");
    }
}

#[test]
fn a_hostile_name_reaches_no_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let archive = small_root("")
        .file(
            "etc/evil.conf",
            0o644,
            b"eth{{7*7}} ath0;reboot $(x) eth9999 '/dev/{{ x }}' \
            /dev/a{%b br-aaaaaaaaaaaaaaaaaaaaaaaa\n",
        )
        .file("etc/init.d/{{7}}/init", 0o755, b"#!/bin/sh\n")
        .tar();
    fs::write(dir.path().join("fw.tar"), archive).unwrap();
    create(dir.path(), "fw.tar", "out").unwrap();
    for folder in ["static", "static_patches"] {
        for name in names(&dir.path().join("out").join(folder)) {
            let text = fs::read_to_string(dir.path().join("out").join(folder).join(&name)).unwrap();
            let text = text
                .replace("{{ dylib_dir }}", "")
                .replace("{{ arch_dir }}", "");
            assert!(!text.contains("{{"), "{name}: {text}");
            assert!(
                !text.contains("eth9999") && !text.contains("reboot"),
                "{name}: {text}"
            );
        }
    }
}
