//! Persons that no dictionary has, told by what stands beside them: `Ada Quux, MD`, `seen by A. Quux`.

use super::lexicon::Sense;
use super::page::Page;

/// Most words of such a name.
const WORDS_MAX: usize = 4;

/// An unknown word with a capital that is no ordinary one.
pub(super) fn is_strange(page: &Page<'_>, index: usize) -> bool {
    is_unknown(page, index) && has_lower(page, index)
}

fn has_lower(page: &Page<'_>, index: usize) -> bool {
    page.word(index).get(1..).is_some_and(|rest| rest.iter().any(u8::is_ascii_lowercase))
}

/// `Brown-Quux`: an ordinary word with a capital that a hyphen joins to an unknown one.
fn is_half(page: &Page<'_>, index: usize) -> bool {
    let left = page.gap_before(index) == Some(b"-") && index.checked_sub(1).is_some_and(|left| is_plain(page, left));
    let right = page.gap(index) == Some(b"-") && is_plain(page, index + 1);
    page.is_capital(index) && has_lower(page, index) && (left || right)
}

/// The same in any letter case behind the first letter.
fn is_unknown(page: &Page<'_>, index: usize) -> bool {
    is_plain(page, index) || is_half(page, index)
}

fn is_plain(page: &Page<'_>, index: usize) -> bool {
    let token = page.token(index);
    let named = token.sense.is(Sense::GIVEN | Sense::EPONYM) && !token.sense.is(Sense::COMMON);
    token.is_word() && token.len() > 2 && page.is_capital(index) && (token.sense == Sense::default() || named)
}

fn is_initial(page: &Page<'_>, index: usize) -> bool {
    page.token(index).is_word() && page.token(index).len() == 1 && page.is_capital(index)
}

/// The words of a person's name around the token at `index`, which may be a credential behind it or a word in front of it.
pub(super) fn beside(page: &Page<'_>, index: usize) -> Vec<usize> {
    let sense = page.token(index).sense;
    if sense.is(Sense::CREDENTIAL) && page.is_upper(index) || is_degree(page, index) {
        return credited(page, index);
    }
    if sense.is(Sense::BY) { done_by(page, index + 1) } else { Vec::new() }
}

/// `M.D.`, `, DO`, `, PA-C`.
fn is_degree(page: &Page<'_>, index: usize) -> bool {
    let dotted = (page.word(index) == b"M" && page.word(index + 1) == b"D"
        || page.word(index) == b"D" && page.word(index + 1) == b"O")
        && page.gap(index) == Some(b".");
    let word = matches!(page.word(index), b"DO" | b"PA" | b"OT" | b"PT" | b"MA");
    (dotted || word) && page.gap_before(index) == Some(b", ")
}

/// The words in front of a credential.
fn credited(page: &Page<'_>, index: usize) -> Vec<usize> {
    let mut words = Vec::new();
    let comma = page.gap_before(index) == Some(b", ");
    if !comma && page.gap_before(index) != Some(b" ") {
        return words;
    }
    for back in 1..=WORDS_MAX {
        let Some(at) = index.checked_sub(back) else { break };
        let joined = back == 1 || matches!(page.gap(at), Some(b" " | b"-" | b"'" | b". "));
        // `Ada Price, MD`: an ordinary word too, if another name stands in front of it.
        let ordinary = back == 1 && comma && page.token(at).len() > 2 && page.is_capital(at);
        let ordinary = ordinary && (is_unknown(page, at.wrapping_sub(1)) || is_initial(page, at.wrapping_sub(1)));
        let particle = page.token(at).sense.is(Sense::PARTICLE) && back > 1;
        if !joined || !(is_unknown(page, at) || ordinary || back > 1 && is_initial(page, at) || particle) {
            break;
        }
        words.push(at);
    }
    words
}

/// Two unknown words, or an initial and one, behind `by`.
fn done_by(page: &Page<'_>, at: usize) -> Vec<usize> {
    let spaced = page.gap_before(at) == Some(b" ");
    let initial = is_initial(page, at) && matches!(page.gap(at), Some(b". " | b"." | b" "));
    let given = is_strange(page, at) && page.gap(at) == Some(b" ");
    let particle = page.token(at + 1).sense.is(Sense::PARTICLE) && page.is_capital(at + 1);
    let other = is_strange(page, at + 1) || particle && is_strange(page, at + 2) || is_irish(page, at + 1);
    match () {
        () if !spaced || !(initial || given) || !other => Vec::new(),
        () if is_strange(page, at + 1) => vec![at, at + 1],
        () => vec![at, at + 1, at + 2],
    }
}

/// `O'Quux`.
pub(super) fn is_irish(page: &Page<'_>, index: usize) -> bool {
    is_initial(page, index) && page.gap(index) == Some(b"'") && is_unknown(page, index + 1)
}
