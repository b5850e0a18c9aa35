//! The ways to a server: TCP, TLS, a socket file.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::SockRef;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f];

/// How a server is reached.
#[derive(Clone, Debug)]
pub enum Way {
    /// TCP in clear.
    Tcp(IpAddr, u16),
    /// TLS, by SSLRequest; the file with the authority to trust.
    Tls(u16, PathBuf),
    /// A socket file.
    Unix(PathBuf),
}

impl Way {
    /// A port of this machine.
    #[must_use]
    pub fn port(port: u16) -> Self {
        Self::Tcp(Ipv4Addr::LOCALHOST.into(), port)
    }

    /// Connects, and does TLS where that is the way.
    ///
    /// # Errors
    /// Those of the socket.
    ///
    /// # Panics
    /// If the authority cannot be read.
    pub fn dial(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(address, port) => tcp(*address, *port).map(Socket::Tcp),
            Self::Unix(path) => UnixStream::connect(path).map(Socket::Unix),
            Self::Tls(port, authority) => {
                let mut socket = tcp(Ipv4Addr::LOCALHOST.into(), *port)?;
                socket.write_all(&SSL_REQUEST)?;
                let mut answer = [0];
                socket.read_exact(&mut answer)?;
                assert_eq!(&answer, b"S", "the server has no TLS");
                let name = ServerName::try_from("127.0.0.1").unwrap();
                let tls = ClientConnection::new(Arc::new(trusting(authority)), name).map_err(io::Error::other)?;
                Ok(Socket::Tls(Box::new(StreamOwned::new(tls, socket))))
            }
        }
    }

    /// The same without TLS.
    #[must_use]
    pub fn in_clear(&self) -> Self {
        match self {
            Self::Tls(port, _) => Self::port(*port),
            other => other.clone(),
        }
    }
}

fn tcp(address: IpAddr, port: u16) -> io::Result<TcpStream> {
    let socket = TcpStream::connect((address, port))?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn trusting(authority: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// A connection.
pub enum Socket {
    /// TCP in clear.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// A socket file.
    Unix(UnixStream),
}

impl Socket {
    /// Says that nothing more will be sent, and goes on reading.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn shut(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.shutdown(Shutdown::Write),
            Self::Tls(tls) => {
                tls.conn.send_close_notify();
                tls.flush()?;
                tls.sock.shutdown(Shutdown::Write)
            }
            Self::Unix(unix) => unix.shutdown(Shutdown::Write),
        }
    }

    /// Goes without a word of its own: the other side gets a reset.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn reset(self) -> io::Result<()> {
        match &self {
            Self::Tcp(tcp) => SockRef::from(tcp).set_linger(Some(Duration::ZERO)),
            Self::Tls(tls) => SockRef::from(&tls.sock).set_linger(Some(Duration::ZERO)),
            Self::Unix(_) => Ok(()),
        }
    }

    /// How long a read, and a write, may take.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn set_timeout(&self, wait: Duration) -> io::Result<()> {
        self.set_write_timeout(wait)?;
        self.set_read_timeout(wait)
    }

    /// How long a read may take.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn set_read_timeout(&self, wait: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.set_read_timeout(Some(wait)),
            Self::Tls(tls) => tls.sock.set_read_timeout(Some(wait)),
            Self::Unix(unix) => unix.set_read_timeout(Some(wait)),
        }
    }

    /// How long a write may take.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn set_write_timeout(&self, wait: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.set_write_timeout(Some(wait)),
            Self::Tls(tls) => tls.sock.set_write_timeout(Some(wait)),
            Self::Unix(unix) => unix.set_write_timeout(Some(wait)),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(into),
            Self::Tls(tls) => tls.read(into),
            Self::Unix(unix) => unix.read(into),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
            Self::Unix(unix) => unix.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
            Self::Unix(unix) => unix.flush(),
        }
    }
}

/// True for an error that says that time is up.
#[must_use]
pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// True for an error that says that the other side is gone.
#[must_use]
pub fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
    )
}
