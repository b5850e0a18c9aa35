//! A pattern that a policy gives.

use regex::bytes::{Regex, RegexBuilder};

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 200;
/// Most memory of a compiled pattern, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A regular expression over ASCII, matched in linear time, whatever the letter case.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Why it is none, in a sentence.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("it has more than {PATTERN_BYTES_MAX} bytes"));
        }
        let regex = RegexBuilder::new(text).unicode(false).case_insensitive(true).size_limit(COMPILED_BYTES_MAX).build();
        let regex = regex.map_err(|_| "it is no regular expression, or too large a one".to_owned())?;
        if regex.is_match(b"") { Err("it matches the empty text".to_owned()) } else { Ok(Self(regex)) }
    }

    pub(super) fn spans<'t>(&'t self, text: &'t [u8]) -> impl Iterator<Item = std::ops::Range<usize>> + 't {
        self.0.find_iter(text).map(|found| found.range()).filter(|span| !span.is_empty())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}
