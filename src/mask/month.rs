//! Dates and timestamps: year and month stay.
//!
//! In text only the styles that put the month in one place whatever the session's settings: `2024-01-31` and `31.01.2024`. What
//! does not surely read as one of them becomes NULL.

use bytes::{BufMut, BytesMut};

use super::date::{DAY_MICROSECONDS, Style, bound, first_day, is_infinity, leading, midnight, number, write_year, year_of};
use crate::wire::Format;

/// Days in front of each month of a common year.
const MONTHS: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
/// Days to the end of February.
const FEBRUARY_END: i64 = 59;

/// Writes a `date` with nothing but its year and month; false for NULL.
pub(super) fn date(value: &[u8], format: Format, year_now: i16, out: &mut BytesMut) -> bool {
    match format {
        Format::Text if is_infinity(value) => {
            out.extend_from_slice(value);
            true
        }
        Format::Text => text(value, year_now, out).is_some_and(<[u8]>::is_empty),
        Format::Binary => match value.try_into().ok().map(i32::from_be_bytes) {
            Some(days @ (i32::MIN | i32::MAX)) => {
                out.put_i32(days);
                true
            }
            Some(days) => i32::try_from(first(days.into(), year_now)).map(|first| out.put_i32(first)).is_ok(),
            None => false,
        },
    }
}

/// Writes a `timestamp` or `timestamptz` (`zone`) as the first moment of its month; false for NULL.
pub(super) fn timestamp(value: &[u8], zone: bool, format: Format, year_now: i16, out: &mut BytesMut) -> bool {
    match format {
        Format::Text if is_infinity(value) => {
            out.extend_from_slice(value);
            true
        }
        Format::Text => {
            let german = value.get(2) == Some(&b'.');
            let Some(rest) = text(value, year_now, out) else { return false };
            if !rest.starts_with(b" ") || rest.ends_with(b" BC") {
                return false;
            }
            out.extend_from_slice(b" 00:00:00");
            out.extend_from_slice(if !zone {
                b""
            } else if german {
                b" UTC"
            } else {
                b"+00"
            });
            true
        }
        Format::Binary => match value.try_into().ok().map(i64::from_be_bytes) {
            Some(moment @ (i64::MIN | i64::MAX)) => {
                out.put_i64(moment);
                true
            }
            Some(moment) => {
                let first = first(moment.div_euclid(DAY_MICROSECONDS), year_now).checked_mul(DAY_MICROSECONDS);
                first.map(|first| out.put_i64(first)).is_some()
            }
            None => false,
        },
    }
}

/// Writes a text that is an ISO date, or a date with a time, with nothing but its year and month; false if it is neither.
pub(super) fn of_text(value: &[u8], year_now: i16, out: &mut BytesMut) -> bool {
    matches!(leading(value), Some((Style::Iso, ..))) && text(value, year_now, out).is_some_and(|rest| midnight(rest, out))
}

/// Writes the date that a value begins with; what is behind it.
fn text<'a>(value: &'a [u8], year_now: i16, out: &mut BytesMut) -> Option<&'a [u8]> {
    let (style, year, rest) = leading(value)?;
    let (_, behind) = number(value)?;
    let (month, _) = number(behind.get(1..)?)?;
    let kept = bound(year, year_now);
    let month = if kept == year { month } else { b"01" };
    match style {
        Style::Iso => {
            write_year(kept, out);
            out.put_u8(b'-');
            out.extend_from_slice(month);
            out.extend_from_slice(b"-01");
        }
        Style::German => {
            out.extend_from_slice(b"01.");
            out.extend_from_slice(month);
            out.put_u8(b'.');
            write_year(kept, out);
        }
        Style::Sql | Style::Postgres => return None,
    }
    Some(rest)
}

/// The first day of a day's month, counted from January 1, 2000.
fn first(days: i64, year_now: i16) -> i64 {
    let year = year_of(days);
    let kept = bound(year, year_now);
    if kept != year {
        return first_day(kept);
    }
    let start = first_day(year);
    let leap = first_day(year + 1) - start - 365;
    let begins = MONTHS.map(|begin| begin + if begin >= FEBRUARY_END { leap } else { 0 });
    start + begins.into_iter().rev().find(|begin| *begin <= days - start).unwrap_or(0)
}
