//! The Merkle tree of RFC 6962, section 2.1, grown leaf by leaf.

use aws_lc_rs::digest;

use super::{Hashes, LedgerError};

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; HASH_BYTES]);

impl Hash {
    /// Reads a hash from exactly its bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// SHA-256 over the parts, one behind the other.
pub(super) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(context.finish().as_ref());
    Hash(hash)
}

/// The hash of a leaf: SHA-256(0x00 || entry).
#[must_use]
pub fn leaf(entry: &[u8]) -> Hash {
    sha256(&[&[0], entry])
}

/// The hash of a node: SHA-256(0x01 || left || right).
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], &left.0, &right.0])
}

/// The root of the complete subtree over these hashes: their number is a power of two.
pub(super) fn perfect(hashes: &[Hash]) -> Hash {
    match hashes {
        [one] => *one,
        [] => sha256(&[]),
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            node(&perfect(left), &perfect(right))
        }
    }
}

/// The right edge of a tree: what is needed to append and to tell the root, 64 hashes at most.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    /// Roots of the complete subtrees, the largest first: one for each bit set in `size`.
    edge: Vec<Hash>,
}

impl Tree {
    /// The tree of the first `size` leaves, from stored hashes. Reads one hash for each bit set in `size`.
    ///
    /// # Errors
    /// What the reader says.
    pub fn resume(size: u64, hashes: &impl Hashes) -> Result<Self, LedgerError> {
        let mut edge = Vec::new();
        let mut before = 0u64;
        for level in (0..64u8).rev().filter(|level| size >> level & 1 == 1) {
            edge.push(hashes.hash(level, before >> level)?);
            before += 1 << level;
        }
        Ok(Self { size, edge })
    }

    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    pub fn append(&mut self, leaf: Hash) {
        let mut top = leaf;
        let mut rest = self.size;
        while rest & 1 == 1
            && let Some(left) = self.edge.pop()
        {
            top = node(&left, &top);
            rest >>= 1;
        }
        self.edge.push(top);
        self.size += 1;
    }

    /// The root; of an empty tree SHA-256 of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut edge = self.edge.iter().rev();
        let Some(last) = edge.next() else { return sha256(&[]) };
        edge.fold(*last, |right, left| node(left, &right))
    }
}
