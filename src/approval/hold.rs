//! What a hold is, and what can be said to one.

use crate::ledger::SessionId;
use crate::policy::HoldTerms;

/// Who looks or answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The identity's name.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
}

/// A statement that is to wait.
#[derive(Debug, Clone)]
pub struct HoldRequest {
    /// Who asks.
    pub identity: String,
    /// The identity's groups.
    pub groups: Vec<String>,
    /// The database, as the client names it.
    pub database: String,
    /// The session.
    pub session: SessionId,
    /// The number of the statement or execution within the session.
    pub number: u64,
    /// The statement's text.
    pub text: String,
    /// The parameters as people read them, in order.
    pub parameters: Vec<Shown>,
    /// SHA-256 over what is approved: text, parameters and formats, database, identity and policy.
    pub digest: [u8; 32],
    /// Names of the rules that hold it.
    pub rules: Vec<String>,
    /// Why it is held.
    pub reasons: Vec<String>,
    /// Who may answer, how many must, and how long it waits.
    pub terms: HoldTerms,
}

/// A parameter as people read it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// NULL.
    Null,
    /// A value in text format, or one whose binary format is known.
    Text(String),
    /// A binary value, as hexadecimal digits.
    Hex(String),
}

/// How a hold ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As many different people as it needs have approved.
    Approved {
        /// Who, in order.
        by: Vec<String>,
    },
    /// A person said no.
    Denied {
        /// Who.
        by: String,
        /// Why, as they put it; may be empty.
        reason: String,
    },
    /// Nobody answered in time.
    TimedOut,
    /// The desk has closed.
    Withdrawn,
}

/// Where an answered hold stands.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// Identifier of the hold.
    pub id: String,
    /// `waiting` for more people, `approved` or `denied`.
    pub state: &'static str,
    /// Who has approved.
    pub approved_by: Vec<String>,
    /// How many different people it needs.
    pub approvals: u32,
}

/// Why no hold could be opened: the statement is then refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenFault {
    /// As many statements wait as may wait.
    #[error("too many statements wait for approval")]
    Full,
    /// As many of this identity.
    #[error("too many statements of this identity wait for approval")]
    FullForIdentity,
    /// Too much text waits.
    #[error("the statements that wait for approval are too long")]
    Bytes,
    /// The proxy is closing.
    #[error("the proxy is shutting down")]
    Closed,
    /// No identifier could be made.
    #[error("no identifier could be made")]
    Entropy,
}

/// Why an answer does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerFault {
    /// No such hold, or none that this person may see, or one that is over.
    #[error("no such hold is waiting")]
    NotWaiting,
    /// The person asked for it themselves.
    #[error("nobody answers their own statement")]
    Own,
    /// The person is in none of the groups that may answer.
    #[error("only the hold's approvers may answer it")]
    NotApprover,
    /// The person has approved it before.
    #[error("you have approved this hold already; it needs another person")]
    Twice,
    /// Its time is over.
    #[error("the hold has run out")]
    Expired,
}
