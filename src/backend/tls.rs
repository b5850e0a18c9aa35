//! Trust in the server's certificate, as `sslmode` wants it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::{RouteFault, SslMode, Upstream};

/// What to do TLS with, `None` for `sslmode=disable`.
pub(super) fn connector(upstream: &Upstream) -> Result<Option<TlsConnector>, RouteFault> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let roots = match (upstream.ssl_mode, &upstream.root_file) {
        (SslMode::Disable, _) => return Ok(None),
        (SslMode::Require, None) => None,
        (_, Some(file)) => Some(Roots::from_pem(&std::fs::read(file).map_err(RouteFault::RootFile)?)?),
        (SslMode::VerifyCa | SslMode::VerifyFull, None) => Some(Roots::of_the_system()?),
    };
    let check_name = upstream.ssl_mode == SslMode::VerifyFull;
    let verifier = Arc::new(Verifier { roots, check_name, provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(RouteFault::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

/// The certificates to trust.
#[derive(Debug)]
struct Roots {
    anchors: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

impl Roots {
    fn from_pem(pem: &[u8]) -> Result<Self, RouteFault> {
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| RouteFault::Roots)?;
        Self::new(certificates)
    }

    fn of_the_system() -> Result<Self, RouteFault> {
        Self::new(rustls_native_certs::load_native_certs().certs)
    }

    fn new(certificates: Vec<CertificateDer<'static>>) -> Result<Self, RouteFault> {
        let mut anchors = RootCertStore::empty();
        anchors.add_parsable_certificates(certificates.iter().cloned());
        if anchors.is_empty() { Err(RouteFault::Roots) } else { Ok(Self { anchors, certificates }) }
    }
}

/// Checks a server's certificate as far as `sslmode` asks: chain, name, or neither.
#[derive(Debug)]
struct Verifier {
    roots: Option<Roots>,
    check_name: bool,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn verify_chain(
        &self,
        roots: &Roots,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(certificate)?;
        match verify_server_cert_signed_by_trust_anchor(&parsed, &roots.anchors, intermediates, now, algorithms) {
            // A self-signed certificate made with openssl says that it is an authority, which webpki does not take from a
            // server (expiry and unknown issuer have names of their own). Standing itself among the roots, it is trusted.
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if roots.certificates.contains(certificate) => Ok(()),
            verified => verified,
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(roots) = &self.roots {
            self.verify_chain(roots, certificate, intermediates, now)?;
        }
        if self.check_name {
            verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
