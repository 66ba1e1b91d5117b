//! What the guest's TCP services said when they were asked: in a run status, and in the result
//! file [`SERVICE_ANSWERS`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AnswerKind;

/// The result file of all that was asked; [`AskedServices`] is what it holds.
pub const SERVICE_ANSWERS: &str = "service_answers.yaml";

/// What a service said. Text in it is the guest's: escaped, and cut at [`Self::TEXT_CHARS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceAnswer {
    /// When it was asked, in milliseconds since the start of the guest's init.
    #[serde(default)]
    pub asked_ms: u64,
    /// How long it took until what is said here was known.
    #[serde(default)]
    pub took_ms: u64,
    /// `http`, `tls`, `banner`, `silent`, `closed` or `refused`.
    #[schemars(with = "String")]
    pub kind: AnswerKind,
    /// Of HTTP; none where the page came without a status line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Of the HTML page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the page leads, by the header `Location` or a `<meta http-equiv="refresh">`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<String>,
    /// The header `Server`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// What the service said that is neither HTTP nor TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banner: Option<String>,
    /// The bytes that came, at most 1 MiB; of HTTP, those of the body.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl ServiceAnswer {
    /// Where each text of the guest is cut.
    pub const TEXT_CHARS: usize = 100;

    /// Whether the service answered: it spoke HTTP or TLS, or sent a banner.
    pub fn is_answer(&self) -> bool {
        self.kind.is_answer()
    }
}

/// What one service said at both times at which services are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceAnswers {
    /// A moment after it began to listen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_start: Option<ServiceAnswer>,
    /// Just before the guest was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_end: Option<ServiceAnswer>,
}

impl ServiceAnswers {
    /// The newest one.
    pub fn last(&self) -> Option<&ServiceAnswer> {
        self.at_end.as_ref().or(self.at_start.as_ref())
    }

    /// Whether it answered when it was last asked.
    pub fn answers(&self) -> bool {
        self.last().is_some_and(ServiceAnswer::is_answer)
    }

    /// Whether it was never asked.
    pub fn is_empty(&self) -> bool {
        self.last().is_none()
    }
}

/// How many of the guest's TCP ports are open, and how many of these answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceCounts {
    /// Ports at which something listens.
    #[serde(default)]
    pub listening: u32,
    /// Of these, ports whose service was asked.
    #[serde(default)]
    pub asked: u32,
    /// Of these, ports whose service answered when it was last asked.
    #[serde(default)]
    pub answering: u32,
}

/// The result file [`SERVICE_ANSWERS`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskedServices {
    /// In the order of their ports.
    #[serde(default)]
    pub services: Vec<AskedService>,
}

/// One service that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AskedService {
    /// Who listened, as `netbinds.csv` has it.
    #[serde(default)]
    pub procname: String,
    /// `tcp`.
    pub proto: String,
    /// The guest's address, without brackets.
    pub guest_ip: String,
    /// The guest's port.
    pub guest_port: u16,
    /// What it said.
    #[serde(default)]
    pub answers: ServiceAnswers,
}
