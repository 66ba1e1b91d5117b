//! What kept real firmware from coming up, a case each, through the server: what its start script
//! prints, and what the run says.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use rookery_tests::{Session, doctor, firmware};
use serde_json::{Value, json};

/// Boot a firmware after calls that change its project; its console, and the end of its run.
struct Boot {
    console: String,
    /// What is kept of the run, with its notes.
    run: Value,
}

impl Boot {
    async fn of(root: &Path, script: &str, calls: &[(&str, Value)]) -> Result<Self> {
        let tree = firmware::with_start(root, "fw", script)?;
        Self::of_tree(root, &tree, calls).await
    }

    async fn of_tree(root: &Path, tree: &Path, calls: &[(&str, Value)]) -> Result<Self> {
        firmware::pack(tree, "fw")?;
        let client = Session::new(root).await?;
        let make = json!({ "rootfs": "fw.tar.gz", "output": "fw-project" });
        client.ok("init_project", make).await?;
        for (tool, arguments) in calls {
            let mut arguments = arguments.clone();
            arguments["project_dir"] = json!("fw-project");
            client.ok(tool, arguments).await?;
        }
        // Each script says so when it has done all.
        let run = json!({
            "project_dir": "fw-project", "timeout": 40, "until": "console", "console": "^the end",
        });
        let run = client.ok("run", run).await?;
        let run_id = run["run_id"].as_str().context("a run")?;
        client.ok("run_stop", json!({ "run_id": run_id })).await?;
        let results = root.join("fw-project/results/latest");
        let read = |file: &str| std::fs::read_to_string(results.join(file));
        let console = read("console.log")?.replace('\r', "");
        let run: Value = serde_json::from_str(&read("rookery_run.json")?)?;
        client.close().await?;
        Ok(Self { console, run })
    }

    fn says(&self, lines: &[&str]) {
        for line in lines {
            let has = self.console.lines().any(|said| said == *line);
            assert!(has, "no {line:?} in:\n{}\n{:#}", self.console, self.run);
        }
    }

    fn notes(&self, words: &str) {
        let notes = self.run["notes"].to_string();
        assert!(
            notes.contains(words),
            "no {words:?} in {notes}\n{}",
            self.console
        );
    }
}

fn static_file(path: &str, spec: &Value) -> (&'static str, Value) {
    ("add_static_file", json!({ "path": path, "spec": spec }))
}

async fn penguins_shims_stand_for_programs_and_what_could_not_be_made_is_a_note() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let shim = |target: &str| json!({ "type": "shim", "target": target });
    let script = "for program in /sbin/reboot /sbin/halt /sbin/insmod; do\n\
                  $program; echo $program gives $?\ndone\n\
                  [ -e /bin/other ] || echo no other\necho the end; sleep 60";
    let exit0 = shim("/igloo/utils/exit0.sh");
    let boot = Boot::of(
        root.path(),
        script,
        &[
            static_file("/sbin/reboot", &exit0),
            static_file("/sbin/halt", &exit0),
            static_file("/sbin/insmod", &exit0),
            static_file("/bin/other", &shim("/igloo/utils/console")),
        ],
    )
    .await?;
    boot.says(&[
        "/sbin/reboot gives 0",
        "/sbin/halt gives 0",
        "/sbin/insmod gives 0",
        "no other",
    ]);
    boot.notes("/bin/other");
    Ok(())
}

async fn a_moved_link_leads_where_it_led() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let script = "cat /opt/deep/web; echo the end; sleep 60";
    let tree = firmware::with_start(root.path(), "fw", script)?;
    std::fs::create_dir_all(tree.join("srv/www"))?;
    std::fs::write(tree.join("srv/www/page"), "the page\n")?;
    std::os::unix::fs::symlink("../srv/www/page", tree.join("etc/web"))?;
    let moved = static_file(
        "/opt/deep/web",
        &json!({ "type": "move", "from": "/etc/web" }),
    );
    let boot = Boot::of_tree(root.path(), &tree, &[moved]).await?;
    boot.says(&["the page"]);
    Ok(())
}

async fn a_new_root_takes_the_place_of_the_first() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let script = "mkdir -p /new; mount -t tmpfs none /new\n\
                  mkdir /new/bin /new/sbin /new/proc /new/dev /new/sys /new/old\n\
                  cp /bin/busybox /new/bin/; cp /bin/busybox /new/bin/sh\n\
                  printf '#!/bin/sh\\n/bin/busybox ls -1 /\\n/bin/busybox ls -1 /old/etc\\n\
                  echo the end; /bin/busybox sleep 60\\n' > /new/sbin/go\n\
                  /bin/busybox chmod 755 /new/sbin/go; cd /new\n\
                  /bin/busybox pivot_root . old && exec /bin/busybox chroot . /sbin/go";
    let boot = Boot::of(root.path(), script, &[]).await?;
    boot.says(&["old", "inittab"]);
    assert!(
        !boot.console.lines().any(|line| line == "www"),
        "{}",
        boot.console
    );
    Ok(())
}

async fn an_image_inside_the_firmware_is_mounted_and_a_damaged_one_says_why_not() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let script = "mkdir -p /mnt\n\
                  for image in squashfs ext4; do\n\
                  mount -o loop,ro -t $image /opt/$image /mnt && cat /mnt/inside; umount /mnt\n\
                  done 2>&1\n\
                  mount -o loop,ro -t romfs /opt/cpio /mnt && cat /mnt/tree/inside; umount /mnt\n\
                  mount -o loop,ro -t squashfs /opt/damaged /mnt || echo refused\n\
                  echo the end; sleep 60";
    let tree = firmware::with_start(root.path(), "fw", script)?;
    std::fs::create_dir_all(tree.join("opt/tree"))?;
    let inside = |text: &str| std::fs::write(tree.join("opt/tree/inside"), text);
    inside("of a squashfs\n")?;
    let opt = tree.join("opt");
    let squashfs = [
        "tree",
        "squashfs",
        "-all-root",
        "-no-progress",
        "-comp",
        "xz",
    ];
    firmware::tool("mksquashfs", &squashfs, &opt)?;
    inside("of an ext4\n")?;
    firmware::tool(
        "mke2fs",
        &["-q", "-t", "ext4", "-d", "tree", "ext4", "4M"],
        &opt,
    )?;
    inside("of a cpio archive\n")?;
    let pack = "find tree | cpio -o -H newc --quiet > cpio";
    firmware::tool("sh", &["-c", pack], &opt)?;
    let mut damaged = std::fs::read(opt.join("squashfs"))?;
    damaged.truncate(150);
    std::fs::write(opt.join("damaged"), damaged)?;
    let boot = Boot::of_tree(root.path(), &tree, &[]).await?;
    boot.says(&[
        "of a squashfs",
        "of an ext4",
        "of a cpio archive",
        "refused",
    ]);
    boot.notes("its image cannot be mounted");
    Ok(())
}

async fn the_clock_that_the_firmware_sets_is_its_own() -> Result<()> {
    doctor::needs_emulator()?;
    let root = tempfile::tempdir()?;
    let script = "date -s 2010.01.02-03:04:05 >/dev/null; echo set $?\n\
                  date +year=%Y; sh -c 'date +child=%Y-%m-%d'; echo the end; sleep 60";
    let before = std::time::SystemTime::now();
    let boot = Boot::of(root.path(), script, &[]).await?;
    boot.says(&["set 0", "year=2010", "child=2010-01-02"]);
    assert!(std::time::SystemTime::now() >= before, "the host's clock");
    Ok(())
}

async fn a_firmware_that_was_extracted_badly_says_how() -> Result<()> {
    let root = tempfile::tempdir()?;
    let tree = firmware::with_start(root.path(), "fw", "sleep 60")?;
    for name in ["usr/sbin/telnetd", "usr/sbin/upnpd"] {
        std::os::unix::fs::symlink("/dev/null", tree.join(name))?;
    }
    let busybox = std::fs::read(tree.join("bin/busybox"))?;
    let cut = busybox.get(..busybox.len() / 2).context("half of it")?;
    std::fs::write(tree.join("usr/sbin/webd"), cut)?;
    let zeros = tree.join("usr/sbin/cfgd");
    std::fs::write(&zeros, vec![0; 40_000])?;
    std::fs::set_permissions(&zeros, Permissions::from_mode(0o755))?;
    firmware::pack(&tree, "fw")?;
    let client = Session::new(root.path()).await?;
    let arguments = json!({ "rootfs": "fw.tar.gz", "output": "fw-project" });
    let made = client.ok("init_project", arguments).await?;
    let warnings = made["warnings"].to_string();
    for words in ["/dev/null", "/usr/sbin/webd", "/usr/sbin/cfgd"] {
        assert!(warnings.contains(words), "no {words} in {warnings}");
    }
    client.close().await
}

/// All of them.
pub fn trials() -> Vec<rookery_tests::Trial> {
    rookery_tests::trials![
        penguins_shims_stand_for_programs_and_what_could_not_be_made_is_a_note,
        a_moved_link_leads_where_it_led,
        a_new_root_takes_the_place_of_the_first,
        an_image_inside_the_firmware_is_mounted_and_a_damaged_one_says_why_not,
        the_clock_that_the_firmware_sets_is_its_own,
        a_firmware_that_was_extracted_badly_says_how,
    ]
}
