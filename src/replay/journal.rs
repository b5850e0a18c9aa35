//! RocksDB's journals (write-ahead logs and MANIFEST) checked byte by byte.
//!
//! RocksDB itself takes a last record that looks cut off for the trace of a crash and passes over it in silence, so that one
//! changed byte in its length can hide it. Here every byte must be accounted for: a last record is cut off only if it is not whole
//! under any other type or length. What was cut off was acknowledged to nobody; if more is missing, the log's own hashes show it.
//! Source: RocksDB wiki, "Write Ahead Log File Format": blocks of 32 KiB, records of checksum (masked CRC-32C), length, type,
//! payload.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

const BLOCK_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 7;
/// Types with the number of the log behind the type byte.
const RECYCLABLE: [u8; 6] = [5, 6, 7, 8, 11, 131];
const LOG_NUMBER_BYTES: usize = 4;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let mut table = [0; 256];
    let mut index = 0u32;
    while index < 256 {
        let mut value = index;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        #[expect(clippy::indexing_slicing, reason = "index is below 256, and this runs at compile time")]
        {
            table[index as usize] = value;
        }
        index += 1;
    }
    table
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, step)
}

fn step(crc: u32, byte: &u8) -> u32 {
    let [low, ..] = crc.to_le_bytes();
    TABLE.get(usize::from(low ^ byte)).copied().unwrap_or_default() ^ crc >> 8
}

fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// What a journal is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Journal {
    /// Every byte is accounted for.
    Whole,
    /// Its last write was interrupted, or is under way.
    Interrupted,
    /// What is wrong and where.
    Damaged(String),
}

/// Checks one journal.
///
/// # Errors
/// The file cannot be read.
pub(super) fn check(path: &Path) -> Result<Journal, std::io::Error> {
    let mut file = BufReader::with_capacity(BLOCK_BYTES, File::open(path)?);
    let (mut offset, mut within) = (0u64, false);
    loop {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        file.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        let last = block.len() < BLOCK_BYTES;
        let cut = match check_block(&block, &mut within, last) {
            Ok(cut) => cut,
            Err(fault) => return Ok(Journal::Damaged(format!("{fault} (in the 32 KiB from byte {offset})"))),
        };
        offset += u64::try_from(block.len()).unwrap_or(u64::MAX);
        if last {
            return Ok(if cut || within { Journal::Interrupted } else { Journal::Whole });
        }
    }
}

/// True if the block, the last one, ends amid a record.
fn check_block(block: &[u8], within: &mut bool, last: bool) -> Result<bool, &'static str> {
    let mut rest = block;
    while rest.len() >= HEADER_BYTES {
        let Some((&[a, b, c, d, low, high, kind], behind)) = rest.split_first_chunk::<HEADER_BYTES>() else { break };
        let (length, checksum) = (usize::from(u16::from_le_bytes([low, high])), u32::from_le_bytes([a, b, c, d]));
        let extra = if RECYCLABLE.contains(&kind) { LOG_NUMBER_BYTES } else { 0 };
        let Some((payload, next)) = behind.split_at_checked(length + extra) else {
            let whole = || is_whole_if_shorter(rest.get(6..).unwrap_or_default(), checksum);
            return if last && !whole() { Ok(true) } else { Err("a record goes beyond its end: a changed byte") };
        };
        let covered = rest.get(6..HEADER_BYTES + payload.len()).unwrap_or_default();
        if masked(crc32c(covered)) != checksum {
            return Err("a record does not have its checksum");
        }
        *within = match (kind, *within) {
            (1 | 5, false) => false,
            (2 | 6, false) | (3 | 7, true) => true,
            (4 | 8, true) => false,
            (9..=11 | 130 | 131, within) => within,
            _ => return Err("a record of an unknown type or out of order"),
        };
        rest = next;
    }
    match rest {
        [] => Ok(false),
        rest if !last && rest.iter().all(|byte| *byte == 0) => Ok(false),
        _ if last => Ok(true),
        _ => Err("bytes that belong to no record"),
    }
}

/// True if what a checksum covers, type and payload, ends somewhere in these bytes, whatever the type was: the record is there, and
/// its header is not what was written.
fn is_whole_if_shorter(covered: &[u8], checksum: u32) -> bool {
    let payload = covered.get(1..).unwrap_or_default();
    (0..=u8::MAX).any(|kind| {
        let mut crc = step(u32::MAX, &kind);
        let mut ends = |byte| {
            crc = step(crc, byte);
            masked(!crc) == checksum
        };
        payload.iter().any(&mut ends)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
        let covered = [&[kind], payload].concat();
        let length = u16::try_from(payload.len()).unwrap().to_le_bytes();
        [&masked(crc32c(&covered)).to_le_bytes()[..], &length, &covered].concat()
    }

    fn of(bytes: &[u8]) -> Journal {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        check(file.path()).unwrap()
    }

    #[test]
    fn a_write_that_was_interrupted_is_no_damage() {
        let filler = vec![b'x'; BLOCK_BYTES - 294];
        let journal = [record(1, &filler), record(1, b"one"), record(1, &[7; 90]), record(2, &[8; 173])].concat();
        assert_eq!(journal.len(), BLOCK_BYTES);
        let journal = [journal, record(4, &[9; 40]), record(1, b"last")].concat();
        assert_eq!(of(&journal), Journal::Whole);
        let ends = [7 + filler.len(), 17 + filler.len(), 114 + filler.len()];
        for bytes in BLOCK_BYTES - 310..journal.len() {
            let whole = ends.contains(&bytes) || bytes == BLOCK_BYTES + 47;
            assert_eq!(of(&journal[..bytes]), if whole { Journal::Whole } else { Journal::Interrupted }, "{bytes}");
        }
    }

    #[test]
    fn a_changed_byte_is_no_interrupted_write() {
        let journal = [record(1, b"one"), record(1, &[7; 90]), record(1, b"last")].concat();
        for at in 0..journal.len() {
            for bits in 1..=255_u8 {
                let mut changed = journal.clone();
                changed[at] ^= bits;
                assert!(matches!(of(&changed), Journal::Damaged(_)), "{at} {bits:#x}");
            }
        }
    }
}
