//! Proofs that an entry is in a tree and that a tree goes on from an earlier one: prove and check in pairs.
//!
//! Source: RFC 6962 sections 2.1.1 and 2.1.2; the checks are those of RFC 9162 sections 2.1.3.2 and 2.1.4.2.
//! Both proofs have at most 64 hashes, and proving reads at most twice as many.

use super::{Hash, LedgerError, node};

/// Where stored hashes are read from.
pub trait Hashes {
    /// The root of the complete subtree of 2^`level` leaves that begins at leaf `number` * 2^`level`.
    ///
    /// # Errors
    /// `Missing` if it is not stored.
    fn hash(&self, level: u8, number: u64) -> Result<Hash, LedgerError>;
}

/// The hash over leaves `from..to`, where `from` is a multiple of the power of two not below `to - from`.
fn range(from: u64, to: u64, hashes: &impl Hashes) -> Result<Hash, LedgerError> {
    let count = to.saturating_sub(from);
    if count.is_power_of_two() {
        let level = u8::try_from(count.trailing_zeros()).unwrap_or(u8::MAX);
        return hashes.hash(level, from >> level);
    }
    let middle = from + split(count);
    Ok(node(&range(from, middle, hashes)?, &range(middle, to, hashes)?))
}

/// The largest power of two below `count`.
fn split(count: u64) -> u64 {
    let half = count.next_power_of_two() >> 1;
    half.max(1)
}

/// Proves that leaf `index` is in the tree of `size` leaves.
///
/// # Errors
/// `Proof` if it is not, `Missing` from the reader.
pub fn prove_inclusion(index: u64, size: u64, hashes: &impl Hashes) -> Result<Vec<Hash>, LedgerError> {
    if index >= size {
        return Err(LedgerError::Proof);
    }
    let (mut from, mut to, mut proof) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            proof.push(range(middle, to, hashes)?);
            to = middle;
        } else {
            proof.push(range(from, middle, hashes)?);
            from = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that the leaf with hash `leaf` has number `index` in the tree of `size` leaves with this root.
///
/// # Errors
/// `Proof` if the proof does not lead to the root.
pub fn check_inclusion(proof: &[Hash], index: u64, leaf: Hash, size: u64, root: Hash) -> Result<(), LedgerError> {
    if index >= size {
        return Err(LedgerError::Proof);
    }
    let (mut place, mut last, mut top) = (index, size - 1, leaf);
    for hash in proof {
        if last == 0 {
            return Err(LedgerError::Proof);
        }
        if place & 1 == 1 || place == last {
            top = node(hash, &top);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            top = node(&top, hash);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    if last == 0 && top == root { Ok(()) } else { Err(LedgerError::Proof) }
}

/// Proves that the tree of `size` leaves goes on from the tree of its first `earlier` leaves.
///
/// # Errors
/// `Proof` if `earlier` is 0 or more than `size`, `Missing` from the reader.
pub fn prove_consistency(earlier: u64, size: u64, hashes: &impl Hashes) -> Result<Vec<Hash>, LedgerError> {
    if earlier == 0 || earlier > size {
        return Err(LedgerError::Proof);
    }
    let (mut from, mut to, mut whole, mut proof) = (0, size, true, Vec::new());
    while to != earlier {
        let middle = from + split(to - from);
        if earlier <= middle {
            proof.push(range(middle, to, hashes)?);
            to = middle;
        } else {
            proof.push(range(from, middle, hashes)?);
            from = middle;
            whole = false;
        }
    }
    if !whole {
        proof.push(range(from, to, hashes)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Checks that the tree (`size`, `root`) goes on from the tree (`earlier`, `earlier_root`).
///
/// # Errors
/// `Proof` if the proof does not lead to both roots.
pub fn check_consistency(proof: &[Hash], earlier: u64, earlier_root: Hash, size: u64, root: Hash) -> Result<(), LedgerError> {
    if earlier == size {
        return if proof.is_empty() && earlier_root == root { Ok(()) } else { Err(LedgerError::Proof) };
    }
    if earlier == 0 || earlier > size {
        return Err(LedgerError::Proof);
    }
    let (mut place, mut last) = (earlier - 1, size - 1);
    while place & 1 == 1 {
        (place, last) = (place >> 1, last >> 1);
    }
    let mut hashes = proof.iter();
    let first = if earlier.is_power_of_two() { earlier_root } else { *hashes.next().ok_or(LedgerError::Proof)? };
    let (mut old, mut new) = (first, first);
    for hash in hashes {
        if last == 0 {
            return Err(LedgerError::Proof);
        }
        if place & 1 == 1 || place == last {
            (old, new) = (node(hash, &old), node(hash, &new));
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            new = node(&new, hash);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    if last == 0 && old == earlier_root && new == root { Ok(()) } else { Err(LedgerError::Proof) }
}
