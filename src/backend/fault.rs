//! Why a connection to a database, or a question on one, comes to nothing.

use std::io;

use crate::mask::Unmasked;
use crate::wire::{ErrorFields, Frame, Malformed};

/// Whose fault something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The database's, or of the way to it.
    Peer,
    /// The operator's: the configuration cannot work.
    Operator,
    /// The client's: the server does not take what it asked for.
    Client,
    /// Ours.
    Us,
}

/// The five characters of an error's condition.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState([u8; 5]);

impl SqlState {
    /// The SQLSTATE of an ErrorResponse; `XX000` where it has none.
    #[must_use]
    pub fn of(frame: &Frame) -> Self {
        let state = ErrorFields::find(frame, b'C').and_then(|state| <[u8; 5]>::try_from(state).ok());
        Self(state.filter(|state| state.iter().all(u8::is_ascii_alphanumeric)).unwrap_or(*b"XX000"))
    }

    /// Its characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XX000")
    }
}

impl std::fmt::Debug for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Display for SqlState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host name has no address.
    #[error("host name has no address")]
    NoAddress,
    /// Nobody answers there.
    #[error("cannot connect: {0}")]
    Unreachable(io::Error),
    /// It took too long.
    #[error("no connection in time")]
    TimedOut,
    /// The socket failed.
    #[error("socket failed: {0}")]
    Io(io::Error),
    /// The server closed the connection without a word.
    #[error("server closed the connection during login")]
    Closed,
    /// TLS is asked for and the server has none.
    #[error("server does not support TLS")]
    NoTls,
    /// TLS failed: a certificate that is not trusted, another name, or no common ground.
    #[error("TLS failed: {0}")]
    Tls(io::Error),
    /// The host name cannot stand in a certificate.
    #[error("host name cannot be verified")]
    HostName,
    /// The server said no. Its own words may go to a client through the masker.
    #[error("server refused the connection, SQLSTATE {sqlstate}")]
    Refused {
        /// Its ErrorResponse.
        error: Unmasked<Frame>,
        /// The condition.
        sqlstate: SqlState,
    },
    /// A message is not what the protocol says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A message that does not belong here.
    #[error("unexpected message of type {0} during login")]
    Unexpected(u8),
    /// More messages before ReadyForQuery than any server sends.
    #[error("too many messages during login")]
    TooMuch,
    /// The startup packet would be too long or cannot be written.
    #[error("startup packet cannot be sent")]
    Startup,
    /// The server wants a kind of login that is not supported.
    #[error("server asks for an unsupported kind of login, code {0}")]
    Login(i32),
    /// The server's SASL mechanisms are all unknown.
    #[error("server offers no supported SASL mechanism")]
    Mechanism,
    /// The server wants a password and there is none.
    #[error("server asks for a password and none is configured")]
    NoPassword,
    /// The server wants the password in clear over a connection that is not verified.
    #[error("server asks for a cleartext password over a connection that is not verified")]
    ClearPassword,
    /// The SCRAM exchange failed: most often the server does not know the password either.
    #[error("SCRAM exchange with the server failed")]
    Scram,
}

impl ConnectError {
    /// Whose fault it is.
    #[must_use]
    pub fn whose(&self) -> Whose {
        match self {
            Self::NoAddress | Self::NoPassword | Self::ClearPassword | Self::HostName | Self::NoTls => Whose::Operator,
            Self::Login(_) | Self::Mechanism => Whose::Operator,
            Self::Refused { sqlstate, .. } if sqlstate.as_str().starts_with("28") => Whose::Operator,
            Self::Startup | Self::Refused { .. } => Whose::Client,
            Self::Unreachable(_) | Self::TimedOut | Self::Io(_) | Self::Closed | Self::Tls(_) => Whose::Peer,
            Self::Malformed(_) | Self::Unexpected(_) | Self::TooMuch | Self::Scram => Whose::Peer,
        }
    }
}

/// Why a question of our own has no answer. After any but `Refused` the connection is of no use.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The server said no.
    #[error("server refused the query, SQLSTATE {sqlstate}")]
    Refused {
        /// Its ErrorResponse.
        error: Unmasked<Frame>,
        /// The condition.
        sqlstate: SqlState,
    },
    /// A message is not what the protocol says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A message that does not belong here.
    #[error("unexpected message of type {0}")]
    Unexpected(u8),
    /// A value is not UTF-8.
    #[error("a value is not UTF-8")]
    Encoding,
    /// More rows or bytes than allowed.
    #[error("answer is too large")]
    TooLarge,
    /// It took too long.
    #[error("no answer in time")]
    TimedOut,
    /// The server closed the connection.
    #[error("server closed the connection")]
    Closed,
    /// The socket failed.
    #[error("socket failed: {0}")]
    Io(io::Error),
    /// An earlier question failed, and the answers no longer belong to their questions.
    #[error("connection is broken since an earlier query")]
    Broken,
}
