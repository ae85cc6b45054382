//! TLS of the management API: 1.2 and 1.3, with the certificates that PEM files have.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

/// One of the files.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Certificate,
    Key,
    ClientCa,
}

impl Part {
    /// The key that names it.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Certificate => "api.tls-certificate",
            Self::Key => "api.tls-key",
            Self::ClientCa => "api.client-ca",
        }
    }
}

/// What is wrong with which file.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) part: Part,
    pub(super) problem: String,
}

/// A server's side of TLS. Clients may show a certificate that `client_ca` has issued; those who
/// show none must have a token.
pub(super) fn server(
    certificate: &[u8],
    key: &[u8],
    client_ca: Option<&[u8]>,
) -> Result<ServerConfig, Wrong> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(Part::Certificate, certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| wrong(Part::Key, format!("not a private key: {error}: one in PEM")))?;
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(Part::Certificate, error.to_string()))?;
    let config = match client_ca {
        None => config.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(Part::ClientCa, pem)? {
                roots.add(root).map_err(|error| wrong(Part::ClientCa, error.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| wrong(Part::ClientCa, error.to_string()))?;
            config.with_client_cert_verifier(verifier)
        }
    };
    let mut config = config.with_single_cert(chain, key).map_err(|error| {
        wrong(Part::Certificate, format!("{error}: the certificate of the private key in tls-key"))
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(part: Part, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(wrong(part, "has no certificate: at least one in PEM".to_owned())),
        Err(error) => Err(wrong(part, format!("cannot be read: {error}: certificates in PEM"))),
    }
}

fn wrong(part: Part, problem: String) -> Wrong {
    Wrong { part, problem }
}
