//! What masks need besides the value: the key of pseudonyms, and the year that ages are counted to.

use aws_lc_rs::hmac;

/// The deployment's key for pseudonyms. The same key gives the same tokens.
#[derive(Clone)]
pub struct PseudonymKey(hmac::Key);

impl PseudonymKey {
    /// Makes a key from secret bytes of any length; 32 or more are wanted.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// HMAC-SHA-256 of a value (RFC 2104). `domain` keeps kinds of values apart.
    pub(super) fn sign(&self, domain: u8, value: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.0);
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
