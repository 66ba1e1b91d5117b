//! The protocol on `control.sock`: one request a connection, one JSON line each way.

use std::net::IpAddr;
use std::time::Duration;

use data_encoding::BASE64;
use rookery_project::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::live::{CommandRequest, LiveRequest, ReachRequest};

/// The longest line that either side accepts, in bytes.
pub(crate) const MAX_LINE: usize = 16 << 20;

/// What one process asks of a supervisor.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// End the run.
    Stop,
    /// Run a command in the guest.
    Command {
        argv: Vec<String>,
        timeout_ms: u64,
        max_bytes: usize,
    },
    /// Reach a port of the guest; `send` is base64.
    Reach {
        proto: String,
        host: String,
        port: u16,
        send: String,
        timeout_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        idle_ms: Option<u64>,
        max_bytes: usize,
    },
    /// Hand over a connection to a TCP port of the guest, beside the line of the answer.
    Connect {
        host: IpAddr,
        port: u16,
        timeout_ms: u64,
    },
    /// Watch or change the guest from outside it.
    Live { request: LiveRequest },
}

impl Ask {
    pub(crate) fn command(request: &CommandRequest) -> Self {
        Self::Command {
            argv: request.argv.clone(),
            timeout_ms: millis(request.timeout),
            max_bytes: request.max_bytes,
        }
    }

    pub(crate) fn reach(request: &ReachRequest) -> Self {
        Self::Reach {
            proto: request.proto.clone(),
            host: request.host.clone(),
            port: request.port,
            send: BASE64.encode(&request.send),
            timeout_ms: millis(request.timeout),
            idle_ms: request.idle.map(millis),
            max_bytes: request.max_bytes,
        }
    }
}

/// What comes back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer<T> {
    Ok(T),
    Error(Error),
}

impl<T> From<Result<T>> for Answer<T> {
    fn from(answer: Result<T>) -> Self {
        answer.map_or_else(Self::Error, Self::Ok)
    }
}

impl<T> Answer<T> {
    pub(crate) fn into_result(self) -> Result<T> {
        match self {
            Self::Ok(value) => Ok(value),
            Self::Error(error) => Err(error),
        }
    }
}

/// One message as a line.
pub(crate) fn line(message: &impl Serialize) -> Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)
        .map_err(|error| Error::Internal(format!("cannot encode a control message: {error}")))?;
    line.push(b'\n');
    Ok(line)
}

/// Undo the base64 of [`Ask::Reach`].
pub(crate) fn bytes(base64: &str) -> Result<Vec<u8>> {
    BASE64.decode(base64.as_bytes()).map_err(|error| {
        Error::InvalidArgument(format!(
            "the base64 text is malformed ({error}); use the standard alphabet with padding"
        ))
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_survives_the_wire() {
        let errors = [
            Error::InvalidArgument("a".into()),
            Error::NotFound("a".into()),
            Error::unavailable("a", "b", "c"),
            Error::Conflict("a".into()),
            Error::Denied("a".into()),
            Error::Limit("a".into()),
            Error::Cancelled,
            Error::Backend("a\nb".into()),
            Error::Internal("a".into()),
        ];
        for error in errors {
            let line = line(&Answer::<()>::from(Err(error.clone()))).unwrap();
            assert_eq!(line.split(|&byte| byte == b'\n').count(), 2, "one line");
            let answer: Answer<()> = serde_json::from_slice(&line).unwrap();
            assert_eq!(answer.into_result(), Err(error));
        }
    }

    #[test]
    fn any_bytes_can_be_sent_to_a_port() {
        let request = ReachRequest {
            proto: "tcp".into(),
            host: "127.0.0.1".into(),
            port: 80,
            send: (0..=255).collect(),
            timeout: Duration::from_secs(1),
            idle: None,
            max_bytes: 10,
        };
        let Ask::Reach {
            send, timeout_ms, ..
        } = Ask::reach(&request)
        else {
            panic!("a reach request")
        };
        assert_eq!(bytes(&send).unwrap(), request.send);
        assert_eq!(timeout_ms, 1000);
    }
}
