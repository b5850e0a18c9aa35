//! From a fresh socket to a startup packet.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::tls::ALPN;
use super::{Refusal, ServerTls, Stream};
use crate::identity::Channel;
use crate::wire::{self, CancelKey, Startup, StartupPacket};

const TLS_RECORD_HANDSHAKE: u8 = 0x16;
/// Code of SSLRequest; that of GSSENCRequest is the next.
const SSL_REQUEST_AS_VERSION: u32 = (1234 << 16) | 5679;
const PROTOCOL_MAJOR: u32 = 3 << 16;
/// Most bytes that are read at once before the client is known.
const READ_BYTES: usize = 2_048;
/// No login takes longer, whatever is configured.
const LOGIN_TIME_MAX: Duration = Duration::from_secs(3_600);
/// How long last words may take to be written.
pub(super) const LAST_WORDS_TIME_MAX: Duration = Duration::from_secs(2);

/// How clients are met on one listener.
#[derive(Debug, Clone)]
pub struct Acceptor {
    /// Our certificate, `None` if there is none: encryption is then answered N.
    pub tls: Option<ServerTls>,
    /// Whether a client may log in without TLS, other than by a socket file.
    pub plaintext: bool,
    /// How long startup and login may take together.
    pub login_time_max: Duration,
}

/// What a client wants.
#[derive(Debug)]
pub enum Opening {
    /// A statement of another session to be cancelled. The client waits for the close of `stream`, so drop it when that is done.
    Cancel {
        /// What the client names.
        key: CancelKey,
        /// The connection, on which nothing is answered.
        stream: Stream,
    },
    /// A session.
    Session(Request),
}

/// A client that has said what it wants, and has not been told which version of the protocol is spoken.
#[derive(Debug)]
pub struct Request(Handshake);

impl Request {
    /// True if the client asks for a newer version than 3.0, so that it matters which one the database speaks.
    #[must_use]
    pub fn asks_newer(&self) -> bool {
        self.0.startup.version > PROTOCOL_MAJOR
    }

    /// The database that the client asks for: its own name if it names none.
    #[must_use]
    pub fn database(&self) -> &[u8] {
        let named = self.0.startup.parameter("database").filter(|name| !name.is_empty());
        named.map_or_else(|| self.0.user(), |name| &name[..])
    }

    /// Agrees on a version, `minor_max` being the newest minor one that is spoken. The answer comes first of all, before a login
    /// could fail. Not cancel safe: the connection is lost.
    ///
    /// # Errors
    /// If the client takes no answer in time.
    pub async fn agree(self, minor_max: u16) -> Result<Handshake, Refusal> {
        let deadline = self.0.deadline;
        timeout_at(deadline, self.0.agree(minor_max)).await.unwrap_or(Err(Refusal::SlowStartup))
    }
}

/// A client that has agreed on a version, and has not proved who it is.
#[derive(Debug)]
pub struct Handshake {
    pub(super) stream: Stream,
    pub(super) buffer: BytesMut,
    pub(super) startup: Startup,
    pub(super) channel: Channel,
    pub(super) plaintext: bool,
    pub(super) deadline: Instant,
}

impl Handshake {
    /// The client's startup packet, with the version that was agreed on and without `_pq_.` options: those are not supported, and
    /// the client has been told so.
    #[must_use]
    pub fn startup(&self) -> &Startup {
        &self.startup
    }

    /// The user that the client gave, unproved; empty if it gave none.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        self.startup.parameter("user").map_or(b"", |user| user)
    }

    /// The connection.
    #[must_use]
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    async fn agree(mut self, minor_max: u16) -> Result<Self, Refusal> {
        let asked = self.startup.version;
        self.startup.version = asked.min(PROTOCOL_MAJOR | u32::from(minor_max));
        let parameters = std::mem::take(&mut self.startup.parameters);
        let (options, parameters): (Vec<_>, Vec<_>) = parameters.into_iter().partition(|(name, _)| name.starts_with(b"_pq_."));
        self.startup.parameters = parameters;
        if self.startup.version != asked || !options.is_empty() {
            let names: Vec<Bytes> = options.into_iter().map(|(name, _)| name).collect();
            let answer = wire::negotiate_protocol_version(self.startup.version, &names);
            self.stream.write_all(&answer).await.map_err(io)?;
        }
        Ok(self)
    }

    /// What there is without a login: for a door that only one user of this machine can reach, and nobody else.
    #[must_use]
    pub fn without_login(self) -> (Stream, BytesMut, Startup) {
        (self.stream, self.buffer, self.startup)
    }

    /// Ends the connection with a FATAL error of the caller's.
    pub async fn refuse(self, sqlstate: &str, message: &str) {
        last_words(self.stream, &super::fatal(sqlstate, message.as_bytes())).await;
    }
}

/// Reads up to the startup packet, with whatever encryption the client asks for. Not cancel safe: the connection is lost.
///
/// # Errors
/// Any refusal that does not belong to the login. The client has heard of it, and the connection is closed.
pub async fn accept(stream: Stream, acceptor: &Acceptor) -> Result<Opening, Refusal> {
    let deadline = Instant::now() + acceptor.login_time_max.min(LOGIN_TIME_MAX);
    timeout_at(deadline, opening(stream, acceptor, deadline)).await.unwrap_or(Err(Refusal::SlowStartup))
}

async fn opening(stream: Stream, acceptor: &Acceptor, deadline: Instant) -> Result<Opening, Refusal> {
    stream.prepare().map_err(io)?;
    let door = match stream {
        Stream::Clear(tcp) if begins_with_tls(&tcp).await? => direct(tcp, acceptor).await?,
        stream => Door::new(stream),
    };
    let (door, packet) = knock(door, acceptor).await?;
    match packet {
        StartupPacket::Cancel(key) => Ok(Opening::Cancel { key, stream: door.stream }),
        StartupPacket::Startup(startup) => Ok(Opening::Session(Request(door.handshake(startup, acceptor, deadline)))),
        StartupPacket::OtherVersion(version) => Err(door.refuse(Refusal::Version(version)).await),
        // The second request of a kind: a server takes its code for a version.
        StartupPacket::SslRequest => Err(door.refuse(Refusal::Version(SSL_REQUEST_AS_VERSION)).await),
        StartupPacket::GssEncRequest => Err(door.refuse(Refusal::Version(SSL_REQUEST_AS_VERSION + 1)).await),
    }
}

async fn begins_with_tls(tcp: &TcpStream) -> Result<bool, Refusal> {
    let mut first = [0];
    if tcp.peek(&mut first).await.map_err(io)? == 0 {
        return Err(Refusal::Gone);
    }
    Ok(first == [TLS_RECORD_HANDSHAKE])
}

/// Direct TLS: no request for it in front.
async fn direct(tcp: TcpStream, acceptor: &Acceptor) -> Result<Door, Refusal> {
    let tls = acceptor.tls.as_ref().ok_or(Refusal::NoTls)?;
    let mut stream = tls.acceptor.accept(tcp).await.map_err(Refusal::Tls)?;
    if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
        let _ = stream.shutdown().await;
        return Err(Refusal::Alpn);
    }
    Ok(Door { ssl_asked: true, ..Door::new(Stream::Tls(Box::new(stream))) })
}

/// Answers requests for encryption, once each, up to the first packet that is something else.
async fn knock(mut door: Door, acceptor: &Acceptor) -> Result<(Door, StartupPacket), Refusal> {
    loop {
        match door.packet().await {
            Ok(StartupPacket::SslRequest) if !door.ssl_asked => door = door.answer_ssl(acceptor).await?,
            Ok(StartupPacket::GssEncRequest) if !door.gssenc_asked && !door.stream.is_tls() => {
                door.gssenc_asked = true;
                door = door.answer_no("GSSAPI encryption request").await?;
            }
            Ok(other) => return Ok((door, other)),
            Err(refusal) => return Err(door.refuse(refusal).await),
        }
    }
}

/// A connection on which encryption can still be asked for.
struct Door {
    stream: Stream,
    buffer: BytesMut,
    ssl_asked: bool,
    gssenc_asked: bool,
}

impl Door {
    fn new(stream: Stream) -> Self {
        Self { stream, buffer: BytesMut::new(), ssl_asked: false, gssenc_asked: false }
    }

    async fn answer_ssl(self, acceptor: &Acceptor) -> Result<Self, Refusal> {
        let answered = Self { ssl_asked: true, ..self };
        match (answered.stream, &acceptor.tls) {
            (Stream::Clear(mut tcp), Some(tls)) => {
                tcp.write_all(b"S").await.map_err(io)?;
                // Whoever wrote these could not know that they would be taken for the client's.
                if !answered.buffer.is_empty() {
                    return Err(Refusal::BytesBeforeTls);
                }
                let stream = tls.acceptor.accept(tcp).await.map_err(Refusal::Tls)?;
                Ok(Self { stream: Stream::Tls(Box::new(stream)), ..answered })
            }
            (stream, _) => Self { stream, ..answered }.answer_no("SSL request").await,
        }
    }

    /// A client waits for the answer: what came before it may have been slipped in by somebody else.
    async fn answer_no(mut self, request: &'static str) -> Result<Self, Refusal> {
        self.stream.write_all(b"N").await.map_err(io)?;
        self.stream.flush().await.map_err(io)?;
        if self.buffer.is_empty() { Ok(self) } else { Err(self.refuse(Refusal::Ahead(request)).await) }
    }

    /// One packet without a type byte, of at most 10,000 bytes.
    async fn packet(&mut self) -> Result<StartupPacket, Refusal> {
        let bytes = loop {
            if let Some(length) = self.buffer.first_chunk::<4>() {
                let frame_bytes = StartupPacket::frame_bytes(*length).map_err(|_| Refusal::StartupLength)?;
                if frame_bytes <= self.buffer.len() {
                    break self.buffer.split_to(frame_bytes).freeze();
                }
            }
            self.buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.buffer).await.map_err(io)? == 0 {
                return Err(Refusal::Gone);
            }
        };
        Ok(StartupPacket::read(&bytes.slice(4..))?)
    }

    fn handshake(self, startup: Startup, acceptor: &Acceptor, deadline: Instant) -> Handshake {
        let channel = match (&self.stream, &acceptor.tls) {
            (Stream::Tls(_), Some(tls)) => tls.channel.clone(),
            (Stream::Tls(_), None) => Channel::Tls,
            (Stream::Clear(_) | Stream::Unix(_), _) => Channel::Clear,
        };
        let plaintext = acceptor.plaintext || matches!(self.stream, Stream::Unix(_));
        Handshake { stream: self.stream, buffer: self.buffer, startup, channel, plaintext, deadline }
    }

    async fn refuse(self, refusal: Refusal) -> Refusal {
        if let Some(words) = refusal.words(b"") {
            last_words(self.stream, &words).await;
        }
        refusal
    }
}

/// Writes the last message of a connection and closes it, within a time.
pub(super) async fn last_words(mut stream: Stream, words: &[u8]) {
    let said = async {
        stream.write_all(words).await?;
        stream.shutdown().await
    };
    // A client that does not take them goes without.
    let _ = tokio::time::timeout(LAST_WORDS_TIME_MAX, said).await;
}

pub(super) fn io(error: std::io::Error) -> Refusal {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => Refusal::Gone,
        kind => Refusal::Io(kind),
    }
}
