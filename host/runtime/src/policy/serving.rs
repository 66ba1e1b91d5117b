//! What the policy says of a server as a whole: what its command line can say too.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rookery_runs::live::is_plugin_name;
use rookery_runs::ports::Ports;
use serde::{Deserialize, Deserializer};

use super::PolicyError;

/// `[serve]`. Where the command line says the same, that counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Serving {
    /// The directories below which projects lie.
    pub roots: Vec<PathBuf>,
    /// The directories of the plugins.
    pub plugins: Vec<PathBuf>,
    /// Which ports of the host lead to guests.
    #[serde(deserialize_with = "ports")]
    pub ports: Option<Ports>,
    /// MiB of memory that a guest may have.
    pub guest_memory_mib: Option<u64>,
    /// How many runs may be under way at once.
    pub runs_at_once: Option<u16>,
    /// Whether guests whose projects ask for it get a way out of their network. Only the policy
    /// says so.
    pub way_out: bool,
    /// Where calls and decisions are recorded.
    pub audit: Option<PathBuf>,
    /// The file of digests outside which nothing is served.
    pub lock: Option<PathBuf>,
    pub(super) read_only: bool,
    pub(super) toolsets: Option<Vec<String>>,
}

/// `[penguin]`: what may be done in a guest of Penguin's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Penguin {
    /// The analysis plugins that an agent may turn on and off, load and unload.
    pub(super) plugins: BTreeSet<String>,
}

impl Penguin {
    pub(super) fn check(&self) -> Result<(), PolicyError> {
        match self.plugins.iter().find(|name| !is_plugin_name(name)) {
            Some(name) => Err(PolicyError(format!(
                "`plugins` under [penguin] names {name:?}, which is not the name of a Penguin \
                 plugin: letters, digits and underscores"
            ))),
            None => Ok(()),
        }
    }
}

/// What `--guest-memory` takes.
pub const GUEST_MEMORY_MIB: std::ops::RangeInclusive<u64> = 64..=1 << 20;

impl Serving {
    /// Whether nothing is to be changed or run.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub(super) fn check(&self) -> Result<(), PolicyError> {
        if let Some(mib) = self.guest_memory_mib
            && !GUEST_MEMORY_MIB.contains(&mib)
        {
            return Err(PolicyError(format!(
                "guest_memory_mib = {mib} under [serve]: it is from {} to {}",
                GUEST_MEMORY_MIB.start(),
                GUEST_MEMORY_MIB.end()
            )));
        }
        if self.runs_at_once == Some(0) {
            return Err(PolicyError(
                "runs_at_once = 0 under [serve]: no run would ever begin; read_only = true forbids \
                 runs"
                    .to_owned(),
            ));
        }
        let paths = self.roots.iter().chain(&self.plugins);
        let mut paths = paths.chain(&self.audit).chain(&self.lock);
        if let Some(path) = paths.find(|path| path.as_os_str().is_empty() || path.starts_with("~"))
        {
            return Err(PolicyError(format!(
                "`{}` under [serve] is not a path: write it in full, or from the policy's own \
                 directory; `~` means nothing here",
                path.display()
            )));
        }
        Ok(())
    }

    /// Take relative paths from `dir`.
    pub(super) fn start_at(&mut self, dir: &Path) {
        let paths = self.roots.iter_mut().chain(&mut self.plugins);
        for path in paths.chain(&mut self.audit).chain(&mut self.lock) {
            *path = dir.join(&*path);
        }
    }
}

fn ports<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Ports>, D::Error> {
    let text = String::deserialize(value)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::super::Policy;

    #[test]
    fn one_file_holds_what_the_command_line_can_say() {
        let text = "[serve]\nroots = ['fw', '/srv']\nports = '80=8080,9000-9100'\n\
                    guest_memory_mib = 2048\nruns_at_once = 9\n\
                    way_out = true\naudit = 'calls.jsonl'\n\
                    lock = '/etc/l'\n\
                    [penguin]\nplugins = ['netbinds']";
        let policy = Policy::from_toml(text).unwrap().at("/etc/rookery".as_ref());
        let serve = policy.serve();
        assert_eq!(
            serve.roots,
            ["/etc/rookery/fw", "/srv"].map(std::path::PathBuf::from)
        );
        assert_eq!(
            serve.ports.as_ref().unwrap().to_string(),
            "80=8080,9000-9100"
        );
        assert_eq!(serve.guest_memory_mib, Some(2048));
        assert_eq!(serve.runs_at_once, Some(9));
        assert!(serve.way_out && !Policy::default().serve().way_out);
        assert_eq!(
            serve.audit.as_deref(),
            Some("/etc/rookery/calls.jsonl".as_ref())
        );
        assert_eq!(serve.lock.as_deref(), Some("/etc/l".as_ref()));
        assert!(policy.penguin_plugins().contains("netbinds"));
        assert!(Policy::default().penguin_plugins().is_empty());
    }

    #[test]
    fn a_value_that_the_command_line_would_refuse_is_refused() {
        for (line, words) in [
            ("ports = '9-8'", "ends before it begins"),
            ("guest_memory_mib = 8", "from 64"),
            ("runs_at_once = 0", "no run would ever begin"),
            ("roots = ['~/fw']", "means nothing"),
            ("audit = ''", "not a path"),
            ("root = 'x'", "unknown field `root`"),
        ] {
            let error = Policy::from_toml(&format!("[serve]\n{line}")).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
