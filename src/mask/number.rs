//! Numbers: reading, rounding, writing.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

use super::kind::Integer;
use crate::wire::Format;

/// Steps up to this are whole numbers that a double holds exactly.
const STEP_EXACT_MAX: f64 = 1e15;

/// Reads an integer.
pub(super) fn integer(value: &[u8], width: Integer, format: Format) -> Option<i64> {
    match (format, width) {
        (Format::Text, _) => std::str::from_utf8(value).ok()?.parse().ok(),
        (Format::Binary, Integer::Two) => value.try_into().ok().map(i16::from_be_bytes).map(i64::from),
        (Format::Binary, Integer::Four) => value.try_into().ok().map(i32::from_be_bytes).map(i64::from),
        (Format::Binary, Integer::Eight) => value.try_into().ok().map(i64::from_be_bytes),
    }
}

/// Writes an integer; false if the type does not hold it.
pub(super) fn write_integer(value: i64, width: Integer, format: Format, out: &mut BytesMut) -> bool {
    let (narrow, middle) = (i16::try_from(value), i32::try_from(value));
    match (width, narrow, middle) {
        (Integer::Two, Err(_), _) | (Integer::Four, _, Err(_)) => return false,
        _ if format == Format::Text => return write!(out, "{value}").is_ok(),
        (Integer::Two, Ok(value), _) => out.put_i16(value),
        (Integer::Four, _, Ok(value)) => out.put_i32(value),
        (Integer::Eight, ..) => out.put_i64(value),
    }
    true
}

/// The nearest multiple of `step`; `None` if there is no such number or `step` is not a positive one.
pub(super) fn nearest(value: f64, step: f64) -> Option<f64> {
    if !(step.is_finite() && step > 0.0 && value.is_finite()) {
        return None;
    }
    let inverse = (1.0 / step).round();
    // Tenths and hundredths are no binary fractions: dividing by 10 is exact where multiplying by 0.1 is not.
    let rounded = if step < 1.0 && (inverse * step - 1.0).abs() < 1e-9 {
        (value * inverse).round() / inverse
    } else {
        (value / step).round() * step
    };
    // No negative zero: its sign would show.
    rounded.is_finite().then_some(rounded + 0.0)
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number that an i64 holds")]
fn whole(value: f64) -> Option<i64> {
    (value.fract() == 0.0 && value.abs() <= STEP_EXACT_MAX).then_some(value as i64)
}

/// Writes an integer rounded; false for NULL.
pub(super) fn round_integer(value: &[u8], width: Integer, format: Format, step: f64, out: &mut BytesMut) -> bool {
    let Some((value, step)) = integer(value, width, format).zip(whole(step).filter(|step| *step > 0)) else { return false };
    let below = value.rem_euclid(step);
    let up = below >= step - below;
    let rounded = if up { value.checked_add(step - below) } else { value.checked_sub(below) };
    rounded.is_some_and(|rounded| write_integer(rounded, width, format, out))
}

/// Writes a `double precision` rounded; false for NULL.
pub(super) fn round_double(value: &[u8], format: Format, step: f64, out: &mut BytesMut) -> bool {
    match format {
        Format::Text => round_text(value, step, out),
        Format::Binary => {
            let Some(rounded) = value.try_into().ok().map(f64::from_be_bytes).and_then(|value| nearest(value, step)) else {
                return false;
            };
            out.put_f64(rounded);
            true
        }
    }
}

/// Writes a `real` rounded; false for NULL.
#[expect(clippy::cast_possible_truncation, reason = "the nearest float is what is wanted")]
pub(super) fn round_real(value: &[u8], format: Format, step: f64, out: &mut BytesMut) -> bool {
    let read = match format {
        Format::Text => std::str::from_utf8(value).ok().and_then(|text| text.parse::<f32>().ok()),
        Format::Binary => value.try_into().ok().map(f32::from_be_bytes),
    };
    let rounded = read.and_then(|value| nearest(value.into(), step)).map(|value| value as f32);
    match (rounded.filter(|value| value.is_finite()), format) {
        (None, _) => false,
        (Some(rounded), Format::Text) => write!(out, "{rounded}").is_ok(),
        (Some(rounded), Format::Binary) => {
            out.put_f32(rounded);
            true
        }
    }
}

/// Writes a number in decimal notation rounded; false for NULL.
pub(super) fn round_text(value: &[u8], step: f64, out: &mut BytesMut) -> bool {
    let read = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok());
    read.and_then(|value| nearest(value, step)).is_some_and(|rounded| write!(out, "{rounded}").is_ok())
}

/// An age in whole years, none over the bound.
pub(super) fn aged(years: f64, over: u16) -> Option<f64> {
    let bound = f64::from(over);
    years.is_finite().then(|| if years.trunc() > bound { bound + 1.0 } else { years.trunc() + 0.0 })
}

/// Writes an age given as an integer; false for NULL.
pub(super) fn age_integer(value: &[u8], width: Integer, format: Format, over: u16, out: &mut BytesMut) -> bool {
    let bounded = integer(value, width, format).map(|age| age.min(i64::from(over) + 1));
    bounded.is_some_and(|age| write_integer(age, width, format, out))
}

/// Writes an age given as a number in decimal notation; false for NULL.
pub(super) fn age_text(value: &[u8], over: u16, out: &mut BytesMut) -> bool {
    let read = std::str::from_utf8(value).ok().and_then(|text| text.trim_ascii_end().parse::<f64>().ok());
    read.and_then(|age| aged(age, over)).is_some_and(|age| write!(out, "{age}").is_ok())
}

/// Writes an age given as a floating point number in binary; false for NULL.
#[expect(clippy::cast_possible_truncation, reason = "the nearest float is what is wanted")]
pub(super) fn age_float(value: &[u8], over: u16, out: &mut BytesMut) -> bool {
    let narrow: Option<f32> = value.try_into().ok().map(f32::from_be_bytes);
    let wide: Option<f64> = value.try_into().ok().map(f64::from_be_bytes);
    match (narrow, wide) {
        (Some(age), _) => aged(age.into(), over).map(|age| out.put_f32(age as f32)).is_some(),
        (_, Some(age)) => aged(age, over).map(|age| out.put_f64(age)).is_some(),
        _ => false,
    }
}
