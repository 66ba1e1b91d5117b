//! Call any host function by name, and tell what it answered.

use serde_json::Value;

use crate::bindings::rookery::plugin::{
    config, config_mutation, creation, emulation, firmware, live, results, types::Error,
};

/// Open results again and again, and drop none.
pub(crate) fn leak(project: &str, times: u64) -> Result<(), Error> {
    for _ in 0..times {
        std::mem::forget(results::open(Some(project), None)?);
    }
    Ok(())
}

pub(crate) fn call(function: &str, arguments: &Value) -> Result<String, Error> {
    let text = |key: &str| {
        arguments
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (project, run, options) = (text("project"), text("run"), text("options"));
    let number = arguments
        .get("n")
        .and_then(Value::as_u64)
        .unwrap_or_default();
    let milliseconds = u32::try_from(number).unwrap_or(u32::MAX);
    match function {
        "config.effective" => config::effective(project),
        "config.lookup" => config::lookup(project, "env.x"),
        "config.patch" => config::patch(project),
        "config-mutation.apply" => config_mutation::apply(project, options, "{}"),
        "config-mutation.remove" => config_mutation::remove(project, "env.x", options),
        "config-mutation.reset" => config_mutation::reset(project, options),
        "creation.init-project" => creation::init_project("fs.tar.gz", project, options),
        "results.open" => results::open(Some(project), None).map(|_| "opened".to_owned()),
        "results.status" => results::open(Some(project), None)?.status(),
        "results.search" => results::open(Some(project), None)?.search("console.log", "x", options),
        "results.query" => results::open(Some(project), None)?.query("SELECT 1", "[]", options),
        "firmware.open" => firmware::open(project).map(|_| "opened".to_owned()),
        "firmware.stat" => firmware::open(project)?.stat("/etc/passwd"),
        "emulation.start" => emulation::start(project, options),
        "emulation.status" => emulation::status(run),
        "emulation.wait" => emulation::wait(run, milliseconds),
        "emulation.stop" => emulation::stop(run),
        "live.capabilities" => live::capabilities(run),
        "live.command" => live::command(run, &["/bin/true".to_owned()], options),
        "live.reach" => live::reach(run, 80, options),
        "live.hook" => live::hook(run, options),
        "live.snapshot" => live::snapshot(run, options),
        other => Err(Error::InvalidArgument(format!(
            "the probe knows no host function {other:?}"
        ))),
    }
}
