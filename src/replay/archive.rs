//! A log opened to read.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use crate::ledger::{COLUMNS_KNOWN_MAX, ColumnSeen, DataKey, Entry, Event, MasterKey, SessionId, Stored};
use crate::store::columns::{BY_DATABASE, BY_IDENTITY, BY_SESSION, BY_TIME, ENTRIES, KEYS, SESSIONS};
use crate::store::{Field, Row, Store, StoreError, is_live};

/// How often a log in use is tried: files can go while it is opened.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Which sessions are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this identity.
    pub identity: Option<String>,
    /// In this database.
    pub database: Option<String>,
    /// Opened at this time or later, in microseconds since 1970.
    pub since_us: Option<u64>,
    /// Opened before this time, in microseconds since 1970.
    pub until_us: Option<u64>,
    /// At most this many.
    pub limit: usize,
}

/// What a beginning of an identifier leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// One session.
    One(SessionId, Row),
    /// No session, or it is not hexadecimal.
    None,
    /// Several: more digits are needed.
    Several,
}

/// A log opened to read, as it was at that moment.
#[derive(Debug)]
pub struct Archive {
    store: Store,
}

impl Archive {
    /// True if there is a log in the folder.
    #[must_use]
    pub fn is_there(folder: &Path) -> bool {
        folder.join("CURRENT").exists() || folder.join(crate::store::PUBLIC_KEY_FILE).exists()
    }

    /// Opens the log in a data folder.
    ///
    /// # Errors
    /// `Absent` if there is none, `Database` if it cannot be opened.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        if !Self::is_there(folder) {
            return Err(StoreError::Absent(folder.to_owned()));
        }
        let mut tries = 1;
        loop {
            match Store::open_to_read(folder) {
                Ok(store) => return Ok(Self { store }),
                Err(_) if tries < TRIES && is_live(folder) => std::thread::sleep(BETWEEN_TRIES),
                Err(error) => return Err(error),
            }
            tries += 1;
        }
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Sessions, the newest first.
    ///
    /// # Errors
    /// `Database` or `Damaged`.
    pub fn sessions(&self, filter: &Filter) -> Result<Vec<(SessionId, Row)>, StoreError> {
        let until = filter.until_us.unwrap_or(u64::MAX);
        let mut sessions = Vec::new();
        let mut take = |opened_us: u64, session: SessionId| -> Result<bool, StoreError> {
            if filter.since_us.is_some_and(|since| opened_us < since) || sessions.len() >= filter.limit {
                return Ok(false);
            }
            if opened_us >= until {
                return Ok(true);
            }
            let row = self.row(session)?;
            let other = |wanted: &Option<String>, is: &str| wanted.as_deref().is_some_and(|wanted| wanted != is);
            if !other(&filter.identity, &row.identity) && !other(&filter.database, &row.database) {
                sessions.push((session, row));
            }
            Ok(true)
        };
        let edge = (until, SessionId([0xff; 16]));
        let named = match (&filter.identity, &filter.database) {
            (Some(identity), _) => Some((&BY_IDENTITY, identity)),
            (None, Some(database)) => Some((&BY_DATABASE, database)),
            (None, None) => None,
        };
        if let Some((column, name)) = named {
            for step in self.store.scan(column, &(name.clone(), edge).bytes(), true)? {
                let ((owner, (opened_us, session)), ()) = step?;
                if owner != *name || !take(opened_us, session)? {
                    break;
                }
            }
        } else {
            for step in self.store.scan(&BY_TIME, &edge.bytes(), true)? {
                let ((opened_us, session), ()) = step?;
                if !take(opened_us, session)? {
                    break;
                }
            }
        }
        Ok(sessions)
    }

    fn row(&self, session: SessionId) -> Result<Row, StoreError> {
        let missing = || StoreError::Damaged(format!("session {session} has no summary"));
        self.store.get(&SESSIONS, &session)?.ok_or_else(missing)
    }

    /// The session whose identifier begins with these hexadecimal digits.
    ///
    /// # Errors
    /// `Database` or `Damaged`.
    pub fn find(&self, digits: &str) -> Result<Found, StoreError> {
        let digits = digits.to_ascii_lowercase();
        let mut from = [0u8; 16];
        for (place, digit) in digits.chars().enumerate() {
            let Some(value) = digit.to_digit(16).and_then(|value| u8::try_from(value).ok()) else { return Ok(Found::None) };
            let Some(byte) = from.get_mut(place / 2) else { return Ok(Found::None) };
            *byte |= if place % 2 == 0 { value << 4 } else { value };
        }
        let mut found = Found::None;
        for step in self.store.scan(&SESSIONS, &from, false)? {
            let (session, row) = step?;
            match found {
                _ if !session.to_string().starts_with(&digits) => break,
                Found::None => found = Found::One(session, row),
                Found::One(..) | Found::Several => return Ok(Found::Several),
            }
        }
        Ok(found)
    }

    /// The key of a session; `None` if it has been destroyed.
    ///
    /// # Errors
    /// `Damaged` if the master key does not open it.
    pub fn key(&self, session: SessionId, master: &MasterKey) -> Result<Option<DataKey>, StoreError> {
        match self.store.get(&KEYS, &session)? {
            Some(wrapped) => Ok(Some(master.unwrap(session, &wrapped)?)),
            None => Ok(None),
        }
    }

    /// The entries of a session, in order, opened if a key is given.
    ///
    /// # Errors
    /// `Database` or `Damaged`, also in each element.
    pub fn entries<'a>(
        &'a self,
        session: SessionId,
        key: Option<&'a DataKey>,
    ) -> Result<impl Iterator<Item = Result<Entry, StoreError>> + 'a, StoreError> {
        let runs = self.store.scan(&BY_SESSION, &session.0, false)?;
        let runs = runs.take_while(move |row| row.as_ref().map_or(true, |((owner, _), _)| *owner == session));
        let indexed = runs.flat_map(|row| match row {
            Ok((_, run)) => run.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        });
        // What was written last is not indexed yet.
        let last = self.store.scan(&ENTRIES, &self.store.marked()?.bytes(), false)?;
        let last = last.filter_map(move |row| belongs(row, session).transpose());
        let mut known = Known::default();
        Ok(indexed.chain(last).map(move |index| self.entry(index?, key).map(|entry| known.complete(entry))))
    }

    fn entry(&self, index: u64, key: Option<&DataKey>) -> Result<Entry, StoreError> {
        let missing = || StoreError::Damaged(format!("entry {index} is missing"));
        let bytes = self.store.get(&ENTRIES, &index)?.ok_or_else(missing)?;
        Ok(Stored::read(&bytes)?.open(key)?)
    }
}

/// The index of an entry, if it is of the session.
fn belongs(row: Result<(u64, Vec<u8>), StoreError>, session: SessionId) -> Result<Option<u64>, StoreError> {
    let (index, bytes) = row?;
    let owner = Stored::read(&bytes)?.place.session;
    Ok(owner.is_some_and(|(owner, _)| owner == session).then_some(index))
}

/// Columns of replies that a later reply may refer to, by the number of their entry.
#[derive(Default)]
struct Known(VecDeque<(u64, Vec<ColumnSeen>)>);

impl Known {
    /// Gives a reply the columns that it refers to.
    fn complete(&mut self, mut entry: Entry) -> Entry {
        let (Event::Reply(reply), Some((_, number))) = (&mut entry.event, entry.place.session) else { return entry };
        if !reply.columns.is_empty() {
            if self.0.len() >= COLUMNS_KNOWN_MAX {
                self.0.pop_front();
            }
            self.0.push_back((number, reply.columns.clone()));
        } else if let Some((_, columns)) = self.0.iter().find(|(known, _)| *known == reply.columns_of) {
            reply.columns.clone_from(columns);
        }
        entry
    }
}
