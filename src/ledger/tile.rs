//! The tree's hashes in rows of 256, the tiles of C2SP `tlog-tiles`: one row is written where 256 entries were.

use super::tree::perfect;
use super::{HASH_BYTES, Hash, LedgerError};

/// Levels of the tree that one tile spans.
const TILE_LEVELS: u8 = 8;
/// Hashes of a full tile.
pub const TILE_HASHES: usize = 1 << TILE_LEVELS;

/// Where a tile stands: its height, counted in tiles (0 holds the leaves), and its number at that height.
pub type TileAt = (u8, u64);

/// The tiles at the right edge of a tree, one for each height.
#[derive(Debug, Clone, Default)]
pub struct Tiles {
    edge: Vec<(u64, Vec<Hash>)>,
}

impl Tiles {
    /// The tiles of the first `size` leaves, from stored ones: reads one tile for each height.
    ///
    /// # Errors
    /// `Missing` if one is not there or has too few hashes.
    pub fn resume(size: u64, read: impl Fn(TileAt) -> Option<Vec<Hash>>) -> Result<Self, LedgerError> {
        let mut tiles = Self::default();
        let (mut hashes, mut height) = (size, 0u8);
        while hashes > 0 {
            let (number, kept) = split(hashes);
            let missing = LedgerError::Missing { level: height * TILE_LEVELS, number: hashes - 1 };
            let row = if kept == 0 { Vec::new() } else { read((height, number)).ok_or(missing.clone())? };
            tiles.edge.push((number, row.get(..kept).ok_or(missing)?.to_vec()));
            (hashes, height) = (number, height + 1);
        }
        Ok(tiles)
    }

    /// Appends a leaf; tiles that it fills are handed to `full`.
    pub fn append(&mut self, leaf: Hash, mut full: impl FnMut(TileAt, Vec<Hash>)) {
        let (mut hash, mut height) = (leaf, 0u8);
        loop {
            if self.edge.len() <= usize::from(height) {
                self.edge.push((0, Vec::new()));
            }
            let Some((number, row)) = self.edge.get_mut(usize::from(height)) else { return };
            row.push(hash);
            if row.len() < TILE_HASHES {
                return;
            }
            hash = perfect(row);
            full((height, *number), std::mem::take(row));
            *number += 1;
            height += 1;
        }
    }

    /// The tiles that have begun and are not full.
    pub fn begun(&self) -> impl Iterator<Item = (TileAt, &[Hash])> {
        let each = (0u8..).zip(&self.edge).filter(|(_, (_, row))| !row.is_empty());
        each.map(|(height, (number, row))| ((height, *number), row.as_slice()))
    }
}

/// The tile that holds the subtree of height `level` and this number, and where its hashes begin and how many they are.
fn place(level: u8, number: u64) -> Option<(TileAt, usize, usize)> {
    let within = level % TILE_LEVELS;
    let first = number.checked_shl(within.into()).filter(|first| first >> within == number)?;
    let (tile, at) = split(first);
    Some(((level / TILE_LEVELS, tile), at, 1 << within))
}

/// The hash of a subtree, from the tile that holds it.
///
/// # Errors
/// `Missing` if the tile is not there or does not reach so far.
pub fn tiled(level: u8, number: u64, read: impl Fn(TileAt) -> Option<Vec<Hash>>) -> Result<Hash, LedgerError> {
    let missing = LedgerError::Missing { level, number };
    let (tile, at, count) = place(level, number).ok_or(missing.clone())?;
    let row = read(tile).ok_or(missing.clone())?;
    row.get(at..at + count).map(perfect).ok_or(missing)
}

/// The tile of the hash with this number, and its place there.
fn split(number: u64) -> (u64, usize) {
    let at = usize::try_from(number % (1 << TILE_LEVELS)).unwrap_or_default();
    (number >> TILE_LEVELS, at)
}

/// The bytes of a tile: its hashes, one behind the other.
#[must_use]
pub fn tile_bytes(row: &[Hash]) -> Vec<u8> {
    row.iter().flat_map(|hash| hash.0).collect()
}

/// The hashes of a tile; `None` if the bytes are no whole number of them, or too many.
#[must_use]
pub fn tile_hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    if bytes.len() > TILE_HASHES * HASH_BYTES {
        return None;
    }
    bytes.chunks(HASH_BYTES).map(Hash::from_slice).collect()
}
