//! Masks of text.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::kind::Limit;
use super::scan::Scan;
use super::{
    CsvMask, JsonMask, Keys, PAD_CHARS_MAX, PLACEHOLDER, PseudonymAs, Strategy, csv, date, json, month, number, pseudonym, zip,
};

/// What is done with a text, or with each element of an array of texts.
#[derive(Debug, Clone)]
pub(super) enum TextMask {
    /// It becomes this.
    Constant(Bytes),
    /// Only so many characters stay.
    Partial { keep: usize, last: bool, padded: bool },
    /// The first digits of a ZIP code stay; what is none becomes the constant.
    Zip3 { otherwise: Bytes },
    /// The year of an ISO date stays; what is none becomes the constant.
    Year { otherwise: Bytes },
    /// The month of an ISO date stays; what is none becomes the constant.
    Month { otherwise: Bytes },
    /// An age in years, cut at a bound; what is none becomes the constant.
    Age { over: u16, otherwise: Bytes },
    /// A rounded number; what is none becomes the constant.
    Round { step: f64, otherwise: Bytes, limit: Limit },
    /// It becomes a stand-in.
    Pseudonym { how: PseudonymAs, limit: Limit },
    /// Parts of a json document; what is none becomes the constant.
    Json { mask: JsonMask, otherwise: Bytes, limit: Limit },
    /// Columns of CSV; what is none becomes the constant.
    Csv { csv: CsvMask, mask: Option<Box<TextMask>>, otherwise: Bytes, limit: Limit },
    /// What identifies in it is replaced.
    Scan { scan: Arc<Scan>, limit: Limit },
}

impl TextMask {
    /// The mask of a strategy; `None` where that is NULL.
    pub(super) fn new(strategy: Option<&Strategy>, limit: Limit) -> Option<Self> {
        let padded = matches!(limit, Limit::Padded(_));
        Some(match strategy {
            Some(Strategy::Null) => return None,
            None | Some(Strategy::Redact | Strategy::Elements(_)) => Self::Constant(placeholder(limit)),
            Some(Strategy::Round(step)) => Self::Round { step: *step, otherwise: placeholder(limit), limit },
            Some(Strategy::Age(over)) => Self::Age { over: *over, otherwise: placeholder(limit) },
            Some(Strategy::Month) => Self::Month { otherwise: placeholder(limit) },
            Some(Strategy::Fixed(text)) => Self::Constant(fixed(text, limit)),
            Some(Strategy::KeepLast(keep)) => Self::Partial { keep: *keep, last: true, padded },
            Some(Strategy::KeepFirst(keep)) => Self::Partial { keep: *keep, last: false, padded },
            Some(Strategy::Year) => Self::Year { otherwise: placeholder(limit) },
            Some(Strategy::Zip3) => Self::Zip3 { otherwise: placeholder(limit) },
            Some(Strategy::Pseudonym) => Self::Pseudonym { how: PseudonymAs::default(), limit },
            Some(Strategy::PseudonymAs(how)) => Self::Pseudonym { how: how.clone(), limit },
            Some(Strategy::Json(mask)) => Self::Json { mask: mask.clone(), otherwise: placeholder(limit), limit },
            Some(Strategy::Csv(csv)) => {
                let mask = Self::new(Some(csv.with.as_ref()), Limit::None).map(Box::new);
                Self::Csv { csv: csv.clone(), mask, otherwise: placeholder(limit), limit }
            }
            Some(Strategy::Scan(scan)) => Self::Scan { scan: Arc::clone(scan), limit },
        })
    }

    /// Writes the masked text.
    pub(super) fn write(&self, value: &[u8], keys: &Keys, out: &mut BytesMut) {
        match self {
            Self::Constant(constant) => out.extend_from_slice(constant),
            Self::Partial { keep, last, padded } => partial(value, *keep, *last, *padded, out),
            Self::Zip3 { otherwise } => or(otherwise, out, |out| zip::write(value, out)),
            Self::Year { otherwise } => or(otherwise, out, |out| date::year_of_text(value, keys.year_now, out)),
            Self::Month { otherwise } => or(otherwise, out, |out| month::of_text(value, keys.year_now, out)),
            Self::Age { over, otherwise } => or(otherwise, out, |out| number::age_text(value, *over, out)),
            Self::Round { step, otherwise, limit } => {
                or_longer(otherwise, *limit, out, |out| number::round_text(value, *step, out));
            }
            Self::Pseudonym { how, limit } => pseudonym::text_as(value, how, *limit, keys, out),
            Self::Json { mask, otherwise, limit } => {
                or_longer(otherwise, *limit, out, |out| json::write(value, mask, keys, out));
            }
            Self::Csv { csv, mask, otherwise, limit } => {
                or_longer(otherwise, *limit, out, |out| csv::write(value, csv, mask.as_deref(), keys, out));
            }
            Self::Scan { scan, limit } => {
                let start = out.len();
                scan.write(value, keys, out);
                fit(*limit, start, out);
            }
        }
    }
}

/// What is written, or the constant if that fails.
fn or(otherwise: &Bytes, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut) -> bool) {
    let start = out.len();
    if !write(out) {
        out.truncate(start);
        out.extend_from_slice(otherwise);
    }
}

/// The same, if it is no longer than the type allows.
fn or_longer(otherwise: &Bytes, limit: Limit, out: &mut BytesMut, write: impl FnOnce(&mut BytesMut) -> bool) {
    let start = out.len();
    or(otherwise, out, |out| {
        let written = write(out);
        let text = out.get(start..).unwrap_or_default();
        written
            && match limit {
                Limit::None => true,
                Limit::Chars(most) | Limit::Padded(most) => {
                    text.iter().filter(|byte| !matches!(byte, 0x80..=0xbf)).count() <= most
                }
                Limit::Bytes(most) => text.len() <= most,
            }
    });
}

/// The placeholder where it fits, else asterisks.
fn placeholder(limit: Limit) -> Bytes {
    match limit {
        Limit::Chars(most) | Limit::Padded(most) | Limit::Bytes(most) if most < PLACEHOLDER.len() => {
            Bytes::from(vec![b'*'; most])
        }
        Limit::Padded(_) => fixed(PLACEHOLDER, limit),
        _ => Bytes::from_static(PLACEHOLDER.as_bytes()),
    }
}

/// A text cut or padded as its type wants it. A zero byte, which no text of PostgreSQL holds, ends it.
fn fixed(text: &str, limit: Limit) -> Bytes {
    let text = text.split('\0').next().unwrap_or_default();
    let cut: String = match limit {
        Limit::None => text.to_owned(),
        Limit::Chars(most) => text.chars().take(most).collect(),
        Limit::Padded(most) => {
            let cut: String = text.chars().take(most).collect();
            let blanks = most.min(PAD_CHARS_MAX).saturating_sub(cut.chars().count());
            cut + &" ".repeat(blanks)
        }
        Limit::Bytes(most) => text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= most).map(|(_, c)| c).collect(),
    };
    Bytes::from(cut)
}

/// Cuts what has been written since `start` to what the type holds; labels may be longer than what they stand for.
fn fit(limit: Limit, start: usize, out: &mut BytesMut) {
    let (Limit::Chars(most) | Limit::Padded(most) | Limit::Bytes(most)) = limit else { return };
    let written = out.get(start..).unwrap_or_default();
    if written.len() <= most {
        return;
    }
    let text = String::from_utf8_lossy(written);
    let cut = fixed(text.as_ref(), limit);
    out.truncate(start);
    out.extend_from_slice(&cut);
}

/// Characters of UTF-8; where it is no UTF-8, bytes, of which only ASCII may stay.
fn partial(value: &[u8], keep: usize, last: bool, padded: bool, out: &mut BytesMut) {
    let length = if padded { value.trim_ascii_end().len() } else { value.len() };
    if value.is_ascii() {
        return bytes(value, length, keep, last, out);
    }
    match value.get(..length).map(std::str::from_utf8) {
        Some(Ok(text)) => {
            characters(text, keep, last, out);
            out.extend_from_slice(value.get(length..).unwrap_or_default());
        }
        _ => {
            let start = out.len();
            bytes(value, length, keep, last, out);
            for byte in out.get_mut(start..).into_iter().flatten().filter(|byte| !byte.is_ascii()) {
                *byte = b'*';
            }
        }
    }
}

/// One byte is one character, of the first `length`: all are written at once, then some are hidden in place.
fn bytes(value: &[u8], length: usize, keep: usize, last: bool, out: &mut BytesMut) {
    let start = out.len();
    out.extend_from_slice(value);
    let Some(written) = out.get_mut(start..) else { return };
    for byte in written.get_mut(hidden(length, keep, last)).into_iter().flatten() {
        *byte = hide(*byte);
    }
}

fn characters(text: &str, keep: usize, last: bool, out: &mut BytesMut) {
    let hidden = hidden(text.chars().count(), keep, last);
    for (index, character) in text.chars().enumerate() {
        if hidden.contains(&index) {
            out.put_u8(u8::try_from(character).map_or(b'*', hide));
        } else {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Which of `length` characters are hidden: all, unless there are more than are kept.
fn hidden(length: usize, keep: usize, last: bool) -> std::ops::Range<usize> {
    match (length.saturating_sub(keep), last) {
        (0, _) => 0..length,
        (hidden, true) => 0..hidden,
        (_, false) => keep..length,
    }
}

/// What each byte becomes when it is hidden: ASCII punctuation and blanks stay, all else is starred.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, with an index below the length")]
const HIDDEN: [u8; 256] = {
    let mut table = [b'*'; 256];
    let mut byte = b' ';
    while byte.is_ascii() {
        if byte == b' ' || byte.is_ascii_punctuation() {
            table[byte as usize] = byte;
        }
        byte += 1;
    }
    table
};

fn hide(byte: u8) -> u8 {
    HIDDEN.get(usize::from(byte)).copied().unwrap_or(b'*')
}
