//! Text as detectors read it: letters without accents, plain digits, dashes and blanks, nothing invisible, no escapes.

use std::borrow::Cow;
use std::ops::Range;

use super::escape::escaped;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Where decimal digits of other scripts begin, as far as clinical texts may hold them.
const ZEROS: [u32; 6] = [0x0660, 0x06f0, 0x0966, 0x09e6, 0x0e50, 0x1d7ce];

/// A text made plain, and where each byte of it came from.
pub(super) struct Folded<'a> {
    /// The plain text. Bytes above 127 are letters or digits.
    pub(super) text: Cow<'a, [u8]>,
    /// Where the character of each byte begins in the original, and the original's length; `None` if nothing has moved.
    starts: Option<Vec<usize>>,
}

impl<'a> Folded<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let escapes = text.bytes().any(|byte| matches!(byte, b'&' | b'\\' | b'%'));
        if text.is_ascii() && !escapes {
            return Self { text: Cow::Borrowed(text.as_bytes()), starts: None };
        }
        let mut plain = Vec::with_capacity(text.len());
        let mut starts = Vec::with_capacity(text.len() + 1);
        let mut at = 0;
        while let Some(rest) = text.get(at..)
            && let Some(first) = rest.chars().next()
        {
            let (character, length) = escaped(rest).filter(|_| escapes).unwrap_or((first, first.len_utf8()));
            write(character, &mut plain);
            starts.resize(plain.len(), at);
            at += length;
        }
        starts.push(text.len());
        Self { text: Cow::Owned(plain), starts: Some(starts) }
    }

    /// The span of the original that a span of the plain text stands for: whole characters.
    pub(super) fn original(&self, span: Range<usize>) -> Range<usize> {
        let Some(starts) = &self.starts else { return span };
        let last = starts.last().copied().unwrap_or_default();
        let start = starts.get(span.start).copied().unwrap_or(last);
        let inside = span.end.checked_sub(1).and_then(|end| starts.get(end)).copied().unwrap_or(last);
        let behind = starts.get(span.end..).unwrap_or_default();
        let end = behind.iter().copied().find(|at| *at > inside).unwrap_or(last);
        start..end
    }
}

/// A word as dictionaries know it: folded, in lower case.
pub(super) fn word(text: &str) -> Vec<u8> {
    Folded::new(text).text.to_ascii_lowercase()
}

fn write(character: char, out: &mut Vec<u8>) {
    if character.is_ascii() {
        out.extend(u8::try_from(character));
    } else if is_whole(character) {
        utf8(character, out);
    } else if !is_invisible(character) {
        for part in std::iter::once(character).nfkd().filter(|part| !is_combining_mark(*part)) {
            plain(part, out);
        }
    }
}

/// Characters that are words of their own and are not taken apart: Chinese, Japanese, Korean.
fn is_whole(character: char) -> bool {
    matches!(character, '\u{3005}'..='\u{3007}' | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

fn plain(character: char, out: &mut Vec<u8>) {
    let letters: &[u8] = match character {
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{fe58}' | '\u{30fb}' | '\u{2e3a}' | '\u{2e3b}' => b"-",
        '\u{2018}'..='\u{201b}' | '\u{2bc}' | '\u{2032}' => b"'",
        '\u{2024}' | '\u{b7}' | '\u{2022}' | '\u{3002}' => b".",
        '\u{2044}' | '\u{2215}' => b"/",
        'ß' => b"ss",
        'ẞ' => b"SS",
        'ø' => b"o",
        'Ø' => b"O",
        'ł' => b"l",
        'Ł' => b"L",
        'đ' | 'ð' => b"d",
        'Đ' | 'Ð' => b"D",
        'ı' => b"i",
        'æ' => b"ae",
        'Æ' => b"Ae",
        'œ' => b"oe",
        'Œ' => b"Oe",
        'þ' => b"th",
        'Þ' => b"Th",
        _ => return other(character, out),
    };
    out.extend_from_slice(letters);
}

fn other(character: char, out: &mut Vec<u8>) {
    let code = u32::from(character);
    let digit = ZEROS.iter().find_map(|zero| code.checked_sub(*zero).filter(|digit| *digit < 10));
    if let Some(digit) = digit.and_then(|digit| u8::try_from(digit).ok()) {
        out.push(b'0' + digit);
    } else if character.is_ascii() {
        out.extend(u8::try_from(character));
    } else if character.is_alphanumeric() {
        character.to_lowercase().for_each(|lower| utf8(lower, out));
    } else {
        out.push(b' ');
    }
}

fn utf8(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}
