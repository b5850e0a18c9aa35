//! The start: keys, the tree as it was left, a check of the end, sessions left open.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use rocksdb::WriteBatch;

use super::column::{Store, columns};
use super::files::{self, CHECKPOINT_FILE, PUBLIC_KEY_FILE, file_error};
use super::index::{Index, Row};
use super::writer::Writer;
use super::{Settings, StoreError};
use crate::ledger::{
    Checkpoint, Event, FORMAT_VERSION, Hash, Hashes, LedgerError, MasterKey, Place, SessionId, Signer, Stored, Tiles, Tree,
    Verifier, leaf, notes, tiled,
};

/// As much of the end of a witness file is read at the start: some hundred checkpoints.
const WITNESS_TAIL_BYTES: u64 = 64 << 10;

/// A log that is ready to be written.
pub(super) struct Opened {
    pub(super) store: Arc<Store>,
    pub(super) lock: File,
    pub(super) writer: Writer,
    pub(super) verifier: Verifier,
    pub(super) master: MasterKey,
    pub(super) keys_made: bool,
}

impl Hashes for Store {
    fn hash(&self, level: u8, number: u64) -> Result<Hash, LedgerError> {
        tiled(level, number, |at| self.tile(at))
    }
}

pub(super) fn open(settings: &Settings, now_us: u64) -> Result<Opened, StoreError> {
    fs::create_dir_all(&settings.path).map_err(file_error(&settings.path))?;
    let lock = files::lock(&settings.path)?;
    let store = Store::open(&settings.path)?;
    let (master, signer, keys_made) = keys(settings, &store)?;
    let verifier = signer.verifier().clone();
    let size = store.last(&columns::ENTRIES)?.map_or(0, |(index, _)| index + 1);
    check_newest(settings, &store, &verifier, size)?;
    let marked = store.marked()?;
    check_end(&store, marked, size)?;
    let tree = Tree::resume(marked, &store)?;
    let tiles = Tiles::resume(marked, |at| store.tile(at))?;
    let (index, mut last) = open_sessions(&store)?;
    let store = Arc::new(store);
    let mut writer = Writer::new(Arc::clone(&store), tree, tiles, index, signer);
    take_up(&store, &mut writer, &mut last)?;
    for (session, number) in last {
        // These entries have no sealed part, so that no nonce of a lost entry can come again.
        writer.abort(session, number + 1, "crash", now_us)?;
    }
    if writer.size() > marked {
        writer.mark()?;
        writer.commit(true)?;
    }
    Ok(Opened { store, lock, writer, verifier, master, keys_made })
}

/// Reads the keys, makes them at the first start, and holds them against what the log says it was written with.
fn keys(settings: &Settings, store: &Store) -> Result<(MasterKey, Signer, bool), StoreError> {
    let signing_file = files::signing_key_file(settings);
    let meta = |name: &str| store.get(&columns::META, &name.to_owned());
    let known = meta("master")?;
    if known.is_none() && store.last(&columns::ENTRIES)?.is_some() {
        return Err(StoreError::Damaged("it does not say which keys it was written with".into()));
    }
    let mut made = false;
    let mut key = |path: &std::path::Path| match files::read_key(path)? {
        Some(key) => Ok(key),
        None if known.is_some() => Err(StoreError::KeyMissing { key: path.to_owned(), store: settings.path.clone() }),
        None => {
            made = true;
            files::make_key(path)
        }
    };
    let master = MasterKey::new(&key(&settings.key_file)?)?;
    let seed = key(&signing_file)?;
    let origin = match meta("origin")? {
        Some(origin) => origin,
        None => format!("pgveil/{:016x}", u64::from_be_bytes(files::random()?)),
    };
    let signer = Signer::new(&origin, &seed)?;
    let verifier = signer.verifier().to_string();
    match (&known, meta("verifier")?) {
        (Some(mark), _) if *mark != master.mark().to_string() => return Err(StoreError::OtherKey(settings.key_file.clone())),
        (Some(_), Some(other)) if other != verifier => return Err(StoreError::OtherKey(signing_file)),
        _ => {}
    }
    if known.is_none() {
        let mut batch = WriteBatch::default();
        let facts = [
            ("format", FORMAT_VERSION.to_string()),
            ("origin", origin),
            ("verifier", verifier.clone()),
            ("master", master.mark().to_string()),
        ];
        for (name, value) in facts {
            store.put(&mut batch, &columns::META, &name.to_owned(), &value)?;
        }
        store.write(batch, true)?;
    }
    let public = settings.path.join(PUBLIC_KEY_FILE);
    if !public.exists() {
        files::replace(&public, &format!("{verifier}\n"), true)?;
    }
    Ok((master, signer, made))
}

/// No entry may be missing that has a hash, and the last of them must be the one that its hash speaks of.
fn check_end(store: &Store, marked: u64, size: u64) -> Result<(), StoreError> {
    if marked > size {
        return Err(StoreError::Damaged(format!("there are {size} entries and hashes of {marked}")));
    }
    let Some(last) = marked.checked_sub(1) else { return Ok(()) };
    match store.get(&columns::ENTRIES, &last)? {
        Some(bytes) if store.hash(0, last)? == leaf(&bytes) => Ok(()),
        Some(_) => Err(StoreError::Damaged(format!("entry {last} does not have the hash it was stored with"))),
        None => Err(StoreError::Damaged(format!("entry {last} is missing"))),
    }
}

/// The log must not be shorter than what it has signed, and must have the root it has signed.
fn check_newest(settings: &Settings, store: &Store, verifier: &Verifier, size: u64) -> Result<(), StoreError> {
    let path = settings.path.join(CHECKPOINT_FILE);
    let note = match fs::read_to_string(&path) {
        Ok(note) => Some(note),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(file_error(&path)(error)),
    };
    let stored = store.last(&columns::CHECKPOINTS)?.map(|(_, note)| note);
    for note in [note, stored].into_iter().flatten() {
        check_note(store, verifier, &note, size)?;
    }
    settings.witness.as_ref().map_or(Ok(()), |witness| check_witness(settings, store, verifier, witness, size))
}

/// Nor may it be an older copy than the one that the witness file has seen.
fn check_witness(settings: &Settings, store: &Store, verifier: &Verifier, witness: &Path, size: u64) -> Result<(), StoreError> {
    let Some(text) = files::tail(witness, WITNESS_TAIL_BYTES)? else { return Ok(()) };
    let newest = notes(&text).filter_map(|note| verifier.open(&note).ok()).max_by_key(|checkpoint| checkpoint.size);
    let Some(Checkpoint { size: signed, root, .. }) = newest else { return Ok(()) };
    if signed <= size && Tree::resume(signed, store)?.root() == root {
        return Ok(());
    }
    Err(StoreError::SetBack { store: settings.path.clone(), witness: witness.to_owned(), size, signed })
}

fn check_note(store: &Store, verifier: &Verifier, note: &str, size: u64) -> Result<(), StoreError> {
    let Checkpoint { size: signed, root, .. } = verifier.open(note)?;
    if signed > size {
        return Err(StoreError::Damaged(format!("it has {size} entries and has signed a checkpoint of {signed}")));
    }
    if Tree::resume(signed, store)?.root() != root {
        return Err(StoreError::Damaged(format!("its first {signed} entries do not have the root of their checkpoint")));
    }
    Ok(())
}

/// The sessions that an earlier process has left open, and the number of the last entry of each that is indexed.
fn open_sessions(store: &Store) -> Result<(Index, HashMap<SessionId, u64>), StoreError> {
    let (mut index, mut last) = (Index::default(), HashMap::new());
    for step in store.scan(&columns::LIVE, &[], false)? {
        let (session, ()) = step?;
        let damaged = || StoreError::Damaged(format!("session {session} is open and has no row"));
        let mut row = store.get(&columns::SESSIONS, &session)?.ok_or_else(damaged)?;
        let number = count(store, session, &mut row)?;
        index.resume(session, row);
        last.insert(session, number);
    }
    Ok((index, last))
}

/// Counts a session's indexed entries again and gives the number of the last.
fn count(store: &Store, session: SessionId, row: &mut Row) -> Result<u64, StoreError> {
    let mut last = 0;
    row.statements = 0;
    for step in store.scan(&columns::BY_SESSION, &session.0, false)? {
        let ((owner, first), indexes) = step?;
        if owner != session {
            break;
        }
        last = first.saturating_add(indexes.len() as u64).saturating_sub(1);
        for index in indexes {
            let bytes = store.get(&columns::ENTRIES, &index)?;
            let bytes = bytes.ok_or_else(|| StoreError::Damaged(format!("entry {index} is missing")))?;
            if matches!(Stored::read(&bytes)?.event, Event::Statement(_) | Event::Execution(_)) {
                row.statements += 1;
            }
        }
    }
    Ok(last)
}

/// Takes up the entries that have no hash stored yet.
fn take_up(store: &Store, writer: &mut Writer, last: &mut HashMap<SessionId, u64>) -> Result<(), StoreError> {
    let from = writer.size();
    for step in store.scan(&columns::ENTRIES, &from.to_be_bytes(), false)? {
        let (index, bytes) = step?;
        if index != writer.size() {
            return Err(StoreError::Damaged(format!("entry {} is missing", writer.size())));
        }
        let entry = Stored::read(&bytes)?;
        if let Some((session, number)) = entry.place.session
            && let Some(known) = last.get_mut(&session)
        {
            *known = number;
        }
        // What else changed with it was written with it.
        let _ = writer.follow(&Place { index, ..entry.place }, &entry.event, leaf(&bytes));
    }
    Ok(())
}
