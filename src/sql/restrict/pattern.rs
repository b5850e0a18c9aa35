//! Whether a text matches a pattern.

use std::collections::HashMap;

use regex::bytes::{NoExpand, Regex, RegexBuilder};

use super::value::Val;

/// Longest pattern that is matched.
const PATTERN_BYTES_MAX: usize = 256;
/// Largest program of a pattern.
const PROGRAM_BYTES_MAX: usize = 1 << 18;
/// Most patterns of one condition.
const PATTERNS_MAX: usize = 32;

/// Patterns made ready; none for what cannot be read.
#[derive(Default)]
pub(super) struct Patterns {
    known: HashMap<String, Option<Regex>>,
}

impl Patterns {
    /// Whether a text matches a regular expression, if the pattern reads here as on the server.
    pub(super) fn matches(&mut self, text: &str, pattern: &str, fold: bool) -> Option<bool> {
        Some(self.regex(pattern, fold)?.is_match(text.as_bytes()))
    }

    /// `regexp_replace(text, pattern, with [, flags])`, where nothing of what matched comes back in.
    pub(super) fn replaced(&mut self, name: &str, args: &[Val]) -> Option<Val> {
        let ("regexp_replace", [Val::Text(text), Val::Text(pattern), Val::Text(with), rest @ ..]) = (name, args) else {
            return None;
        };
        let flags = match rest {
            [] => "",
            [Val::Text(flags)] => flags,
            _ => return None,
        };
        if with.contains('\\') || !flags.chars().all(|flag| matches!(flag, 'g' | 'i' | 'c')) {
            return None;
        }
        let regex = self.regex(pattern, flags.contains('i'))?;
        let limit = usize::from(!flags.contains('g'));
        let bytes = regex.replacen(text.as_bytes(), limit, NoExpand(with.as_bytes()));
        std::str::from_utf8(&bytes).ok().map(Val::text)
    }

    fn regex(&mut self, pattern: &str, fold: bool) -> Option<&Regex> {
        let key = format!("{}{pattern}", if fold { "i" } else { "c" });
        if !self.known.contains_key(&key) {
            if self.known.len() >= PATTERNS_MAX {
                return None;
            }
            self.known.insert(key.clone(), ready(pattern, fold));
        }
        self.known.get(&key)?.as_ref()
    }

    /// SIMILAR TO.
    pub(super) fn similar(&mut self, text: &str, pattern: &str) -> Option<bool> {
        let mut regex = String::from("^(?:");
        for c in pattern.chars() {
            match c {
                '%' => regex.push_str(".*"),
                '_' => regex.push('.'),
                '.' | '^' | '$' => regex.extend(['\\', c]),
                '\\' => return None,
                other => regex.push(other),
            }
        }
        regex.push_str(")$");
        self.matches(text, &regex, false)
    }
}

fn ready(pattern: &str, fold: bool) -> Option<Regex> {
    let strange = ["\\m", "\\M", "\\y", "\\Y", "\\A", "\\Z", "***", "(?", "[["];
    // `(?:` reads alike.
    let plain = pattern.replace("(?:", "(");
    if pattern.len() > PATTERN_BYTES_MAX || strange.iter().any(|part| plain.contains(part)) {
        return None;
    }
    RegexBuilder::new(pattern)
        .unicode(false)
        .case_insensitive(fold)
        .dot_matches_new_line(true)
        .size_limit(PROGRAM_BYTES_MAX)
        .build()
        .ok()
}

/// LIKE with the escape given.
pub(super) fn like(text: &str, pattern: &str, escape: Option<char>) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<Piece> = pieces(pattern, escape);
    let (mut at, mut place) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(place) {
            Some(Piece::Rest) => {
                back = Some((at, place));
                place += 1;
                continue;
            }
            Some(Piece::One) => {
                at += 1;
                place += 1;
                continue;
            }
            Some(Piece::Letter(letter)) if text.get(at) == Some(letter) => {
                at += 1;
                place += 1;
                continue;
            }
            _ => {}
        }
        let Some((from, rest)) = back else { return false };
        (at, place) = (from + 1, rest + 1);
        back = Some((at, rest));
    }
    pattern.iter().skip(place).all(|piece| matches!(piece, Piece::Rest))
}

/// One part of a pattern of LIKE.
enum Piece {
    Rest,
    One,
    Letter(char),
}

fn pieces(pattern: &str, escape: Option<char>) -> Vec<Piece> {
    let mut all = Vec::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        all.push(match letter {
            letter if Some(letter) == escape => letters.next().map_or(Piece::Letter(letter), Piece::Letter),
            '%' => Piece::Rest,
            '_' => Piece::One,
            letter => Piece::Letter(letter),
        });
    }
    all
}
