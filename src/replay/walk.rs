//! One walk over all entries, with the tree, the checkpoints and the indexes in step.

use std::collections::HashMap;
use std::iter::Peekable;

use super::archive::Archive;
use super::verify::{Claims, Report};
use crate::ledger::{
    Event, Hash, MasterKey, Place, SessionId, Stored, TILE_HASHES, TileAt, Tiles, Tree, Verifier, WRAPPED_KEY_BYTES, leaf,
    tile_hashes,
};
use crate::store::columns::{
    BY_DATABASE, BY_IDENTITY, BY_SESSION, BY_TIME, CHECKPOINTS, ENTRIES, HASHES, HOLDS, KEYS, LIVE, META, SESSIONS,
};
use crate::store::{Change, Column, Field, Index, Row, Store, StoreError};

/// Entries between two words of progress.
const PROGRESS_ENTRIES: u64 = 4096;

/// How many records each index should have.
#[derive(Default)]
struct Expected {
    hashes: u64,
    by_session: u64,
    sessions: u64,
    holds: u64,
    keys: u64,
    live: u64,
}

/// How far a session that is open has come.
#[derive(Default)]
struct Thread {
    number: u64,
    index: u64,
    /// What is left of the run of indexes that was read last.
    run: std::vec::IntoIter<u64>,
}

pub(super) struct Walk<'a> {
    store: &'a Store,
    verifier: &'a Verifier,
    master: Option<&'a MasterKey>,
    claims: Claims,
    report: &'a mut Report,
    tree: Tree,
    tiles: Tiles,
    index: Index,
    /// Entries that must have their hash stored and be indexed by session.
    marked: u64,
    /// The tile of leaf hashes that was read last, and its number.
    row: (u64, Vec<Hash>),
    threads: HashMap<SessionId, Thread>,
    expected: Expected,
    /// Size of the last checkpoint that held: what is wrong came later.
    good: u64,
}

type Notes<'a> = Peekable<Box<dyn Iterator<Item = Result<(u64, String), StoreError>> + 'a>>;

impl<'a> Walk<'a> {
    pub(super) fn new(
        archive: &'a Archive,
        verifier: &'a Verifier,
        master: Option<&'a MasterKey>,
        claims: Claims,
        report: &'a mut Report,
    ) -> Self {
        Self {
            store: archive.store(),
            verifier,
            master,
            claims,
            report,
            tree: Tree::default(),
            tiles: Tiles::default(),
            index: Index::default(),
            marked: 0,
            row: (u64::MAX, Vec::new()),
            threads: HashMap::new(),
            expected: Expected::default(),
            good: 0,
        }
    }

    pub(super) fn run(mut self, progress: &mut dyn FnMut(u64, u64)) {
        let total = match self.store.last(&ENTRIES) {
            Ok(last) => last.map_or(0, |(index, _)| index + 1),
            Err(error) => return self.report.find(None, None, format!("the entries cannot be read: {error}")),
        };
        self.mark(total);
        let notes: Notes<'a> = match self.store.scan(&CHECKPOINTS, &[], false) {
            Ok(rows) => (Box::new(rows) as Box<dyn Iterator<Item = _>>).peekable(),
            Err(error) => return self.report.find(None, None, format!("the checkpoints cannot be read: {error}")),
        };
        self.entries(total, notes, progress);
        self.counts();
        progress(total, total);
    }

    /// Hashes and index go as far as the newest checkpoint at least, and no further than the entries.
    fn mark(&mut self, total: u64) {
        let signed = self.store.last(&CHECKPOINTS).ok().flatten().map_or(0, |(size, _)| size);
        match self.store.marked() {
            Ok(marked) => self.marked = marked,
            Err(error) => return self.report.find(None, None, format!("the tree hashes cannot be read: {error}")),
        }
        if self.marked < signed {
            self.report.find(None, None, format!("there are hashes of {} entries and a checkpoint of {signed}", self.marked));
        }
        if self.marked > total {
            self.report.find(None, None, format!("there are hashes of {} entries and only {total} entries", self.marked));
        }
    }

    fn entries(&mut self, total: u64, mut notes: Notes<'a>, progress: &mut dyn FnMut(u64, u64)) {
        let rows = match self.store.scan(&ENTRIES, &[], false) {
            Ok(rows) => rows,
            Err(error) => return self.report.find(None, None, format!("the entries cannot be read: {error}")),
        };
        self.checkpoints(&mut notes);
        let mut broken = false;
        for row in rows {
            let (index, bytes) = match row {
                Ok(row) => row,
                Err(error) => {
                    let what = format!("entries from {} on cannot be read: {error}", self.tree.size());
                    self.report.find(None, None, what);
                    broken = true;
                    break;
                }
            };
            self.gap(index, &mut notes);
            self.entry(index, &bytes);
            self.checkpoints(&mut notes);
            if index % PROGRESS_ENTRIES == 0 {
                progress(index, total);
            }
        }
        if !broken {
            self.beyond(notes);
        }
        self.report.entries = self.tree.size();
        self.open_sessions();
    }

    /// Entries that are missing in front of `index`. The tree goes on with their stored hashes, if those are there.
    fn gap(&mut self, index: u64, notes: &mut Notes<'a>) {
        let from = self.tree.size();
        if index <= from {
            return;
        }
        let what = if index == from + 1 {
            format!("entry {from} is missing")
        } else {
            format!("entries {from} to {} are missing", index - 1)
        };
        self.report.find(None, None, what);
        while self.tree.size() < index {
            let Some(hash) = self.stored(self.tree.size()) else { break };
            self.grow(hash);
            self.checkpoints(notes);
        }
    }

    /// The hash that an entry was stored with.
    fn stored(&mut self, index: u64) -> Option<Hash> {
        let (number, at) = (index / TILE_HASHES as u64, index % TILE_HASHES as u64);
        if self.row.0 != number {
            self.row = (number, self.store.tile((0, number)).unwrap_or_default());
        }
        self.row.1.get(usize::try_from(at).ok()?).copied()
    }

    /// Appends a leaf, and holds the tiles that it fills against the stored ones.
    fn grow(&mut self, leaf: Hash) {
        self.tree.append(leaf);
        let mut full = Vec::new();
        self.tiles.append(leaf, |at, row| full.push((at, row)));
        if self.tree.size() == self.marked {
            full.extend(self.tiles.begun().map(|(at, row)| (at, row.to_vec())));
        }
        for (at, row) in full {
            self.tile(at, &row);
        }
    }

    fn tile(&mut self, at: TileAt, row: &[Hash]) {
        if self.tree.size() > self.marked {
            return;
        }
        self.expected.hashes += u64::from(self.tree.size() == self.marked || row.len() == TILE_HASHES);
        match self.store.get(&HASHES, &at) {
            Ok(Some(stored)) if tile_hashes(&stored).is_some_and(|stored| stored == row) => {}
            // What the entries themselves do not agree with has been said.
            Ok(_) if at.0 == 0 => {}
            Ok(_) => {
                let what = format!("the tree hashes of height {}, number {}, do not follow from the entries", at.0, at.1);
                self.report.find(None, None, what);
            }
            Err(error) => self.report.find(None, None, format!("the tree hashes cannot be read: {error}")),
        }
    }

    fn entry(&mut self, index: u64, bytes: &[u8]) {
        let computed = leaf(bytes);
        let read = Stored::read(bytes);
        let session = read.as_ref().ok().and_then(|entry| entry.place.session.map(|(session, _)| session));
        let kept = self.stored(index).filter(|_| index < self.marked);
        match kept {
            None if index < self.marked => self.report.find(Some(index), session, "it has no stored hash"),
            Some(kept) if kept != computed => {
                let what = "its bytes do not have the hash they were stored with: it has been changed";
                self.report.find(Some(index), session, what);
            }
            _ => {}
        }
        self.grow(kept.unwrap_or(computed));
        match read {
            Ok(entry) => self.facts(index, &entry),
            Err(error) => self.report.find(Some(index), None, error.to_string()),
        }
    }

    fn facts(&mut self, index: u64, entry: &Stored<'_>) {
        let session = entry.place.session.map(|(session, _)| session);
        if entry.place.index != index {
            let what = format!("it says it is entry {}: it has been moved", entry.place.index);
            self.report.find(Some(index), session, what);
        }
        if let Some((session, number)) = entry.place.session {
            self.order(index, session, number);
            self.indexed(index, session, number);
            if let (Event::SessionOpened(_), Some(commitment)) = (&entry.event, entry.commitment) {
                self.key(session, commitment);
            }
        }
        let place = Place { index, ..entry.place };
        for change in self.index.follow(&place, &entry.event) {
            self.change(index, &change);
        }
        if let (Some(session), Event::SessionClosed(_)) = (session, &entry.event) {
            self.leave(session);
        }
    }

    /// A session is over: its index must not go on.
    fn leave(&mut self, session: SessionId) {
        if self.threads.remove(&session).is_some_and(|known| known.run.len() > 0) {
            self.report.find(None, Some(session), "index `by_session` has entries behind its end");
        }
    }

    /// The entry before it in its session must exist and stand earlier.
    fn order(&mut self, index: u64, session: SessionId, number: u64) {
        if number == 1 {
            self.expected.keys += 1;
            match self.store.get(&KEYS, &session) {
                Ok(Some(key)) if key.len() == WRAPPED_KEY_BYTES => {}
                Ok(Some(_)) => self.report.find(None, Some(session), "its key is not of the right length"),
                Ok(None) => {
                    self.report.destroyed += 1;
                    self.expected.keys -= 1;
                }
                Err(error) => self.report.find(None, Some(session), format!("its key cannot be read: {error}")),
            }
            return;
        }
        let what = match self.threads.get(&session) {
            Some(known) if known.number + 1 == number && known.index < index => return,
            Some(known) => {
                format!("it is number {number} of its session and stands behind number {}, entry {}", known.number, known.index)
            }
            None => format!("it is number {number} of its session and there is no number before it"),
        };
        self.report.find(Some(index), Some(session), what);
    }

    /// Holds the index by session against an entry.
    fn indexed(&mut self, index: u64, session: SessionId, number: u64) {
        let known = self.threads.entry(session).or_default();
        (known.number, known.index) = (number, index);
        if index >= self.marked {
            return;
        }
        let fault = match known.run.next() {
            Some(at) if at == index => return,
            Some(_) => "index `by_session` points elsewhere".to_owned(),
            None => match self.store.get(&BY_SESSION, &(session, number)) {
                Ok(Some(run)) => {
                    self.expected.by_session += 1;
                    known.run = run.into_iter();
                    if known.run.next() == Some(index) {
                        return;
                    }
                    "index `by_session` points elsewhere".to_owned()
                }
                Ok(None) => "index `by_session` does not have it".to_owned(),
                Err(error) => format!("index `by_session` cannot be read: {error}"),
            },
        };
        self.report.find(Some(index), Some(session), fault);
    }

    fn key(&mut self, session: SessionId, commitment: Hash) {
        let Some(master) = self.master else { return };
        if let Ok(Some(wrapped)) = self.store.get(&KEYS, &session) {
            match master.unwrap(session, &wrapped) {
                Ok(key) if key.commitment() == commitment => {}
                Ok(_) => self.report.find(None, Some(session), "its key is not the one it began with"),
                Err(_) => self.report.find(None, Some(session), "its key does not open with the master key: it has been changed"),
            }
        }
    }

    fn change(&mut self, index: u64, change: &Change) {
        match change {
            Change::Opened(session, row) => {
                self.report.sessions += 1;
                self.expected.sessions += 1;
                let by = (row.opened_us, *session);
                self.expect(index, Some(*session), &BY_TIME, &by, &());
                self.expect(index, Some(*session), &BY_IDENTITY, &(row.identity.clone(), by), &());
                self.expect(index, Some(*session), &BY_DATABASE, &(row.database.clone(), by), &());
            }
            Change::Closed(session, row) => self.summary(*session, row),
            Change::Hold(hold, at) => {
                self.expected.holds += 1;
                self.expect(index, None, &HOLDS, &(hold.clone(), *at), &());
            }
        }
    }

    fn expect<K: Field, V: Field + PartialEq>(
        &mut self,
        index: u64,
        session: Option<SessionId>,
        column: &Column<K, V>,
        key: &K,
        value: &V,
    ) {
        let fault = match self.store.get(column, key) {
            Ok(Some(found)) if found == *value => return,
            Ok(Some(_)) => format!("index `{}` points elsewhere", column.name()),
            Ok(None) => format!("index `{}` does not have it", column.name()),
            Err(error) => format!("index `{}` cannot be read: {error}", column.name()),
        };
        self.report.find(Some(index), session, fault);
    }

    fn summary(&mut self, session: SessionId, row: &Row) {
        match self.store.get(&SESSIONS, &session) {
            Ok(Some(found)) if found == *row => {}
            Ok(Some(_)) => self.report.find(None, Some(session), "its summary does not agree with its entries"),
            Ok(None) => self.report.find(None, Some(session), "its summary is missing"),
            Err(error) => self.report.find(None, Some(session), format!("its summary cannot be read: {error}")),
        }
    }

    /// Sessions that are open at the end: their summary is still the one of the beginning.
    fn open_sessions(&mut self) {
        for session in self.threads.keys().copied().collect::<Vec<_>>() {
            self.leave(session);
        }
        let open: Vec<(SessionId, Row)> = self.index.open().map(|(session, row)| (*session, row.clone())).collect();
        for (session, mut row) in open {
            row.statements = 0;
            self.expected.live += 1;
            self.summary(session, &row);
            if !matches!(self.store.get(&LIVE, &session), Ok(Some(()))) {
                self.report.find(None, Some(session), "it has no end and is not among the open sessions");
            }
        }
    }

    /// Checks what was claimed of the tree as large as it is now.
    fn checkpoints(&mut self, notes: &mut Notes<'a>) {
        let size = self.tree.size();
        if let Some(claims) = self.claims.remove(&size) {
            for (root, source) in claims {
                self.claim(size, root, &source);
            }
        }
        while let Some(note) = notes.next_if(|note| note.as_ref().map_or(true, |(at, _)| *at <= size)) {
            match note {
                Ok((at, note)) => self.note(at, &note),
                Err(error) => return self.report.find(None, None, format!("the checkpoints cannot be read: {error}")),
            }
        }
    }

    fn note(&mut self, at: u64, note: &str) {
        match self.verifier.open(note) {
            Ok(checkpoint) if checkpoint.size == at && at == self.tree.size() => {
                if self.claim(at, checkpoint.root, "the log") {
                    self.report.newest = Some(checkpoint);
                }
            }
            Ok(_) => self.report.find(None, None, format!("the checkpoint kept for size {at} is of another size")),
            Err(error) => self.report.find(None, None, format!("the checkpoint of {at} entries: {error}")),
        }
    }

    fn claim(&mut self, size: u64, root: Hash, source: &str) -> bool {
        if self.tree.root() == root {
            self.report.checkpoints += 1;
            self.good = size;
            return true;
        }
        let what = format!(
            "the first {size} entries do not have the root that {source} has signed: an entry from {} to {} has been changed",
            self.good,
            size.saturating_sub(1)
        );
        self.report.find(None, None, what);
        false
    }

    /// Checkpoints of trees larger than the log.
    fn beyond(&mut self, notes: Notes<'a>) {
        let size = self.tree.size();
        let kept = notes.filter_map(|note| note.ok().map(|(at, _)| (at, "the log".to_owned()))).collect::<Vec<_>>();
        let claimed = std::mem::take(&mut self.claims)
            .into_iter()
            .flat_map(|(at, claims)| claims.into_iter().map(move |(_, source)| (at, source)));
        if let Some((at, source)) = kept.into_iter().chain(claimed).max() {
            let what = format!(
                "the log has {size} entries and {source} has a checkpoint of {at}: entries {size} to {} are missing",
                at - 1
            );
            self.report.find(None, None, what);
        }
    }

    /// No index may have more than the entries account for; each of its blocks is read on the way.
    fn counts(&mut self) {
        let Expected { hashes, by_session, sessions, holds, keys, live } = self.expected;
        self.count(&HASHES, Some(hashes));
        self.count(&BY_SESSION, Some(by_session));
        self.count(&SESSIONS, Some(sessions));
        self.count(&BY_TIME, Some(sessions));
        self.count(&BY_IDENTITY, Some(sessions));
        self.count(&BY_DATABASE, Some(sessions));
        self.count(&HOLDS, Some(holds));
        self.count(&KEYS, Some(keys));
        self.count(&LIVE, Some(live));
        self.count(&META, None);
    }

    fn count<K: Field, V: Field>(&mut self, column: &Column<K, V>, expected: Option<u64>) {
        let name = column.name();
        let mut found = 0u64;
        match self.store.scan(column, &[], false) {
            Ok(rows) => {
                for row in rows {
                    if let Err(error) = row {
                        return self.report.find(None, None, format!("column `{name}` cannot be read: {error}"));
                    }
                    found += 1;
                }
            }
            Err(error) => return self.report.find(None, None, format!("column `{name}` cannot be read: {error}")),
        }
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            self.report.find(None, None, format!("column `{name}` has {found} records where the entries account for {expected}"));
        }
    }
}
