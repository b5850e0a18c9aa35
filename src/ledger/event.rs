//! What is recorded.

use bytes::Bytes;

/// A session's identifier: 16 random bytes, shown as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub [u8; 16]);

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One thing that happened. Text, parameters and replies can carry PHI and are sealed; what is needed to search is not.
#[derive(Debug, Clone)]
pub enum Event {
    /// A client has logged in.
    SessionOpened(SessionOpened),
    /// A session is over.
    SessionClosed(SessionClosed),
    /// A text was decided upon: a Query, or a Parse.
    Statement(StatementEvent),
    /// A prepared statement was executed with parameters.
    Execution(ExecutionEvent),
    /// What the client saw in answer, or a part of it.
    Reply(ReplyEvent),
    /// A statement waits for a person.
    HoldOpened(HoldOpened),
    /// A person, or the deadline, has answered.
    HoldAnswered(HoldAnswered),
    /// A login was refused.
    LoginRefused(LoginRefused),
    /// How the identity of a session was proved.
    LoggedIn(LoggedIn),
    /// Access was withdrawn, or given back.
    Revoked(Revoked),
    /// A part of a message that went to the database unread.
    Passed(PassedEvent),
    /// A configuration was loaded: SHA-256 of the file and of each policy, by name.
    ConfigurationLoaded(Vec<(String, [u8; 32])>),
}

/// A client has logged in.
#[derive(Debug, Clone)]
pub struct SessionOpened {
    /// Who.
    pub identity: String,
    /// The identity's groups.
    pub groups: Vec<String>,
    /// The database, as the client names it.
    pub database: String,
    /// The client's address.
    pub client: String,
    /// What the client claims to be (`application_name`).
    pub application: String,
    /// The user the proxy is upstream.
    pub upstream_user: String,
    /// SHA-256 of the policy in force.
    pub policy: [u8; 32],
}

/// A session is over.
#[derive(Debug, Clone)]
pub struct SessionClosed {
    /// How it ended: `terminate`, `client-gone`, `server-gone`, `shutdown`, `protocol`, `crash` (written at the next start), ...
    pub reason: String,
}

/// A text was decided upon.
#[derive(Debug, Clone)]
pub struct StatementEvent {
    /// Number within the session; executions and replies refer to it.
    pub number: u64,
    /// True for a Parse: it runs when it is executed.
    pub prepared: bool,
    /// Name of the prepared statement, empty for the unnamed one and for a Query. Sealed.
    pub name: Bytes,
    /// The text in the client's encoding. Sealed.
    pub text: Bytes,
    /// Every verb in it.
    pub verbs: Vec<String>,
    /// Relations read and written, as `schema.name` where known.
    pub relations: Vec<String>,
    /// `forward`, `hold` or `block`.
    pub decision: String,
    /// Rules that matched.
    pub rules: Vec<String>,
    /// Why. Sealed.
    pub reasons: Vec<String>,
    /// True if the statement can touch a masked column.
    pub touches_masked: bool,
}

/// One parameter of an execution. Sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// True if in binary format.
    pub binary: bool,
    /// The value, `None` for NULL.
    pub value: Option<Bytes>,
}

/// A prepared statement was executed.
#[derive(Debug, Clone)]
pub struct ExecutionEvent {
    /// Number within the session (one count with the statements).
    pub number: u64,
    /// The statement executed, 0 if it was not seen.
    pub statement: u64,
    /// Name of the portal. Sealed.
    pub portal: Bytes,
    /// Most rows asked for, 0 for all.
    pub rows_max: u32,
    /// The parameters. Sealed.
    pub parameters: Vec<Parameter>,
    /// `forward`, `hold` or `block`.
    pub decision: String,
}

/// One column as the client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSeen {
    /// Its name.
    pub name: String,
    /// Its data type.
    pub type_oid: u32,
    /// True if the rows have it in binary format.
    pub binary: bool,
    /// `clear`, `masked`, `placeholder`, `null` or `refused`.
    pub verdict: String,
    /// Why.
    pub reason: String,
}

/// What the client saw in answer to a statement or execution, or a part of it.
#[derive(Debug, Clone)]
pub struct ReplyEvent {
    /// The statement or execution answered; 0 for what belongs to none.
    pub number: u64,
    /// True if this is the end of the answer.
    pub last: bool,
    /// The columns, in the first part that has rows. Sealed.
    pub columns: Vec<ColumnSeen>,
    /// Where the columns are those of an earlier reply of the session: the number of its entry. Else 0.
    pub columns_of: u64,
    /// Protocol messages as released to the client, masked, in order. Sealed.
    pub frames: Vec<Bytes>,
    /// Rows in this part.
    pub rows: u64,
    /// Command tag, in the last part, if it went well.
    pub tag: String,
    /// SQLSTATE, in the last part, if it did not.
    pub sqlstate: String,
    /// From forwarding to the end, in microseconds; in the last part.
    pub duration_us: u64,
}

/// A part of a message that is too long to be analysed, and that the policy let go to the database unread.
#[derive(Debug, Clone)]
pub struct PassedEvent {
    /// The statement: its text is in the message, or its parameters are.
    pub number: u64,
    /// Where in the message this part begins, from 0.
    pub at: u64,
    /// True if this is its end.
    pub last: bool,
    /// The bytes of the message, from its type byte on. Sealed.
    pub bytes: Bytes,
}

/// A statement waits for a person.
#[derive(Debug, Clone)]
pub struct HoldOpened {
    /// Identifier of the hold.
    pub hold: String,
    /// The statement or execution that waits.
    pub number: u64,
    /// Groups that may answer.
    pub approvers: Vec<String>,
    /// How many different people must approve.
    pub approvals: u32,
    /// SHA-256 over what is approved.
    pub digest: [u8; 32],
}

/// How a hold was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// One approval; the hold may need more.
    Approved,
    /// A person said no.
    Denied,
    /// Nobody answered in time.
    TimedOut,
    /// Cancel, disconnect or shutdown.
    Withdrawn,
}

/// A person, or the deadline, has answered.
#[derive(Debug, Clone)]
pub struct HoldAnswered {
    /// Identifier of the hold.
    pub hold: String,
    /// The answer.
    pub answer: Answer,
    /// Who; empty for the deadline and for a withdrawal.
    pub by: String,
    /// Why. Sealed.
    pub reason: String,
}

/// A login was refused.
#[derive(Debug, Clone)]
pub struct LoginRefused {
    /// The name the client gave.
    pub identity: String,
    /// The client's address.
    pub client: String,
    /// `unknown-identity`, `wrong-password`, `expired`, `unknown-database`, ...
    pub category: String,
}

/// How the identity of a session was proved, and what the client claims beside.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// `scram`, `password`, `token`, `oauthbearer` or `certificate`.
    pub way: String,
    /// The issuer's name; empty for what is registered here.
    pub issuer: String,
    /// What the issuer calls the identity.
    pub subject: String,
    /// Who acts for it; empty if it acts itself.
    pub actor: String,
    /// When the proof ends, in seconds since 1970; 0 if it does not.
    pub expires_s: u64,
    /// The user that the client named: a claim.
    pub user: String,
}

/// Access was withdrawn, or given back.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// `identity`, `credential`, `issuer` or `session`.
    pub what: String,
    /// Its name.
    pub name: String,
    /// True if it was given back.
    pub lifted: bool,
    /// Who did it.
    pub by: String,
}
