//! A port on this machine for one user's programs, which leads to a server with that user's login: who connects to it needs no token,
//! and each connection begins with one that serves.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

use super::folder::{Folder, Name};
use super::local::{self, Password};
use super::{CONNECT_TIME_MAX, Fault, Kept, fresh, watch};
use crate::backend::{self, ConnectError, Connection, Start};
use crate::frontend::{self, Acceptor, Handshake, Opening, Stream};
use crate::mask::{self, Exposure};
use crate::wire::{self, Startup};

/// Most connections at a time; who comes then waits, not accepted before.
const CONNECTIONS_MAX: usize = 256;
/// Pause after the operating system has refused to accept, and before a login is looked at again that was over.
const PAUSE: Duration = Duration::from_secs(1);
const VERSION_3_0: u32 = 3 << 16;
/// What clients put in front of the port, in the folder that they are given as host.
const SOCKET_NAME: &str = ".s.PGSQL.";
/// The port that clients take if they are told none.
const SOCKET_PORT: u16 = 5432;

/// Where programs of this machine come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A socket file, for this user's programs only.
    Unix(PathBuf),
    /// A port of this machine, for who knows the login's local password.
    Tcp(SocketAddr),
}

impl std::str::FromStr for Place {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::Setting(format!("`{text}` {why}"));
        if !text.starts_with('/') {
            let address: SocketAddr =
                text.parse().map_err(|_| wrong("is no place to listen: write /FOLDER/.s.PGSQL.PORT or 127.0.0.1:PORT"))?;
            return if address.ip().is_loopback() {
                Ok(Self::Tcp(address))
            } else {
                Err(wrong("is not an address of this machine alone"))
            };
        }
        let port = Path::new(text).file_name().and_then(|name| name.to_str()?.strip_prefix(SOCKET_NAME)?.parse::<u16>().ok());
        if port.is_some() {
            Ok(Self::Unix(PathBuf::from(text)))
        } else {
            Err(wrong("must end with /.s.PGSQL.PORT, which is what clients look for"))
        }
    }
}

impl Place {
    /// The usual one of a login.
    #[must_use]
    pub fn usual(folder: &Folder, name: &Name) -> Self {
        Self::Unix(folder.file(name, "socket").join(format!("{SOCKET_NAME}{SOCKET_PORT}")))
    }
}

enum Listener {
    Unix { listener: UnixListener, user: u32, _file: SocketFile },
    Tcp { listener: TcpListener, password: Password },
}

/// Takes its file away at the end.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A port that is open.
pub struct Port {
    folder: Folder,
    name: Name,
    listener: Listener,
    /// How a program connects to it: a URI, which holds no password unless that was asked for.
    pub uri: String,
}

impl Port {
    /// Opens it. `shown`: whether the URI holds the local password.
    ///
    /// # Errors
    /// If there is no such login, or the place is taken, or others could take it.
    pub async fn open(folder: &Folder, name: &Name, place: &Place, shown: bool) -> Result<Self, Fault> {
        let server = Kept::read(folder, name)?.login.server;
        let (listener, uri) = match place {
            Place::Unix(path) => {
                let (listener, user) = unix(folder, path)?;
                let uri = local::socket_uri(&server, path);
                (Listener::Unix { listener, user, _file: SocketFile(path.clone()) }, uri)
            }
            Place::Tcp(address) => {
                let fault = |error| Fault::Listen { place: address.to_string(), error };
                let listener = TcpListener::bind(address).await.map_err(fault)?;
                let address = listener.local_addr().map_err(fault)?;
                let password = Password::of(folder, name, address)?;
                let uri = password.uri(&server, address, shown);
                (Listener::Tcp { listener, password }, uri)
            }
        };
        Ok(Self { folder: folder.clone(), name: name.clone(), listener, uri })
    }

    /// Serves whoever comes, and keeps the login alive meanwhile. Cancel safe: all connections end.
    pub async fn serve(self) -> Infallible {
        let (port, places) = (Arc::new(self), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
        let mut sessions = tokio::task::JoinSet::new();
        let renewing = Arc::clone(&port);
        sessions.spawn(async move {
            loop {
                // What keeps it from being renewed is told to whoever connects.
                let _ = watch(&renewing.folder, &renewing.name).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        loop {
            let place = Arc::clone(&places).acquire_owned().await;
            match port.accept().await {
                Ok(Some(stream)) => {
                    let port = Arc::clone(&port);
                    sessions.spawn(async move {
                        port.meet(stream).await;
                        drop(place);
                    });
                }
                // Another user: no word is lost on it.
                Ok(None) => {}
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
            while sessions.try_join_next().is_some() {}
        }
    }

    async fn accept(&self) -> std::io::Result<Option<Stream>> {
        match &self.listener {
            Listener::Tcp { listener, .. } => listener.accept().await.map(|(stream, _)| Some(Stream::Clear(stream))),
            Listener::Unix { listener, user, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((stream.peer_cred()?.uid() == *user).then_some(Stream::Unix(stream)))
            }
        }
    }

    /// One connection, to its end.
    async fn meet(&self, stream: Stream) {
        let acceptor = Acceptor { tls: None, plaintext: true, login_time_max: CONNECT_TIME_MAX };
        match frontend::accept(stream, &acceptor).await {
            Ok(Opening::Session(request)) => {
                if let Ok(handshake) = request.agree(0).await {
                    self.let_in(handshake).await;
                }
            }
            Ok(Opening::Cancel { key, stream }) => {
                let route = Kept::read(&self.folder, &self.name).and_then(|kept| kept.login.server.route(None));
                if let Ok(route) = route {
                    let _ = backend::cancel(&route, &key).await;
                }
                drop(stream);
            }
            Err(_) => {}
        }
    }

    async fn let_in(&self, handshake: Handshake) {
        let (stream, leftover, startup) = match &self.listener {
            Listener::Unix { .. } => handshake.without_login(),
            Listener::Tcp { password, .. } => match password.prove(handshake).await {
                Some(session) => (session.stream, session.leftover, session.startup),
                None => return,
            },
        };
        match self.reach(&startup).await {
            Ok(connection) => {
                let _ = splice((stream, leftover), connection).await;
            }
            Err(words) => last_words(stream, &words).await,
        }
    }

    /// The server's side of a connection, or what the client is told instead.
    async fn reach(&self, startup: &Startup) -> Result<Connection, BytesMut> {
        let say = |state: &str, text: String| BytesMut::from(&*frontend::fatal(state, text.as_bytes()));
        let kept = fresh(&self.folder, &self.name).await.map_err(|fault| say("28000", fault.to_string()))?;
        let server = &kept.login.server;
        let route = server.route(Some(kept.login.tokens.bearer.clone())).map_err(|fault| say("08001", fault.to_string()))?;
        let asked = startup.parameter("database").filter(|name| !name.is_empty());
        let database: &[u8] = asked.map_or(server.database.as_bytes(), |name| name);
        let start = Start { version: VERSION_3_0, database, parameters: &startup.parameters };
        backend::connect(&route, &start).await.map_err(|fault| match fault {
            // What a server says is for its client already.
            ConnectError::Refused { error, .. } => BytesMut::from(&mask::message(error, Exposure::Clear).get()[..]),
            fault => say("08006", format!("the server of the login `{}` cannot be reached: {fault}", self.name)),
        })
    }
}

/// Greets the client with the server's words, and leaves the two to each other.
async fn splice((mut client, ahead): (Stream, BytesMut), connection: Connection) -> std::io::Result<()> {
    let mut greeting = BytesMut::from(&*wire::authentication(0, &[]));
    for frame in connection.opening {
        greeting.extend_from_slice(mask::message(frame, Exposure::Clear).get());
    }
    if let Some(key) = &connection.key {
        greeting.extend_from_slice(&wire::backend_key_data(key));
    }
    greeting.extend_from_slice(&wire::ready(connection.status));
    greeting.extend_from_slice(&connection.leftover);
    let mut server = connection.stream;
    client.write_all(&greeting).await?;
    server.write_all(&ahead).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn last_words(mut client: Stream, words: &[u8]) {
    let said = async {
        client.write_all(words).await?;
        client.shutdown().await
    };
    let _ = tokio::time::timeout(PAUSE, said).await;
}

/// A socket file in a folder where nobody else can put another in its place.
fn unix(folder: &Folder, path: &Path) -> Result<(UnixListener, u32), Fault> {
    let fault = |error| Fault::Listen { place: path.display().to_string(), error };
    let parent = path.parent().unwrap_or(Path::new("/"));
    if parent.parent() == Some(folder.path()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(fault)?;
    }
    let around = std::fs::metadata(parent).map_err(fault)?;
    let user = std::fs::metadata(folder.path()).map_err(fault)?.uid();
    if around.mode() & 0o022 != 0 || around.uid() != user {
        return Err(Fault::Open(parent.to_owned()));
    }
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_left_behind(path) => {
            std::fs::remove_file(path).map_err(fault)?;
            UnixListener::bind(path)
        }
        bound => bound,
    };
    let listener = listener.map_err(fault)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(fault)?;
    Ok((listener, user))
}

/// True for the socket file of a process that is gone.
fn is_left_behind(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    is_socket && std::os::unix::net::UnixStream::connect(path).is_err_and(|error| refused(&error))
}
