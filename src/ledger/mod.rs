//! What an entry of the log is, its bytes, leaf and tree hashes, prove and check.
//!
//! Everything here is a function of its arguments: time, keys and nonces are given. The bytes are described in
//! `docs/record-format.md` and pinned by the golden files of `fixtures/ledger`.

mod body;
mod checkpoint;
mod entry;
mod event;
mod fields;
mod header;
mod proof;
mod seal;
#[cfg(test)]
mod tests;
mod tile;
mod tree;

pub use body::{Body, seals};
pub use checkpoint::{Checkpoint, Signer, Verifier, notes};
pub use entry::{Content, Entry, FORMAT_VERSION, Place, Stored, encode, encode_with};
pub use event::{
    Answer, ColumnSeen, Event, ExecutionEvent, HoldAnswered, HoldOpened, LoggedIn, LoginRefused, Parameter, PassedEvent,
    ReplyEvent, Revoked, SessionClosed, SessionId, SessionOpened, StatementEvent,
};
pub use proof::{Hashes, check_consistency, check_inclusion, prove_consistency, prove_inclusion};
pub use seal::{DataKey, MasterKey, WRAPPED_KEY_BYTES};
pub use tile::{TILE_HASHES, TileAt, Tiles, tile_bytes, tile_hashes, tiled};
pub use tree::{HASH_BYTES, Hash, Tree, leaf, node};

/// Most bytes a body may have before it is compressed and sealed.
pub const BODY_BYTES_MAX: usize = 256 << 20;

/// A reply may refer to the columns of another: one of so many that have columns of their own, the latest before it in its session.
pub const COLUMNS_KNOWN_MAX: usize = 32;

/// Most elements of a list inside an entry.
const LIST_LENGTH_MAX: u64 = 1 << 20;

/// What is wrong with an entry, a proof, a checkpoint or a key. Carries no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// Bytes that are not what the format says.
    #[error("not an entry of the format: {0}")]
    Malformed(&'static str),
    /// A format version this program does not read.
    #[error("format version {0} is not known")]
    Version(u64),
    /// A body over `BODY_BYTES_MAX`.
    #[error("body of {0} bytes is over the bound")]
    Oversize(usize),
    /// A sealed body or a wrapped key that does not open with this key: another key, or changed bytes.
    #[error("sealed bytes do not open with this key")]
    Sealed,
    /// A proof that does not lead to the root.
    #[error("the proof does not hold")]
    Proof,
    /// A signed note that is not one, or whose signature does not hold.
    #[error("checkpoint: {0}")]
    Checkpoint(&'static str),
    /// A key in the wrong shape.
    #[error("key: {0}")]
    Key(&'static str),
    /// A hash that the reader could not give.
    #[error("tree hash of level {level}, number {number} is missing")]
    Missing {
        /// Height of the subtree: 0 is a leaf.
        level: u8,
        /// Number of the subtree at its height, from 0.
        number: u64,
    },
}
