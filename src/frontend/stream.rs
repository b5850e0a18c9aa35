//! The client's byte stream: TCP in clear or inside TLS, or a socket file.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::Source;

/// After this long without a word a client is asked whether it is still there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// How often it is asked again.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
/// After how many questions without an answer it is gone.
const KEEPALIVE_ASKED_MAX: u32 = 6;

/// A client's connection. Once TLS has begun there is no way past it.
pub enum Stream {
    /// In clear.
    Clear(TcpStream),
    /// Inside TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// By a socket file.
    Unix(UnixStream),
}

impl Stream {
    /// Whether it is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The host that the client asks for by TLS, if it says one.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        match self {
            Self::Clear(_) | Self::Unix(_) => None,
            Self::Tls(tls) => tls.get_ref().1.server_name(),
        }
    }

    /// The client's certificate (DER), which has been verified, if it has one.
    pub(super) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Self::Clear(_) | Self::Unix(_) => None,
            Self::Tls(tls) => tls.get_ref().1.peer_certificates()?.first(),
        }
    }

    /// Whether nobody on the way can read it: encrypted, or by a socket file.
    pub(super) fn is_private(&self) -> bool {
        !matches!(self, Self::Clear(_))
    }

    /// Whether the client is on this machine.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Clear(tcp) => tcp.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()),
            Self::Tls(tls) => tls.get_ref().0.peer_addr().is_ok_and(|peer| peer.ip().is_loopback()),
            Self::Unix(_) => true,
        }
    }

    /// The client's address, or which user of this machine it is; empty if it is gone.
    #[must_use]
    pub fn peer(&self) -> String {
        let address = match self {
            Self::Clear(tcp) => tcp.peer_addr(),
            Self::Tls(tls) => tls.get_ref().0.peer_addr(),
            Self::Unix(unix) => return unix.peer_cred().map(|user| format!("local user {}", user.uid())).unwrap_or_default(),
        };
        address.map(|address| address.to_string()).unwrap_or_default()
    }

    /// What its failures are counted by.
    #[must_use]
    pub fn source(&self) -> Source {
        let address = match self {
            Self::Clear(tcp) => tcp.peer_addr(),
            Self::Tls(tls) => tls.get_ref().0.peer_addr(),
            Self::Unix(unix) => return unix.peer_cred().map_or(Source::Nowhere, |user| Source::User(user.uid())),
        };
        address.map_or(Source::Nowhere, |address| Source::of(address.ip()))
    }

    /// Small messages leave at once, and a client that is gone without a word is found out.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let Self::Clear(tcp) = self else { return Ok(()) };
        tcp.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
        SockRef::from(tcp).set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_ASKED_MAX))
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Clear(_) => "Stream(clear)",
            Self::Tls(_) => "Stream(tls)",
            Self::Unix(_) => "Stream(unix)",
        })
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
            Self::Unix(unix) => Pin::new(unix).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
            Self::Unix(unix) => Pin::new(unix).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Clear(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Self::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
            Self::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Clear(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
            Self::Unix(unix) => unix.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Self::Unix(unix) => Pin::new(unix).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Clear(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Self::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
        }
    }
}
