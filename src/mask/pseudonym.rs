//! Keyed stand-ins.

use bytes::{BufMut, BytesMut};

use super::kind::{Integer, Limit};
use super::{Keys, number};
use crate::wire::Format;

/// What a token of text begins with.
const PREFIX: &[u8] = b"p_";
/// Letters of a token, four bits each: 80 bits.
const LETTERS: usize = 20;
/// Consonants only: a token holds no digits and spells no names.
const ALPHABET: [u8; 16] = *b"bcdfghjkmnpqrstv";
/// Bytes of a UUID.
const UUID_BYTES: usize = 16;

/// Letters of a token within a text: 40 bits.
const SHORT_LETTERS: usize = 10;

/// Writes the token of something found in a text: the same for the same letters and digits, in any letter case.
pub(super) fn short(class: &str, value: &[u8], keys: &Keys, out: &mut BytesMut) {
    let plain = value.iter().filter(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii()).map(u8::to_ascii_lowercase);
    let named: Vec<u8> = class.bytes().chain([0]).chain(plain).collect();
    let tag = keys.pseudonym.sign(b'n', &named);
    let nibbles = tag.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]).take(SHORT_LETTERS);
    out.extend_from_slice(PREFIX);
    out.extend(nibbles.map(|nibble| ALPHABET.get(usize::from(nibble)).copied().unwrap_or_default()));
}

/// Writes the token of a text, cut to what fits. `bpchar` and `text` have the same token for the same characters.
pub(super) fn text(value: &[u8], limit: Limit, keys: &Keys, out: &mut BytesMut) {
    let value = if matches!(limit, Limit::Padded(_)) { value.trim_ascii_end() } else { value };
    let tag = keys.pseudonym.sign(b't', value);
    let length = match limit {
        Limit::None => usize::MAX,
        Limit::Chars(most) | Limit::Padded(most) | Limit::Bytes(most) => most,
    };
    let prefix: &[u8] = if length < PREFIX.len() + LETTERS { b"" } else { PREFIX };
    out.extend_from_slice(prefix);
    let nibbles = tag.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]).take(LETTERS.min(length));
    out.extend(nibbles.map(|nibble| ALPHABET.get(usize::from(nibble)).copied().unwrap_or_default()));
    if let Limit::Padded(length) = limit {
        let written = prefix.len() + LETTERS.min(length);
        out.put_bytes(b' ', length.min(super::PAD_CHARS_MAX).saturating_sub(written));
    }
}

/// Writes the stand-in of a UUID, itself a valid random one (RFC 9562, version 4). False if the value is not a UUID.
pub(super) fn uuid(value: &[u8], format: Format, keys: &Keys, out: &mut BytesMut) -> bool {
    let Some(raw) = (match format {
        Format::Binary => value.first_chunk::<UUID_BYTES>().copied().filter(|_| value.len() == UUID_BYTES),
        Format::Text => uuid_from_text(value),
    }) else {
        return false;
    };
    let tag = keys.pseudonym.sign(b'u', &raw);
    let Some(mut stand_in) = tag.as_ref().first_chunk::<UUID_BYTES>().copied() else { return false };
    for (index, byte) in stand_in.iter_mut().enumerate() {
        match index {
            6 => *byte = (*byte & 0x0f) | 0x40,
            8 => *byte = (*byte & 0x3f) | 0x80,
            _ => {}
        }
    }
    match format {
        Format::Binary => out.extend_from_slice(&stand_in),
        Format::Text => uuid_to_text(&stand_in, out),
    }
    true
}

fn uuid_from_text(value: &[u8]) -> Option<[u8; UUID_BYTES]> {
    let mut raw = [0; UUID_BYTES];
    let mut digits = value.iter().filter(|byte| **byte != b'-').map(|byte| char::from(*byte).to_digit(16));
    for byte in &mut raw {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(raw)
}

fn uuid_to_text(raw: &[u8; UUID_BYTES], out: &mut BytesMut) {
    for (index, byte) in raw.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.put_u8(b'-');
        }
        for nibble in [byte >> 4, byte & 15] {
            out.put_u8(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
        }
    }
}

/// Writes the stand-in of an integer: positive, of the same type, the same in text and binary. False if the type is too
/// narrow for different values to have different ones, or the value is malformed.
pub(super) fn integer(value: &[u8], width: Integer, format: Format, keys: &Keys, out: &mut BytesMut) -> bool {
    let Some(raw) = number::integer(value, width, format) else { return false };
    let tag = keys.pseudonym.sign(b'i', &raw.to_be_bytes());
    let Some(bits) = tag.as_ref().first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)) else { return false };
    let shift = match width {
        Integer::Two => return false,
        Integer::Four => 33,
        Integer::Eight => 1,
    };
    i64::try_from(bits >> shift).is_ok_and(|stand_in| number::write_integer(stand_in, width, format, out))
}
