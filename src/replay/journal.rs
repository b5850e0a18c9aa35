//! RocksDB's journals (write-ahead logs and MANIFEST) checked byte by byte.
//!
//! RocksDB itself takes a last record that looks cut off for the trace of a crash and passes over it in silence, so that one
//! changed byte in its length can hide it. Here every byte must be accounted for. Source: RocksDB wiki, "Write Ahead Log File
//! Format": blocks of 32 KiB, records of checksum (masked CRC-32C), length, type, payload.

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
    let step = |crc: u32, byte: &u8| {
        let [low, ..] = crc.to_le_bytes();
        TABLE.get(usize::from(low ^ byte)).copied().unwrap_or_default() ^ crc >> 8
    };
    !bytes.iter().fold(u32::MAX, step)
}

fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Checks one journal. `growing` is true while another process may be writing it: then the last record may be unfinished.
///
/// Returns what is wrong and where, or `None`.
///
/// # Errors
/// The file cannot be read.
pub(super) fn check(path: &Path, growing: bool) -> Result<Option<String>, std::io::Error> {
    let mut file = BufReader::with_capacity(BLOCK_BYTES, File::open(path)?);
    let (mut offset, mut within) = (0u64, false);
    loop {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        file.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        let last = block.len() < BLOCK_BYTES;
        if let Err(fault) = check_block(&block, &mut within, last && growing) {
            return Ok(Some(format!("{} (in the 32 KiB from byte {offset})", fault)));
        }
        offset += u64::try_from(block.len()).unwrap_or(u64::MAX);
        if last {
            let unfinished = within && !growing;
            return Ok(unfinished.then(|| "it ends inside a record: an interrupted write, or a changed byte".to_owned()));
        }
    }
}

fn check_block(block: &[u8], within: &mut bool, growing: bool) -> Result<(), &'static str> {
    let mut rest = block;
    while rest.len() >= HEADER_BYTES {
        let Some((&[a, b, c, d, low, high, kind], behind)) = rest.split_first_chunk::<HEADER_BYTES>() else { break };
        let length = usize::from(u16::from_le_bytes([low, high]));
        let extra = if RECYCLABLE.contains(&kind) { LOG_NUMBER_BYTES } else { 0 };
        let Some((payload, next)) = behind.split_at_checked(length + extra) else {
            return if growing { Ok(()) } else { Err("a record goes beyond its end: an interrupted write, or a changed byte") };
        };
        let covered = rest.get(6..HEADER_BYTES + payload.len()).unwrap_or_default();
        if masked(crc32c(covered)) != u32::from_le_bytes([a, b, c, d]) {
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
    let filler = block.len() == BLOCK_BYTES;
    match rest {
        [] => Ok(()),
        rest if filler && rest.iter().all(|byte| *byte == 0) => Ok(()),
        _ if growing => Ok(()),
        _ => Err("bytes that belong to no record"),
    }
}
