//! Names that are known, as hashes of their words.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::fold;
use super::page::{hash, is_letter};

/// Most words of one dictionary: at nine bytes each, about 150 MB with its slack.
const WORDS_MAX: usize = 8_000_000;
/// Most bytes of a value that are read as a name.
const NAME_BYTES_MAX: usize = 256;
/// Characters from which words of scripts without blanks are made.
pub(super) const IDEOGRAPHS_MAX: usize = 4;

/// Takes a hash as it is.
#[derive(Debug, Default, Clone)]
pub(super) struct Plain(u64);

impl Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// Words of names, in any letter case and with or without accents. Holds hashes, not the words.
#[derive(Clone, Default, PartialEq)]
pub struct Dictionary {
    words: HashSet<u64, BuildHasherDefault<Plain>>,
}

impl Dictionary {
    /// Adds the words of a name: `Mary Ann`, `O'Brien`, `Smith-Jones`. False if the dictionary is full.
    pub fn add(&mut self, name: &str) -> bool {
        if self.words.len() >= WORDS_MAX {
            return false;
        }
        let end = (0..=name.len().min(NAME_BYTES_MAX)).rev().find(|end| name.is_char_boundary(*end));
        let folded = fold::word(name.get(..end.unwrap_or_default()).unwrap_or_default());
        for part in folded.split(u8::is_ascii_whitespace) {
            let words = || part.split(|byte| !is_letter(*byte)).filter(|word| word.len() > 1);
            words().for_each(|word| self.insert(word));
            // Also as they are written without what joins them: `OBrien`.
            let joined: Vec<u8> = part.iter().copied().filter(|byte| is_letter(*byte)).collect();
            if joined.len() > 3 {
                self.insert(&joined);
            }
        }
        true
    }

    fn insert(&mut self, word: &[u8]) {
        self.words.insert(hash(word));
    }

    /// True if the word with this hash is part of a name.
    pub(super) fn has(&self, word: u64) -> bool {
        self.words.contains(&word)
    }

    /// How many words there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// True if there is no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }
}

impl<'a> FromIterator<&'a str> for Dictionary {
    fn from_iter<I: IntoIterator<Item = &'a str>>(names: I) -> Self {
        let mut dictionary = Self::default();
        for name in names {
            dictionary.add(name);
        }
        dictionary
    }
}

/// Shows how large it is.
impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dictionary({} words)", self.words.len())
    }
}

/// The dictionaries that are at hand, each under the columns it was drawn from.
#[derive(Debug, Clone, Default)]
pub struct Dictionaries(HashMap<Vec<String>, Arc<Dictionary>>);

impl Dictionaries {
    /// The dictionary drawn from these columns, if it is at hand.
    #[must_use]
    pub fn of(&self, columns: &[String]) -> Option<&Dictionary> {
        self.0.get(columns).map(AsRef::as_ref)
    }

    /// Keeps the dictionary drawn from these columns, in place of an older one.
    pub fn keep(&mut self, columns: Vec<String>, dictionary: Arc<Dictionary>) {
        self.0.insert(columns, dictionary);
    }
}
