//! Dates and timestamps: the year stays (45 CFR 164.514(b)(2)(i)(C)).
//!
//! Text comes in the four styles of `DateStyle`, each with the month or the day first; January 1 looks the same in both. What
//! does not surely read as one of them becomes NULL. The proleptic Gregorian calendar, as PostgreSQL has it.

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

use crate::wire::Format;

/// Greatest age, in years, that may be told.
const AGE_YEARS_MAX: i64 = 89;
/// Days in 400 years, after which the calendar repeats.
const CYCLE_DAYS: i64 = 146_097;
const CYCLE_YEARS: i64 = 400;
/// The year that binary dates count from; its January 1 was a Saturday.
const EPOCH_YEAR: i64 = 2000;
pub(super) const DAY_MICROSECONDS: i64 = 86_400_000_000;
/// Greatest year of a `date`.
const YEAR_MAX: i64 = 5_874_897;
const WEEKDAYS: [&str; 7] = ["Sat", "Sun", "Mon", "Tue", "Wed", "Thu", "Fri"];

/// How a date is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `2024-01-31`
    Iso,
    /// `01/31/2024`
    Sql,
    /// `01-31-2024`
    Postgres,
    /// `31.01.2024`
    German,
}

/// Writes a `date` with nothing but its year; false for NULL.
pub(super) fn date(value: &[u8], format: Format, year_now: i16, out: &mut BytesMut) -> bool {
    match format {
        Format::Binary => date_binary(value, year_now, out),
        Format::Text if is_infinity(value) => {
            out.extend_from_slice(value);
            true
        }
        Format::Text => {
            let Some((style, year, rest)) = leading(value) else { return false };
            let Some(before_christ) = era(rest) else { return false };
            write_day(style, bounded(year, before_christ, year_now), out)
        }
    }
}

fn date_binary(value: &[u8], year_now: i16, out: &mut BytesMut) -> bool {
    let Some(days) = value.try_into().ok().map(i32::from_be_bytes) else { return false };
    if matches!(days, i32::MIN | i32::MAX) {
        out.put_i32(days);
        return true;
    }
    let first = i32::try_from(first_day(bound(year_of(days.into()), year_now)));
    first.map(|first| out.put_i32(first)).is_ok()
}

/// Writes a `timestamp` or `timestamptz` (`zone`) as the first moment of its year; false for NULL. In text the zone becomes
/// UTC, since the difference to it would tell summer from winter.
pub(super) fn timestamp(value: &[u8], zone: bool, format: Format, year_now: i16, out: &mut BytesMut) -> bool {
    match format {
        Format::Binary => timestamp_binary(value, year_now, out),
        Format::Text if is_infinity(value) => {
            out.extend_from_slice(value);
            true
        }
        Format::Text if value.first().is_some_and(u8::is_ascii_alphabetic) => spelled(value, zone, year_now, out),
        Format::Text => {
            let Some((style, year, rest)) = leading(value) else { return false };
            if !rest.starts_with(b" ") {
                return false;
            }
            let written = write_day(style, bounded(year, rest.ends_with(b" BC"), year_now), out);
            out.extend_from_slice(b" 00:00:00");
            out.extend_from_slice(match (zone, style) {
                (false, _) => b"",
                (true, Style::Iso) => b"+00",
                (true, _) => b" UTC",
            });
            written
        }
    }
}

fn timestamp_binary(value: &[u8], year_now: i16, out: &mut BytesMut) -> bool {
    let Some(moment) = value.try_into().ok().map(i64::from_be_bytes) else { return false };
    if matches!(moment, i64::MIN | i64::MAX) {
        out.put_i64(moment);
        return true;
    }
    let first = first_day(bound(year_of(moment.div_euclid(DAY_MICROSECONDS)), year_now)).checked_mul(DAY_MICROSECONDS);
    first.map(|first| out.put_i64(first)).is_some()
}

/// `Wed Jan 31 10:11:12 2024 PST` or `Wed 31 Jan 10:11:12 2024 PST`.
fn spelled(value: &[u8], zone: bool, year_now: i16, out: &mut BytesMut) -> bool {
    let mut words = value.split(|byte| *byte == b' ');
    let (Some(_), Some(second), Some(_), Some(_), Some(year)) =
        (words.next(), words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    let Some(year) = digits(year) else { return false };
    let year = bounded(year, words.next_back() == Some(b"BC"), year_now);
    let weekday = first_day(year).rem_euclid(7);
    let Some(weekday) = usize::try_from(weekday).ok().and_then(|weekday| WEEKDAYS.get(weekday)) else { return false };
    let day = if second.first().is_some_and(u8::is_ascii_digit) { "01 Jan" } else { "Jan 01" };
    write!(out, "{weekday} {day} 00:00:00 {year:04}{}", if zone { " UTC" } else { "" }).is_ok()
}

/// Writes a text that is an ISO date, or a date with a time, with nothing but its year; false if it is neither.
pub(super) fn year_of_text(value: &[u8], year_now: i16, out: &mut BytesMut) -> bool {
    let Some((Style::Iso, year, rest)) = leading(value) else { return false };
    write_day(Style::Iso, bounded(year, false, year_now), out) && midnight(rest, out)
}

/// Writes the first moment of a day in the notation of the time in `time`; false if that is none.
pub(super) fn midnight(time: &[u8], out: &mut BytesMut) -> bool {
    let Some((separator, clock)) = time.split_first() else { return true };
    let plausible = clock.len() >= 5
        && clock.get(2) == Some(&b':')
        && clock.iter().all(|byte| byte.is_ascii_digit() || b":.+-Z".contains(byte));
    if !plausible || !matches!(separator, b'T' | b' ') {
        return false;
    }
    out.put_u8(*separator);
    out.extend_from_slice(b"00:00:00");
    if clock.iter().any(|byte| b"+-Z".contains(byte)) {
        out.extend_from_slice(if *separator == b'T' { b"Z" } else { b"+00" });
    }
    true
}

pub(super) fn is_infinity(value: &[u8]) -> bool {
    matches!(value, b"infinity" | b"-infinity")
}

/// Reads the date that a value begins with: its style, its year, and what follows.
pub(super) fn leading(value: &[u8]) -> Option<(Style, i64, &[u8])> {
    let (first, rest) = number(value)?;
    let (separator, rest) = rest.split_first()?;
    let (second, rest) = number(rest)?;
    let rest = rest.strip_prefix(std::slice::from_ref(separator))?;
    let (third, rest) = number(rest)?;
    let style = match (separator, first.len(), third.len()) {
        (b'-', 4.., 2) => Style::Iso,
        (b'/', 2, 4..) => Style::Sql,
        (b'-', 2, 4..) => Style::Postgres,
        (b'.', 2, 4..) => Style::German,
        _ => return None,
    };
    let (year, other) = if style == Style::Iso { (first, third) } else { (third, first) };
    let plausible =
        second.len() == 2 && [second, other].into_iter().all(|part| digits(part).is_some_and(|n| (1..=31).contains(&n)));
    plausible.then_some(())?;
    Some((style, digits(year)?, rest))
}

/// The digits that a value begins with, and the rest.
pub(super) fn number(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = value.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(value.len());
    value.split_at_checked(end).filter(|(number, _)| !number.is_empty())
}

fn digits(text: &[u8]) -> Option<i64> {
    let number = text.iter().try_fold(0_i64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    });
    number.filter(|number| (0..=YEAR_MAX).contains(number))
}

/// What stands behind a date: nothing, or the mark of years before Christ.
fn era(rest: &[u8]) -> Option<bool> {
    match rest {
        b"" => Some(false),
        b" BC" => Some(true),
        _ => None,
    }
}

fn bounded(year: i64, before_christ: bool, year_now: i16) -> i64 {
    bound(if before_christ { 1 - year } else { year }, year_now)
}

/// Years in which somebody was born who is over 89 this year become one.
pub(super) fn bound(year: i64, year_now: i16) -> i64 {
    year.max(i64::from(year_now) - AGE_YEARS_MAX - 1).max(1)
}

fn write_day(style: Style, year: i64, out: &mut BytesMut) -> bool {
    let (before, behind): (&[u8], &[u8]) = match style {
        Style::Iso => (b"", b"-01-01"),
        Style::Sql => (b"01/01/", b""),
        Style::Postgres => (b"01-01-", b""),
        Style::German => (b"01.01.", b""),
    };
    out.extend_from_slice(before);
    let written = write_year(year, out);
    out.extend_from_slice(behind);
    written
}

/// Four digits, or more where it takes more.
pub(super) fn write_year(year: i64, out: &mut BytesMut) -> bool {
    let Some(short) = u16::try_from(year).ok().filter(|year| *year <= 9999) else { return write!(out, "{year}").is_ok() };
    let [high, low] = [short / 100, short % 100].map(|pair| [b'0' + low_byte(pair / 10), b'0' + low_byte(pair % 10)]);
    out.extend_from_slice(high.as_slice());
    out.extend_from_slice(low.as_slice());
    true
}

fn low_byte(number: u16) -> u8 {
    let [_, low] = number.to_be_bytes();
    low
}

/// Days from the first of a cycle to the first day of its year `year`.
fn cycle_day(year: i64) -> i64 {
    365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400
}

/// The year of a day counted from January 1, 2000.
pub(super) fn year_of(days: i64) -> i64 {
    let day = days.rem_euclid(CYCLE_DAYS);
    let mut year = day / 366;
    while cycle_day(year + 1) <= day {
        year += 1;
    }
    EPOCH_YEAR + CYCLE_YEARS * days.div_euclid(CYCLE_DAYS) + year
}

/// The first day of a year, counted from January 1, 2000.
pub(super) fn first_day(year: i64) -> i64 {
    let years = year - EPOCH_YEAR;
    CYCLE_DAYS * years.div_euclid(CYCLE_YEARS) + cycle_day(years.rem_euclid(CYCLE_YEARS))
}
