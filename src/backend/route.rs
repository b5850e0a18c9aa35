//! The way to one database, with everything that is read once: roots and password.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};
use tokio_rustls::TlsConnector;

use super::version::Newest;
use super::{Address, ConnectError, SslMode, Stream, Upstream, tls};
use crate::secret::Secret;
use crate::wire;

/// After this long without a word a server is asked whether it is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// How often it is asked again.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
/// After how many questions without an answer it is gone.
const KEEPALIVE_ASKED_MAX: u32 = 6;
/// Most addresses of a host that are tried.
const ADDRESSES_MAX: usize = 8;

/// Why there is no way: the operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum RouteFault {
    /// The file of roots cannot be read.
    #[error("cannot read `sslrootcert`: {0}")]
    RootFile(std::io::Error),
    /// No usable root certificate.
    #[error("no usable root certificate found")]
    Roots,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(rustls::Error),
}

/// The way to one database.
#[derive(Clone)]
pub struct Route {
    pub(super) upstream: Upstream,
    pub(super) password: Option<Secret>,
    pub(super) connect_time_max: Duration,
    pub(super) newest: Arc<Newest>,
    tls: Option<TlsConnector>,
}

impl Route {
    /// Prepares the way: reads the roots (blocking). `password` goes before the one in the URI. `connect_time_max` bounds a
    /// connection up to ReadyForQuery, and a cancel.
    ///
    /// # Errors
    /// If the roots are missing or unusable.
    pub fn new(upstream: Upstream, password: Option<Secret>, connect_time_max: Duration) -> Result<Self, RouteFault> {
        let tls = tls::connector(&upstream)?;
        let password = password.or_else(|| upstream.password.clone());
        Ok(Self { upstream, password, connect_time_max, newest: Arc::default(), tls })
    }

    /// Where it leads.
    #[must_use]
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Whether a password may be shown to whoever is at the other end of `stream`.
    pub(super) fn is_trusted(&self, stream: &Stream) -> bool {
        let verified = matches!(self.upstream.ssl_mode, SslMode::VerifyCa | SslMode::VerifyFull)
            || (self.upstream.ssl_mode == SslMode::Require && self.upstream.root_file.is_some());
        stream.is_tls() && verified || stream.is_local()
    }

    /// A socket to the server, encrypted if the route says so.
    pub(super) async fn dial(&self) -> Result<Stream, ConnectError> {
        match &self.upstream.address {
            Address::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix).map_err(ConnectError::Unreachable),
            Address::Tcp { host, port } => {
                let tcp = dial_tcp(host, *port).await?;
                match &self.tls {
                    None => Ok(Stream::Tcp(tcp)),
                    Some(connector) => encrypt(tcp, connector, host).await,
                }
            }
        }
    }
}

/// Shows where it leads, and no secret.
impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Route({:?})", self.upstream)
    }
}

async fn dial_tcp(host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let addresses = lookup_host((host, port)).await.map_err(ConnectError::Unreachable)?;
    let mut outcome = Err(ConnectError::NoAddress);
    for address in addresses.take(ADDRESSES_MAX) {
        match dial_address(address).await {
            Ok(tcp) => return Ok(tcp),
            Err(error) => outcome = Err(ConnectError::Unreachable(error)),
        }
    }
    outcome
}

async fn dial_address(address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
    SockRef::from(&socket).set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_ASKED_MAX))?;
    socket.set_nodelay(true)?;
    socket.connect(address).await
}

async fn encrypt(mut tcp: TcpStream, connector: &TlsConnector, host: &str) -> Result<Stream, ConnectError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::HostName)?;
    tcp.write_all(&wire::ssl_request()).await.map_err(ConnectError::Io)?;
    // Reading one byte and no more leaves whatever was slipped in behind it to TLS, which does not take it.
    let mut answer = [0];
    match tcp.read(&mut answer).await.map_err(ConnectError::Io)? {
        0 => Err(ConnectError::Closed),
        _ if answer == *b"S" => {
            let tls = connector.connect(name, tcp).await.map_err(ConnectError::Tls)?;
            Ok(Stream::Tls(Box::new(tls)))
        }
        _ if answer == *b"N" => Err(ConnectError::NoTls),
        // An error in clear can be anybody's: it is not read.
        _ => Err(ConnectError::NoTls),
    }
}
