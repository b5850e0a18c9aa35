//! What is owed, and what comes out.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::copy::Witness;
use crate::mask::Unmasked;
use crate::wire::{Frame, Malformed, Part, Run, TransactionStatus};

/// What the caller knows of a statement, as far as the conversation depends on it.
pub trait Ruling: Clone {
    /// True if rows must go through a plan made from the portal's own description.
    fn veiled(&self) -> bool;
    /// True if nothing that follows may be read before this is answered: it may begin a COPY IN, change how text is read, or be
    /// denied amid its rows.
    fn bars(&self) -> bool;
    /// True if it bars for its rows alone and changes nothing that a denial would have to undo: the Sync behind it may go ahead.
    fn only_reads(&self) -> bool {
        false
    }
    /// True if running it may change what a prepared statement or portal of this name stands for (SQL's PREPARE, DEALLOCATE,
    /// DISCARD, DECLARE, CLOSE share the protocol's names).
    fn renames(&self, name: &[u8]) -> bool;
    /// The text of the query of a COPY TO STDOUT that must be described before the COPY runs.
    fn copied(&self) -> Option<Bytes> {
        None
    }
}

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Statement<R> {
    pub(super) ruling: R,
    /// Number of the exchange in which its text was decided upon.
    pub(super) number: u64,
}

/// A portal: the plan for its rows is made once, from its own description.
#[derive(Debug)]
pub(super) struct Portal<R, P> {
    pub(super) name: Bytes,
    pub(super) ruling: R,
    pub(super) number: u64,
    pub(super) plan: OnceLock<Arc<P>>,
}

/// One answer that the server owes.
#[derive(Debug)]
pub(super) enum Item<R, P> {
    /// Everything up to ReadyForQuery.
    Query {
        ruling: R,
        number: u64,
    },
    /// An error, then ReadyForQuery; the error becomes ours.
    RefusedQuery {
        fault: Bytes,
        number: u64,
        /// The server was given the text to parse, as the statement of this name: if that fails, its own syntax error says
        /// more than ours.
        parsed: Option<Bytes>,
    },
    /// An error that becomes ours.
    Refused {
        fault: Bytes,
        number: u64,
        parsed: Option<Bytes>,
    },
    Parse {
        name: Bytes,
        statement: Arc<Statement<R>>,
    },
    Bind {
        portal: Arc<Portal<R, P>>,
    },
    /// ParameterDescription and RowDescription or NoData.
    DescribeStatement {
        number: u64,
    },
    /// RowDescription or NoData; the client sees it only if it asked.
    DescribePortal {
        portal: Option<Arc<Portal<R, P>>>,
        ours: bool,
    },
    CloseStatement {
        name: Bytes,
    },
    ClosePortal {
        name: Bytes,
    },
    /// The description of the query of a COPY, which the client has not asked for.
    Witness(Witness<R, P>),
    /// Rows or COPY, up to CommandComplete, EmptyQueryResponse or PortalSuspended.
    Execute {
        portal: Arc<Portal<R, P>>,
        ruling: R,
        number: u64,
    },
    /// FunctionCallResponse or an error, then ReadyForQuery.
    FunctionCall {
        ruling: R,
        number: u64,
    },
    /// A statement that was stopped amid its rows. What the server still says of it is dropped: up to the error that it has
    /// been made to give or, of a Query or an Execute whose Sync has gone ahead, up to the ReadyForQuery that tells of no
    /// transaction that is still good.
    Denied {
        ruling: R,
        number: u64,
        synced: bool,
        /// The server has been asked to fail the transaction that was left open.
        failing: bool,
    },
    /// A Describe or Close that the server answers with an error.
    Invalid,
    /// ReadyForQuery.
    Sync,
}

impl<R, P> Item<R, P> {
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Query { number, .. }
            | Self::RefusedQuery { number, .. }
            | Self::Refused { number, .. }
            | Self::DescribeStatement { number }
            | Self::Execute { number, .. }
            | Self::FunctionCall { number, .. }
            | Self::Denied { number, .. } => *number,
            Self::Witness(witness) => witness.number,
            Self::Parse { statement, .. } => statement.number,
            Self::Bind { portal } => portal.number,
            Self::DescribePortal { portal, .. } => portal.as_ref().map_or(0, |portal| portal.number),
            Self::CloseStatement { .. } | Self::ClosePortal { .. } | Self::Invalid | Self::Sync => 0,
        }
    }

    pub(super) fn ruling(&self) -> Option<&R> {
        match self {
            Self::Query { ruling, .. }
            | Self::Execute { ruling, .. }
            | Self::FunctionCall { ruling, .. }
            | Self::Denied { ruling, .. } => Some(ruling),
            Self::Witness(witness) => Some(&witness.ruling),
            Self::Parse { statement, .. } => Some(&statement.ruling),
            Self::Bind { portal } => Some(&portal.ruling),
            Self::DescribePortal { portal, .. } => portal.as_ref().map(|portal| &portal.ruling),
            Self::RefusedQuery { .. }
            | Self::Refused { .. }
            | Self::DescribeStatement { .. }
            | Self::CloseStatement { .. }
            | Self::ClosePortal { .. }
            | Self::Invalid
            | Self::Sync => None,
        }
    }

    /// The name as which the text of a refused statement was parsed, if it was.
    pub(super) fn parsed(&self) -> Option<&Bytes> {
        match self {
            Self::RefusedQuery { parsed, .. } | Self::Refused { parsed, .. } => parsed.as_ref(),
            _ => None,
        }
    }

    /// True for what ends with ReadyForQuery by itself.
    pub(super) fn ends_with_ready(&self) -> bool {
        matches!(
            self,
            Self::Query { .. }
                | Self::RefusedQuery { .. }
                | Self::FunctionCall { .. }
                | Self::Denied { synced: true, .. }
                | Self::Witness(Witness { portal: None, .. })
                | Self::Sync
        )
    }
}

/// Something for the client, not masked yet.
#[derive(Debug)]
pub enum ToClient<P> {
    /// One message.
    Message(Unmasked<Frame>),
    /// Whole rows, with the plan of their portal; no plan means that the exchange is not veiled.
    Rows(Unmasked<Run>, Option<Arc<P>>),
    /// A part of a long row, likewise.
    RowPart(Unmasked<Part>, Option<Arc<P>>),
    /// COPY OUT begins, with the plan that was made for its query.
    CopyBegins(Unmasked<Frame>, Option<Arc<P>>),
    /// COPY OUT data.
    Copy(Unmasked<Run>),
    /// A part of a long CopyData.
    CopyPart(Unmasked<Part>),
    /// COPY OUT has ended.
    CopyEnds(Unmasked<Frame>),
    /// A message of our own making.
    Own(Bytes),
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// CommandComplete, with its tag.
    Complete(Bytes),
    /// EmptyQueryResponse.
    Empty,
    /// PortalSuspended.
    Suspended,
    /// ErrorResponse, with its SQLSTATE: the server's, or ours for a refusal.
    Failed(Bytes),
    /// FunctionCallResponse.
    Returned,
}

/// What comes out of the conversation, in order.
#[derive(Debug)]
pub enum Output<R, P> {
    /// Bytes for the server.
    ToServer(Bytes),
    /// Something for the client that belongs to exchange `number` (0: to none), under `ruling` (none: to no statement).
    ToClient {
        /// The exchange it answers.
        number: u64,
        /// The ruling of the statement that made the server say it.
        ruling: Option<R>,
        /// What it is.
        what: ToClient<P>,
    },
    /// A statement of exchange `number` is answered. A Query with several statements ends once for each.
    End {
        /// The exchange.
        number: u64,
        /// Its ruling, none for a refusal.
        ruling: Option<R>,
        /// Which statement of its text, from 0.
        statement: usize,
        /// How it ended.
        how: Ended,
        /// Rows that were sent in it.
        rows: u64,
    },
    /// ReadyForQuery has come, and gone to the client.
    Ready(TransactionStatus),
}

/// Why a conversation cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A client's message is malformed.
    #[error("client: {0}")]
    Client(Malformed),
    /// A server's message is malformed.
    #[error("server: {0}")]
    Server(Malformed),
    /// The server sent a message of this type where it does not belong.
    #[error("server: message of type `{}` out of place", char::from(*.0))]
    OutOfPlace(u8),
    /// Rows came for which no plan was made.
    #[error("server: rows without a description")]
    Undescribed,
    /// More names than a session may have.
    #[error("client: too many prepared statements or portals")]
    Names,
}
