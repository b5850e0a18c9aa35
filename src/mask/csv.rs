//! CSV inside a text value (RFC 4180): some columns are masked, the others stay.

use bytes::{BufMut, BytesMut};

use super::text::TextMask;
use super::{Keys, Strategy};

/// The masked columns of a CSV text.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvMask {
    /// What stands between fields.
    pub delimiter: u8,
    /// The columns that are masked, from 1.
    pub columns: Vec<usize>,
    /// What is done with each field of them. An empty field stays empty.
    pub with: Box<Strategy>,
}

/// Writes a masked text; false, and nothing written, if it is no CSV. Without a mask fields become empty.
pub(super) fn write(value: &[u8], csv: &CsvMask, mask: Option<&TextMask>, keys: &Keys, out: &mut BytesMut) -> bool {
    let start = out.len();
    let done = records(value, csv, mask, keys, out);
    if done.is_none() {
        out.truncate(start);
    }
    done.is_some()
}

fn records(value: &[u8], csv: &CsvMask, mask: Option<&TextMask>, keys: &Keys, out: &mut BytesMut) -> Option<()> {
    let (mut rest, mut column) = (value, 1_usize);
    loop {
        let length = field(rest, csv.delimiter)?;
        let (raw, behind) = rest.split_at_checked(length)?;
        if csv.columns.contains(&column) && !raw.is_empty() {
            masked(raw, csv.delimiter, mask, keys, out);
        } else {
            out.extend_from_slice(raw);
        }
        let Some((end, behind)) = behind.split_first() else { return Some(()) };
        out.put_u8(*end);
        column = if *end == csv.delimiter { column + 1 } else { 1 };
        rest = behind;
    }
}

/// The length of the field that `rest` begins with, its quotes included.
fn field(rest: &[u8], delimiter: u8) -> Option<usize> {
    let ends = |byte: &u8| *byte == delimiter || matches!(byte, b'\r' | b'\n');
    if rest.first() != Some(&b'"') {
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        return (!rest.get(..length)?.contains(&b'"')).then_some(length);
    }
    let mut at = 1;
    loop {
        at += rest.get(at..)?.iter().position(|byte| *byte == b'"')? + 1;
        match rest.get(at) {
            Some(b'"') => at += 1,
            None => return Some(at),
            Some(byte) => return ends(byte).then_some(at),
        }
    }
}

fn masked(raw: &[u8], delimiter: u8, mask: Option<&TextMask>, keys: &Keys, out: &mut BytesMut) {
    let Some(mask) = mask else { return };
    let inner = raw.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\""));
    let start = out.len();
    match inner {
        Some(inner) if inner.contains(&b'"') => mask.write(&undoubled(inner), keys, out),
        _ => mask.write(inner.unwrap_or(raw), keys, out),
    }
    let special = |byte: &u8| *byte == delimiter || matches!(byte, b'"' | b'\r' | b'\n');
    if inner.is_some() || out.get(start..).is_some_and(|text| text.iter().any(special)) {
        let plain = out.split_off(start);
        out.put_u8(b'"');
        for byte in &plain {
            if *byte == b'"' {
                out.put_u8(b'"');
            }
            out.put_u8(*byte);
        }
        out.put_u8(b'"');
    }
}

fn undoubled(inner: &[u8]) -> Vec<u8> {
    let mut quote = false;
    let keeps = |byte: &u8| {
        quote = *byte == b'"' && !quote;
        !quote
    };
    inner.iter().copied().filter(keeps).collect()
}
