//! What a rule does with a value.

/// How the values of a column are masked. Each is valid for every type, in text and binary: where a strategy has no meaning
/// for a type, the result is the type's placeholder or NULL. NULL stays NULL.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// A placeholder that holds nothing of the value.
    Redact,
    /// NULL.
    Null,
    /// A constant given by the policy, if it is valid for the type; else as `Redact`.
    Fixed(String),
    /// Text: the last characters stay, the others become `*` (letters and digits) or stay (punctuation). A value no longer
    /// than that is masked whole.
    KeepLast(usize),
    /// Text: the first characters stay.
    KeepFirst(usize),
    /// Dates and timestamps become the first moment of their year; years that make a person over 89 become one bound
    /// (45 CFR 164.514(b)(2)(i)(C)).
    Year,
    /// The first three digits of a ZIP code stay, sparsely populated prefixes become 000 (45 CFR 164.514(b)(2)(i)(B)).
    Zip3,
    /// Numbers are rounded to a multiple of this.
    Round(f64),
    /// A keyed stand-in: the same value gives the same token, different values different ones (HMAC-SHA-256).
    Pseudonym,
    /// Free text: what identifies is replaced, the other words stay.
    Scan(std::sync::Arc<super::scan::Scan>),
}

impl Strategy {
    /// The word for it in policies and explanations.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Redact => "redact",
            Self::Null => "null",
            Self::Fixed(_) => "fixed",
            Self::KeepLast(_) | Self::KeepFirst(_) => "partial",
            Self::Year => "year",
            Self::Zip3 => "zip3",
            Self::Round(_) => "round",
            Self::Pseudonym => "pseudonym",
            Self::Scan(_) => "scan",
        }
    }
}
