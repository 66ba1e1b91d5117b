//! Files that are written at the start of a run, and the marks of how far it came.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::collect::bridges::HOST;
use crate::collect::collector::Collector;
use crate::collect::netbinds::address;
use crate::event::{Event, What};
use crate::file::{field, write_atomic};
use crate::subject::Subject;

/// Everything that Penguin writes before the guest starts.
pub(super) fn write(subject: &Subject, config: &Value) -> io::Result<()> {
    let directory = &subject.results_dir;
    let yaml = |name: &str, value: &Value| {
        let text = serde_yaml::to_string(value).map_err(io::Error::other)?;
        write_atomic(&directory.join(name), text.as_bytes())
    };
    yaml("runtime.yaml", &runtime(subject))?;
    yaml("core_config.yaml", config)?;
    yaml("core_plugins.yaml", &plugins(config))?;
    yaml(
        "pseudofiles_modeled.yaml",
        config.get("pseudofiles").unwrap_or(&json!({})),
    )?;
    for name in ["guest_ip", "ipaddr.txt"] {
        write_atomic(&directory.join(name), format!("{HOST}\n").as_bytes())?;
    }
    Ok(())
}

/// With `run_id` beside Penguin's keys, by which a reader knows that `pid` is a process of this
/// machine.
fn runtime(subject: &Subject) -> Value {
    json!({
        "config": subject.project_dir.join("config.yaml"),
        "container_ip": null,
        "container_name": null,
        "guest_cmd": false,
        "output": subject.results_dir,
        "pid": std::process::id(),
        "project": subject.project_dir,
        "root_shell": false,
        "run_id": subject.run_id,
        "telnet_port": null,
        "telnet_port_base": null,
        "telnet_port_range": null,
        "vpn_enabled": false,
        "vsock_cid": null,
        "vsock_socket_path": null,
        "vsock_uds_path": null,
    })
}

/// The configured plugins, `enabled` made explicit.
fn plugins(config: &Value) -> Value {
    let mut plugins = Map::new();
    for (name, arguments) in config
        .get("plugins")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let mut arguments = arguments.as_object().cloned().unwrap_or_default();
        arguments.entry("enabled").or_insert(Value::Bool(true));
        plugins.insert(name.clone(), Value::Object(arguments));
    }
    Value::Object(plugins)
}

/// `igloo_init.ready` and `netbind.ready`.
pub(super) struct Readiness {
    directory: PathBuf,
    init: Option<String>,
    bound: bool,
    pending: Vec<(&'static str, String)>,
}

impl Readiness {
    pub(super) fn new(directory: &Path, init: &str) -> Self {
        Self {
            directory: directory.to_owned(),
            init: Some(init.to_owned()),
            bound: false,
            pending: Vec::new(),
        }
    }
}

impl Collector for Readiness {
    fn event(&mut self, event: &Event) {
        match &event.what {
            What::Exec { result: 0, .. } => {
                if let Some(init) = self.init.take() {
                    self.pending.push(("igloo_init.ready", init));
                }
            }
            What::Listen { proto, ip, port } if !self.bound => {
                self.bound = true;
                let ipvn = if ip.is_ipv4() { 4 } else { 6 };
                let first = format!(
                    "{},{ipvn},{proto},{},{port}\n",
                    field(&event.process.name),
                    address(*ip)
                );
                self.pending.push(("netbind.ready", first));
            }
            _ => {}
        }
    }

    fn flush(&mut self, _now: Duration) -> io::Result<()> {
        while let Some((name, line)) = self.pending.first_mut() {
            if !line.ends_with('\n') {
                line.push('\n');
            }
            write_atomic(&self.directory.join(name), line.as_bytes())?;
            self.pending.remove(0);
        }
        Ok(())
    }

    fn dropped(&self) -> (&'static str, u64) {
        ("readiness", 0)
    }
}
