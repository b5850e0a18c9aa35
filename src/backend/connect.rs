//! From nothing to ReadyForQuery.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::fault::SqlState;
use super::{ConnectError, Route, Stream, login};
use crate::mask::Unmasked;
use crate::wire::{
    CancelKey, Frame, Limits, NegotiateProtocolVersion, ParameterStatus, Part, Piece, Run, Splitter, TransactionStatus,
    server_tag, startup_message,
};

/// Longest message before ReadyForQuery.
const OPENING_BYTES_MAX: usize = 65_536;
/// Most messages before ReadyForQuery.
const OPENING_MESSAGES_MAX: usize = 1_024;
const READ_BYTES: usize = 4_096;

/// What a connection begins with.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Protocol version to ask for.
    pub version: u32,
    /// Database to ask for where the upstream names none.
    pub database: &'a [u8],
    /// The client's own startup parameters; `user`, `database`, `replication` and `_pq_.` options among them are left out.
    pub parameters: &'a [(Bytes, Bytes)],
}

/// A connection that the server has taken: the next thing on it is a message of ours.
#[derive(Debug)]
pub struct Connection {
    /// The socket.
    pub stream: Stream,
    /// ParameterStatus and NoticeResponse messages in the server's order. BackendKeyData and ReadyForQuery are not among them.
    pub opening: Vec<Unmasked<Frame>>,
    /// What a cancel must name; `None` from a server that takes none.
    pub key: Option<CancelKey>,
    /// The settings that the server reports, in its spelling.
    pub parameters: HashMap<Bytes, Bytes>,
    /// The version and options that the server negotiated down, if it did.
    pub negotiated: Option<NegotiateProtocolVersion>,
    /// The state of the transaction that ReadyForQuery told.
    pub status: TransactionStatus,
    /// Bytes behind ReadyForQuery that have been read already.
    pub leftover: BytesMut,
}

/// Connects and logs in. Not cancel safe, but nothing outlives it.
///
/// # Errors
/// See `ConnectError`.
pub async fn connect(route: &Route, start: &Start<'_>) -> Result<Connection, ConnectError> {
    let packet = startup(route, start)?;
    let connected = async {
        let stream = route.dial().await?;
        let mut wire = Wire::new(stream);
        wire.say(&packet).await?;
        wire.log_in(route).await?;
        wire.settle().await
    };
    timeout(route.connect_time_max, connected).await.unwrap_or(Err(ConnectError::TimedOut))
}

fn startup(route: &Route, start: &Start<'_>) -> Result<Bytes, ConnectError> {
    let upstream = route.upstream();
    let database = upstream.database.as_ref().map_or(start.database, String::as_bytes);
    let mut parameters: Vec<(&[u8], &[u8])> = vec![(b"user", upstream.user.as_bytes()), (b"database", database)];
    let own = |name: &[u8]| matches!(name, b"user" | b"database" | b"replication") || name.starts_with(b"_pq_.");
    parameters.extend(start.parameters.iter().filter(|(name, _)| !own(name)).map(|(name, value)| (&**name, &**value)));
    startup_message(start.version, &parameters).map_err(|_| ConnectError::Startup)
}

/// The messages of a connection's beginning, one at a time.
pub(super) struct Wire {
    pub(super) stream: Stream,
    splitter: Splitter,
    heard: usize,
    opening: Vec<Unmasked<Frame>>,
    negotiated: Option<NegotiateProtocolVersion>,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        let limits = Limits { whole_bytes_max: OPENING_BYTES_MAX, bulk: &[], bulk_bytes_max: OPENING_BYTES_MAX };
        Self { stream, splitter: Splitter::new(limits), heard: 0, opening: Vec::new(), negotiated: None }
    }

    pub(super) async fn say(&mut self, message: &[u8]) -> Result<(), ConnectError> {
        self.stream.write_all(message).await.map_err(ConnectError::Io)?;
        self.stream.flush().await.map_err(ConnectError::Io)
    }

    pub(super) async fn hear(&mut self) -> Result<Frame, ConnectError> {
        loop {
            match self.splitter.next()? {
                Some(Piece::Frame(frame)) => {
                    self.heard += 1;
                    return if self.heard > OPENING_MESSAGES_MAX { Err(ConnectError::TooMuch) } else { Ok(frame) };
                }
                Some(Piece::Oversize { .. }) => return Err(ConnectError::TooMuch),
                // INVARIANT: no type is bulk here.
                Some(Piece::Run(Run { tag, .. }) | Piece::Part(Part { tag, .. })) => return Err(ConnectError::Unexpected(tag)),
                None => {}
            }
            self.splitter.buffer().reserve(READ_BYTES);
            match self.stream.read_buf(self.splitter.buffer()).await {
                Ok(0) => return Err(ConnectError::Closed),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(ConnectError::Closed),
                Err(error) => return Err(ConnectError::Io(error)),
                Ok(_) => {}
            }
        }
    }

    /// The next authentication request; what a server may say besides is kept.
    pub(super) async fn hear_request(&mut self) -> Result<Frame, ConnectError> {
        loop {
            let frame = self.hear().await?;
            match frame.tag() {
                server_tag::AUTHENTICATION => return Ok(frame),
                server_tag::ERROR_RESPONSE => return Err(refused(frame)),
                server_tag::NOTICE_RESPONSE => self.opening.push(Unmasked::new(frame)),
                server_tag::NEGOTIATE_PROTOCOL_VERSION => self.negotiated = Some(NegotiateProtocolVersion::read(&frame)?),
                other => return Err(ConnectError::Unexpected(other)),
            }
        }
    }

    async fn log_in(&mut self, route: &Route) -> Result<(), ConnectError> {
        login::log_in(self, route).await
    }

    /// From AuthenticationOk to ReadyForQuery.
    async fn settle(mut self) -> Result<Connection, ConnectError> {
        let (mut key, mut parameters) = (None, HashMap::new());
        let status = loop {
            let frame = self.hear().await?;
            match frame.tag() {
                server_tag::PARAMETER_STATUS => {
                    let setting = ParameterStatus::read(&frame)?;
                    parameters.insert(setting.name, setting.value);
                    self.opening.push(Unmasked::new(frame));
                }
                server_tag::NOTICE_RESPONSE => self.opening.push(Unmasked::new(frame)),
                server_tag::BACKEND_KEY_DATA => key = Some(CancelKey::read(&frame)?),
                server_tag::NEGOTIATE_PROTOCOL_VERSION => self.negotiated = Some(NegotiateProtocolVersion::read(&frame)?),
                server_tag::READY_FOR_QUERY => break TransactionStatus::read(&frame)?,
                server_tag::ERROR_RESPONSE => return Err(refused(frame)),
                other => return Err(ConnectError::Unexpected(other)),
            }
        };
        let leftover = std::mem::take(self.splitter.buffer());
        let (opening, negotiated) = (self.opening, self.negotiated);
        Ok(Connection { stream: self.stream, opening, key, parameters, negotiated, status, leftover })
    }
}

fn refused(frame: Frame) -> ConnectError {
    let sqlstate = SqlState::of(&frame);
    ConnectError::Refused { error: Unmasked::new(frame), sqlstate }
}
