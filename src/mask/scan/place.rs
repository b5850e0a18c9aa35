//! Where people live: streets with what stands around them, post boxes, and places on the globe.

use super::Class;
use super::find::Found;
use super::lexicon::Sense;
use super::page::Page;

/// Longest number of a house, in digits.
const HOUSE_DIGITS_MAX: usize = 6;
/// Most words of a street's name, with its last.
const STREET_WORDS_MAX: usize = 6;
/// The same without capitals.
const LOWER_WORDS_MAX: usize = 4;
/// Letters of a word that is shortened with a point: `St. Charles`.
const SHORT_LETTERS: usize = 2;
/// Most words of a city's name.
const CITY_WORDS_MAX: usize = 3;
/// Words looked back over for where somebody lives.
const DWELLS_TOKENS: usize = 4;

/// Fewest decimals of degrees by which a house can be found, and of two degrees side by side.
const DECIMALS_TOLD: usize = 3;
const DECIMALS_PAIRED: usize = 4;

/// `44.6443, -80.1234`, `lat 44.644`
pub(super) fn globe(page: &Page<'_>, index: usize) -> Option<Found> {
    let words = [b"lat".as_slice(), b"latitude", b"lon", b"lng", b"longitude", b"gps", b"coordinates", b"geo"];
    let decimals = degrees(page, index)?;
    let near = |at: usize| page.gap(at).is_some_and(|gap| gap.len() <= 4 && !gap.contains(&b'.'));
    // `44.6443 N, 80.1234 W`
    let side = page.token(index + 2).is_word() && page.token(index + 2).len() == 1 && near(index + 1);
    let second = if side { index + 3 } else { index + 2 };
    let paired = near(second - 1) && degrees(page, second).is_some_and(|more| decimals.min(more) >= DECIMALS_PAIRED);
    let told = decimals >= DECIMALS_TOLD
        && index.checked_sub(1).is_some_and(|before| near(before) && words.iter().any(|word| page.is(before, word)));
    let last = if paired { second + 1 } else { index + 1 };
    let start = page.token(index).start;
    let signed = usize::from(matches!(page.byte_before(start), b'-' | b'+'));
    (paired || told).then(|| Found::new(Class::Address, start - signed, page.token(last).end))
}

/// How many decimals the degrees have that begin at a token.
fn degrees(page: &Page<'_>, index: usize) -> Option<usize> {
    let (whole, decimals) = (page.token(index), page.token(index + 1));
    let inner = page.byte_before(whole.start) == b'.';
    let fits = whole.is_number() && decimals.is_number() && page.gap(index) == Some(b".") && !inner;
    let value = std::str::from_utf8(page.word(index)).ok()?.parse::<u16>().ok()?;
    (fits && whole.len() <= 3 && value <= 180 && page.byte(decimals.end) != b'.').then(|| decimals.len())
}

/// A street's name behind the number of a house.
pub(super) fn street(page: &Page<'_>, house: usize) -> Option<Found> {
    let number = page.token(house);
    let inner = matches!(page.byte_before(number.start), b':' | b'.' | b'/') && page.before(house).is_number();
    if number.len() > HOUSE_DIGITS_MAX || inner {
        return None;
    }
    let first = if is_letter_of(page, house) { house + 1 } else { house };
    let last = named(page, first).or_else(|| kind_first(page, first)).or_else(|| lower(page, first))?;
    let last = city(page, flat(page, quarter(page, last)));
    // `12-34 56th Ave`
    let block = page.gap_before(house) == Some(b"-") && page.before(house).is_number() && page.before(house).len() < 4;
    let start = if block { page.before(house).start } else { number.start };
    Some(Found::new(Class::Address, start, page.token(last).end))
}

/// `221B`: a letter glued to the number of a house.
fn is_letter_of(page: &Page<'_>, house: usize) -> bool {
    let letter = page.token(house + 1);
    page.gap(house) == Some(b"") && letter.is_word() && letter.len() == 1
}

/// `.. Old Mill Road`: the last token of a street whose kind stands last.
fn named(page: &Page<'_>, house: usize) -> Option<usize> {
    let dwells = (house.saturating_sub(DWELLS_TOKENS)..house).any(|index| page.token(index).sense.is(Sense::DWELLS));
    let mut last = None;
    for index in house + 1..=house + STREET_WORDS_MAX {
        let Some(gap) = page.gap(index - 1) else { break };
        let token = page.token(index);
        let short = page.token(index - 1).len() <= SHORT_LETTERS;
        let within = matches!(gap, b" " | b"-" | b"'")
            || gap == b". " && short
            || gap.is_empty() && index > house + 1
            || gap.is_empty() && page.is_ordinal(index);
        let own = page.is(index, b"s") && gap == b"'";
        let named = token.is_number() || page.is_capital(index) || page.is_ordinal(index) || own || dwells && gap == b" ";
        if !within || !named {
            break;
        }
        let alone = page.is(index, b"broadway");
        if token.sense.is(Sense::STREET) && (index > house + 1 || alone) && (page.is_capital(index) || dwells && token.len() > 3)
        {
            last = Some(index);
        } else if last.is_some() {
            break;
        }
    }
    numbered(page, house, last)
}

/// `County Road 12`, `Route 66`: with the number of the road.
fn numbered(page: &Page<'_>, house: usize, last: Option<usize>) -> Option<usize> {
    let kind = last.unwrap_or(house + 1);
    let road = [b"road".as_slice(), b"route", b"highway", b"hwy", b"rd", b"rt"].iter().any(|word| page.is(kind, word));
    let number = page.token(kind + 1);
    let fits = road && page.is_capital(kind) && page.gap(kind) == Some(b" ") && number.is_number() && number.len() < 5;
    if fits { Some(kind + 1) } else { last }
}

/// `12 rue de la Paix`, `5 Avenue of the Oaks`: the last token of a street whose kind stands first.
fn kind_first(page: &Page<'_>, house: usize) -> Option<usize> {
    let again = page.is(house + 1, b"bis") || page.is(house + 1, b"ter");
    let kind = if again { house + 2 } else { house + 1 };
    let sense = page.token(kind).sense;
    let near = matches!(page.gap(kind - 1), Some(b" " | b", "));
    if !near || !(sense.is(Sense::CALLE) || page.is(kind, b"place")) {
        return None;
    }
    words(page, kind)
}

/// The words of a street's name behind its kind; the last has a capital.
fn words(page: &Page<'_>, kind: usize) -> Option<usize> {
    let mut last = None;
    for index in kind + 1..=kind + STREET_WORDS_MAX {
        let within = matches!(page.gap(index - 1), Some(b" " | b"'" | b"-"))
            || index == kind + 1 && matches!(page.gap(kind), Some(b". " | b"/ " | b"/"));
        let token = page.token(index);
        let small = token.sense.is(Sense::PARTICLE)
            || [b"of".as_slice(), b"the", b"d", b"l", b"des", b"los"].iter().any(|word| page.is(index, word));
        if !within || !token.is_word() || !(page.is_capital(index) || small) {
            break;
        }
        if page.is_capital(index) {
            last = Some(index);
        }
    }
    last
}

/// `120 w main st`, without any capital: only abbreviations, and nothing that is measured.
fn lower(page: &Page<'_>, house: usize) -> Option<usize> {
    if page.token(house).len() < 2 {
        return None;
    }
    for index in house + 1..=house + LOWER_WORDS_MAX {
        let token = page.token(index);
        if page.gap(index - 1) != Some(b" ")
            || !(token.is_word() || page.is_ordinal(index))
            || token.sense.is(Sense::UNIT | Sense::FINDING)
        {
            return None;
        }
        let kind = [b"st".as_slice(), b"ave", b"blvd", b"rd", b"ln", b"hwy", b"pkwy"].iter().any(|word| page.is(index, word));
        let traced = [b"elevation".as_slice(), b"depression", b"segment", b"changes", b"elevations", b"t"]
            .iter()
            .any(|word| page.is(index + 1, word));
        if kind && index > house + 1 {
            return (!traced && !page.is(index - 1, b"lead")).then_some(index);
        }
    }
    None
}

/// Behind `Avenue NW`.
fn quarter(page: &Page<'_>, last: usize) -> usize {
    let side = [b"nw".as_slice(), b"ne", b"sw", b"se", b"n", b"s", b"e", b"w"].iter().any(|word| page.is(last + 1, word));
    let near = matches!(page.gap(last), Some(b" " | b", "));
    if side && near && page.word(last + 1).iter().all(u8::is_ascii_uppercase) { last + 1 } else { last }
}

/// `Calle Mayor 12`, `C/ Mayor 12`, seen from the kind.
pub(super) fn calle(page: &Page<'_>, kind: usize) -> Option<Found> {
    if page.token(kind).len() == 1 && page.byte(page.token(kind).end) != b'/' {
        return None;
    }
    let last = words(page, kind)?;
    let number = page.token(last + 1);
    let near = matches!(page.gap(last), Some(b" " | b", " | b" #"));
    let fits = near && number.is_number() && number.len() < 5;
    fits.then(|| Found::new(Class::Address, page.token(kind).start, number.end))
}

/// `Gartenweg 12`: a word that tells by its end that it is a street.
pub(super) fn strasse(page: &Page<'_>, index: usize) -> Option<Found> {
    if !page.token(index + 1).is_number() {
        return None;
    }
    let word = page.word(index);
    let kind = [b"strasse".as_slice(), b"str", b"weg", b"platz", b"allee", b"gasse", b"damm"].iter().any(|end| ends(word, end));
    let number = page.token(index + 1);
    let near = matches!(page.gap(index), Some(b" " | b". "));
    let fits = kind && near && number.len() < 4;
    fits.then(|| Found::new(Class::Address, page.token(index).start, number.end))
}

fn ends(word: &[u8], end: &[u8]) -> bool {
    word.len().checked_sub(end.len()).and_then(|at| word.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// `Apt 5, 19 King Road`, seen from the flat.
pub(super) fn flat_first(page: &Page<'_>, index: usize) -> Option<Found> {
    let mut house = index + 2;
    if page.gap(index + 1) == Some(b"") {
        house += 1;
    }
    if !page.token(index + 1).is_number() || !matches!(page.gap(house - 1), Some(b", ")) || !page.token(house).is_number() {
        return None;
    }
    let found = street(page, house)?;
    Some(Found { start: page.token(index).start, ..found })
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
        // `Rural Route 2 Box 45`
        Some(before) if page.token(before).is_number() => rural(page, before)?,
        _ => return None,
    };
    let last = city(page, index + 1);
    (number.is_number() && near).then(|| Found::new(Class::Address, page.token(start).start, page.token(last).end))
}

fn rural(page: &Page<'_>, number: usize) -> Option<usize> {
    let route = number.checked_sub(1)?;
    if page.is(route, b"rr") || page.is(route, b"hc") {
        return Some(route);
    }
    let first = route.checked_sub(1).filter(|_| page.is(route, b"route"))?;
    page.is(first, b"rural").then_some(first)
}
