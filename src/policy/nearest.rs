//! The word that was probably meant.

/// Longest word that is compared, in characters.
const WORD_MAX: usize = 64;
/// Most letters that may differ.
const DISTANCE_MAX: usize = 2;

/// The word of `known` that differs least from `word`, if it differs little.
#[must_use]
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    if word.chars().count() > WORD_MAX {
        return None;
    }
    let limit = DISTANCE_MAX.min(word.chars().count() / 2);
    known.iter().map(|candidate| (distance(word, candidate), *candidate)).filter(|(far, _)| *far <= limit).min().map(|(_, k)| k)
}

/// Edit distance by letters inserted, removed and changed.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut next = vec![i + 1];
        for ((b, above), diagonal) in other.iter().zip(row.iter().skip(1)).zip(row.iter()) {
            let left = next.last().copied().unwrap_or(0);
            next.push((diagonal + usize::from(a != *b)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
