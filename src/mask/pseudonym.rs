//! Keyed stand-ins.

use bytes::{BufMut, BytesMut};

use super::kind::{Integer, Limit};
use super::{Keys, PseudonymAs, PseudonymForm, number};
use crate::wire::Format;

/// Bytes that a token of text begins with.
const PREFIX_BYTES: usize = 2;
/// Letters of a token, four bits each: 80 bits.
const LETTERS: usize = 20;
/// Consonants only, and of the rare ones none but three: a token holds no digits, spells no name and no part of one.
const ALPHABET: [u8; 16] = *b"bcdfghlmnprstwxz";
/// Bytes of a UUID.
const UUID_BYTES: usize = 16;

/// Characters of a UUID in text.
const UUID_CHARS: usize = 36;
/// Syllables of each of the two words of a name; four bits a letter.
const NAME_SYLLABLES: usize = 3;
const VOWELS: [u8; 16] = *b"aeiouaeiouaeioua";
/// Signs that one signature gives in the form of digits.
const BLOCK: usize = 32;

/// Writes the stand-in of a text, in the form asked for if it fits.
pub(super) fn text_as(value: &[u8], how: &PseudonymAs, limit: Limit, keys: &Keys, out: &mut BytesMut) {
    let scope = how.scope.as_deref();
    let most = match limit {
        Limit::None => usize::MAX,
        Limit::Chars(most) | Limit::Padded(most) | Limit::Bytes(most) => most,
    };
    let trimmed = if matches!(limit, Limit::Padded(_)) { value.trim_ascii_end() } else { value };
    let start = out.len();
    match how.form {
        PseudonymForm::Digits => digits(trimmed, scope, keys, out),
        PseudonymForm::Uuid if most >= UUID_CHARS => {
            if let Some(stand_in) = uuid_of(keys.pseudonym.sign_in(scope, b'v', trimmed).as_ref()) {
                uuid_to_text(&stand_in, out);
            }
        }
        PseudonymForm::Name if most > 4 * NAME_SYLLABLES => name(trimmed, scope, keys, out),
        _ => return token(value, scope, limit, keys, out),
    }
    if let Limit::Padded(length) = limit {
        let written = std::str::from_utf8(out.get(start..).unwrap_or_default()).map_or(length, |text| text.chars().count());
        out.put_bytes(b' ', length.min(super::PAD_CHARS_MAX).saturating_sub(written));
    }
}

/// A digit for each digit and a letter for each letter; other signs of ASCII stay. A letter that is not ASCII becomes one that is.
fn digits(value: &[u8], scope: Option<&str>, keys: &Keys, out: &mut BytesMut) {
    let seed = keys.pseudonym.sign_in(scope, b'd', value);
    let mut block = seed;
    let mut used = 0;
    let signs = value.iter().filter(|byte| !matches!(byte, 0x80..=0xbf));
    for byte in signs {
        if used == BLOCK {
            (block, used) = (keys.pseudonym.sign(b'e', block.as_ref()), 0);
        }
        let random = block.as_ref().get(used).copied().unwrap_or_default();
        let sign = match byte {
            b'0'..=b'9' => b'0' + random % 10,
            b'A'..=b'Z' => b'A' + random % 26,
            0x80.. | b'a'..=b'z' => b'a' + random % 26,
            0..=0x1f | 0x7f => b' ',
            other => *other,
        };
        used += usize::from(byte.is_ascii_alphanumeric() || !byte.is_ascii());
        out.put_u8(sign);
    }
}

fn name(value: &[u8], scope: Option<&str>, keys: &Keys, out: &mut BytesMut) {
    let tag = keys.pseudonym.sign_in(scope, b'n', value);
    for (index, byte) in tag.as_ref().iter().take(2 * NAME_SYLLABLES).enumerate() {
        if index == NAME_SYLLABLES {
            out.put_u8(b' ');
        }
        let consonant = ALPHABET.get(usize::from(byte >> 4)).copied().unwrap_or_default();
        out.put_u8(if index % NAME_SYLLABLES == 0 { consonant.to_ascii_uppercase() } else { consonant });
        out.put_u8(VOWELS.get(usize::from(byte & 15)).copied().unwrap_or_default());
    }
}

/// Writes the stand-in of a number in json: a whole one that a double holds exactly.
pub(super) fn json_number(value: &[u8], how: Option<&PseudonymAs>, keys: &Keys, out: &mut BytesMut) -> bool {
    let scope = how.and_then(|how| how.scope.as_deref());
    let Some(raw) = number::integer(value, Integer::Eight, Format::Text) else { return false };
    let tag = keys.pseudonym.sign_in(scope, b'i', &raw.to_be_bytes());
    let Some(bits) = tag.as_ref().first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)) else { return false };
    i64::try_from(bits >> 11).is_ok_and(|stand_in| number::write_integer(stand_in, Integer::Eight, Format::Text, out))
}

/// Letters of a token within a text: 40 bits.
const SHORT_LETTERS: usize = 10;

/// Writes the token of something found in a text: the same for the same letters and digits, in any letter case.
pub(super) fn short(class: &str, value: &[u8], keys: &Keys, out: &mut BytesMut) {
    let plain = value.iter().filter(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii()).map(u8::to_ascii_lowercase);
    let named: Vec<u8> = class.bytes().chain([0]).chain(plain).collect();
    let tag = keys.pseudonym.sign(b'w', &named);
    let nibbles = tag.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]).take(SHORT_LETTERS);
    out.extend_from_slice(&keys.pseudonym.prefix());
    out.extend(nibbles.map(|nibble| ALPHABET.get(usize::from(nibble)).copied().unwrap_or_default()));
}

/// Writes the token of a text, cut to what fits. `bpchar` and `text` have the same token for the same characters.
fn token(value: &[u8], scope: Option<&str>, limit: Limit, keys: &Keys, out: &mut BytesMut) {
    let value = if matches!(limit, Limit::Padded(_)) { value.trim_ascii_end() } else { value };
    let tag = keys.pseudonym.sign_in(scope, b't', value);
    let length = match limit {
        Limit::None => usize::MAX,
        Limit::Chars(most) | Limit::Padded(most) | Limit::Bytes(most) => most,
    };
    let prefix = keys.pseudonym.prefix();
    let prefix = if length < PREFIX_BYTES + LETTERS { &[] } else { prefix.as_slice() };
    out.extend_from_slice(prefix);
    let nibbles = tag.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]).take(LETTERS.min(length));
    out.extend(nibbles.map(|nibble| ALPHABET.get(usize::from(nibble)).copied().unwrap_or_default()));
    if let Limit::Padded(length) = limit {
        let written = prefix.len() + LETTERS.min(length);
        out.put_bytes(b' ', length.min(super::PAD_CHARS_MAX).saturating_sub(written));
    }
}

/// Writes the stand-in of a UUID, itself a valid random one (RFC 9562, version 4). False if the value is not a UUID.
pub(super) fn uuid(value: &[u8], format: Format, scope: Option<&str>, keys: &Keys, out: &mut BytesMut) -> bool {
    let Some(raw) = (match format {
        Format::Binary => value.first_chunk::<UUID_BYTES>().copied().filter(|_| value.len() == UUID_BYTES),
        Format::Text => uuid_from_text(value),
    }) else {
        return false;
    };
    let Some(stand_in) = uuid_of(keys.pseudonym.sign_in(scope, b'u', &raw).as_ref()) else { return false };
    match format {
        Format::Binary => out.extend_from_slice(&stand_in),
        Format::Text => uuid_to_text(&stand_in, out),
    }
    true
}

fn uuid_of(tag: &[u8]) -> Option<[u8; UUID_BYTES]> {
    let mut stand_in = *tag.first_chunk::<UUID_BYTES>()?;
    for (index, byte) in stand_in.iter_mut().enumerate() {
        match index {
            6 => *byte = (*byte & 0x0f) | 0x40,
            8 => *byte = (*byte & 0x3f) | 0x80,
            _ => {}
        }
    }
    Some(stand_in)
}

/// Reads a UUID.
pub(super) fn uuid_from_text(value: &[u8]) -> Option<[u8; UUID_BYTES]> {
    let mut raw = [0; UUID_BYTES];
    let mut digits = value.iter().filter(|byte| **byte != b'-').map(|byte| char::from(*byte).to_digit(16));
    for byte in &mut raw {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = u8::try_from(high * 16 + low).ok()?;
    }
    digits.next().is_none().then_some(raw)
}

/// Writes a UUID.
pub(super) fn uuid_to_text(raw: &[u8; UUID_BYTES], out: &mut BytesMut) {
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
pub(super) fn integer(
    value: &[u8],
    width: Integer,
    format: Format,
    scope: Option<&str>,
    keys: &Keys,
    out: &mut BytesMut,
) -> bool {
    let Some(raw) = number::integer(value, width, format) else { return false };
    let tag = keys.pseudonym.sign_in(scope, b'i', &raw.to_be_bytes());
    let Some(bits) = tag.as_ref().first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes)) else { return false };
    let shift = match width {
        Integer::Two => return false,
        Integer::Four => 33,
        Integer::Eight => 1,
    };
    i64::try_from(bits >> shift).is_ok_and(|stand_in| number::write_integer(stand_in, width, format, out))
}
