//! Requests to a running guest (`wit/live.wit`): checked here, answered by the run's supervisor.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rookery_contract::Next;
use rookery_contract::options::{
    CommandOptions, HttpOptions, Payload, PluginOp, PluginOptions, ReachOptions,
};
use rookery_contract::shapes::{
    Capabilities, CommandOutput, GuestPlugin, HttpAnswer, PluginControl, Reached,
};
use rookery_project::{Cancel, Error, Result, Unavailable, quoted};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::control;
use crate::control::wire;
use crate::http::{self, Bounds};
use crate::live::{CommandRequest, LiveRequest, ReachRequest, is_plugin_name};
use crate::registry::Registry;
use crate::state::lock;
use crate::state::record::{Spec, State};
use crate::state::store::RunDir;

/// Penguin answers such a request at once, unless its emulator is busy.
const LIVE: Duration = Duration::from_secs(15);
/// A supervisor is given this much longer than the request itself.
const SLACK: Duration = Duration::from_secs(5);
const MAX_SEND: usize = 1 << 20;
const MAX_ARGUMENTS: usize = 1024;
const MAX_ARGUMENT_BYTES: usize = 128 << 10;

impl Registry {
    /// `live.running`: the id of the run of the project in `project_dir`, which is canonical.
    pub fn running(&self, project_dir: &Path) -> Result<String> {
        if let Some(run_id) = lock::signature(project_dir)
            && let Ok(run) = self.store.open(&run_id)
            && run
                .request()
                .is_ok_and(|request| request.project_dir == project_dir)
            && !run.state()?.has_ended()
        {
            return Ok(run_id);
        }
        Err(Error::unavailable(
            "a running guest",
            format!("no run of {} is running", project_dir.display()),
            format!("Call {}", start(project_dir, None)),
        ))
    }

    /// `live.capabilities`
    pub fn capabilities(&self, run_id: &str) -> Result<Capabilities> {
        let run = self.store.open(run_id)?;
        let state = run.state()?;
        let mut why = Map::new();
        let mut offer = |name: &str, offered: bool| -> Result<bool> {
            let refusal = match (state.has_ended(), state.is_supervised()) {
                (true, _) => Some("the run has ended".to_owned()),
                (false, false) => Some("the run is still being started".to_owned()),
                (false, true) if offered => None,
                (false, true) => Some(refusal(&run.spec()?, name)),
            };
            let offered = refusal.is_none();
            why.extend(refusal.map(|refusal| (name.to_owned(), Value::from(refusal))));
            Ok(offered)
        };
        let (command, reach) = (
            offer("command", state.live.command)?,
            offer("reach", state.live.reach)?,
        );
        let (hook, plugin, snapshot) = (
            offer("hook", state.live.hook)?,
            offer("plugin", state.live.plugin)?,
            offer("snapshot", state.live.snapshot)?,
        );
        Ok(Capabilities {
            command,
            reach,
            hook,
            plugin,
            snapshot,
            why,
        })
    }

    /// `live.command`
    pub fn command(
        &self,
        run_id: &str,
        argv: &[String],
        options: &CommandOptions,
        cancel: &Cancel,
    ) -> Result<CommandOutput> {
        let (run, spec, state) = self.live_run(run_id)?;
        if argv.first().is_none_or(String::is_empty) {
            return Err(Error::InvalidArgument(
                "argv must name a program first, for example [\"ps\", \"-w\"]".into(),
            ));
        }
        let bytes: usize = argv.iter().map(String::len).sum();
        if argv.len() > MAX_ARGUMENTS
            || bytes > MAX_ARGUMENT_BYTES
            || argv.iter().any(|argument| argument.contains('\0'))
        {
            return Err(Error::InvalidArgument(format!(
                "argv may hold at most {MAX_ARGUMENTS} arguments and {MAX_ARGUMENT_BYTES} bytes, \
                 and no NUL character"
            )));
        }
        let limits = Limits::of(
            options.timeout_ms,
            CommandOptions::TIMEOUT_MS,
            options.max_bytes,
        )?;
        offered(&spec, "command", state.live.command)?;
        let request = CommandRequest {
            argv: argv.to_vec(),
            timeout: limits.timeout,
            max_bytes: limits.max_bytes,
        };
        control::ask(
            run.path(),
            &wire::Ask::command(&request),
            limits.timeout + SLACK,
            cancel,
        )
    }

    /// `live.reach`
    pub fn reach(
        &self,
        run_id: &str,
        port: u16,
        request: &ReachOptions,
        cancel: &Cancel,
    ) -> Result<Reached> {
        let (run, spec, state) = self.live_run(run_id)?;
        let limits = Limits::of(
            request.timeout_ms,
            ReachOptions::TIMEOUT_MS,
            request.max_bytes,
        )?;
        let idle = request.idle_ms.map(|idle| {
            let most = CommandOptions::MAX_TIMEOUT_MS;
            number("idle_ms", Some(idle), idle, most).map(|ms| Duration::from_millis(ms.into()))
        });
        let proto = request.proto.as_deref().unwrap_or("tcp");
        if !matches!(proto, "tcp" | "udp") {
            return Err(Error::InvalidArgument(format!(
                "proto is {proto:?}; allowed are \"tcp\" and \"udp\""
            )));
        }
        let host = request.host.as_deref().unwrap_or("127.0.0.1");
        if host.parse::<IpAddr>().is_err() {
            return Err(Error::InvalidArgument(format!(
                "host is {host:?}; it must be an address inside the guest, such as \"127.0.0.1\""
            )));
        }
        if port == 0 {
            return Err(Error::InvalidArgument(
                "port must be from 1 to 65535".into(),
            ));
        }
        let send = match &request.send {
            None => Vec::new(),
            Some(Payload::Text(text)) => text.clone().into_bytes(),
            Some(Payload::Base64 { base64 }) => wire::bytes(base64)?,
        };
        if send.len() > MAX_SEND {
            return Err(Error::Limit(format!(
                "send holds {} bytes; at most {MAX_SEND} are allowed",
                send.len()
            )));
        }
        offered(&spec, "reach", state.live.reach)?;
        let request = ReachRequest {
            proto: proto.into(),
            host: host.into(),
            port,
            send,
            timeout: limits.timeout,
            idle: idle.transpose()?,
            max_bytes: limits.max_bytes,
        };
        control::ask(
            run.path(),
            &wire::Ask::reach(&request),
            limits.timeout + SLACK,
            cancel,
        )
    }

    /// `http.request`
    pub fn http(&self, run_id: &str, request: &HttpOptions, cancel: &Cancel) -> Result<HttpAnswer> {
        let (run, spec, state) = self.live_run(run_id)?;
        let default = HttpOptions::TIMEOUT_MS;
        let limits = Limits::of(request.timeout_ms, default, request.max_bytes)?;
        offered(&spec, "reach", state.live.reach)?;
        let bounds = Bounds {
            timeout: limits.timeout,
            max_bytes: limits.max_bytes,
        };
        http::request(request, bounds, cancel, |host, port, left| {
            let ask = wire::Ask::Connect {
                host,
                port,
                timeout_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            };
            control::connect(run.path(), &ask, left + SLACK, cancel)
        })
    }

    /// The functions of `live` that watch or change the guest from outside it.
    pub fn live<T: DeserializeOwned>(
        &self,
        run_id: &str,
        request: LiveRequest,
        cancel: &Cancel,
    ) -> Result<T> {
        let (run, spec, state) = self.live_run(run_id)?;
        offered(&spec, request.needs(), state.live.has(request.needs()))?;
        let ask = wire::Ask::Live { request };
        control::ask(run.path(), &ask, LIVE + SLACK, cancel)
    }

    /// `live.control-plugin`, of the plugins that the operator allows to be changed.
    pub fn control_plugin(
        &self,
        run_id: &str,
        request: PluginOptions,
        allowed: &BTreeSet<String>,
        cancel: &Cancel,
    ) -> Result<PluginControl> {
        let op = request.op;
        if op != PluginOp::List {
            let name = request.name.as_deref().unwrap_or_default();
            may_change(name, allowed)?;
        }
        let answer = self.live(run_id, LiveRequest::Plugin(request), cancel);
        let mut answer: PluginControl = answer?;
        if op == PluginOp::List {
            for plugin in &mut answer.plugins {
                plugin.allowed = allowed.contains(&plugin.name);
            }
            let listed: BTreeSet<_> = answer.plugins.iter().map(|of| of.name.clone()).collect();
            let others = allowed.difference(&listed).map(|name| GuestPlugin {
                name: name.clone(),
                allowed: true,
                configured: false,
            });
            answer.plugins.extend(others);
        }
        Ok(answer)
    }

    fn live_run(&self, run_id: &str) -> Result<(RunDir, Spec, State)> {
        let run = self.store.open(run_id)?;
        let state = run.state()?;
        if state.has_ended() {
            return Err(Error::Unavailable(Unavailable {
                what: "a running guest".into(),
                why: format!("{run_id} has ended"),
                how_to_enable: format!("Call {}", start(&run.request()?.project_dir, None)),
            }));
        }
        if !state.is_supervised() {
            return Err(Error::Unavailable(Unavailable {
                what: "a running guest".into(),
                why: format!("{run_id} is still being started"),
                how_to_enable: format!(
                    "Call {}, then this again",
                    Next::call("run_wait", json!({ "run_id": run_id, "wait_s": 2 }))
                ),
            }));
        }
        let spec = run.spec()?;
        Ok((run, spec, state))
    }
}

/// A plugin of Penguin is code that runs beside the guest, on the host's side.
fn may_change(name: &str, allowed: &BTreeSet<String>) -> Result<()> {
    if name.is_empty() {
        return Err(Error::InvalidArgument(
            "name the plugin; the operation list says which there are".into(),
        ));
    }
    if !is_plugin_name(name) {
        return Err(Error::InvalidArgument(format!(
            "{} is not the name of a plugin: letters, digits and underscores; Penguin would load \
             a path as code",
            quoted(name.as_bytes(), 80)
        )));
    }
    if allowed.contains(name) {
        return Ok(());
    }
    let with = allowed.iter().map(String::as_str).chain([name]);
    let with: Vec<_> = with.map(|name| format!("{name:?}")).collect();
    Err(Error::Denied(format!(
        "the operator does not allow the plugin {name} to be changed; this line under [penguin] in \
         the policy would: plugins = [{}]",
        with.join(", ")
    )))
}

fn offered(spec: &Spec, what: &str, offered: bool) -> Result<()> {
    if offered {
        Ok(())
    } else {
        Err(unavailable(spec, what))
    }
}

fn unavailable(spec: &Spec, what: &str) -> Error {
    let how_to_enable = match what {
        "hook" => {
            let on = json!({ "project_dir": &spec.plan.project_dir, "preset": "diagnostics" });
            format!(
                "Look at the recorded system calls instead: call {}, run again, then query \
                 plugins.db with db_query",
                Next::call("set_config", on)
            )
        }
        "model" => {
            "Make the change without run_id, which is for the next run, and run again".into()
        }
        "plugin" => "Penguin has analysis plugins that can be changed while its guest runs: run \
                     the project with the backend penguin"
            .to_owned(),
        "snapshot" => format!(
            "A new run begins from the same root filesystem: call {}",
            start(&spec.plan.project_dir, None)
        ),
        _ => format!(
            "The embedded backend has it: stop this run, then call {}. A port of the guest also \
             answers at the run's endpoints",
            start(&spec.plan.project_dir, Some("user"))
        ),
    };
    Error::Unavailable(Unavailable {
        what: what.into(),
        why: refusal(spec, what),
        how_to_enable,
    })
}

/// The call that starts a run and returns at once.
fn start(project_dir: &Path, backend: Option<&str>) -> Next {
    let mut arguments = json!({ "project_dir": project_dir, "wait_s": 0 });
    if let Some(backend) = backend {
        arguments["backend"] = backend.into();
    }
    Next::call("run", arguments)
}

fn refusal(spec: &Spec, what: &str) -> String {
    format!("the backend {} has no {what}", spec.backend)
}

struct Limits {
    timeout: Duration,
    max_bytes: usize,
}

impl Limits {
    fn of(timeout_ms: Option<u32>, default_ms: u32, max_bytes: Option<u32>) -> Result<Self> {
        let max_ms = CommandOptions::MAX_TIMEOUT_MS;
        let timeout_ms = number("timeout_ms", timeout_ms, default_ms, max_ms)?;
        let (default, max) = (CommandOptions::BYTES, CommandOptions::MAX_BYTES);
        Ok(Self {
            timeout: Duration::from_millis(timeout_ms.into()),
            max_bytes: number("max_bytes", max_bytes, default, max)? as usize,
        })
    }
}

fn number(name: &str, given: Option<u32>, default: u32, max: u32) -> Result<u32> {
    let number = given.unwrap_or(default);
    if (1..=max).contains(&number) {
        Ok(number)
    } else {
        Err(Error::InvalidArgument(format!(
            "{name} must be a whole number from 1 to {max}"
        )))
    }
}
