//! Names of persons: words of the dictionaries, and words that others say are names.

use super::dictionary::IDEOGRAPHS_MAX;
use super::find::Found;
use super::lexicon::Sense;
use super::page::{Page, Token, hash};
use super::stranger::{self, is_irish, is_strange};
use super::{Class, Dictionary, apart};

/// Letters below which a word of a dictionary is taken for a name only with reason.
const SHORT_LETTERS: usize = 3;
/// Letters of what stands behind the names of those who treat, if no list has it.
const DEGREE_LETTERS: usize = 2;
/// Most words of a name that follow one that is known.
const NEIGHBOURS_MAX: usize = 3;
/// Most bytes of a word that is looked into for names written without blanks.
const WHOLE_BYTES_MAX: usize = 300;

/// How much speaks for a word being a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    /// Nothing.
    No,
    /// A dictionary has it, but it is an ordinary word too.
    Maybe,
    /// It is a name.
    Yes,
}

pub(super) type Drawn<'d> = [Option<&'d Dictionary>; 2];

/// Adds the names of a text.
pub(super) fn find(page: &Page<'_>, drawn: Drawn<'_>, found: &mut Vec<Found>) {
    let mut weights: Vec<(usize, Weight)> = Vec::new();
    for (index, token) in page.tokens.iter().enumerate() {
        let Some(word) = token.hash else { continue };
        match weigh(page, index, token, word, drawn) {
            Weight::No => {}
            weight => weights.push((index, weight)),
        }
        if token.sense.is(Sense::TITLE | Sense::PERSON) {
            announced(page, index, &mut weights);
        }
        if token.len() <= DEGREE_LETTERS || token.sense.is(Sense::CREDENTIAL | Sense::BY) {
            weights.extend(stranger::beside(page, index).into_iter().map(|word| (word, Weight::Yes)));
        }
        apart::find(page, index, drawn, found);
        if token.len() <= WHOLE_BYTES_MAX && page.byte(token.start) >= 128 {
            ideographs(page, token, drawn, found);
        }
    }
    if !weights.is_empty() {
        weights.sort_unstable_by_key(|(index, weight)| (*index, std::cmp::Reverse(*weight)));
        weights.dedup_by_key(|(index, _)| *index);
        gather(page, &settle(page, &weights), found);
    }
}

fn weigh(page: &Page<'_>, index: usize, token: &Token, word: u64, drawn: Drawn<'_>) -> Weight {
    let ordinary = token.sense.is(Sense::COMMON);
    let known = drawn.iter().flatten().any(|names| names.has(word));
    if !known {
        return if token.len() > SHORT_LETTERS { pieces(page, token, drawn) } else { Weight::No };
    }
    if is_eponym(page, index) || is_facility(page, index) {
        return Weight::No;
    }
    let short = token.len() < SHORT_LETTERS;
    if ordinary || short || token.sense.is(Sense::PARTICLE | Sense::UNIT | Sense::STATE) || token.sense.announces.is_some() {
        return if is_stressed(page, index) { Weight::Yes } else { Weight::Maybe };
    }
    Weight::Yes
}

/// `JohnSmith`: names that only their capitals tell apart.
fn pieces(page: &Page<'_>, token: &Token, drawn: Drawn<'_>) -> Weight {
    let word = page.bytes(token.start..token.end);
    let inner = word.windows(2).skip(1).any(|pair| matches!(pair, [a, b] if a.is_ascii_lowercase() && b.is_ascii_uppercase()));
    if !inner {
        return Weight::No;
    }
    let mut start = 0;
    for at in 1..=word.len() {
        let turn =
            at == word.len() || matches!(word.get(at - 1..=at), Some([a, b]) if a.is_ascii_lowercase() && b.is_ascii_uppercase());
        if turn {
            let piece = word.get(start..at).unwrap_or_default();
            let value = hash(piece);
            let known = piece.len() > 2 && drawn.iter().flatten().any(|names| names.has(value));
            if known && !super::lexicon::sense(value).is(Sense::COMMON) {
                return Weight::Yes;
            }
            start = at;
        }
    }
    Weight::No
}

/// `Parkinson's disease`, `a Foley`.
fn is_eponym(page: &Page<'_>, index: usize) -> bool {
    if !page.token(index).sense.is(Sense::EPONYM) {
        return false;
    }
    let mut next = index + 1;
    if page.is(next, b"s") && page.gap(index).is_some_and(|gap| gap == b"'") {
        next += 1;
    }
    // `Guillain-Barre syndrome`, `Glasgow Coma Scale`.
    let finding =
        |at: usize| page.token(at).sense.is(Sense::FINDING) && page.gap(at.wrapping_sub(1)).is_some_and(|gap| gap.len() <= 2);
    let second = page.token(next).sense.is(Sense::EPONYM | Sense::COMMON) && finding(next + 1);
    let article = index
        .checked_sub(1)
        .is_some_and(|before| [b"a".as_slice(), b"an", b"indwelling"].iter().any(|word| page.is(before, word)));
    finding(next) || second && !page.token(index).sense.is(Sense::GIVEN) || article
}

/// `St. Mary Hospital`.
fn is_facility(page: &Page<'_>, index: usize) -> bool {
    let saint = |at: usize| [b"st".as_slice(), b"saint", b"mount", b"mt"].iter().any(|word| page.is(at, word));
    let house = |at: usize| [b"hospital".as_slice(), b"clinic", b"medical", b"center"].iter().any(|word| page.is(at, word));
    let next = if page.is(index + 1, b"s") { index + 2 } else { index + 1 };
    index.checked_sub(1).is_some_and(saint) && house(next) && page.is_capital(next)
}

/// An ordinary word that is written as a name: a capital within a sentence.
fn is_stressed(page: &Page<'_>, index: usize) -> bool {
    let word = page.word(index);
    let capital = page.is_capital(index) && word.get(1..).is_some_and(|rest| rest.iter().any(|byte| !byte.is_ascii_uppercase()));
    if !capital {
        return false;
    }
    // `White reports`, `Brown's wound`, wherever it stands.
    let acts = page.token(index + 1).sense.is(Sense::ACTS) && page.gap(index) == Some(b" ");
    let owns = page.is(index + 1, b"s") && page.gap(index) == Some(b"'");
    if acts || owns || is_seen(page, index) {
        return true;
    }
    let Some(before) = index.checked_sub(1) else { return false };
    let gap = page.gap(before).unwrap_or_default();
    let within = matches!(gap, b" " | b", " | b"-" | b" (" | b"; " | b"/" | b" \"" | b" '");
    let sense = page.token(before).sense;
    let next = index + 1;
    // In a heading all words have capitals.
    let heading =
        page.is_capital(before) && page.token(before).is_word() && !sense.is(Sense::TITLE | Sense::PERSON | Sense::GIVEN);
    let followed = page.is_capital(next) && page.token(next).sense.is(Sense::COMMON) && page.gap(index) == Some(b" ");
    let month = page.token(index).sense.month > 0 && (sense.is(Sense::WHEN) || page.token(before).is_number());
    within && !heading && !followed && !month
}

/// `White was seen`, `Long is a 40-year-old`.
fn is_seen(page: &Page<'_>, index: usize) -> bool {
    let verb = page.is(index + 1, b"was") || page.is(index + 1, b"is");
    let after = [b"seen".as_slice(), b"a", b"an", b"admitted", b"discharged", b"here", b"well", b"brought", b"referred"];
    verb && after.iter().any(|word| page.is(index + 2, word))
}

/// Words behind `Mrs` or `her husband`, whether a dictionary has them or not.
fn announced(page: &Page<'_>, index: usize, weights: &mut Vec<(usize, Weight)>) {
    let title = page.token(index).sense.is(Sense::TITLE);
    if page.is(index, b"contact") && !index.checked_sub(1).is_some_and(|before| page.is(before, b"emergency")) {
        return;
    }
    // `Mr Brown` and `Dear Jane`; but `MS relapse`, `DR site` are none.
    let mut at = index + 1;
    let mut gap = page.gap(index).unwrap_or_default();
    if !title {
        while page.token(at).sense.is(Sense::LINK) && !page.is_capital(at) && matches!(gap, b" " | b", ") && at < index + 3 {
            gap = page.gap(at).unwrap_or_default();
            at += 1;
        }
    }
    if title && page.token(at).sense.is(Sense::TITLE) && gap.len() <= 2 {
        return;
    }
    let opened = if title {
        matches!(gap, b" " | b". " | b".")
    } else {
        matches!(gap, b" " | b", " | b": " | b" (" | b" - " | b":" | b" is ")
    };
    let word = page.token(at);
    let heading = !title && page.is_capital(index) && gap == b" " && page.is_upper(index);
    if !opened || !word.is_word() || !page.is_capital(at) || heading {
        return;
    }
    if title
        && page.is_upper(index)
        && !page.is_upper(at)
        && gap == b" "
        && page.word(index).len() == 2
        && word.sense.is(Sense::COMMON)
    {
        return;
    }
    let ordinary = word.sense.is(Sense::COMMON | Sense::TITLE | Sense::PERSON | Sense::FINDING)
        || word.sense.announces.is_some()
        || word.sense.month > 0;
    let initial = word.len() == 1;
    let upper = page.is_upper(at) && !page.is_upper(index) && word.len() < 5;
    if title && (!ordinary || gap == b". " || gap == b" " && !word.sense.is(Sense::FINDING)) && !initial
        || !title && !ordinary && !upper && word.len() > 2
    {
        weights.push((at, Weight::Yes));
        if word.sense.is(Sense::PARTICLE) && page.token(at + 1).is_word() && page.is_capital(at + 1) {
            weights.push((at + 1, Weight::Yes));
        }
    } else if title && initial && page.token(at + 1).is_word() && page.is_capital(at + 1) {
        weights.push((at + 1, Weight::Yes));
    }
}

/// Decides on words that may be names by those beside them, and takes in what follows a name: the words that are names.
fn settle(page: &Page<'_>, weights: &[(usize, Weight)]) -> Vec<usize> {
    let mut names: Vec<usize> = Vec::with_capacity(weights.len());
    let maybe = |index: usize| weights.binary_search_by_key(&index, |(at, _)| *at).is_ok();
    for (index, weight) in weights {
        if *weight == Weight::Yes || titled(page, *index) || is_paired(page, *index, &maybe) {
            before(page, *index, &mut names);
            names.push(*index);
            behind(page, *index, &mut names);
        }
    }
    // Once forwards and once backwards: what stands beside a name is one too.
    names.sort_unstable();
    names.dedup();
    let mut last = None;
    let mut beside_left = Vec::new();
    let touches = |index: usize, other: usize| beside(page, index.min(other)) && same_case(page, index, other);
    for (index, _) in weights {
        let left = index.checked_sub(1);
        let next = left.filter(|left| last == Some(*left) || names.binary_search(left).is_ok());
        if next.is_some_and(|left| touches(*index, left)) {
            beside_left.push(*index);
            last = Some(*index);
        }
    }
    let mut beside_right = Vec::new();
    for (index, _) in weights.iter().rev() {
        let right = index + 1;
        if (last == Some(right) || names.binary_search(&right).is_ok()) && touches(*index, right) {
            beside_right.push(*index);
            last = Some(*index);
        }
    }
    names.extend(beside_left);
    names.extend(beside_right);
    names.sort_unstable();
    names.dedup();
    names
}

/// `May Brown`, `May K. Brown`: two words that may be names, with capitals.
fn is_paired(page: &Page<'_>, index: usize, maybe: &impl Fn(usize) -> bool) -> bool {
    let title = |at: usize| {
        let word = page.word(at);
        page.is_capital(at) && (word.len() < 2 || !page.is_upper(at) || maybe(at))
    };
    let near = |at: usize| matches!(page.gap(at), Some(b" " | b", " | b"-" | b". "));
    let pair = |one: usize, other: usize| maybe(one) && maybe(other) && title(one) && title(other);
    let initial = |at: usize| page.token(at).is_word() && page.token(at).len() == 1 && page.is_capital(at);
    let (left, far) = (index.wrapping_sub(1), index.wrapping_sub(2));
    pair(index, index + 1) && near(index) && page.gap(index) != Some(b". ")
        || pair(left, index) && near(left) && page.gap(left) != Some(b". ")
        || pair(index, index + 2) && near(index) && initial(index + 1) && near(index + 1)
        || pair(far, index) && near(far) && initial(left) && near(left)
}

/// True if a token and the next can be parts of one name.
fn beside(page: &Page<'_>, index: usize) -> bool {
    page.gap(index).is_some_and(|gap| matches!(gap, b" " | b"-" | b", " | b"," | b". " | b"'" | b"." | b"_" | b"  " | b""))
}

fn same_case(page: &Page<'_>, one: usize, other: usize) -> bool {
    page.is_capital(one) == page.is_capital(other)
}

fn titled(page: &Page<'_>, index: usize) -> bool {
    let Some(before) = index.checked_sub(1) else { return false };
    let sense = page.token(before).sense;
    let spaced = page.gap(before).is_some_and(|gap| matches!(gap, b" " | b". " | b": "));
    spaced && sense.is(Sense::TITLE | Sense::PERSON) && page.is_capital(index)
}

/// Takes in what stands in front of a name: `J.`, `O'`, `de la`, a given name that many have.
fn before(page: &Page<'_>, index: usize, names: &mut Vec<usize>) {
    let mut right = index;
    for _ in 0..NEIGHBOURS_MAX {
        let Some(left) =
            right.checked_sub(1).filter(|left| !names.iter().rev().take(NEIGHBOURS_MAX * 2).any(|name| name == left))
        else {
            return;
        };
        let gap = page.gap(left).unwrap_or_default();
        let token = page.token(left);
        let capital = page.is_capital(left);
        let initial = token.len() == 1 && (capital && matches!(gap, b" " | b". " | b".") || gap == b"'");
        let given = token.sense.is(Sense::GIVEN) && !token.sense.is(Sense::COMMON) && capital && gap == b" ";
        let particle = token.sense.is(Sense::PARTICLE)
            && gap == b" "
            && page.is_capital(index)
            && (capital || !token.sense.is(Sense::COMMON));
        // `Smiht, Jane`: what stands before the comma is the other part of the name, however it is written.
        let misspelt = gap == b", " && right == index && is_strange(page, left);
        if !token.is_word() || !(initial || given || particle || misspelt) {
            return;
        }
        names.push(left);
        right = left;
    }
}

/// Takes in what follows a name: initials, particles, and words nobody knows.
fn behind(page: &Page<'_>, index: usize, names: &mut Vec<usize>) {
    let mut last = index;
    for next in index + 1..=index + NEIGHBOURS_MAX {
        let gap = page.gap(last).unwrap_or_default();
        let token = page.token(next);
        let initial = token.is_word()
            && token.len() == 1
            && page.is_capital(next)
            && matches!(gap, b" " | b", ")
            && (page.byte(token.end) == b'.' || page.token(next + 1).is_word() && is_strange(page, next + 1) || gap == b", ");
        let strange = matches!(gap, b" " | b"-" | b". ")
            && is_strange(page, next)
            && (gap != b". " || page.token(last).len() == 1)
            && page.is_capital(index)
            && !page.is_upper(index);
        let particle = token.sense.is(Sense::PARTICLE)
            && gap == b" "
            && (!token.sense.is(Sense::COMMON) || page.is_capital(next))
            && is_strange(page, next + 1);
        let last_name = gap == b" " && is_irish(page, next) || gap == b"'" && is_irish(page, last);
        let middle = is_middle(page, next) && names.iter().rev().take(2).any(|name| name + 1 == last);
        if !initial && !strange && !particle && !last_name && !middle {
            break;
        }
        names.push(next);
        last = next;
    }
}

/// `Roe, Jane K`: a last initial, that may not be an ordinary word.
fn is_middle(page: &Page<'_>, index: usize) -> bool {
    let letter = page.token(index);
    letter.is_word()
        && letter.len() == 1
        && page.is_capital(index)
        && page.gap_before(index) == Some(b" ")
        && (page.gap(index) != Some(b" ") || !matches!(page.byte(letter.start), b'A' | b'I'))
        && !matches!(page.byte(letter.end), b'-' | b'+' | b'/')
}

/// Names that follow each other become one.
fn gather(page: &Page<'_>, names: &[usize], found: &mut Vec<Found>) {
    let mut open: Option<(usize, usize)> = None;
    for index in names {
        open = match open {
            Some((first, last)) if last + 1 == *index && beside(page, last) => Some((first, *index)),
            Some((first, last)) => {
                found.push(whole(page, first, last));
                Some((*index, *index))
            }
            None => Some((*index, *index)),
        };
    }
    if let Some((first, last)) = open {
        found.push(whole(page, first, last));
    }
}

fn whole(page: &Page<'_>, first: usize, last: usize) -> Found {
    Found::new(Class::Name, page.token(first).start, page.token(last).end)
}

/// Names in scripts that put no blanks between words: every stretch of a few characters is looked up.
fn ideographs(page: &Page<'_>, token: &Token, drawn: Drawn<'_>, found: &mut Vec<Found>) {
    let Ok(text) = std::str::from_utf8(page.bytes(token.start..token.end)) else { return };
    if !text.chars().any(|character| character >= '\u{3000}') {
        return;
    }
    let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    for (index, start) in places.iter().enumerate() {
        for length in 2..=IDEOGRAPHS_MAX {
            let Some(end) = places.get(index + length) else { break };
            let value = hash(text.get(*start..*end).unwrap_or_default().as_bytes());
            if drawn.iter().flatten().any(|names| names.has(value)) {
                found.push(Found::new(Class::Name, token.start + start, token.start + end));
            }
        }
    }
}
