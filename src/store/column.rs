//! Column families with types: what a key and a value are is written once.

use std::marker::PhantomData;
use std::path::Path;

use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, DB, DBRecoveryMode, Direction, InfoLogger, IteratorMode, LogLevel, Options,
    ReadOptions, WriteBatch,
};

use super::{Row, StoreError};
use crate::ledger::{Hash, SessionId, TILE_HASHES, TileAt, tile_hashes};

/// Memory for writes that are not in a table file yet, all columns together.
const MEMTABLES_BYTES_MAX: usize = 32 << 20;
/// Memory for writes of one column, before it is written to a table file.
const MEMTABLE_BYTES: usize = 8 << 20;
/// Pieces of that size that may wait for the disk before writes do.
const MEMTABLES_MAX: i32 = 4;
/// The write-ahead log is kept below this, so that a start reads no more.
const WAL_BYTES_MAX: u64 = 64 << 20;
/// Memory for blocks that were read.
const CACHE_BYTES: usize = 8 << 20;
/// Table files the writer keeps open.
const OPEN_FILES_MAX: i32 = 256;

/// A type of keys or values: bytes out, bytes in. Keys sort as their bytes do.
pub trait Field: Sized {
    /// The bytes.
    fn bytes(&self) -> Vec<u8>;
    /// Reads them; `None` if they are not of the type.
    fn read(bytes: &[u8]) -> Option<Self>;
}

impl Field for u64 {
    fn bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

impl Field for Vec<u8> {
    fn bytes(&self) -> Vec<u8> {
        self.clone()
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

impl Field for () {
    fn bytes(&self) -> Vec<u8> {
        Vec::new()
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.is_empty().then_some(())
    }
}

impl Field for String {
    fn bytes(&self) -> Vec<u8> {
        self.clone().into_bytes()
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

impl Field for SessionId {
    fn bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

/// Two fields: the first of fixed length, so that the cut is known.
impl<B: Field> Field for (SessionId, B) {
    fn bytes(&self) -> Vec<u8> {
        [self.0.bytes(), self.1.bytes()].concat()
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_first_chunk::<16>()?;
        Some((SessionId(*first), B::read(second)?))
    }
}

impl Field for (u8, u64) {
    fn bytes(&self) -> Vec<u8> {
        [[self.0].as_slice(), &self.1.to_be_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_first()?;
        Some((*first, u64::read(second)?))
    }
}

/// The indexes of a session's entries, one after the other, as CBOR: the first, then how much larger each next one is.
impl Field for Vec<u64> {
    fn bytes(&self) -> Vec<u8> {
        let before = std::iter::once(0).chain(self.iter().copied());
        let steps: Vec<u64> = self.iter().zip(before).map(|(index, before)| index.saturating_sub(before)).collect();
        // Writing into memory cannot fail.
        minicbor::to_vec(steps).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut decoder = minicbor::Decoder::new(bytes);
        let length = usize::try_from(decoder.array().ok()??).ok().filter(|length| *length <= bytes.len())?;
        let (mut indexes, mut last) = (Self::with_capacity(length), 0u64);
        for _ in 0..length {
            last = last.checked_add(decoder.u64().ok()?)?;
            indexes.push(last);
        }
        (decoder.position() == bytes.len()).then_some(indexes)
    }
}

impl<B: Field> Field for (u64, B) {
    fn bytes(&self) -> Vec<u8> {
        [self.0.bytes(), self.1.bytes()].concat()
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = bytes.split_first_chunk::<8>()?;
        Some((u64::from_be_bytes(*first), B::read(second)?))
    }
}

/// A text with its length (2 bytes) in front, then the rest: all keys of one text are neighbours.
impl<B: Field> Field for (String, B) {
    fn bytes(&self) -> Vec<u8> {
        let text = self.0.as_bytes();
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        let text = text.get(..usize::from(length)).unwrap_or(text);
        [&length.to_be_bytes(), text, &self.1.bytes()].concat()
    }
    fn read(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        Some((String::read(text)?, B::read(rest)?))
    }
}

/// A column family whose keys are `K` and values `V`.
#[derive(Debug)]
pub struct Column<K, V> {
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Column<K, V> {
    const fn new(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// The columns of a log.
pub mod columns {
    use super::{Column, Row, SessionId};
    use crate::ledger::TileAt;

    /// Index of an entry: its bytes.
    pub const ENTRIES: Column<u64, Vec<u8>> = Column::new("entries");
    /// Height and number of a tile: its hashes.
    pub const HASHES: Column<TileAt, Vec<u8>> = Column::new("hashes");
    /// Session: what is known of it.
    pub const SESSIONS: Column<SessionId, Row> = Column::new("sessions");
    /// Session: its data key, wrapped. Without it the session's content is gone and the proof whole.
    pub const KEYS: Column<SessionId, Vec<u8>> = Column::new("keys");
    /// Sessions that are open.
    pub const LIVE: Column<SessionId, ()> = Column::new("live");
    /// Session and number of an entry in it: the indexes of that entry and of those that follow it.
    pub const BY_SESSION: Column<(SessionId, u64), Vec<u64>> = Column::new("by_session");
    /// Identity, time of opening, session.
    pub const BY_IDENTITY: Column<(String, (u64, SessionId)), ()> = Column::new("by_identity");
    /// Time of opening, session.
    pub const BY_TIME: Column<(u64, SessionId), ()> = Column::new("by_time");
    /// Database, time of opening, session.
    pub const BY_DATABASE: Column<(String, (u64, SessionId)), ()> = Column::new("by_database");
    /// Hold and index of an entry that speaks of it.
    pub const HOLDS: Column<(String, u64), ()> = Column::new("holds");
    /// Size of the tree: the last checkpoint of that size.
    pub const CHECKPOINTS: Column<u64, String> = Column::new("checkpoints");
    /// What the log says of itself, by name: `origin`, `verifier`, `master`, `format`.
    pub const META: Column<String, String> = Column::new("meta");

    pub(crate) const NAMES: [&str; 12] = [
        "entries",
        "hashes",
        "sessions",
        "keys",
        "live",
        "by_session",
        "by_identity",
        "by_time",
        "by_database",
        "holds",
        "checkpoints",
        "meta",
    ];
}

/// A database with the columns of a log.
pub struct Store {
    db: DB,
}

fn options() -> Options {
    let mut options = Options::default();
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES));
    options.set_block_based_table_factory(&tables);
    options.set_paranoid_checks(true);
    options.set_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_write_buffer_number(MEMTABLES_MAX);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    // RocksDB's own diary would put a file beside the log at every look.
    options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Fatal, |_, _| {}));
    options
}

impl Store {
    /// Opens it to write; makes it if it is not there.
    ///
    /// # Errors
    /// `InUse` if another process has it, `Database` for what else RocksDB says.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut options = options();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_db_write_buffer_size(MEMTABLES_BYTES_MAX);
        options.set_max_total_wal_size(WAL_BYTES_MAX);
        options.set_max_background_jobs(2);
        options.set_max_open_files(OPEN_FILES_MAX);
        options.set_stats_dump_period_sec(0);
        options.set_keep_log_file_num(1);
        let families = columns::NAMES.map(|name| (name, options.clone()));
        match DB::open_cf_with_opts(&options, path, families) {
            Ok(db) => Ok(Self { db }),
            Err(error) if error.to_string().contains("lock file") => Err(StoreError::InUse(path.to_owned())),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens it to read, also while another process writes; sees what was there at that moment.
    ///
    /// # Errors
    /// `Database`.
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let options = options();
        let families = columns::NAMES.map(|name| (name, options.clone()));
        Ok(Self { db: DB::open_cf_with_opts_for_read_only(&options, path, families, false)? })
    }

    fn family(&self, name: &str) -> Result<&ColumnFamily, StoreError> {
        self.db.cf_handle(name).ok_or_else(|| StoreError::Damaged(format!("there is no column `{name}`")))
    }

    /// The value of a key.
    ///
    /// # Errors
    /// `Database`, `Damaged` if the value is not of its type.
    pub fn get<K: Field, V: Field>(&self, column: &Column<K, V>, key: &K) -> Result<Option<V>, StoreError> {
        match self.db.get_pinned_cf(self.family(column.name)?, key.bytes())? {
            Some(bytes) => V::read(&bytes).map(Some).ok_or_else(|| damaged(column.name)),
            None => Ok(None),
        }
    }

    /// Puts a value into a batch.
    ///
    /// # Errors
    /// `Damaged` if the column is missing.
    pub fn put<K: Field, V: Field>(
        &self,
        batch: &mut WriteBatch,
        column: &Column<K, V>,
        key: &K,
        value: &V,
    ) -> Result<(), StoreError> {
        batch.put_cf(self.family(column.name)?, key.bytes(), value.bytes());
        Ok(())
    }

    /// Puts an entry into a batch.
    ///
    /// # Errors
    /// `Damaged` if the column is missing.
    pub(super) fn put_entry(&self, batch: &mut WriteBatch, index: u64, entry: &[u8]) -> Result<(), StoreError> {
        batch.put_cf(self.family(columns::ENTRIES.name)?, index.to_be_bytes(), entry);
        Ok(())
    }

    /// The hashes of a tile of the tree.
    #[must_use]
    pub fn tile(&self, at: TileAt) -> Option<Vec<Hash>> {
        self.get(&columns::HASHES, &at).ok().flatten().and_then(|bytes| tile_hashes(&bytes))
    }

    /// How many entries have their hash stored and are indexed by session: those of the last group may have neither yet.
    ///
    /// # Errors
    /// `Database`, or `Damaged` if a tile is not of its shape.
    pub fn marked(&self) -> Result<u64, StoreError> {
        // The tiles of height 0 stand in front of all others.
        let last = self.scan(&columns::HASHES, &(1u8, 0u64).bytes(), true)?.find(|row| !matches!(row, Ok(((1.., _), _))));
        let Some(row) = last else { return Ok(0) };
        let ((_, number), bytes) = row?;
        let kept = tile_hashes(&bytes).ok_or_else(|| damaged(columns::HASHES.name))?.len();
        let whole = number.checked_mul(TILE_HASHES as u64).ok_or_else(|| damaged(columns::HASHES.name))?;
        Ok(whole.saturating_add(kept as u64))
    }

    /// Waits until all that was written is on the disk.
    ///
    /// # Errors
    /// What RocksDB says.
    pub(super) fn sync(&self) -> Result<(), rocksdb::Error> {
        self.db.flush_wal(true)
    }

    /// Puts the deletion of a key into a batch.
    ///
    /// # Errors
    /// `Damaged` if the column is missing.
    pub fn delete<K: Field, V: Field>(&self, batch: &mut WriteBatch, column: &Column<K, V>, key: &K) -> Result<(), StoreError> {
        batch.delete_cf(self.family(column.name)?, key.bytes());
        Ok(())
    }

    /// Writes a batch, all of it or nothing.
    ///
    /// # Errors
    /// What RocksDB says.
    pub fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), rocksdb::Error> {
        let mut options = rocksdb::WriteOptions::default();
        options.set_sync(sync);
        self.db.write_opt(batch, &options)
    }

    /// Keys and values in order of the keys' bytes from those of `from` on, upwards or (`backwards`) downwards.
    ///
    /// # Errors
    /// `Damaged` if the column is missing; each element carries its own.
    pub fn scan<'a, K: Field, V: Field>(
        &'a self,
        column: &Column<K, V>,
        from: &[u8],
        backwards: bool,
    ) -> Result<impl Iterator<Item = Result<(K, V), StoreError>> + use<'a, K, V>, StoreError> {
        let direction = if backwards { Direction::Reverse } else { Direction::Forward };
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_verify_checksums(true);
        let name = column.name;
        let rows = self.db.iterator_cf_opt(self.family(name)?, options, IteratorMode::From(from, direction));
        Ok(rows.map(move |row| {
            let (key, value) = row?;
            match (K::read(&key), V::read(&value)) {
                (Some(key), Some(value)) => Ok((key, value)),
                _ => Err(damaged(name)),
            }
        }))
    }

    /// The last key and value.
    ///
    /// # Errors
    /// `Database` or `Damaged`.
    pub fn last<K: Field, V: Field>(&self, column: &Column<K, V>) -> Result<Option<(K, V)>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_verify_checksums(true);
        let row = self.db.iterator_cf_opt(self.family(column.name)?, options, IteratorMode::End).next();
        let Some(row) = row else { return Ok(None) };
        let (key, value) = row?;
        match (K::read(&key), V::read(&value)) {
            (Some(key), Some(value)) => Ok(Some((key, value))),
            _ => Err(damaged(column.name)),
        }
    }

    /// Names of the table files in use.
    ///
    /// # Errors
    /// `Database`.
    pub fn table_files(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.db.live_files()?.into_iter().map(|file| file.name.trim_start_matches('/').to_owned()).collect())
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.db.path().display())
    }
}

fn damaged(name: &str) -> StoreError {
    StoreError::Damaged(format!("column `{name}` holds a key or value that is not of its type"))
}
