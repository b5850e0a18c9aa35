//! Where people live: streets with what stands around them, and post boxes.

use super::Class;
use super::find::Found;
use super::lexicon::Sense;
use super::page::Page;

/// Longest number of a house, in digits.
const HOUSE_DIGITS_MAX: usize = 6;
/// Most words of a street's name, with its last.
const STREET_WORDS_MAX: usize = 6;
/// Most words of a city's name.
const CITY_WORDS_MAX: usize = 3;
/// Words looked back over for where somebody lives.
const DWELLS_TOKENS: usize = 4;

/// A street's name behind the number of a house.
pub(super) fn street(page: &Page<'_>, house: usize) -> Option<Found> {
    let number = page.token(house);
    if number.len() > HOUSE_DIGITS_MAX {
        return None;
    }
    let dwells = (house.saturating_sub(DWELLS_TOKENS)..house).any(|index| page.token(index).sense.is(Sense::DWELLS));
    let mut last = None;
    for index in house + 1..=house + STREET_WORDS_MAX {
        let Some(gap) = page.gap(index - 1) else { break };
        let token = page.token(index);
        let within = matches!(gap, b" " | b". " | b"-" | b"'")
            || gap.is_empty() && index > house + 1
            || gap.is_empty() && page.is_ordinal(index);
        if !within || !(token.is_number() || page.is_capital(index) || page.is_ordinal(index) || dwells && gap == b" ") {
            break;
        }
        if token.sense.is(Sense::STREET) && index > house + 1 && (page.is_capital(index) || dwells && token.len() > 3) {
            last = Some(index);
        } else if last.is_some() {
            break;
        }
    }
    let last = city(page, flat(page, last?));
    Some(Found::new(Class::Address, number.start, page.token(last).end))
}

/// Behind `, Apt 4B` or ` #12`: its last token.
fn flat(page: &Page<'_>, last: usize) -> usize {
    let gap = page.gap(last).unwrap_or_default();
    let short = gap.len() <= 3 && !gap.contains(&b'\n');
    let next = last + 1;
    let mut end = match () {
        () if short && page.token(next).sense.is(Sense::FLAT) => next + 1,
        () if short && gap.ends_with(b"#") => next,
        () => return last,
    };
    while page.gap(end).is_some_and(<[u8]>::is_empty) && end < next + 3 {
        end += 1;
    }
    if end < page.tokens.len() { end } else { last }
}

/// Behind `, New London` or ` Springfield, IL`: its last token.
fn city(page: &Page<'_>, last: usize) -> usize {
    let gap = page.gap(last).unwrap_or_default();
    if !matches!(gap, b", " | b"," | b" " | b"\n" | b". " | b",\n") {
        return last;
    }
    let mut end = last;
    for index in last + 1..=last + CITY_WORDS_MAX {
        let spaced = index == last + 1 || matches!(page.gap(index - 1), Some(b" " | b". " | b"-" | b"'"));
        let token = page.token(index);
        if !spaced || !token.is_word() || !page.is_capital(index) || token.sense.is(Sense::STATE) && page.is_upper(index) {
            break;
        }
        end = index;
    }
    let state = page.token(end + 1).sense.is(Sense::STATE) && page.is_upper(end + 1);
    let first = page.token(last + 1);
    // Without a state behind it, only a word that is no ordinary one is taken for a city, and only behind a comma.
    let plain =
        gap.starts_with(b",") && !first.sense.is(Sense::COMMON | Sense::PERSON | Sense::TITLE) && first.sense.announces.is_none();
    if state || plain { end } else { last }
}

/// `P.O. Box 123`, seen from `Box`.
pub(super) fn post_box(page: &Page<'_>, index: usize) -> Option<Found> {
    let number = page.token(index + 1);
    let near = page.gap(index).is_some_and(|gap| gap.len() <= 2);
    let start = match index.checked_sub(1) {
        Some(before) if page.is(before, b"po") => before,
        Some(before) if page.is(before, b"o") && page.is(before.wrapping_sub(1), b"p") => before - 1,
        Some(before) if page.is(before, b"postal") => before,
        _ => return None,
    };
    let last = city(page, index + 1);
    (number.is_number() && near).then(|| Found::new(Class::Address, page.token(start).start, page.token(last).end))
}
