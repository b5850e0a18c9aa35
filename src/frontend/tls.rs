//! Our certificate.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
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
    /// No certificate in PEM form among the roots of clients' certificates.
    #[error("no root certificate for clients in PEM form found")]
    ClientRoots,
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
    /// Takes a certificate chain, our own certificate first, and its key, both in PEM; and the roots that vouch for clients'
    /// certificates, if clients may have some.
    ///
    /// # Errors
    /// If any is missing or unusable.
    pub fn from_pem(certificates: &[u8], key: &[u8], client_roots: Option<&[u8]>) -> Result<Self, TlsFault> {
        let chain =
            CertificateDer::pem_slice_iter(certificates).collect::<Result<Vec<_>, _>>().map_err(|_| TlsFault::Certificate)?;
        let first = chain.first().ok_or(TlsFault::Certificate)?;
        let channel = end_point(first).map_or(Channel::Tls, Channel::Bound);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsFault::Key)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.map_err(TlsFault::Unusable)?;
        let builder = match client_roots {
            Some(roots) => builder.with_client_cert_verifier(verifier(roots, provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(TlsFault::Unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), channel })
    }
}

/// Takes clients without a certificate, and of the others those whose certificate these roots vouch for.
fn verifier(roots: &[u8], provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, TlsFault> {
    let certificates = CertificateDer::pem_slice_iter(roots).collect::<Result<Vec<_>, _>>().map_err(|_| TlsFault::ClientRoots)?;
    let mut anchors = RootCertStore::empty();
    anchors.add_parsable_certificates(certificates);
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider).allow_unauthenticated();
    builder.build().map_err(|_| TlsFault::ClientRoots)
}

/// Shows nothing: it holds a private key.
impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls(..)")
    }
}
