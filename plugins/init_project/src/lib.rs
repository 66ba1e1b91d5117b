//! `init_project`

use rookery_plugin::shapes::InitCandidate;
use rookery_plugin::{Creation, InitOptions, Maker, Next, Result, plugin, tool};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Candidates shown; the best are first.
const CANDIDATES: usize = 10;

#[derive(Deserialize, JsonSchema)]
struct Args {
    /// Directory, tar, cpio, squashfs, ext2/3/4; .gz, .xz, .zst
    rootfs: String,
    /// New directory
    output: String,
    /// Who makes it
    #[serde(default)]
    with: Maker,
}

#[derive(Serialize, JsonSchema)]
struct Made {
    project_dir: String,
    arch: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    init: Option<String>,
    init_candidates: Vec<InitCandidate>,
    total: usize,
    truncated: bool,
    files: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// None while no init is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
}

/// Make a project from a root filesystem; the first step. Gives `arch`, `init`,
/// `init_candidates` (choose by `set_env` igloo_init). Next: `run`.
#[tool(title = "Make a project", example(rootfs = "fw.tar.gz", output = "fw"))]
fn init_project(host: &impl Creation, args: Args) -> Result<Made> {
    let options = InitOptions { with: args.with };
    let mut made = host.make_project(&args.rootfs, &args.output, &options)?;
    let total = made.init_candidates.len();
    made.init_candidates.truncate(CANDIDATES);
    Ok(Made {
        next: made
            .init
            .is_some()
            .then(|| Next::call("run", json!({ "project_dir": made.project_dir }))),
        truncated: made.init_candidates.len() < total,
        project_dir: made.project_dir,
        arch: made.arch,
        init: made.init,
        init_candidates: made.init_candidates,
        total,
        files: made.files,
        warnings: made.warnings,
    })
}

plugin!(init_project);

#[cfg(test)]
mod tests {
    use rookery_plugin::testing::{FakeHost, call, check};
    use rookery_plugin::{Error, invalid};

    use super::*;

    #[test]
    fn its_definition_is_sound() {
        check::<init_project>();
    }

    #[test]
    fn the_new_project_can_be_run_next() {
        let candidates = vec![json!({ "path": "/sbin/init", "why": "named init" }); 12];
        let host = FakeHost::new().answer(
            "creation.init-project",
            json!({
                "project_dir": "/p/router",
                "arch": "mipsel",
                "init": "/sbin/init",
                "init_candidates": candidates,
                "files": 515
            }),
        );
        let answer =
            call::<init_project>(&host, json!({ "rootfs": "r.tar.gz", "output": "router" }))
                .unwrap();
        assert_eq!(
            host.calls("creation.init-project"),
            [json!({
                "rootfs": "r.tar.gz",
                "output": "router",
                "options": { "with": "auto" }
            })]
        );
        assert_eq!(
            answer["next"],
            json!({ "tool": "run", "arguments": { "project_dir": "/p/router" } })
        );
        assert_eq!(
            (
                &answer["total"],
                answer["init_candidates"].as_array().unwrap().len()
            ),
            (&json!(12), 10)
        );
    }

    #[test]
    fn who_makes_it_is_passed_on() {
        let made = json!({ "project_dir": "/p", "arch": "armel", "init": null });
        let host = FakeHost::new().answer("creation.init-project", made);
        let args = json!({ "rootfs": "r", "output": "o", "with": "penguin" });
        call::<init_project>(&host, args).unwrap();
        let asked = &host.calls("creation.init-project")[0];
        assert_eq!(asked["options"], json!({ "with": "penguin" }));
    }

    #[test]
    fn an_archive_without_an_init_is_still_a_project() {
        let host = FakeHost::new().answer(
            "creation.init-project",
            json!({ "project_dir": "/p", "arch": "armel", "init": null }),
        );
        let answer = call::<init_project>(&host, json!({ "rootfs": "r", "output": "o" })).unwrap();
        assert_eq!((answer.get("init"), answer.get("next")), (None, None));
    }

    #[test]
    fn a_hostile_archive_is_the_host_s_error() {
        let host = FakeHost::new().fail("creation.init-project", invalid("the archive holds `..`"));
        assert!(matches!(
            call::<init_project>(&host, json!({ "rootfs": "r", "output": "o" })),
            Err(Error::InvalidArgument(_))
        ));
    }
}
