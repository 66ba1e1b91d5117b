//! TLS to a device. Nobody's identity is checked: certificates of devices are signed by themselves,
//! and the connection leads into a guest on this machine.

use std::sync::Arc;

use rookery_contract::shapes::TlsPeer;
use rookery_project::{Error, Result, quoted};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, ProtocolVersion,
    SignatureScheme, StreamOwned,
};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::connection::{Connection, failed};

/// Longest name of a certificate.
const NAME_CHARS: usize = 300;

/// A connection that is encrypted.
pub(super) type Secret = StreamOwned<ClientConnection, Connection>;

/// Agree on the keys with the service, for which `host` is the name.
pub(super) fn start(connection: Connection, host: &str) -> Result<Secret> {
    let unspoken =
        |error: &dyn std::fmt::Display| Error::Internal(format!("TLS cannot be prepared: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unspoken(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    // Where the name is none, as that of an IPv6 address in brackets, it is not sent.
    let host = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host);
    let name = name.unwrap_or(ServerName::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()));
    let client = ClientConnection::new(Arc::new(config), name).map_err(|error| unspoken(&error))?;
    let mut secret = StreamOwned::new(client, connection);
    while secret.conn.is_handshaking() {
        let done = secret.conn.complete_io(&mut secret.sock);
        done.map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
            inner.map_or_else(|| failed("agree on keys for TLS", &error), refused)
        })?;
    }
    Ok(secret)
}

/// What the service says of itself.
pub(super) fn peer(client: &ClientConnection) -> TlsPeer {
    let certificate = client.peer_certificates().and_then(<[_]>::first);
    let bytes = certificate.map_or(&[][..], |certificate| certificate.as_ref());
    let read = Certificate::from_der(bytes).ok();
    let name = |name: &dyn std::fmt::Display| quoted(name.to_string().as_bytes(), NAME_CHARS);
    let parts = read.as_ref().map(|read| &read.tbs_certificate);
    TlsPeer {
        version: match client.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            _ => "TLS 1.2",
        }
        .to_owned(),
        subject: parts.map(|parts| name(&parts.subject)),
        issuer: parts.map(|parts| name(&parts.issuer)),
        sha256: format!("{:x}", Sha256::digest(bytes)),
    }
}

/// Why no connection came of it.
fn refused(error: &rustls::Error) -> Error {
    use rustls::Error as Tls;
    let is_old = matches!(
        error,
        Tls::PeerIncompatible(_)
            | Tls::AlertReceived(
                AlertDescription::ProtocolVersion
                    | AlertDescription::HandshakeFailure
                    | AlertDescription::InsufficientSecurity
            )
    );
    let is_tls = !matches!(error, Tls::InvalidMessage(_));
    Error::Backend(if is_old {
        "the service speaks TLS, but only versions or ciphers that are not considered safe any \
         more (before TLS 1.2, as devices until about 2012 do), and these are not spoken here. \
         `live.reach` gives its bytes, and many devices serve the same pages over http"
            .to_owned()
    } else if is_tls {
        format!(
            "TLS failed: {}",
            quoted(error.to_string().as_bytes(), NAME_CHARS)
        )
    } else {
        "the service does not speak TLS; it may speak http".to_owned()
    })
}

/// Takes every certificate.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// All that there are: the signature is of no meaning where the certificate is not.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        use SignatureScheme as Scheme;
        vec![
            Scheme::ECDSA_NISTP256_SHA256,
            Scheme::ECDSA_NISTP384_SHA384,
            Scheme::ECDSA_NISTP521_SHA512,
            Scheme::ED25519,
            Scheme::RSA_PSS_SHA256,
            Scheme::RSA_PSS_SHA384,
            Scheme::RSA_PSS_SHA512,
            Scheme::RSA_PKCS1_SHA256,
            Scheme::RSA_PKCS1_SHA384,
            Scheme::RSA_PKCS1_SHA512,
            Scheme::ECDSA_SHA1_Legacy,
            Scheme::RSA_PKCS1_SHA1,
        ]
    }
}
