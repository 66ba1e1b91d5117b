//! What the services said when they were asked: `service_answers.yaml`. Penguin has no such file.

use rookery_plugin::shapes::{AskedServices, SERVICE_ANSWERS, ServiceAnswer};
use rookery_plugin::{Result, RunResults, optional};

/// All that were asked.
pub struct Answers(AskedServices);

impl Answers {
    pub fn read(run: &impl RunResults) -> Result<Self> {
        let file = optional(run.read_yaml(SERVICE_ANSWERS))?;
        let services = file.and_then(|file| serde_json::from_value(file).ok());
        Ok(Self(services.unwrap_or_default()))
    }

    /// The newest answer of a socket. IPv6 addresses have brackets in tables.
    pub fn find(&self, proto: &str, ip: &str, port: u16) -> Option<ServiceAnswer> {
        let ip = ip.trim_matches(['[', ']']);
        let is_it = |asked: &&rookery_plugin::shapes::AskedService| {
            asked.proto == proto && asked.guest_ip == ip && asked.guest_port == port
        };
        self.0.services.iter().find(is_it)?.answers.last().cloned()
    }
}
