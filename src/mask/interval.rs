//! Ages given as intervals: whole years, none over a bound (45 CFR 164.514(b)(2)(i)(C)).

use std::fmt::Write;

use bytes::{BufMut, BytesMut};

use super::number::aged;
use crate::wire::{Body, Format, server_tag};

const DAY_MICROSECONDS: f64 = 86_400_000_000.0;
/// Days that make a year where an interval counts days only. The shorter year: nobody over the bound is
/// taken for younger.
const YEAR_DAYS: f64 = 365.0;
const YEAR_MONTHS: i32 = 12;

/// Writes an interval as whole years; false for NULL, as for every `IntervalStyle` but the `postgres` ones.
pub(super) fn age(value: &[u8], format: Format, over: u16, out: &mut BytesMut) -> bool {
    match format {
        Format::Text => text(value, over, out).is_some(),
        Format::Binary => binary(value, over, out).is_some(),
    }
}

fn binary(value: &[u8], over: u16, out: &mut BytesMut) -> Option<()> {
    let mut body = Body::new(server_tag::DATA_ROW, value);
    let micros: i64 = body.bytes(size_of::<i64>()).ok()?.try_into().ok().map(i64::from_be_bytes)?;
    let (days, months) = (body.i32().ok()?, body.i32().ok()?);
    body.end().ok()?;
    // `infinity` is the greatest of all three.
    let infinite = matches!((micros, days, months), (i64::MAX, i32::MAX, i32::MAX) | (i64::MIN, i32::MIN, i32::MIN));
    let months = whole_years(f64::from(months), f64::from(days) + float(micros) / DAY_MICROSECONDS, over)
        .filter(|_| !infinite)?
        .checked_mul(YEAR_MONTHS)?;
    out.put_i64(0);
    out.put_i32(0);
    out.put_i32(months);
    Some(())
}

#[expect(clippy::cast_precision_loss, reason = "days and more are asked of it, not microseconds")]
fn float(number: i64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, reason = "bounded by the years of an interval")]
fn whole_years(months: f64, days: f64, over: u16) -> Option<i32> {
    let years = aged(months / f64::from(YEAR_MONTHS) + days / YEAR_DAYS, over).filter(|years| years.abs() < 1e6)?;
    Some(years as i32)
}

/// `91 years 3 mons 4 days 05:06:07`, `@ 91 years 3 mons`.
fn text(value: &[u8], over: u16, out: &mut BytesMut) -> Option<()> {
    let text = std::str::from_utf8(value).ok()?;
    let (at, spelled) = text.strip_prefix("@ ").map_or(("", text), |spelled| ("@ ", spelled));
    let (mut months, mut days) = (0_i32, 0_i32);
    let mut words = spelled.split(' ');
    while let Some(word) = words.next() {
        if word == "0" || word == "ago" || (word.contains(':') && words.clone().next().is_none()) {
            continue;
        }
        let unit = words.next()?;
        let number = word.parse::<i32>().ok();
        match unit {
            "year" | "years" => months = months.checked_add(number?.checked_mul(YEAR_MONTHS)?)?,
            "mon" | "mons" => months = months.checked_add(number?)?,
            "day" | "days" => days = days.checked_add(number?)?,
            "hour" | "hours" | "min" | "mins" | "sec" | "secs" => {}
            _ => return None,
        }
    }
    let years = whole_years(f64::from(months), f64::from(days), over)?;
    let sign = if at.is_empty() || !spelled.ends_with(" ago") { "" } else { " ago" };
    write!(out, "{at}{years} {}{sign}", if years == 1 { "year" } else { "years" }).ok()
}
