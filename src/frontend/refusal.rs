//! Why a client does not get in, and what it hears of it.

use std::io;

use bytes::Bytes;

use crate::identity::{BearerFault, Denied, GROUPS_MAX, ScramFault, TOKEN_BYTES_MAX, TokenFault};
use crate::wire::{self, Malformed};

/// Why a connection ends before it is a session. All but `Io` are the client's fault.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The client closed the connection.
    #[error("client is gone")]
    Gone,
    /// The socket failed.
    #[error("socket failed: {0}")]
    Io(io::ErrorKind),
    /// The client took too long to say who it is.
    #[error("startup took too long")]
    SlowStartup,
    /// The client took too long to prove who it is.
    #[error("login took too long")]
    SlowLogin,
    /// The first packet has an impossible length: not a PostgreSQL client.
    #[error("invalid length of startup packet")]
    StartupLength,
    /// A message is not what the protocol says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A version of the protocol that is not spoken here.
    #[error("unsupported frontend protocol {}.{}", .0 >> 16, .0 & 0xffff)]
    Version(u32),
    /// Bytes in clear behind a request for encryption.
    #[error("received unencrypted data after SSL request")]
    BytesBeforeTls,
    /// Bytes behind a request for encryption that was answered N.
    #[error("received unencrypted data after {0}")]
    Ahead(&'static str),
    /// Direct TLS where there is no certificate.
    #[error("direct TLS, but there is no certificate")]
    NoTls,
    /// Direct TLS without naming the protocol.
    #[error("direct TLS without ALPN protocol `postgresql`")]
    Alpn,
    /// TLS itself failed.
    #[error("TLS handshake failed: {0}")]
    Tls(io::Error),
    /// No user in the startup packet.
    #[error("no user name in startup packet")]
    NoUser,
    /// The startup packet asks for replication.
    #[error("replication connection")]
    Replication,
    /// The client would log in in clear.
    #[error("plaintext connection")]
    Plaintext,
    /// Another message where one of the login was due.
    #[error("expected SASL response, got message type {0}")]
    Unexpected(u8),
    /// A mechanism that was not offered.
    #[error("client selected an invalid SASL authentication mechanism")]
    Mechanism,
    /// The SCRAM exchange failed for another reason than a wrong password.
    #[error(transparent)]
    Scram(ScramFault),
    /// There have been too many failed logins: this one is not looked at.
    #[error("too many failed logins")]
    Throttled,
    /// The OAUTHBEARER exchange is not one.
    #[error(transparent)]
    Bearer(BearerFault),
    /// The client has no token yet, and has been told where to get one.
    #[error("client has no token yet")]
    NoToken,
    /// The token lets nobody in.
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// The identity is not let in.
    #[error(transparent)]
    Denied(#[from] Denied),
}

impl Refusal {
    /// Its name in the log.
    #[must_use]
    pub fn category(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Io(_) => "socket",
            Self::SlowStartup | Self::SlowLogin => "timeout",
            Self::Version(_) => "protocol-version",
            Self::StartupLength | Self::Malformed(_) | Self::Unexpected(_) | Self::NoUser => "malformed",
            Self::BytesBeforeTls | Self::Ahead(_) | Self::NoTls | Self::Alpn | Self::Tls(_) => "tls",
            Self::Replication => "replication",
            Self::Plaintext => "plaintext",
            Self::Mechanism | Self::Scram(_) => "scram",
            Self::Throttled => "throttled",
            Self::Bearer(_) => "oauthbearer",
            Self::NoToken => "no-token",
            Self::Token(fault) => fault.category(),
            Self::Denied(denied) => denied.category(),
        }
    }

    /// True if whoever tries to get in has shown a proof that is none: that counts as a failed login.
    pub(super) fn is_wrong_proof(&self) -> bool {
        match self {
            Self::Token(fault) => fault.is_wrong(),
            Self::Denied(denied) => matches!(denied, Denied::Unknown | Denied::WrongPassword),
            _ => false,
        }
    }

    /// The last words to the client, `None` where a server, too, closes without any. `user` is the name it gave.
    pub(super) fn words(&self, user: &[u8]) -> Option<Bytes> {
        let name = String::from_utf8_lossy(user);
        let (sqlstate, text) = match self {
            Self::Gone | Self::Io(_) | Self::SlowStartup | Self::StartupLength => return None,
            Self::BytesBeforeTls | Self::NoTls | Self::Alpn | Self::Tls(_) => return None,
            Self::Ahead(_) => return Some(ahead(&self.to_string())),
            Self::SlowLogin => ("57014", "canceling authentication due to timeout".to_owned()),
            Self::Malformed(fault) => ("08P01", malformed_text(*fault).to_owned()),
            Self::Version(version) => return Some(version_refused(*version)),
            Self::NoUser => ("28000", "no PostgreSQL user name specified in startup packet".to_owned()),
            Self::Replication => ("0A000", "pgveil does not serve replication connections".to_owned()),
            Self::Plaintext => ("28000", "pgveil requires TLS here: connect with sslmode=require or stronger".to_owned()),
            Self::Unexpected(_) | Self::Mechanism => ("08P01", self.to_string()),
            Self::Scram(fault) => (scram_sqlstate(*fault), fault.to_string()),
            Self::Throttled => ("28000", "too many failed logins: wait a minute, then try again".to_owned()),
            Self::Bearer(BearerFault::AuthorizationIdentity) => ("0A000", self.to_string()),
            Self::Bearer(_) => ("08P01", self.to_string()),
            Self::NoToken => ("28000", format!("a token is needed to log in as \"{name}\"")),
            Self::Token(fault) => return Some(fatal(token_sqlstate(fault), token_text(fault, &name).as_bytes())),
            Self::Denied(Denied::Unknown | Denied::WrongPassword) => return Some(password_failed(user)),
            Self::Denied(Denied::Expired { expired }) => (
                "28P01",
                format!(
                    "the credential of \"{name}\" expired at {expired}: ask your operator for a new one (pgveil credential new {name})"
                ),
            ),
        };
        Some(fatal(sqlstate, text.as_bytes()))
    }
}

/// The server's words for it.
fn malformed_text(fault: Malformed) -> &'static str {
    match fault {
        Malformed::Short { tag: b'?' } | Malformed::LeftOver { tag: b'?' } | Malformed::Value { tag: b'?' } => {
            "invalid startup packet layout: expected terminator as last byte"
        }
        Malformed::Length(_) => "invalid message length",
        Malformed::Short { .. } => "insufficient data left in message",
        Malformed::LeftOver { .. } | Malformed::Value { .. } | Malformed::Tag(_) => "invalid message format",
    }
}

fn scram_sqlstate(fault: ScramFault) -> &'static str {
    match fault {
        ScramFault::AuthorizationIdentity | ScramFault::Extension => "0A000",
        ScramFault::Downgrade | ScramFault::Binding => "28000",
        ScramFault::Malformed | ScramFault::BindingType | ScramFault::Nonce => "08P01",
        ScramFault::Proof => "28P01",
    }
}

/// The server's own words.
fn ahead(message: &str) -> Bytes {
    let detail = b"This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.";
    wire::error(&[(b'S', b"FATAL"), (b'V', b"FATAL"), (b'C', b"08P01"), (b'M', message.as_bytes()), (b'D', detail)])
}

fn token_sqlstate(fault: &TokenFault) -> &'static str {
    match fault {
        TokenFault::Oversize => "54000",
        TokenFault::Unavailable(_) => "57P03",
        _ => "28000",
    }
}

/// What to do next. Only who holds a token that its issuer has signed learns what is wrong with it.
fn token_text(fault: &TokenFault, user: &str) -> String {
    match fault {
        TokenFault::Oversize => format!("the token has more than {TOKEN_BYTES_MAX} bytes: ask your operator for one with fewer groups"),
        TokenFault::Expired => "the token has expired: get a new one and connect again".to_owned(),
        TokenFault::Early => "the token is not valid yet: the clocks of this server and of the issuer differ".to_owned(),
        TokenFault::NoGroups => "none of your groups may come in here: ask your operator for membership".to_owned(),
        TokenFault::ManyGroups => {
            format!("the token names more than {GROUPS_MAX} groups: ask your operator to choose among them (`groups_prefix`)")
        }
        TokenFault::GroupsElsewhere => {
            "the issuer has left your groups out of the token, since they are many: ask your operator for groups of this application only"
                .to_owned()
        }
        TokenFault::Assurance(_) => "your groups ask for a stronger login: log in again with a second factor".to_owned(),
        TokenFault::Revoked => "your access has been withdrawn: ask your operator".to_owned(),
        TokenFault::Unavailable(_) => "the token cannot be checked right now: try again in a minute".to_owned(),
        TokenFault::Malformed
        | TokenFault::Encrypted
        | TokenFault::Algorithm
        | TokenFault::Type
        | TokenFault::Critical
        | TokenFault::Issuer
        | TokenFault::Key
        | TokenFault::Signature
        | TokenFault::Claim(_)
        | TokenFault::Audience
        | TokenFault::Party
        | TokenFault::Nonce
        | TokenFault::Name => {
            format!("the token of user \"{user}\" was not accepted: get a new one and connect again, or ask your operator")
        }
    }
}

/// The server's own words, in the client's own bytes.
fn password_failed(user: &[u8]) -> Bytes {
    fatal("28P01", &[b"password authentication failed for user \"", user, b"\""].concat())
}

fn version_refused(version: u32) -> Bytes {
    let text = format!("unsupported frontend protocol {}.{}: server supports 3.0 to 3.0", version >> 16, version & 0xffff);
    if version >> 16 >= 3 {
        return fatal("0A000", text.as_bytes());
    }
    // Before protocol 3 an error was its type byte and a text, without a length.
    Bytes::from(format!("EFATAL:  {text}\n\0"))
}

/// An ErrorResponse that ends the connection, with the fields that every server sends.
#[must_use]
pub fn fatal(sqlstate: &str, message: &[u8]) -> Bytes {
    wire::error(&[(b'S', b"FATAL"), (b'V', b"FATAL"), (b'C', sqlstate.as_bytes()), (b'M', message)])
}
