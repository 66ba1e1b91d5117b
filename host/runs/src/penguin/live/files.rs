//! What Penguin says of its running guest, in the files of its result directory.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rookery_contract::Next;
use rookery_project::{Error, Result, regular, yaml};
use rustix::fs::{FileType, Mode, OFlags};
use serde_json::{Value, json};

use crate::live::is_plugin_name;

const MOST: u64 = 4 << 20;
const MOST_PLUGINS: usize = 200;

/// The files of one run.
#[derive(Debug, Clone)]
pub(in crate::penguin) struct RunFiles {
    pub(super) project_dir: PathBuf,
    pub(super) results_dir: PathBuf,
}

impl RunFiles {
    /// `runtime.yaml`, which Penguin writes once its guest is about to start.
    pub(super) fn runtime(&self) -> Result<Value> {
        match self.yaml("runtime.yaml") {
            Ok(runtime) => Ok(runtime),
            Err(why) => Err(Error::unavailable(
                "live control of this run",
                format!("Penguin has not said yet how its guest is reached ({why})"),
                "Wait until the guest has booted: call run_wait, then this again",
            )),
        }
    }

    /// A YAML file of the results; why not, where it cannot be read.
    pub(super) fn yaml(&self, name: &str) -> std::result::Result<Value, String> {
        let path = self.results_dir.join(name);
        let bytes = regular::read(&path, MOST).map_err(|error| format!("{name}: {error}"))?;
        yaml::parse_result(&String::from_utf8_lossy(&bytes)).map_err(|error| error.to_string())
    }

    /// Connect with a socket of the results: with the socket itself, since a link could lead to
    /// anybody's.
    pub(super) fn connect(&self, socket: &str) -> io::Result<UnixStream> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let socket = rustix::fs::open(self.results_dir.join(socket), flags, Mode::empty())?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&socket)?.st_mode);
        if kind != FileType::Socket {
            return Err(io::Error::other("it is not a socket"));
        }
        // However long the path is, this one fits an address.
        UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd()))
    }

    /// The address of the host at which Penguin's ports are.
    pub(in crate::penguin) fn host(&self) -> IpAddr {
        host_of(&self.results_dir.join("guest_ip"))
    }

    /// The analysis plugins that the run was started with.
    pub(super) fn configured_plugins(&self) -> Vec<String> {
        let written = self.yaml("core_plugins.yaml").unwrap_or_default();
        let plugins = written.as_object().into_iter().flatten();
        plugins
            .filter(|(name, of)| is_plugin_name(name) && of["enabled"] != false)
            .map(|(name, _)| name.clone())
            .take(MOST_PLUGINS)
            .collect()
    }

    pub(super) fn is_configured(&self, plugin: &str) -> bool {
        self.configured_plugins().iter().any(|name| name == plugin)
    }

    /// The call that switches something on in the project, for the next run.
    pub(super) fn switch_on(&self, path: &str, value: &Value) -> String {
        let set = json!({ "project_dir": self.project_dir, "path": path, "value": value });
        format!("Call {}, then run it again", Next::call("set_config", set))
    }
}

/// The address that a file of Penguin's names, else this machine.
pub(in crate::penguin) fn host_of(file: &Path) -> IpAddr {
    let written = regular::read(file, 4096).unwrap_or_default();
    let host = String::from_utf8_lossy(&written).trim().parse();
    host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}
