//! A text cut into words and numbers.

use std::cell::Cell;
use std::ops::Range;

use super::Class;
use super::lexicon::{self, Sense};

const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const MARK: u8 = 3;
/// Bytes of a text for one token, at a guess.
const TOKEN_BYTES: usize = 5;
pub(super) const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
const FACTOR: u64 = 0xf135_7aea_2e62_a9c5;

/// What each byte is: a letter (all of other scripts), a digit, or a sign that addresses of the net are found by.
#[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "evaluated by the compiler")]
const CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let character = byte as u8;
        if character.is_ascii_alphabetic() || character >= 128 {
            table[byte] = LETTER;
        } else if character.is_ascii_digit() {
            table[byte] = DIGIT;
        } else if character == b'@' || character == b':' {
            table[byte] = MARK;
        }
        byte += 1;
    }
    table
};

fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or_default()
}

pub(super) fn is_letter(byte: u8) -> bool {
    class(byte) == LETTER
}

pub(super) fn is_word(byte: u8) -> bool {
    matches!(class(byte), LETTER | DIGIT)
}

pub(super) fn stir(hash: u64, byte: u8) -> u64 {
    (hash.rotate_left(5) ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(FACTOR)
}

pub(super) fn settle(hash: u64) -> u64 {
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(SEED);
    mixed ^ (mixed >> 29)
}

/// The hash of a word in any letter case.
pub(super) fn hash(word: &[u8]) -> u64 {
    settle(word.iter().fold(SEED, |hash, byte| stir(hash, *byte)))
}

/// A run of letters or a run of digits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The hash of a word; none for a number.
    pub(super) hash: Option<u64>,
    /// What the word can mean.
    pub(super) sense: Sense,
}

impl Token {
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn is_number(&self) -> bool {
        self.hash.is_none() && self.end > self.start
    }

    pub(super) fn is_word(&self) -> bool {
        self.hash.is_some()
    }
}

/// A plain text with its words and numbers.
pub(super) struct Page<'a> {
    pub(super) text: &'a [u8],
    pub(super) tokens: Vec<Token>,
    /// Where `@` and `:` stand.
    pub(super) marks: Vec<usize>,
    /// The last number of which it was asked what announces it, and the answer.
    told: Cell<(usize, Option<Class>)>,
}

impl<'a> Page<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let mut page = Self {
            text,
            tokens: Vec::with_capacity(text.len() / TOKEN_BYTES + 1),
            marks: Vec::new(),
            told: Cell::new((usize::MAX, None)),
        };
        let mut bytes = text.iter().copied().enumerate().peekable();
        while let Some((start, first)) = bytes.next() {
            match class(first) {
                LETTER => {
                    let (mut value, mut end) = (stir(SEED, first), start + 1);
                    while let Some((at, byte)) = bytes.next_if(|(_, byte)| class(*byte) == LETTER) {
                        (value, end) = (stir(value, byte), at + 1);
                    }
                    let value = settle(value);
                    page.tokens.push(Token { start, end, hash: Some(value), sense: lexicon::sense(value) });
                }
                DIGIT => {
                    let mut end = start + 1;
                    while let Some((at, _)) = bytes.next_if(|(_, byte)| byte.is_ascii_digit()) {
                        end = at + 1;
                    }
                    page.tokens.push(Token { start, end, hash: None, sense: Sense::default() });
                }
                MARK => page.marks.push(start),
                _ => {}
            }
        }
        page
    }

    /// What announces the number at `index`, worked out once for all who ask one after the other.
    pub(super) fn told(&self, index: usize, work: impl FnOnce() -> Option<Class>) -> Option<Class> {
        let (last, class) = self.told.get();
        if last == index {
            return class;
        }
        let class = work();
        self.told.set((index, class));
        class
    }

    /// The token of this number, an empty one if there is none.
    pub(super) fn token(&self, index: usize) -> Token {
        self.tokens.get(index).copied().unwrap_or_default()
    }

    /// The token before this one, an empty one if there is none.
    pub(super) fn before(&self, index: usize) -> Token {
        index.checked_sub(1).map_or_else(Token::default, |index| self.token(index))
    }

    pub(super) fn bytes(&self, span: Range<usize>) -> &'a [u8] {
        self.text.get(span).unwrap_or_default()
    }

    pub(super) fn byte(&self, at: usize) -> u8 {
        self.text.get(at).copied().unwrap_or_default()
    }

    /// The byte in front of a place.
    pub(super) fn byte_before(&self, at: usize) -> u8 {
        at.checked_sub(1).map_or(0, |at| self.byte(at))
    }

    /// What stands between a token and the next; `None` if there is no next.
    pub(super) fn gap(&self, index: usize) -> Option<&'a [u8]> {
        let next = self.tokens.get(index.checked_add(1)?)?;
        Some(self.bytes(self.token(index).end..next.start))
    }

    /// What stands between a token and the one before.
    pub(super) fn gap_before(&self, index: usize) -> Option<&'a [u8]> {
        index.checked_sub(1).and_then(|before| self.gap(before))
    }

    pub(super) fn word(&self, index: usize) -> &'a [u8] {
        let token = self.token(index);
        self.bytes(token.start..token.end)
    }

    /// True if the word is this one, in any letter case; `word` is in lower case.
    pub(super) fn is(&self, index: usize, word: &[u8]) -> bool {
        self.word(index).eq_ignore_ascii_case(word)
    }

    /// True if the word begins with a capital, or with a letter that this text does not tell the case of.
    pub(super) fn is_capital(&self, index: usize) -> bool {
        let first = self.byte(self.token(index).start);
        first.is_ascii_uppercase() || first >= 128
    }

    /// True for the ending of a number: `5th`.
    pub(super) fn is_ordinal(&self, index: usize) -> bool {
        [b"st".as_slice(), b"nd", b"rd", b"th"].iter().any(|word| self.is(index, word))
    }

    /// True if the word has two letters or more and all of them are capitals.
    pub(super) fn is_upper(&self, index: usize) -> bool {
        let word = self.word(index);
        word.len() > 1 && word.iter().all(u8::is_ascii_uppercase)
    }
}
