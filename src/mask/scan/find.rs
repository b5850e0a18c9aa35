//! The walk over a text: every token is offered to the detectors that can begin with it.

use super::lexicon::Sense;
use super::page::Page;
use super::{Class, Dictionary, Scan, code, date, name, net, number, place, segment};

/// Words looked back over from a number for what announces it.
const ANNOUNCED_TOKENS: usize = 6;
/// Bytes between a number and what announces it.
const ANNOUNCED_BYTES: usize = 48;

/// Something found: where, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) class: Class,
    /// The year of a date that is written with four digits.
    pub(super) year: Option<u32>,
}

impl Found {
    pub(super) fn new(class: Class, start: usize, end: usize) -> Self {
        Self { start, end, class, year: None }
    }
}

/// What the words in front of a number say it is: the nearest that announces something, not beyond another number of the same
/// kind or the end of a paragraph.
pub(super) fn announced(page: &Page<'_>, index: usize) -> Option<Class> {
    page.told(index, || announcing(page, index))
}

fn announcing(page: &Page<'_>, index: usize) -> Option<Class> {
    let start = page.token(index).start;
    let mut qualified = false;
    for back in (index.saturating_sub(ANNOUNCED_TOKENS)..index).rev() {
        let token = page.token(back);
        let gap = page.gap(back).unwrap_or_default();
        if start - token.end > ANNOUNCED_BYTES
            || gap
                .windows(2)
                .any(|pair| pair == b"\n\n" || pair == b". " && back + 1 < index && !token.sense.is(Sense::QUALIFIER))
        {
            return None;
        }
        if token.is_number() && token.len() > 2 {
            return None;
        }
        qualified |= gap.iter().any(|byte| matches!(byte, b'#' | b':' | b'='));
        if let Some(class) = serial(page, back).or(token.sense.announces) {
            // `Chart 1234567`: right behind, and long.
            let right = back + 1 == index && gap == b" " && (6..=8).contains(&page.token(index).len());
            let strong = !token.sense.is(Sense::WEAK) || qualified || right;
            if strong && is_meant(page, back) || serial(page, back).is_some() {
                return Some(class);
            }
        }
        qualified |= token.sense.is(Sense::QUALIFIER);
        if token.sense.is(Sense::HARMLESS) && back + 2 >= index || token.sense.is(Sense::UNIT) && token.len() > 1 {
            return None;
        }
    }
    None
}

/// `S/N`.
fn serial(page: &Page<'_>, index: usize) -> Option<Class> {
    let is = page.is(index, b"n") && page.gap_before(index) == Some(b"/") && page.is(index.wrapping_sub(1), b"s");
    is.then_some(Class::Device)
}

/// False for words that announce something only beside certain others: `social worker`.
fn is_meant(page: &Page<'_>, index: usize) -> bool {
    match page.token(index).sense.announces {
        Some(Class::Ssn) if page.is(index, b"social") => page.is(index + 1, b"security"),
        Some(Class::Ssn) if page.is(index, b"ss") => page.byte(page.token(index).end) == b'#',
        Some(Class::Phone) if page.is(index, b"cell") => {
            !page.is(index.wrapping_sub(1), b"white") && !page.is(index.wrapping_sub(1), b"red")
        }
        _ => true,
    }
}

/// Everything that identifies in a text, in order, without overlaps.
pub(super) fn find(page: &Page<'_>, scan: &Scan, drawn: Option<&Dictionary>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut free = 0;
    for mark in &page.marks {
        // A sign within an address begins no other.
        if *mark >= free
            && let Some(hit) = net::around(page, *mark)
        {
            free = hit.end;
            found.push(hit);
        }
    }
    segment::find(page, &mut found);
    // A number that belongs to one identifier begins no other.
    let mut free = 0;
    for (index, token) in page.tokens.iter().enumerate() {
        if token.is_number() {
            if token.start >= free
                && let Some(hit) = numeric(page, index)
            {
                free = hit.end;
                found.push(hit);
            }
        } else if token.sense == Sense::default() {
            if token.len() > 5
                && token.end + 1 < page.text.len()
                && let Some(hit) = place::strasse(page, index)
            {
                free = hit.end;
                found.push(hit);
            }
        } else {
            let inside = token.start < free && token.sense.is(Sense::DOMAIN);
            let hit = (!inside).then(|| worded(page, index)).flatten().filter(|hit| hit.end > free);
            if let Some(hit) = hit {
                free = hit.end;
                found.push(hit);
            }
        }
    }
    if let Some(pattern) = &scan.mrn {
        found.extend(pattern.spans(page.text).map(|span| Found::new(Class::Mrn, span.start, span.end)));
    }
    if scan.detect.contains(&Class::Name) {
        name::find(page, [Some(&scan.names), drawn], &mut found);
    }
    found.retain(|hit| scan.detect.contains(&hit.class));
    merge(found)
}

fn numeric(page: &Page<'_>, index: usize) -> Option<Found> {
    date::numeric(page, index)
        .or_else(|| date::age(page, index))
        .or_else(|| place::globe(page, index))
        .or_else(|| code::find(page, index))
        .or_else(|| number::find(page, index))
        .or_else(|| code::announced_code(page, index))
        .or_else(|| place::street(page, index))
        .or_else(|| code::identity(page, index))
}

fn worded(page: &Page<'_>, index: usize) -> Option<Found> {
    let sense = page.token(index).sense;
    if sense.month > 0 {
        return date::written(page, index);
    }
    if sense.is(Sense::DOMAIN) {
        return net::bare(page, index);
    }
    if page.is(index, b"box") {
        return place::post_box(page, index);
    }
    if sense.is(Sense::CALLE) {
        return place::calle(page, index);
    }
    if page.is(index, b"www") {
        return net::www(page, index);
    }
    if sense.is(Sense::FLAT) {
        return place::flat_first(page, index);
    }
    code::lettered(page, index)
}

/// Overlapping finds become one, named after the longest.
fn merge(mut found: Vec<Found>) -> Vec<Found> {
    if found.len() < 2 {
        return found;
    }
    found.sort_by_key(|hit| (hit.start, std::cmp::Reverse(hit.end)));
    let mut merged: Vec<Found> = Vec::with_capacity(found.len());
    for hit in found {
        match merged.last_mut() {
            Some(last) if hit.start < last.end => {
                if hit.end - hit.start > last.end - last.start {
                    (last.class, last.year) = (hit.class, hit.year);
                }
                last.end = last.end.max(hit.end);
            }
            _ => merged.push(hit),
        }
    }
    merged
}
