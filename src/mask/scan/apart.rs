//! Names whose letters stand apart: `S m i t h`, or one that goes on in the next line.

use super::Class;
use super::find::Found;
use super::lexicon::{self, Sense};
use super::name::Drawn;
use super::page::{Page, SEED, hash, settle, stir};

/// Fewest and most letters of such a name.
const LETTERS: std::ops::RangeInclusive<usize> = 4..=24;
/// Longest break of a line within a word, in bytes, with the blanks behind it.
const BREAK_BYTES_MAX: usize = 8;

/// Adds the name that begins at a word.
pub(super) fn find(page: &Page<'_>, index: usize, drawn: Drawn<'_>, found: &mut Vec<Found>) {
    let last = if page.token(index).len() == 1 { spelled(page, index, drawn) } else { broken(page, index, drawn) };
    if let Some(last) = last {
        found.push(Found::new(Class::Name, page.token(index).start, page.token(last).end));
    }
}

fn is_name(word: u64, drawn: Drawn<'_>) -> bool {
    drawn.iter().flatten().any(|names| names.has(word)) && !lexicon::sense(word).is(Sense::COMMON)
}

/// The last letter of the longest name that is spelled out from here.
fn spelled(page: &Page<'_>, first: usize, drawn: Drawn<'_>) -> Option<usize> {
    let (mut value, mut last) = (SEED, None);
    let mut joint: Option<&[u8]> = None;
    for index in first..first + LETTERS.end() {
        let token = page.token(index);
        let gap = page.gap(index.wrapping_sub(1)).filter(|_| index > first);
        if !token.is_word() || token.len() != 1 || gap.is_some_and(|gap| gap.len() > 1) || joint.is_some() && joint != gap {
            break;
        }
        joint = gap;
        value = stir(value, page.byte(token.start));
        if LETTERS.contains(&(index - first + 1)) && is_name(settle(value), drawn) {
            last = Some(index);
        }
    }
    last
}

/// The second part of a name that a hyphen at the end of a line divides.
fn broken(page: &Page<'_>, index: usize, drawn: Drawn<'_>) -> Option<usize> {
    let gap = page.gap(index).filter(|gap| gap.len() <= BREAK_BYTES_MAX && gap.contains(&b'\n'))?;
    let blank = gap.strip_prefix(b"-")?.iter().all(u8::is_ascii_whitespace);
    let next = page.token(index + 1);
    let whole = [page.word(index), page.word(index + 1)].concat();
    (blank && next.is_word() && LETTERS.contains(&whole.len()) && is_name(hash(&whole), drawn)).then_some(index + 1)
}
