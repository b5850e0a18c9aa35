//! Values as text: what the client saw in binary is written as PostgreSQL writes it.

use std::fmt::Write as _;

use jiff::civil::date;
use jiff::{SignedDuration, Span};

/// A value as text. What cannot be read as its type is shown as `\x` and hexadecimal digits.
pub(super) fn text(type_oid: u32, binary: bool, value: &[u8]) -> String {
    if !binary {
        return std::str::from_utf8(value).map_or_else(|_| hex(value), str::to_owned);
    }
    decoded(type_oid, value).unwrap_or_else(|| hex(value))
}

fn hex(value: &[u8]) -> String {
    let mut out = String::with_capacity(2 + 2 * value.len());
    out.push_str("\\x");
    for byte in value {
        // Writing into memory cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The binary formats of the common types (PostgreSQL's `send` functions; the numbers are `pg_type.oid`).
fn decoded(type_oid: u32, value: &[u8]) -> Option<String> {
    match type_oid {
        16 => match value {
            [0] => Some("f".into()),
            [1] => Some("t".into()),
            _ => None,
        },
        20 => value.try_into().ok().map(|bytes| i64::from_be_bytes(bytes).to_string()),
        21 => value.try_into().ok().map(|bytes| i16::from_be_bytes(bytes).to_string()),
        23 => value.try_into().ok().map(|bytes| i32::from_be_bytes(bytes).to_string()),
        26 => value.try_into().ok().map(|bytes| u32::from_be_bytes(bytes).to_string()),
        18 | 19 | 25 | 114 | 142 | 705 | 1042 | 1043 => std::str::from_utf8(value).ok().map(str::to_owned),
        700 => value.try_into().ok().map(|bytes| f32::from_be_bytes(bytes).to_string()),
        701 => value.try_into().ok().map(|bytes| f64::from_be_bytes(bytes).to_string()),
        1082 => value.try_into().ok().and_then(|bytes| day(i32::from_be_bytes(bytes))),
        1083 => value.try_into().ok().and_then(|bytes| time(i64::from_be_bytes(bytes))),
        1114 => value.try_into().ok().and_then(|bytes| timestamp(i64::from_be_bytes(bytes), "")),
        1184 => value.try_into().ok().and_then(|bytes| timestamp(i64::from_be_bytes(bytes), "+00")),
        1700 => numeric(value),
        2950 => uuid(value),
        3802 => match value.split_first() {
            Some((1, text)) => std::str::from_utf8(text).ok().map(str::to_owned),
            _ => None,
        },
        _ => None,
    }
}

fn day(days: i32) -> Option<String> {
    match days {
        i32::MAX => Some("infinity".into()),
        i32::MIN => Some("-infinity".into()),
        days => date(2000, 1, 1).checked_add(Span::new().try_days(days).ok()?).ok().map(|day| day.to_string()),
    }
}

fn time(us: i64) -> Option<String> {
    let midnight = date(2000, 1, 1).at(0, 0, 0, 0);
    let time = midnight.checked_add(SignedDuration::from_micros(us)).ok()?;
    Some(time.time().to_string())
}

fn timestamp(us: i64, zone: &str) -> Option<String> {
    match us {
        i64::MAX => Some("infinity".into()),
        i64::MIN => Some("-infinity".into()),
        us => {
            let time = date(2000, 1, 1).at(0, 0, 0, 0).checked_add(SignedDuration::from_micros(us)).ok()?;
            Some(format!("{} {}{zone}", time.date(), time.time()))
        }
    }
}

fn uuid(value: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = value.try_into().ok()?;
    let mut out = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{byte:02x}");
    }
    Some(out)
}

/// `numeric`: digits of base 10,000 with the weight of the first, sign, and how many decimals to show.
fn numeric(value: &[u8]) -> Option<String> {
    let mut words = value.chunks_exact(2).map(|pair| pair.try_into().map_or(0, u16::from_be_bytes));
    let count = usize::from(words.next()?);
    let weight = i32::from(words.next()?.cast_signed());
    let (sign, scale) = (words.next()?, usize::from(words.next()?));
    let digits: Vec<u16> = words.collect();
    if digits.len() != count || value.len() != 8 + 2 * count || digits.iter().any(|digit| *digit > 9999) {
        return None;
    }
    let digit = |place: i32| usize::try_from(place).ok().and_then(|place| digits.get(place)).copied().unwrap_or(0);
    let mut out = match sign {
        0 => String::new(),
        0x4000 => "-".to_owned(),
        0xc000 => return Some("NaN".into()),
        0xd000 => return Some("Infinity".into()),
        0xf000 => return Some("-Infinity".into()),
        _ => return None,
    };
    if weight < 0 {
        out.push('0');
    }
    for place in 0..=weight {
        let _ = if place == 0 { write!(out, "{}", digit(place)) } else { write!(out, "{:04}", digit(place)) };
    }
    if scale > 0 {
        let mut decimals = String::with_capacity(scale + 4);
        let mut place = weight + 1;
        while decimals.len() < scale {
            let _ = write!(decimals, "{:04}", digit(place));
            place += 1;
        }
        out.push('.');
        out.push_str(decimals.get(..scale).unwrap_or_default());
    }
    Some(out)
}

/// A recorded text made fit for a terminal: control characters are written out, so that nothing recorded can steer it.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' => out.push(character),
            // Marks that turn the direction of writing can hide what a line says.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.extend(character.escape_unicode()),
            character if character.is_control() => out.extend(character.escape_unicode()),
            character => out.push(character),
        }
    }
    out
}
