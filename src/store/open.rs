//! The start: keys, the tree as it was left, a check of the end, sessions left open.

use std::fs::{self, File};

use rocksdb::WriteBatch;

use super::column::{Store, columns};
use super::files::{self, CHECKPOINT_FILE, PUBLIC_KEY_FILE, file_error};
use super::index::Index;
use super::writer::stage;
use super::{Settings, StoreError};
use crate::ledger::{
    Checkpoint, Event, FORMAT_VERSION, HASH_BYTES, Hash, Hashes, LedgerError, MasterKey, Place, SessionClosed, SessionId, Signer,
    Stored, Tree, Verifier, leaf,
};

/// A log that is ready to be written.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) lock: File,
    pub(super) tree: Tree,
    pub(super) index: Index,
    pub(super) signer: Signer,
    pub(super) master: MasterKey,
    pub(super) keys_made: bool,
}

impl Hashes for Store {
    fn hash(&self, level: u8, number: u64) -> Result<Hash, LedgerError> {
        let missing = LedgerError::Missing { level, number };
        // The subtree is completed by its last leaf, and kept with it at its height.
        let last = number.checked_add(1).and_then(|next| next.checked_shl(level.into())).and_then(|end| end.checked_sub(1));
        let value = last.and_then(|last| self.get(&columns::HASHES, &last).ok().flatten()).ok_or(missing.clone())?;
        let start = usize::from(level) * HASH_BYTES;
        value.get(start..start + HASH_BYTES).and_then(Hash::from_slice).ok_or(missing)
    }
}

pub(super) fn open(settings: &Settings, now_us: u64) -> Result<Opened, StoreError> {
    fs::create_dir_all(&settings.path).map_err(file_error(&settings.path))?;
    let lock = files::lock(&settings.path)?;
    let store = Store::open(&settings.path)?;
    let (master, signer, keys_made) = keys(settings, &store)?;
    let size = store.last(&columns::ENTRIES)?.map_or(0, |(index, _)| index + 1);
    let tree = Tree::resume(size, &store)?;
    check_end(&store, &tree)?;
    check_newest(settings, &store, &signer, size)?;
    let mut opened = Opened { store, lock, tree, index: Index::default(), signer, master, keys_made };
    close_open_sessions(&mut opened, now_us)?;
    Ok(opened)
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

/// The last entry must be the one its stored hash speaks of, and the tree must have the root its last checkpoint names.
fn check_end(store: &Store, tree: &Tree) -> Result<(), StoreError> {
    if let Some((index, bytes)) = store.last(&columns::ENTRIES)? {
        let stored = store.hash(0, index)?;
        if stored != leaf(&bytes) {
            return Err(StoreError::Damaged(format!("entry {index} does not have the hash it was stored with")));
        }
    }
    match store.last(&columns::HASHES)? {
        Some((index, _)) if index + 1 != tree.size() => {
            Err(StoreError::Damaged(format!("there are {} entries and hashes of {}", tree.size(), index + 1)))
        }
        None if tree.size() > 0 => Err(StoreError::Damaged("the hashes are missing".into())),
        _ => Ok(()),
    }
}

/// The log must not be shorter than what it has signed, and must have the root it has signed.
fn check_newest(settings: &Settings, store: &Store, signer: &Signer, size: u64) -> Result<(), StoreError> {
    let path = settings.path.join(CHECKPOINT_FILE);
    let note = match fs::read_to_string(&path) {
        Ok(note) => Some(note),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(file_error(&path)(error)),
    };
    let stored = store.last(&columns::CHECKPOINTS)?.map(|(_, note)| note);
    for note in [note, stored].into_iter().flatten() {
        check_note(store, signer.verifier(), &note, size)?;
    }
    Ok(())
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

/// Records the end of sessions that an earlier process has not closed. These entries have no sealed part, so that no nonce
/// of a lost entry can come again.
fn close_open_sessions(opened: &mut Opened, now_us: u64) -> Result<(), StoreError> {
    let live: Vec<SessionId> =
        opened.store.scan(&columns::LIVE, &[], false)?.map(|row| row.map(|(id, ())| id)).collect::<Result<_, _>>()?;
    let mut batch = WriteBatch::default();
    for session in live {
        let number = resume(opened, session)? + 1;
        let place = Place { index: opened.tree.size(), time_us: now_us, session: Some((session, number)) };
        let event = Event::SessionClosed(SessionClosed { reason: "crash".into() });
        stage(&opened.store, &mut opened.tree, &mut opened.index, &mut batch, &place, &event, None)?;
    }
    if !batch.is_empty() {
        opened.store.write(batch, true)?;
    }
    Ok(())
}

/// Counts a session's entries again and gives the number of its last.
fn resume(opened: &mut Opened, session: SessionId) -> Result<u64, StoreError> {
    let damaged = || StoreError::Damaged(format!("session {session} is open and has no row"));
    let mut row = opened.store.get(&columns::SESSIONS, &session)?.ok_or_else(damaged)?;
    let mut last = 0;
    row.statements = 0;
    for step in opened.store.scan(&columns::BY_SESSION, &session.0, false)? {
        let ((owner, number), index) = step?;
        if owner != session {
            break;
        }
        last = number;
        let bytes = opened.store.get(&columns::ENTRIES, &index)?;
        let bytes = bytes.ok_or_else(|| StoreError::Damaged(format!("entry {index} is missing")))?;
        if matches!(Stored::read(&bytes)?.event, Event::Statement(_) | Event::Execution(_)) {
            row.statements += 1;
        }
    }
    opened.index.resume(session, row);
    Ok(last)
}
