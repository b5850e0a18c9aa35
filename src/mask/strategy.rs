//! What a rule does with a value.

use super::csv::CsvMask;
use super::paths::{JsonMask, Part};
use crate::sql::JsonStep;

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
    /// Dates and timestamps become the first moment of their month; the bound of `Year` holds.
    Month,
    /// Ages in years, as numbers or intervals: whole years, and all over this one are one more (45 CFR 164.514(b)(2)(i)(C)).
    Age(u16),
    /// A keyed stand-in: the same value gives the same token, different values different ones (HMAC-SHA-256,
    /// 45 CFR 164.514(c)).
    Pseudonym,
    /// A keyed stand-in of another form, or one that is the same only within a scope.
    PseudonymAs(PseudonymAs),
    /// Parts of json documents.
    Json(JsonMask),
    /// Columns of CSV text.
    Csv(CsvMask),
    /// Each element of an array. An array under another strategy is masked element by element as well.
    Elements(Box<Strategy>),
    /// Free text: what identifies is replaced, the other words stay.
    Scan(std::sync::Arc<super::scan::Scan>),
}

/// Which stand-in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PseudonymAs {
    /// Tokens agree between the columns that name the same scope.
    pub scope: Option<String>,
    /// What it looks like, where the type leaves a choice.
    pub form: PseudonymForm,
}

/// What the stand-in of a text looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PseudonymForm {
    /// `p_` and 20 letters: 80 bits.
    #[default]
    Token,
    /// The shape of the value: a digit for each digit, a letter for each letter, the rest as it is. Short values collide.
    Digits,
    /// A random UUID, as text.
    Uuid,
    /// Two words that can be read aloud: 48 bits.
    Name,
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
            Self::Month => "month",
            Self::Age(_) => "age",
            Self::Pseudonym | Self::PseudonymAs(_) => "pseudonym",
            Self::Json(_) => "json",
            Self::Csv(_) => "csv",
            Self::Elements(_) => "elements",
            Self::Scan(_) => "scan",
        }
    }

    /// This strategy and all within it.
    #[must_use]
    pub fn all(&self) -> Vec<&Self> {
        let mut all = vec![self];
        // Those within are found as the list grows.
        let mut next = 0;
        while let Some(strategy) = all.get(next).copied() {
            match strategy {
                Self::Json(mask) => all.extend(mask.strategies()),
                Self::Csv(csv) => all.push(&csv.with),
                Self::Elements(inner) => all.push(inner),
                _ => {}
            }
            next += 1;
        }
        all
    }

    /// True if the place of a value in an order tells nothing that its masked form does not: of two values, the masked form of the
    /// larger one is never smaller, or all masked forms are alike.
    #[must_use]
    pub fn keeps_order(&self) -> bool {
        match self {
            Self::Redact | Self::Null | Self::Fixed(_) | Self::Year | Self::Month | Self::Age(_) | Self::Round(_) => true,
            Self::Elements(strategy) => strategy.keeps_order(),
            Self::KeepFirst(_)
            | Self::KeepLast(_)
            | Self::Zip3
            | Self::Pseudonym
            | Self::PseudonymAs(_)
            | Self::Json(_)
            | Self::Csv(_)
            | Self::Scan(_) => false,
        }
    }

    /// What becomes of a part of a json column that falls under this strategy. The empty path is the whole document.
    #[must_use]
    pub fn part(&self, path: &[JsonStep]) -> Part {
        match self {
            Self::Json(mask) => mask.part(path),
            Self::Redact | Self::Null | Self::Fixed(_) | Self::Scan(_) => Part::Under(self.clone()),
            _ if path.is_empty() => Part::Under(self.clone()),
            _ => Part::Whole,
        }
    }
}
