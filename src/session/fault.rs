//! Every sentence that a client can hear from the proxy itself.

use bytes::Bytes;

use crate::wire;

/// Something the proxy tells a client in the database's stead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The policy blocks the text. Names of rules, reasons.
    Blocked(Vec<String>, Vec<String>),
    /// A person has denied the held statement: the hold, and what they said.
    Denied(String, String),
    /// Nobody has answered in time.
    Unanswered(String),
    /// The held statement was approved under a policy that is not in force any more.
    Superseded(String),
    /// The configuration has the identity, its groups or the database no more.
    Reconfigured,
    /// Sessions together wait with more bytes than they may.
    Full,
    /// The held statement was cancelled by the client.
    Cancelled,
    /// The statement must be approved, but cannot be held: why.
    NotHeld(String),
    /// The message is longer than the proxy reads.
    Oversize(usize),
    /// The log cannot be written.
    LogFailed,
    /// The database cannot be reached.
    Unreachable(String),
    /// The database has gone without a word.
    ServerGone,
    /// The proxy ends.
    Shutdown,
    /// An operator has ended the session.
    Ended,
    /// The identity's access was withdrawn.
    Revoked,
    /// The credential or token that the session began with has expired.
    Expired,
    /// The session was idle for too long.
    Idle,
    /// The session has lasted as long as it may.
    TooLong,
    /// The client's message is malformed.
    Protocol(String),
    /// The database sent what the proxy cannot mask.
    Unmaskable,
    /// There is no prepared statement of this name.
    NoStatement(String),
    /// There is no portal of this name.
    NoPortal(String),
    /// What a portal names or calls has been defined anew since it was bound.
    Redefined,
    /// A parameter is declared to be of the type `name` beside masked columns: what is put together with it is cut.
    NameParameter,
    /// A COPY whose rows cannot be masked on their way.
    Uncopied,
    /// The catalog cannot be read, so nothing can be decided.
    CatalogUnread,
}

impl Fault {
    /// The SQLSTATE.
    pub(crate) fn state(&self) -> &'static str {
        match self {
            Self::Blocked(..) | Self::Denied(..) | Self::Unanswered(_) | Self::Superseded(_) => "42501",
            Self::Full => "53200",
            Self::Cancelled => "57014",
            Self::NotHeld(_) => "53300",
            Self::Oversize(_) => "54000",
            Self::LogFailed => "58030",
            Self::Unreachable(_) => "08001",
            Self::CatalogUnread => "58000",
            Self::ServerGone => "08006",
            Self::Shutdown | Self::Ended | Self::Revoked | Self::Reconfigured | Self::Expired | Self::TooLong => "57P01",
            // As the server has it for `idle_session_timeout`.
            Self::Idle => "57P05",
            Self::Protocol(_) => "08P01",
            Self::Redefined => "0A000",
            Self::NoStatement(_) => "26000",
            Self::NoPortal(_) => "34000",
            Self::Unmaskable | Self::Uncopied | Self::NameParameter => "42501",
        }
    }

    /// The message. What must reach an agent stands here: some clients drop details and hints.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Blocked(rules, reasons) => {
                format!("statement refused by policy{}{}", named(rules), because(reasons))
            }
            Self::Denied(hold, reason) if reason.is_empty() => format!("held statement {hold} was denied"),
            Self::Denied(hold, reason) => format!("held statement {hold} was denied: {reason}"),
            Self::Unanswered(hold) => format!("held statement {hold} was not approved in time"),
            Self::Superseded(hold) => {
                format!("the policy has changed since {hold} was held: run the statement again")
            }
            Self::Reconfigured => "terminating connection: your access has been withdrawn or has changed; log in again".into(),
            Self::Full => {
                "terminating connection: sessions together wait with more bytes than [limits] queue_bytes_max; try again later".into()
            }
            Self::Cancelled => "canceling statement due to user request".into(),
            Self::NotHeld(why) => format!("statement needs approval, but cannot be held: {why}"),
            Self::Oversize(bytes) => format!("message of {bytes} bytes is too long to be analysed and was refused"),
            Self::LogFailed => "statement refused: it could not be recorded".into(),
            Self::Unreachable(database) => format!("database `{database}` cannot be reached"),
            Self::CatalogUnread => "statement refused: the catalog of the database could not be read".into(),
            Self::ServerGone => "the database closed the connection unexpectedly".into(),
            Self::Shutdown => "terminating connection due to administrator command".into(),
            Self::Ended => "the session was ended by an operator; connect again if you still need it".into(),
            Self::Revoked => "your access has been withdrawn: ask your operator".into(),
            Self::Expired => "the credential that this session began with has expired: log in again".into(),
            Self::Idle => "the session was idle for longer than is allowed: connect again".into(),
            Self::TooLong => "the session has lasted as long as is allowed: log in again".into(),
            Self::Protocol(what) => what.clone(),
            Self::NoStatement(name) if name.is_empty() => "unnamed prepared statement does not exist".into(),
            Self::NoStatement(name) => format!("prepared statement \"{name}\" does not exist"),
            Self::NoPortal(name) => format!("portal \"{name}\" does not exist"),
            Self::Redefined => "what this statement names or calls has been defined anew since it was bound: bind it again".into(),
            Self::NameParameter => {
                "statement refused by policy: a parameter of the type name beside masked columns; declare it as text, or leave it open".into()
            }
            Self::Uncopied => {
                "statement refused by policy: masks cannot follow a COPY of masked columns with these options, this encoding or these columns".into()
            }
            Self::Unmaskable => "the database sent data that cannot be masked; the session ends".into(),
        }
    }

    /// As an ErrorResponse that fails the statement.
    pub(crate) fn error(&self) -> Bytes {
        self.response(b"ERROR")
    }

    /// As an ErrorResponse that ends the session.
    pub(crate) fn fatal(&self) -> Bytes {
        self.response(b"FATAL")
    }

    fn response(&self, severity: &[u8]) -> Bytes {
        let message = self.message();
        wire::error(&[(b'S', severity), (b'V', severity), (b'C', self.state().as_bytes()), (b'M', message.as_bytes())])
    }
}

/// The one NOTICE that a client gets while its statement waits.
pub(crate) fn held(hold: &str, approvers: &[String], rules: &[String], reasons: &[String]) -> Bytes {
    let message = format!(
        "statement held for approval as {hold}{}{}; a member of {} can answer with `pgveil holds approve {hold}`",
        named(rules),
        because(reasons),
        approvers.join(", "),
    );
    wire::notice(&[(b'S', b"NOTICE"), (b'V', b"NOTICE"), (b'C', b"01000"), (b'M', message.as_bytes())])
}

/// The NOTICE that names columns which are masked because they could not be traced, each with its reason.
pub(crate) fn untraced(columns: &str) -> Bytes {
    let message = format!("masked because it could not be traced: {columns}");
    wire::notice(&[(b'S', b"NOTICE"), (b'V', b"NOTICE"), (b'C', b"00000"), (b'M', message.as_bytes())])
}

fn named(rules: &[String]) -> String {
    if rules.is_empty() { String::new() } else { format!(" ({})", rules.join(", ")) }
}

fn because(reasons: &[String]) -> String {
    if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) }
}
