//! Nothing outside the roots is opened.

mod edge;
use std::fs;
use std::os::unix::fs::symlink;

use edge::Roots;
use rookery_project::{Cancel, Error};
use serde_json::json;

fn project(dir: &std::path::Path) {
    fs::create_dir_all(dir).unwrap();
    let sections =
        "env: {}\npseudofiles: {}\nnvram: {}\nlib_inject: {}\nstatic_files: {}\nplugins: {}\n";
    let config = format!("core: {{version: 2, arch: armel}}\n{sections}");
    fs::write(dir.join("config.yaml"), config).unwrap();
}

#[test]
fn projects_are_found_absolute_and_relative_and_by_links_that_stay_inside() {
    let root = tempfile::tempdir().unwrap();
    let second = tempfile::tempdir().unwrap();
    project(&root.path().join("a/b"));
    project(second.path());
    symlink("a/b", root.path().join("inside")).unwrap();
    let roots = Roots::new([root.path().to_owned(), second.path().to_owned()]).unwrap();
    let real = root.path().canonicalize().unwrap().join("a/b");
    for name in ["a/b", "./a/../a/b/", "inside", real.to_str().unwrap()] {
        assert_eq!(roots.project(name).unwrap().dir(), real, "{name}");
    }
    assert!(roots.project(second.path().to_str().unwrap()).is_ok());
    assert!(roots.contains(&real.join("not/yet")) && !roots.contains(std::path::Path::new("/etc")));
}

#[test]
fn what_lies_outside_is_denied_and_the_roots_are_named() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    project(outside.path());
    project(&root.path().join("p"));
    symlink(outside.path(), root.path().join("leak")).unwrap();
    symlink("/etc/passwd", root.path().join("dangling-or-not")).unwrap();
    let roots = Roots::new([root.path().to_owned()]).unwrap();
    let absolute = outside.path().to_str().unwrap().to_owned();
    let sibling = format!("{}-sibling", root.path().display());
    for name in [
        absolute.as_str(),
        "leak",
        "../",
        "p/../..",
        "/",
        "/nonexistent",
        "/proc/self/root",
        "dangling-or-not",
        &sibling,
    ] {
        let error = roots.project(name).expect_err(name);
        assert!(matches!(error, Error::Denied(_)), "{name}: {error:?}");
        assert!(
            error.to_string().contains(root.path().to_str().unwrap()),
            "{error}"
        );
        assert!(roots.results(None, Some(name)).is_err(), "{name}");
    }
    for name in ["", "x\0y"] {
        assert!(
            matches!(roots.project(name), Err(Error::InvalidArgument(_))),
            "{name:?}"
        );
    }
    assert!(matches!(
        roots.project("nothing/here"),
        Err(Error::NotFound(_))
    ));
    assert!(matches!(
        roots.results(None, None),
        Err(Error::InvalidArgument(_))
    ));
    assert!(roots.create("leak", "out", &Cancel::default()).is_err());
    assert!(matches!(
        roots.create("p", "../out", &Cancel::default()),
        Err(Error::Denied(_))
    ));
}

#[test]
fn nothing_is_written_through_a_link_that_took_the_place_of_the_project() {
    let base = tempfile::tempdir().unwrap();
    let (root, outside) = (base.path().join("root"), base.path().join("outside"));
    project(&root.join("p"));
    project(&outside);
    let entries = || fs::read_dir(&outside).unwrap().count();
    let opened = Roots::new([root.clone()]).unwrap().project("p").unwrap();
    let change = || opened.apply(json!({"env": {"A": "1"}}), &json!({}));
    let denied = |what: &str| {
        let error = change().expect_err(what);
        assert!(matches!(error, Error::Denied(_)), "{what}: {error}");
        assert_eq!(entries(), 1, "{what}");
    };

    fs::rename(root.join("p"), root.join("q")).unwrap();
    symlink(&outside, root.join("p")).unwrap();
    denied("the project is a link");
    fs::remove_file(root.join("p")).unwrap();
    fs::rename(root.join("q"), root.join("p")).unwrap();
    symlink(&outside, root.join("p/.rookery")).unwrap();
    denied("its folder is a link");
    fs::remove_file(root.join("p/.rookery")).unwrap();
    symlink(outside.join("new"), root.join("p/patch_90_mcp.yaml")).unwrap();
    denied("its patch is a link");
    fs::remove_file(root.join("p/patch_90_mcp.yaml")).unwrap();
    change().expect("it is a project again");
}

#[test]
fn a_directory_without_a_regular_config_is_no_project() {
    let root = tempfile::tempdir().unwrap();
    let roots = Roots::new([root.path().to_owned()]).unwrap();
    let error = roots.project(".").unwrap_err();
    assert!(error.to_string().contains("init_project"), "{error}");
    let config = root.path().join("config.yaml");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &config,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    assert!(
        roots
            .project(".")
            .unwrap_err()
            .to_string()
            .contains("not a regular file")
    );
    fs::remove_file(&config).unwrap();
    symlink("/etc/passwd", &config).unwrap();
    assert!(matches!(roots.project("."), Err(Error::Denied(_))));
    fs::remove_file(&config).unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    assert!(
        roots
            .project("file")
            .unwrap_err()
            .to_string()
            .contains("not a directory")
    );
}

#[test]
fn results_of_a_project_that_leave_the_roots_are_denied() {
    let root = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    project(&root.path().join("p"));
    fs::create_dir(outside.path().join("0")).unwrap();
    symlink(outside.path(), root.path().join("p/results")).unwrap();
    let roots = Roots::new([root.path().to_owned()]).unwrap();
    assert!(matches!(
        roots.results(Some("p"), None),
        Err(Error::Denied(_))
    ));
    assert!(matches!(
        roots.results(Some("p"), Some("results/0")),
        Err(Error::Denied(_))
    ));
}

#[test]
fn roots_must_be_directories() {
    assert!(Roots::new([]).is_err());
    assert!(Roots::new(["/nonexistent-root".into()]).is_err());
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(Roots::new([file.path().to_owned()]).is_err());
}
