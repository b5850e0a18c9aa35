//! What masks need besides the value: the key of pseudonyms, and the year that ages are counted to.

use aws_lc_rs::hmac;

/// The deployment's key for pseudonyms. The same key gives the same tokens.
#[derive(Clone)]
pub struct PseudonymKey {
    key: hmac::Key,
    letter: u8,
}

/// The letter that tokens of the first key begin with.
const FIRST_LETTER: u8 = b'p';

impl PseudonymKey {
    /// Makes a key from secret bytes of any length; 32 or more are wanted.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, bytes), letter: FIRST_LETTER }
    }

    /// The key that follows this one: its tokens begin with the next letter (`p_`, `q_`, .. `z_`, `a_`, ..), so that tokens of
    /// two generations are never taken for each other. Nothing else of a token tells of its key.
    #[must_use]
    pub fn rotated(&self, bytes: &[u8]) -> Self {
        let letter = if self.letter == b'z' { b'a' } else { self.letter + 1 };
        Self { letter, ..Self::new(bytes) }
    }

    /// What tokens of this key begin with.
    pub(super) fn prefix(&self) -> [u8; 2] {
        [self.letter, b'_']
    }

    /// HMAC-SHA-256 of a value (RFC 2104). `domain` keeps kinds of values apart.
    pub(super) fn sign(&self, domain: u8, value: &[u8]) -> hmac::Tag {
        self.sign_in(None, domain, value)
    }

    /// As `sign`, apart from all other scopes.
    pub(super) fn sign_in(&self, scope: Option<&str>, domain: u8, value: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        if let Some(scope) = scope {
            // No domain has this letter, and no scope a zero byte.
            context.update(b"S");
            context.update(scope.as_bytes());
            context.update(&[0]);
        }
        context.update(&[domain]);
        context.update(value);
        context.sign()
    }
}

/// Shows nothing.
impl std::fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PseudonymKey(..)")
    }
}

/// What masks need besides the value.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The key of pseudonyms.
    pub pseudonym: PseudonymKey,
    /// The present year: dates that make a person older than 89 by its end become one bound.
    pub year_now: i16,
    /// The names that free text is searched for.
    pub names: super::scan::Names,
}
