//! Codes of letters and digits: record, account, plan, license and device numbers.

use super::Class;
use super::check;
use super::find::{Found, announced};
use super::lexicon::Sense;
use super::page::{Page, is_word};

/// Longest code, in bytes.
const CODE_BYTES_MAX: usize = 48;
/// Digits that a code has to have behind a word that announces it: with letters, and without.
const DIGITS_WITH_LETTERS: usize = 3;
const DIGITS_ALONE: usize = 5;
/// Digits that make a code with capitals in front identify something by itself.
const DIGITS_UNTOLD: usize = 7;
/// Capitals in front of such a code.
const CAPITALS_MAX: usize = 6;

/// A code as it is written, around the number at `index`: letters, digits, and single signs within.
struct Code<'p> {
    text: &'p [u8],
    start: usize,
    end: usize,
    digits: usize,
}

impl<'p> Code<'p> {
    fn around(page: &Page<'p>, index: usize) -> Self {
        let token = page.token(index);
        let (mut start, mut end) = (token.start, token.end);
        while end - start < CODE_BYTES_MAX {
            let before = page.byte_before(start);
            let joined = matches!(before, b'-' | b'_' | b'/') && start > 1 && is_word(page.byte_before(start - 1));
            if start > 0 && is_word(before) {
                start -= 1;
            } else if joined {
                start -= 2;
            } else {
                break;
            }
        }
        while end - start < CODE_BYTES_MAX * 2 {
            let next = page.byte(end);
            if is_word(next) {
                end += 1;
            } else if matches!(next, b'-' | b'_' | b'/' | b'.') && is_word(page.byte(end + 1)) {
                end += 2;
            } else {
                break;
            }
        }
        let text = page.bytes(start..end);
        Self { text, start, end, digits: text.iter().filter(|byte| byte.is_ascii_digit()).count() }
    }

    fn has_letters(&self) -> bool {
        self.text.iter().any(|byte| !byte.is_ascii_digit() && is_word(*byte))
    }

    fn found(&self, class: Class) -> Found {
        Found::new(class, self.start, self.end)
    }

    /// The letters in front.
    fn prefix(&self) -> &'p [u8] {
        let end = self.text.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(self.text.len());
        self.text.get(..end).unwrap_or_default()
    }
}

/// A code that is known by its own form.
pub(super) fn find(page: &Page<'_>, index: usize) -> Option<Found> {
    let token = page.token(index);
    let glued = is_word(page.byte_before(token.start)) || is_word(page.byte(token.end));
    let joined = page.byte_before(token.start) == b'-' && page.before(index).is_word();
    if !glued && !joined {
        return None;
    }
    let code = Code::around(page, index);
    if check::vin(code.text) {
        return Some(code.found(Class::Vehicle));
    }
    let told = announced(page, index);
    if check::dea(code.text) && told.is_none_or(|class| matches!(class, Class::Dea | Class::License)) {
        return Some(code.found(Class::Dea));
    }
    untold(page, index, &code, told)
}

/// `MBR81234567`, `MRN-7001234`: capitals and a long number.
fn untold(page: &Page<'_>, index: usize, code: &Code<'_>, told: Option<Class>) -> Option<Found> {
    let prefix = code.prefix();
    let capitals = (1..=CAPITALS_MAX).contains(&prefix.len()) && prefix.iter().all(u8::is_ascii_uppercase);
    let rest = code.text.get(prefix.len()..).unwrap_or_default();
    let rest = rest.strip_prefix(b"-").unwrap_or(rest);
    let number = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sense = page.before(index).sense;
    if !capitals || number < DIGITS_UNTOLD || number != rest.len() || sense.is(Sense::HARMLESS) {
        return None;
    }
    // The word that is glued to a number announces it: it stays, and the number is looked at as such.
    if matches!(sense.announces, Some(Class::Ssn | Class::Phone | Class::Fax | Class::Card | Class::Npi | Class::Date)) {
        return None;
    }
    Some(code.found(told.filter(|class| is_coded(*class)).unwrap_or(Class::Account)))
}

fn is_coded(class: Class) -> bool {
    use Class::{Account, Card, Dea, Device, License, Mrn, Npi, Plan, Vehicle};
    matches!(class, Mrn | Account | Plan | License | Device | Vehicle | Dea | Npi | Card)
}

/// A code behind a word that announces it.
pub(super) fn announced_code(page: &Page<'_>, index: usize) -> Option<Found> {
    let class = announced(page, index).filter(|class| is_coded(*class))?;
    let code = Code::around(page, index);
    let least = if code.has_letters() || class == Class::Mrn { DIGITS_WITH_LETTERS } else { DIGITS_ALONE };
    let last = page.tokens.iter().skip(index).take(CODE_BYTES_MAX).position(|token| token.end >= code.end);
    let next = page.token(index + last.unwrap_or_default() + 1);
    let measured = next.sense.is(Sense::UNIT) && next.start <= code.end + 1 || page.byte(code.end) == b'%';
    let year = !code.has_letters() && code.digits == 4 && matches!(code.text.get(..2), Some(b"19" | b"20"));
    let mixed = code.text.iter().all(|byte| is_word(*byte) || *byte == b'-' || *byte == b'_' || *byte == b'.' || *byte == b'/');
    let index = index + last.unwrap_or_default();
    (code.digits >= least && !measured && !year && mixed)
        .then(|| Found::new(class, code.start, spaced(page, index).unwrap_or(code.end).max(code.end)))
}

/// `W1234 56789`: where a number behind a blank ends that belongs to a code.
fn spaced(page: &Page<'_>, index: usize) -> Option<usize> {
    let next = page.token(index + 1);
    let apart = page.gap(index) == Some(b" ") && next.is_number() && (3..=8).contains(&next.len());
    let after = page.byte(next.end);
    let goes_on = matches!(after, b'/' | b'%') || is_word(after) || after == b'.' && is_word(page.byte(next.end + 1));
    let measured = page.token(index + 2).sense.is(Sense::UNIT | Sense::STREET) || page.is_capital(index + 2) && next.len() < 5;
    (apart && !goes_on && !measured).then_some(next.end)
}

/// `gave ID 123-456-789`: a long code behind the bare word.
pub(super) fn identity(page: &Page<'_>, index: usize) -> Option<Found> {
    let word = index.checked_sub(1).filter(|before| page.is(*before, b"id"))?;
    let near = matches!(page.gap(word), Some(b" " | b": " | b":" | b"# " | b" #" | b"#"));
    let code = Code::around(page, index);
    (near && code.digits > DIGITS_ALONE).then(|| code.found(Class::Account))
}

/// A code that begins with letters, behind a word that announces it, found from its letters: `account AB-x`. The number
/// within would find it too; what is found here is what has a check of its own.
pub(super) fn lettered(page: &Page<'_>, index: usize) -> Option<Found> {
    let sense = page.token(index).sense;
    if sense.announces != Some(Class::Vehicle) || sense.is(Sense::WEAK) {
        return None;
    }
    // A plate may have few digits: the first word behind with a digit in it.
    let number = (index + 1..index + 5).find(|at| page.token(*at).is_number())?;
    let code = Code::around(page, number);
    let near = code.start > page.token(index).end && code.start - page.token(index).end < 16;
    (near && code.has_letters() && code.text.len() >= 5).then(|| code.found(Class::Vehicle))
}
