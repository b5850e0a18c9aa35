//! Documents of an issuer, by HTTPS.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::redirect::Policy;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::{ANSWER_MS_MAX, DOCUMENT_BYTES_MAX};
use crate::secret::Secret;

/// Why a document cannot be had. Quotes nothing of it.
#[derive(Debug, thiserror::Error)]
pub enum HttpFault {
    /// No certificate in PEM form among the roots, or none at all.
    #[error("no root certificates to trust")]
    Roots,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
    /// The client cannot be made, or the request was not answered.
    #[error("{}", told(.0))]
    Request(reqwest::Error),
    /// Another answer than 200.
    #[error("answered with status {0}")]
    Status(u16),
    /// More than is read.
    #[error("answered with more than {DOCUMENT_BYTES_MAX} bytes")]
    Oversize,
    /// Plain HTTP to another machine, or where that is not allowed.
    #[error("its address is not an https one")]
    Insecure,
    /// The token to ask with cannot be read.
    #[error("the token file cannot be read: {0}")]
    TokenFile(std::io::ErrorKind),
}

/// The innermost cause, which says most; an address may hold a secret and is left out.
fn told(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::addr_eq(cause, error) { "the request failed".to_owned() } else { cause.to_string() }
}

/// A client for one issuer.
#[derive(Debug)]
pub struct Http {
    client: reqwest::Client,
    loopback_http: bool,
}

impl Http {
    /// A client that trusts these roots (PEM), or those of the system. Plain HTTP goes to this machine only, where that is allowed.
    ///
    /// # Errors
    /// If there are no roots, or TLS cannot be set up.
    pub fn new(roots: Option<&[u8]>, loopback_http: bool) -> Result<Self, HttpFault> {
        let mut anchors = RootCertStore::empty();
        match roots {
            Some(pem) => {
                let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
                anchors.add_parsable_certificates(certificates.map_err(|_| HttpFault::Roots)?);
                if anchors.is_empty() {
                    return Err(HttpFault::Roots);
                }
            }
            None => drop(anchors.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(HttpFault::Tls)?
            .with_root_certificates(anchors)
            .with_no_client_auth();
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .https_only(!loopback_http)
            .user_agent(concat!("pgveil/", env!("CARGO_PKG_VERSION")))
            .timeout(Duration::from_millis(ANSWER_MS_MAX));
        let builder = if loopback_http { builder.no_proxy() } else { builder };
        let client = builder.build().map_err(HttpFault::Request)?;
        Ok(Self { client, loopback_http })
    }

    /// The document at an address.
    pub(super) async fn document(&self, url: &str, token: Option<&Secret>) -> Result<Vec<u8>, HttpFault> {
        let mut request = self.client.get(url).header(ACCEPT, "application/json");
        if let Some(token) = token {
            let bearer = [b"Bearer ", token.reveal().trim_ascii()].concat();
            let mut value =
                HeaderValue::from_bytes(&bearer).map_err(|_| HttpFault::TokenFile(std::io::ErrorKind::InvalidData))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let mut response = request.send().await.map_err(HttpFault::Request)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(HttpFault::Status(response.status().as_u16()));
        }
        body(&mut response).await
    }

    /// The answer to a request of any kind, whatever its status.
    ///
    /// # Errors
    /// If there is none, or it is too long, or the request would cross the network in clear.
    pub async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpFault> {
        let request = reqwest::Request::try_from(request).map_err(HttpFault::Request)?;
        let url = request.url();
        if url.scheme() != "https" && !(self.loopback_http && is_loopback_http(url.as_str())) {
            return Err(HttpFault::Insecure);
        }
        let mut response = self.client.execute(request).await.map_err(HttpFault::Request)?;
        let mut answer = HttpResponse::new(body(&mut response).await?);
        *answer.status_mut() = response.status();
        *answer.headers_mut() = response.headers().clone();
        Ok(answer)
    }
}

async fn body(response: &mut reqwest::Response) -> Result<Vec<u8>, HttpFault> {
    let mut document = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(HttpFault::Request)? {
        if document.len() + chunk.len() > DOCUMENT_BYTES_MAX {
            return Err(HttpFault::Oversize);
        }
        document.extend_from_slice(&chunk);
    }
    Ok(document)
}

/// What `openidconnect` asks by.
impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpFault;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpFault>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.exchange(request))
    }
}

/// True for an `http://` address of this machine.
#[must_use]
pub fn is_loopback_http(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default();
    let local = host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    url.scheme() == "http" && local
}
