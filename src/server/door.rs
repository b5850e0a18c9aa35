//! What clients knock on: TCP ports and socket files.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::StartFault;
use crate::config::ListenAddress;
use crate::frontend::Stream;

/// Clients that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// As with PostgreSQL's own: who may log in is decided by credentials.
const SOCKET_MODE: u32 = 0o777;

/// One place that clients come in by.
enum Door {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// Takes its file away at the end.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Door {
    fn open(address: &ListenAddress, all: &[ListenAddress]) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => tcp(*address, all).map(Self::Tcp),
            ListenAddress::Unix(path) => unix(path).map(|listener| Self::Unix { listener, _file: SocketFile(path.clone()) }),
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx).map_ok(|(tcp, _)| Stream::Clear(tcp)),
            Self::Unix { listener, .. } => listener.poll_accept(cx).map_ok(|(unix, _)| Stream::Unix(unix)),
        }
    }
}

/// All places that clients come in by.
pub(super) struct Entrance {
    doors: Vec<Door>,
    /// How many have come: nobody who knocks elsewhere waits for a busy door.
    came: usize,
}

impl Entrance {
    /// Opens all of them, or none.
    pub(super) fn open(addresses: &[ListenAddress]) -> Result<Self, StartFault> {
        let open = |address| Door::open(address, addresses).map_err(|fault| StartFault::Bind(format!("{address}"), fault));
        Ok(Self { doors: addresses.iter().map(open).collect::<Result<_, _>>()?, came: 0 })
    }

    /// The next client. Cancel safe.
    pub(super) async fn accept(&mut self) -> io::Result<Stream> {
        self.came = self.came.wrapping_add(1);
        let (later, first) = self.doors.split_at(self.came % self.doors.len().max(1));
        std::future::poll_fn(|cx| {
            let mut accepted = first.iter().chain(later).map(|door| door.poll_accept(cx));
            accepted.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }
}

/// An IPv6 address that stands for all of the machine takes IPv4 clients too, unless an IPv4 address with that port is listed.
fn tcp(address: SocketAddr, all: &[ListenAddress]) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    let same_port =
        |other: &ListenAddress| matches!(other, ListenAddress::Tcp(v4) if v4.is_ipv4() && v4.port() == address.port());
    if address.is_ipv6() && all.iter().any(same_port) {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

fn unix(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        Err(fault) if fault.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(SOCKET_MODE))?;
    Ok(listener)
}

/// True for the socket file of a process that is gone.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |fault: &io::Error| fault.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && std::os::unix::net::UnixStream::connect(path).is_err_and(|fault| refused(&fault))
}
