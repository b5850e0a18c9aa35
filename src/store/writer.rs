//! What writes: gives events their place, seals, hashes and indexes them, commits them, signs checkpoints. One at a time has it,
//! a session that appends a little or the log's thread.

use std::sync::Arc;

use rocksdb::WriteBatch;

use super::column::{Store, columns};
use super::index::{Change, Index, Runs};
use super::queue::Session;
use super::{MARK_EVERY, StoreError};
use crate::ledger::{
    Body, DataKey, Event, Hash, Place, SessionClosed, SessionId, Signer, TileAt, Tiles, Tree, encode_with, leaf, tile_bytes,
};

/// An event to be written.
pub(super) struct Ready<'a> {
    /// The session, and the event's number in it.
    pub(super) session: Option<(SessionId, u64)>,
    pub(super) event: &'a Event,
    pub(super) body: Body,
    pub(super) key: Option<&'a DataKey>,
    pub(super) now_us: u64,
}

/// The end of the log.
pub(super) struct Writer {
    store: Arc<Store>,
    tree: Tree,
    tiles: Tiles,
    /// Tiles that are full and not stored yet.
    full: Vec<(TileAt, Vec<Hash>)>,
    index: Index,
    runs: Runs,
    /// How many entries have their hash stored and are indexed by session.
    marked: u64,
    signer: Signer,
    batch: WriteBatch,
}

impl Writer {
    /// A writer behind the first `tree.size()` entries, all of which are marked.
    pub(super) fn new(store: Arc<Store>, tree: Tree, tiles: Tiles, index: Index, signer: Signer) -> Self {
        let marked = tree.size();
        let (full, runs, batch) = (Vec::new(), Runs::default(), WriteBatch::default());
        Self { store, tree, tiles, full, index, runs, marked, signer, batch }
    }

    /// Entries in the log, staged ones included.
    pub(super) fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Stages an event of a session. With the first the session's key is stored.
    pub(super) fn append(
        &mut self,
        session: &Session,
        number: u64,
        event: &Event,
        body: Body,
        now_us: u64,
    ) -> Result<(), StoreError> {
        if number == 1 {
            self.store.put(&mut self.batch, &columns::KEYS, &session.id, &session.wrapped)?;
        }
        self.stage(Ready { session: Some((session.id, number)), event, body, key: Some(&session.key), now_us })
    }

    /// Stages the end of a session whose recorder is gone, unless it has ended.
    pub(super) fn abort(&mut self, session: SessionId, number: u64, reason: &str, now_us: u64) -> Result<(), StoreError> {
        if !self.index.is_open(&session) {
            return Ok(());
        }
        let event = Event::SessionClosed(SessionClosed { reason: reason.into() });
        self.stage(Ready { session: Some((session, number)), event: &event, body: Body::of(&event)?, key: None, now_us })
    }

    /// Stages an event.
    pub(super) fn stage(&mut self, ready: Ready<'_>) -> Result<(), StoreError> {
        let Ready { session, event, body, key, now_us } = ready;
        let place = Place { index: self.tree.size(), time_us: now_us, session };
        let bytes = encode_with(&place, event, body, key)?;
        self.store.put_entry(&mut self.batch, place.index, &bytes)?;
        let changes = self.follow(&place, event, leaf(&bytes));
        changes.iter().try_for_each(|change| stage_change(&self.store, &mut self.batch, change))
    }

    /// Goes on behind an entry; says what else changes with it.
    pub(super) fn follow(&mut self, place: &Place, event: &Event, leaf: Hash) -> Vec<Change> {
        self.tree.append(leaf);
        let Self { tiles, full, .. } = self;
        tiles.append(leaf, |at, row| full.push((at, row)));
        self.runs.add(place);
        self.index.follow(place, event)
    }

    /// Stages what makes entries be found: hashes and indexes of all that have none yet.
    pub(super) fn mark(&mut self) -> Result<(), StoreError> {
        let full = self.full.drain(..).map(|(at, row)| (at, tile_bytes(&row)));
        let begun = self.tiles.begun().map(|(at, row)| (at, tile_bytes(row)));
        for (at, row) in full.chain(begun) {
            self.store.put(&mut self.batch, &columns::HASHES, &at, &row)?;
        }
        for (key, indexes) in self.runs.take() {
            self.store.put(&mut self.batch, &columns::BY_SESSION, &key, &indexes)?;
        }
        self.marked = self.tree.size();
        Ok(())
    }

    /// Writes what is staged, all of it or nothing.
    pub(super) fn commit(&mut self, sync: bool) -> Result<(), StoreError> {
        if self.tree.size() - self.marked >= MARK_EVERY {
            self.mark()?;
        }
        if !self.batch.is_empty() {
            self.store.write(std::mem::take(&mut self.batch), sync)?;
        }
        Ok(())
    }

    /// Signs the log as it is and writes that; gives its size and the note, which nobody may be shown before it is on the disk.
    pub(super) fn checkpoint(&mut self, now_us: u64) -> Result<(u64, String), StoreError> {
        let size = self.tree.size();
        let note = self.signer.note(size, self.tree.root(), now_us);
        if self.marked < size {
            self.mark()?;
        }
        self.store.put(&mut self.batch, &columns::CHECKPOINTS, &size, &note)?;
        self.commit(false)?;
        Ok((size, note))
    }
}

fn stage_change(store: &Store, batch: &mut WriteBatch, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Opened(session, row) => {
            store.put(batch, &columns::SESSIONS, session, row)?;
            store.put(batch, &columns::LIVE, session, &())?;
            store.put(batch, &columns::BY_TIME, &(row.opened_us, *session), &())?;
            store.put(batch, &columns::BY_IDENTITY, &(row.identity.clone(), (row.opened_us, *session)), &())?;
            store.put(batch, &columns::BY_DATABASE, &(row.database.clone(), (row.opened_us, *session)), &())
        }
        Change::Closed(session, row) => {
            store.put(batch, &columns::SESSIONS, session, row)?;
            store.delete(batch, &columns::LIVE, session)
        }
        Change::Hold(hold, index) => store.put(batch, &columns::HOLDS, &(hold.clone(), *index), &()),
    }
}
