//! Our certificate.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use tokio_rustls::TlsAcceptor;

use crate::identity::{Channel, end_point};

/// The protocol's name in ALPN, which direct TLS must give.
pub(super) const ALPN: &[u8] = b"postgresql";

/// What is wrong with a certificate or its key: the operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// No certificate in the file, or one that is not PEM.
    #[error("no certificate in PEM form found")]
    Certificate,
    /// No private key in the file, or one that is not PEM.
    #[error("no private key in PEM form found")]
    Key,
    /// The two do not fit, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(rustls::Error),
}

/// Certificate and key that clients are met with.
#[derive(Clone)]
pub struct ServerTls {
    pub(super) acceptor: TlsAcceptor,
    pub(super) channel: Channel,
}

impl ServerTls {
    /// Takes a certificate chain, our own certificate first, and its key, both in PEM.
    ///
    /// # Errors
    /// If either is missing or unusable.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, TlsFault> {
        let chain =
            CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>().map_err(|_| TlsFault::Certificate)?;
        let first = chain.first().ok_or(TlsFault::Certificate)?;
        let channel = end_point(first).map_or(Channel::Tls, Channel::Bound);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsFault::Key)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsFault::Unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), channel })
    }
}

/// Shows nothing: it holds a private key.
impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls(..)")
    }
}
