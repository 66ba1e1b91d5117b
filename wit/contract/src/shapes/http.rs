//! What `http` gives. All texts are the guest's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::running::Received;

/// `http.request`: what a web service of the guest answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpAnswer {
    /// The last that was asked.
    pub url: String,
    /// Its status.
    pub status: u16,
    /// In the order in which they came.
    #[serde(default)]
    pub headers: Vec<HttpHeader>,
    /// What follows them.
    #[serde(default)]
    pub body: Received,
    /// Whether more of the body was there than is given.
    #[serde(default)]
    pub truncated: bool,
    /// Those that were followed.
    #[serde(default)]
    pub redirects: Vec<HttpRedirect>,
    /// Why the last one was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfollowed: Option<String>,
    /// Of the last connection, if it was with TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsPeer>,
}

impl HttpAnswer {
    /// The first value of a header; its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let header = headers.find(|header| header.name == name)?;
        Some(&header.value)
    }
}

/// One header of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpHeader {
    /// In lower case.
    pub name: String,
    /// As it came; bytes that are not UTF-8 are replaced.
    pub value: String,
}

/// A redirect that was followed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HttpRedirect {
    /// Of the answer that said so.
    pub status: u16,
    /// Where it leads, as it was said.
    pub location: String,
}

/// What a TLS service says of itself. Nothing of it is checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsPeer {
    /// `TLS 1.2` or `TLS 1.3`.
    pub version: String,
    /// Whom the certificate names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The certificate's fingerprint.
    pub sha256: String,
}
