//! The log on disk: RocksDB behind typed columns, one writer, and positions that are durable.
//!
//! The writer encodes, seals, hashes and indexes what sessions append. A session takes it for a moment to write a little; what is
//! much, and all that must reach the disk, is written in groups by the log's thread. It interprets no entry beyond the indexes
//! of `index.rs`. The folder's layout is described in `docs/record-format.md`.

mod column;
mod files;
mod index;
mod log;
mod open;
mod queue;
mod recorder;
#[cfg(test)]
pub(crate) mod tests;
mod thread;
mod writer;

use std::path::PathBuf;

pub use column::{Column, Field, Store, columns};
pub use files::{CHECKPOINT_FILE, LOCK_FILE, PUBLIC_KEY_FILE, is_live, master_key};
pub use index::{Change, Index, Row};
pub use log::Log;
pub use recorder::{Position, Recorder, Watch};

use crate::ledger::LedgerError;

/// Bytes of appended events that may wait for the writer before `Recorder::room` makes sessions wait.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;
/// Appended events that may wait for the writer before `Recorder::room` makes sessions wait.
pub const QUEUE_EVENTS_MAX: usize = 16 << 10;
/// Events in one group commit.
const GROUP_EVENTS_MAX: usize = 2048;
/// Bytes of events in one group commit; one event may be larger.
const GROUP_BYTES_MAX: usize = 512 << 10;
/// Entries that may be without their stored hash and their place in the index by session.
const MARK_EVERY: u64 = 1024;
/// An idle log signs a checkpoint every so many intervals.
const IDLE_INTERVALS: u32 = 12;

/// How far a write must have come before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Handed to the operating system: survives the end of the process.
    Process,
    /// Flushed to the disk: survives a loss of power.
    Power,
}

/// Where the log is and how it is written.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The data folder.
    pub path: PathBuf,
    /// When a write counts.
    pub durability: Durability,
    /// The master key, 64 hexadecimal digits; made at the first start. The signing key `checkpoint.key` lies beside it.
    pub key_file: PathBuf,
    /// Milliseconds between checkpoints of a busy log.
    pub checkpoint_every_ms: u64,
    /// A file that every checkpoint is appended to as well.
    pub witness: Option<PathBuf>,
}

/// Why the log cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the store `{}` is in use by another process", .0.display())]
    InUse(PathBuf),
    /// There is no log here.
    #[error("there is no log in `{}`", .0.display())]
    Absent(PathBuf),
    /// A file that others may read or write.
    #[error("`{}` has mode {mode:04o}: it must be readable by its owner alone (chmod 600)", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file that holds no key.
    #[error("`{}` is not a key of 64 hexadecimal digits", .0.display())]
    KeyFile(PathBuf),
    /// The key file is missing although the log has been written with one.
    #[error("the key `{}` is missing and the log in `{}` was written with it", key.display(), store.display())]
    KeyMissing {
        /// The key file.
        key: PathBuf,
        /// The data folder.
        store: PathBuf,
    },
    /// A key that is not the one the log was written with.
    #[error("the key `{}` is not the one this log was written with", .0.display())]
    OtherKey(PathBuf),
    /// A file that cannot be read or written.
    #[error("`{}`: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// RocksDB refuses, out of space included.
    #[error("the store cannot be read or written: {0}")]
    Database(#[from] rocksdb::Error),
    /// What is stored is not what was written: run `pgveil verify`.
    #[error("the log is damaged: {0}")]
    Damaged(String),
    /// The log is an older copy, or another one, than its witness file has seen: entries would be lost without a trace.
    #[error(
        "the log in `{}` is not the one that its witness `{}` has seen: it has {size} entries, and the witness a checkpoint of {signed}. \
         Put the newer copy in its place, or, to go on with this one, keep that witness file as evidence and configure another",
        store.display(),
        witness.display()
    )]
    SetBack {
        /// The data folder.
        store: PathBuf,
        /// The witness file.
        witness: PathBuf,
        /// Entries in the log.
        size: u64,
        /// Entries that the newest checkpoint in the witness file speaks of.
        signed: u64,
    },
    /// The system's random generator does not answer.
    #[error("no random numbers")]
    Random,
    /// The writer's thread cannot be started.
    #[error("the writer cannot be started: {0}")]
    Thread(std::io::Error),
}

impl From<LedgerError> for StoreError {
    fn from(error: LedgerError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Why an event is not recorded. Nothing may run that is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogFailed {
    /// A write has failed; the log takes nothing more until the process is started again.
    #[error("the log cannot be written: {0}")]
    Write(String),
    /// One event over the bound; the log goes on.
    #[error("an event of {0} bytes is too large for the log")]
    Oversize(usize),
    /// An event with content to seal, outside any session; the log goes on.
    #[error("an event with content belongs to no session")]
    NoSession,
    /// The log has been closed.
    #[error("the log is closed")]
    Closed,
}
