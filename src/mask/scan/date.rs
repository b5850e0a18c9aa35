//! Dates as people write them, and ages over 89.

use super::Class;
use super::find::{Found, announced};
use super::lexicon::Sense;
use super::page::Page;

/// Years that a date of four digits may have.
const YEARS: std::ops::RangeInclusive<u32> = 1850..=2150;
/// Longest time glued to a date, in bytes.
const CLOCK_BYTES_MAX: usize = 24;
/// Ages that make a person identifiable (45 CFR 164.514(b)(2)(i)(C)).
const AGES: std::ops::RangeInclusive<u32> = 90..=125;

fn value(page: &Page<'_>, index: usize) -> u32 {
    page.word(index)
        .iter()
        .take(9)
        .filter(|byte| byte.is_ascii_digit())
        .fold(0, |value, byte| value * 10 + u32::from(byte - b'0'))
}

fn is_day(value: u32) -> bool {
    (1..=31).contains(&value)
}

fn is_month(value: u32) -> bool {
    (1..=12).contains(&value)
}

/// Two numbers that are a day and a month, in either order.
fn is_day_month(one: u32, other: u32) -> bool {
    is_day(one) && is_month(other) || is_month(one) && is_day(other)
}

/// A date of numbers that begins here.
pub(super) fn numeric(page: &Page<'_>, index: usize) -> Option<Found> {
    let part = |offset: usize| {
        let token = page.token(index + offset);
        if token.is_number() { (token.len(), value(page, index + offset)) } else { (0, 0) }
    };
    let (one, two, three) = (part(0), part(1), part(2));
    let start = page.token(index).start;
    let sign = |offset: usize| page.gap(index + offset).and_then(sign);
    let joint = sign(0).filter(|_| two.0 > 0);
    let whole = joint.is_some() && joint == sign(1) && three.0 > 0;
    if page.byte_before(start) == b'.' && page.before(index).is_number() {
        return None;
    }
    if whole && let Some(year) = three_parts(one, two, three, joint) {
        return Some(Found { year, ..Found::new(Class::Date, start, clock(page, index + 2)) });
    }
    let end = page.token(index + 1).end;
    match (joint, one, two) {
        (Some(b'/' | b'-'), (1..=2, month), (4, year)) if is_month(month) && YEARS.contains(&year) && sign(1) != joint => {
            Some(Found { year: Some(year), ..Found::new(Class::Date, start, end) })
        }
        (Some(b'-' | b'/'), (4, year), (2, month)) if is_month(month) && YEARS.contains(&year) && sign(1) != joint => {
            Some(Found { year: Some(year), ..Found::new(Class::Date, start, end) })
        }
        (Some(b'/'), (1..=2, a), (1..=2, b)) if is_day_month(a, b) && is_said(page, index) => {
            Some(Found::new(Class::Date, start, end))
        }
        _ => bare(page, index),
    }
}

/// Where a date ends that has a time glued to it: `2024-05-17T08:30:00Z`.
fn clock(page: &Page<'_>, last: usize) -> usize {
    let end = page.token(last).end;
    if !page.is(last + 1, b"t") || page.gap(last) != Some(b"") {
        return end;
    }
    let part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.' | b'+' | b'-');
    let long = (end..end + CLOCK_BYTES_MAX).take_while(|at| part(page.byte(*at))).count();
    let trailing = (0..long).take_while(|back| !page.byte(end + long - 1 - back).is_ascii_alphanumeric()).count();
    end + long - trailing
}

/// The year of three numbers that are a date; `None` if they are none.
fn three_parts(one: (usize, u32), two: (usize, u32), three: (usize, u32), joint: Option<u8>) -> Option<Option<u32>> {
    match (one, two, three) {
        ((4, year), (1..=2, a), (1..=2, b)) if YEARS.contains(&year) && is_day_month(a, b) => Some(Some(year)),
        ((1..=2, a), (1..=2, b), (4, year)) if YEARS.contains(&year) && is_day_month(a, b) => Some(Some(year)),
        ((first, a), (second, b), (2, _)) if (1..=2).contains(&first) && (1..=2).contains(&second) && is_day_month(a, b) => {
            let certain = joint != Some(b'.') || first == 2 && second == 2;
            (certain && joint != Some(b' ')).then_some(None)
        }
        // What was written backwards or mistyped is a date all the same.
        ((2, a), (1..=2, b), (1..=2, c)) if is_day_month(b, c) && a > 31 && joint != Some(b' ') && joint != Some(b'.') => {
            Some(None)
        }
        _ => None,
    }
}

/// What stands between the parts of a date.
fn sign(gap: &[u8]) -> Option<u8> {
    match gap {
        [sign @ (b'/' | b'-' | b'.' | b' ')] => Some(*sign),
        b" / " | b"/ " | b" /" => Some(b'/'),
        b" - " | b"- " | b" -" => Some(b'-'),
        b". " => Some(b'.'),
        _ => None,
    }
}

/// `on 3/14`, and nothing that is measured.
fn is_said(page: &Page<'_>, index: usize) -> bool {
    let before = page.before(index);
    let said =
        before.sense.is(Sense::WHEN) && !page.is(index.wrapping_sub(1), b"of") && !page.is(index.wrapping_sub(1), b"every");
    let said = said || announced(page, index) == Some(Class::Date);
    let next = page.token(index + 2);
    said && page.gap_before(index).is_some_and(|gap| gap.len() < 3) && !next.sense.is(Sense::UNIT)
}

/// Eight digits: `19840517`, and others where a birth date is announced.
fn bare(page: &Page<'_>, index: usize) -> Option<Found> {
    let token = page.token(index);
    let number = value(page, index);
    let told = announced(page, index) == Some(Class::Date);
    let alone = !page.gap_before(index).is_some_and(<[u8]>::is_empty) || told;
    let found = |year| Some(Found { year, ..Found::new(Class::Date, token.start, token.end) });
    match token.len() {
        8 if alone && (1900..=2100).contains(&(number / 10_000)) && is_month(number / 100 % 100) && is_day(number % 100) => {
            found(Some(number / 10_000))
        }
        8 if told => found(None),
        6 if told => found(None),
        _ => None,
    }
}

/// A date around the name of a month: `May 17, 1984`, `17th of May`, `17-MAY-84`, `May 1984`.
pub(super) fn written(page: &Page<'_>, index: usize) -> Option<Found> {
    let before = day_before(page, index);
    let (after, last) = day_after(page, index, before.is_some());
    let (year, end) = year_after(page, last, after || before.is_some());
    let end = end.map_or(page.token(last).end, |index| page.token(index).end);
    if before.is_none() && !after && year.is_none() {
        return None;
    }
    let start = page.token(opening(page, before.unwrap_or(index))).start;
    Some(Found { year: year.filter(|year| *year > 99), ..Found::new(Class::Date, start, end) })
}

/// Where a written date begins: with the day of the week.
fn opening(page: &Page<'_>, first: usize) -> usize {
    let Some(before) = first.checked_sub(1) else { return first };
    let week = page.token(before).sense.is(Sense::WEEKDAY) && matches!(page.gap(before), Some(b", " | b" " | b". "));
    if week { before } else { first }
}

/// `of`, as in `17th of May`, in other languages too.
fn is_of(page: &Page<'_>, index: usize) -> bool {
    page.is(index, b"of") || page.is(index, b"de") || page.is(index, b"del")
}

fn close(gap: Option<&[u8]>) -> bool {
    gap.is_some_and(|gap| gap.len() <= 3 && gap.iter().all(|byte| matches!(byte, b' ' | b'-' | b'.' | b',' | b'/' | b'\'')))
}

/// The number of the day in front of a month.
fn day_before(page: &Page<'_>, month: usize) -> Option<usize> {
    let mut index = month.checked_sub(1)?;
    if !close(page.gap(index)) && page.gap(index)? != b"" {
        return None;
    }
    if is_of(page, index) {
        index = index.checked_sub(1)?;
    }
    if page.is_ordinal(index) {
        index = index.checked_sub(1)?;
    }
    let day = page.token(index);
    let joined = page.gap(index).is_some_and(|gap| gap.is_empty()) || close(page.gap(index));
    let german = !page.token(month).sense.is(Sense::COMMON) && page.gap(index) == Some(b". ");
    let stop = !german && page.gap(index).is_some_and(|gap| gap.starts_with(b". ") || gap.starts_with(b", "));
    let decimal = page.byte_before(day.start) == b'.' || page.byte_before(day.start) == b'/';
    (day.is_number() && day.len() <= 2 && is_day(value(page, index)) && joined && !stop && !decimal).then_some(index)
}

/// Whether a day follows the month, and the last token of what has been read.
fn day_after(page: &Page<'_>, month: usize, has_day: bool) -> (bool, usize) {
    let next = page.token(month + 1);
    let near = close(page.gap(month)) || page.gap(month).is_some_and(<[u8]>::is_empty);
    let decimal = page.byte(next.end) == b'.' && page.byte(next.end + 1).is_ascii_digit();
    let measured = page.byte(next.end) == b'%' || page.token(month + 2).sense.is(Sense::UNIT) && page.is(month, b"may");
    let is_day = next.is_number() && next.len() <= 2 && is_day(value(page, month + 1));
    if has_day || !near || !is_day || decimal || measured {
        return (false, month);
    }
    if page.is_ordinal(month + 2) && page.gap(month + 1).is_some_and(<[u8]>::is_empty) {
        (true, month + 2)
    } else {
        (true, month + 1)
    }
}

/// The year behind, and its token; of two digits only where there is a day.
fn year_after(page: &Page<'_>, last: usize, has_day: bool) -> (Option<u32>, Option<usize>) {
    let mut index = last + 1;
    if is_of(page, index) {
        index += 1;
    }
    let (token, year) = (page.token(index), value(page, index));
    let gap = page.gap(index.wrapping_sub(1));
    let near = close(gap) || gap.is_some_and(<[u8]>::is_empty);
    let short = token.len() == 2 && has_day && gap.is_some_and(|gap| !gap.starts_with(b" ") || gap.contains(&b'\''));
    let full = token.len() == 4 && YEARS.contains(&year);
    if token.is_number() && near && (full || short) { (Some(year), Some(index)) } else { (None, None) }
}

/// An age over 89: only the number.
pub(super) fn age(page: &Page<'_>, index: usize) -> Option<Found> {
    let token = page.token(index);
    let over = token.len() <= 3 && AGES.contains(&value(page, index));
    if !over || page.byte_before(token.start) == b'.' || page.byte_before(token.start) == b'/' {
        return None;
    }
    let near = page.gap(index).is_some_and(|gap| matches!(gap, b"" | b" " | b"-"));
    let years = page.token(index + 1).sense.is(Sense::YEARS);
    let of_age = page.is(index + 2, b"of") && page.is(index + 3, b"age");
    let old = of_age || page.is(index + 2, b"old") || page.is(index + 2, b"o") || page.is(index + 1, b"yo");
    let told = announced(page, index) == Some(Class::Age) && page.gap(index).is_none_or(|gap| !gap.starts_with(b"/"));
    let sex = page.is(index + 1, b"f") || page.is(index + 1, b"m");
    let sex = sex && page.gap(index).is_some_and(<[u8]>::is_empty);
    (near && years && old || near && sex || told).then(|| Found::new(Class::Age, token.start, token.end))
}
