//! The conversation as a state machine without input or output.
//!
//! Frames of both sides go in, with a ruling for each text and each execution; out come frames in the order in which they may
//! be sent. For any script of frames: no frame of an undecided statement comes out, and every row comes out with the plan that
//! was made for its own portal. Source: PostgreSQL manual, "Message Flow".
//!
//! ```text
//!   client frame -> client() -> Next::Ask -> (the caller rules) -> forward() or refuse() -> Output::ToServer
//!                            -> Next::Quiet: not before everything asked so far is answered
//!   server piece -> server() -> Output::ToClient with exposure or plan, Output::End when an exchange is answered
//!                -> deny(): the rest of what is being answered does not come out
//! ```

mod client;
mod copy;
mod denied;
mod exchange;
mod long;
mod names;
mod server;

pub use client::{Asked, Next};
pub use exchange::{Ended, Output, Ruling, ToClient, Violation};

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::wire::TransactionStatus;
use exchange::{Item, Portal, Statement};

/// Most answers that may be owed by the server before the client has to wait.
pub const OWED_MAX: usize = 16_384;
/// Most named statements, and most portals, that one session may have.
pub const NAMES_MAX: usize = 65_536;

/// Where a COPY stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Copying {
    No,
    In,
    Out,
}

/// One session's conversation. `R` is what the caller knows of a statement, `P` its plan for rows.
#[derive(Debug)]
pub struct Flow<R, P> {
    /// What the server still owes, oldest first.
    owed: VecDeque<Item<R, P>>,
    statements: HashMap<Bytes, Arc<Statement<R>>>,
    portals: HashMap<Bytes, Arc<Portal<R, P>>>,
    /// The frame that waits for a ruling.
    asked: Option<client::Waiting<R, P>>,
    /// Client frames are dropped up to Sync: an error is certain or has been.
    skipping: bool,
    /// The next frame must not be read before everything is answered.
    barred: bool,
    /// Executes since the last Sync or Query.
    executed: u32,
    copying: Copying,
    /// CopyDone and CopyFail that the client has sent before the COPY IN they end has begun.
    ends_ahead: u32,
    /// The plan for the rows of the statement of a Query that is being answered.
    plan: Option<Arc<P>>,
    /// Statements of the Query that is being answered that have been answered.
    statement: usize,
    /// The rows of the statement that is being answered have been described.
    described: bool,
    /// The error that the query of a COPY met when it was described: the error of the Query that is being answered.
    copy_fault: Option<crate::wire::Frame>,
    status: TransactionStatus,
    /// Rows of the exchange that is being answered.
    rows: u64,
}

impl<R: Ruling, P> Flow<R, P> {
    /// A conversation that has just had its first ReadyForQuery.
    #[must_use]
    pub fn new() -> Self {
        Self {
            owed: VecDeque::new(),
            statements: HashMap::new(),
            portals: HashMap::new(),
            asked: None,
            skipping: false,
            barred: false,
            executed: 0,
            copying: Copying::No,
            ends_ahead: 0,
            plan: None,
            statement: 0,
            described: false,
            copy_fault: None,
            status: TransactionStatus::Idle,
            rows: 0,
        }
    }

    /// True if the server owes nothing.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.owed.is_empty()
    }

    /// True while the server reads COPY data from the client.
    #[must_use]
    pub fn is_copying_in(&self) -> bool {
        self.copying == Copying::In
    }

    /// True while the client's frames are dropped up to its next Sync.
    #[must_use]
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// How many ReadyForQuery the client will get for what has been sent.
    #[must_use]
    pub fn readies_owed(&self) -> usize {
        self.owed.iter().filter(|item| item.ends_with_ready() && !matches!(item, Item::Witness(_))).count()
    }

    /// True if the server still owes an answer to something under such a ruling.
    #[must_use]
    pub fn owes(&self, such: impl Fn(&R) -> bool) -> bool {
        self.owed.iter().filter_map(Item::ruling).any(such)
    }

    /// The transaction's state as the last ReadyForQuery told it.
    #[must_use]
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// The number of the exchange that the server is answering, 0 if none.
    #[must_use]
    pub fn answering(&self) -> u64 {
        self.owed.front().map_or(0, Item::number)
    }

    /// Which statement of its text the server is answering, from 0; a portal's text has only one. None when it describes rows a
    /// second time, as for the queries of rules: then nobody knows which.
    #[must_use]
    pub fn place(&self) -> Option<usize> {
        match self.owed.front() {
            Some(Item::Query { .. }) => (!self.described).then_some(self.statement),
            _ => Some(0),
        }
    }

    /// The plan for the rows of the statement of a Query that is being answered.
    #[must_use]
    pub fn plan(&self) -> Option<&Arc<P>> {
        self.plan.as_ref()
    }

    /// The ruling of the exchange that the server is answering.
    #[must_use]
    pub fn ruling(&self) -> Option<&R> {
        self.owed.front().and_then(Item::ruling)
    }
}

impl<R: Ruling, P> Default for Flow<R, P> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
