//! What is written beside an entry so that it can be found: a function of the entries' open headers alone.
//!
//! The writer applies it while it writes and `verify` while it reads, so that an index that lies is found.

use std::collections::HashMap;

use super::Field;
use crate::ledger::{Event, Place, SessionId, SessionOpened};

/// What is known of a session without opening anything sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Index of its first entry.
    pub first: u64,
    /// When it was opened, in microseconds since 1970.
    pub opened_us: u64,
    /// Who.
    pub identity: String,
    /// The identity's groups.
    pub groups: Vec<String>,
    /// The database.
    pub database: String,
    /// The client's address.
    pub client: String,
    /// What the client claims to be.
    pub application: String,
    /// Statements and executions in it. Written when the session is over.
    pub statements: u64,
    /// When it ended and how, once it has.
    pub closed: Option<(u64, String)>,
}

impl Field for Row {
    fn bytes(&self) -> Vec<u8> {
        let closed = self.closed.as_ref().map(|(time, reason)| (time, reason.as_str()));
        let row = (
            self.first,
            self.opened_us,
            &self.identity,
            &self.groups,
            &self.database,
            &self.client,
            &self.application,
            self.statements,
            closed,
        );
        // Writing into memory cannot fail.
        minicbor::to_vec(row).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        type Fields = (u64, u64, String, Vec<String>, String, String, String, u64, Option<(u64, String)>);
        let mut decoder = minicbor::Decoder::new(bytes);
        let fields: Fields = decoder.decode().ok()?;
        let (first, opened_us, identity, groups, database, client, application, statements, closed) = fields;
        (decoder.position() == bytes.len()).then_some(Self {
            first,
            opened_us,
            identity,
            groups,
            database,
            client,
            application,
            statements,
            closed,
        })
    }
}

/// One change to the indexes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A session was opened: its row, and the keys it is found by.
    Opened(SessionId, Row),
    /// A session is over: its last row.
    Closed(SessionId, Row),
    /// The entry speaks of a hold.
    Hold(String, u64),
}

/// Follows the entries and says what changes.
#[derive(Debug, Default)]
pub struct Index {
    open: HashMap<SessionId, Row>,
}

impl Index {
    /// Takes up a session that was open when the log was last written.
    pub fn resume(&mut self, session: SessionId, row: Row) {
        self.open.insert(session, row);
    }

    /// Sessions that are open, and their rows.
    pub fn open(&self) -> impl Iterator<Item = (&SessionId, &Row)> {
        self.open.iter()
    }

    /// True if the session has been opened and is not over.
    #[must_use]
    pub fn is_open(&self, session: &SessionId) -> bool {
        self.open.contains_key(session)
    }

    /// What the entry at this place changes.
    pub fn follow(&mut self, place: &Place, event: &Event) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some((session, _)) = place.session {
            match event {
                Event::SessionOpened(opened) => {
                    let row = row(place, opened);
                    self.open.insert(session, row.clone());
                    changes.push(Change::Opened(session, row));
                }
                Event::SessionClosed(closed) => {
                    if let Some(mut row) = self.open.remove(&session) {
                        row.closed = Some((place.time_us, closed.reason.clone()));
                        changes.push(Change::Closed(session, row));
                    }
                }
                Event::Statement(_) | Event::Execution(_) => {
                    if let Some(row) = self.open.get_mut(&session) {
                        row.statements += 1;
                    }
                }
                Event::Reply(_)
                | Event::Passed(_)
                | Event::HoldOpened(_)
                | Event::HoldAnswered(_)
                | Event::LoginRefused(_)
                | Event::LoggedIn(_)
                | Event::Revoked(_)
                | Event::ConfigurationLoaded(_) => {}
            }
        }
        match event {
            Event::HoldOpened(hold) => changes.push(Change::Hold(hold.hold.clone(), place.index)),
            Event::HoldAnswered(hold) => changes.push(Change::Hold(hold.hold.clone(), place.index)),
            _ => {}
        }
        changes
    }
}

/// Entries of sessions that are not indexed yet: each session's have numbers without a gap.
#[derive(Debug, Default)]
pub(super) struct Runs(HashMap<SessionId, (u64, Vec<u64>)>);

impl Runs {
    /// The entry at this place.
    pub(super) fn add(&mut self, place: &Place) {
        if let Some((session, number)) = place.session {
            self.0.entry(session).or_insert_with(|| (number, Vec::new())).1.push(place.index);
        }
    }

    /// Takes them out: the key of each run, and the indexes.
    pub(super) fn take(&mut self) -> impl Iterator<Item = ((SessionId, u64), Vec<u64>)> + '_ {
        self.0.drain().map(|(session, (first, indexes))| ((session, first), indexes))
    }
}

fn row(place: &Place, opened: &SessionOpened) -> Row {
    Row {
        first: place.index,
        opened_us: place.time_us,
        identity: opened.identity.clone(),
        groups: opened.groups.clone(),
        database: opened.database.clone(),
        client: opened.client.clone(),
        application: opened.application.clone(),
        statements: 0,
        closed: None,
    }
}
