//! Single claims of a token, by name or by path.

use serde_json::Value;

use super::{Claims, TokenFault};

/// Where a claim stands: the names of objects inside each other. `realm_access.roles` is two names; a name may itself hold dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(Vec<String>);

impl ClaimPath {
    /// A path of these names.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        Self(names)
    }

    /// The outermost name as it may stand in a token: the first, and all of them with dots.
    pub(super) fn roots(&self) -> [String; 2] {
        [self.0.first().cloned().unwrap_or_default(), self.0.join(".")]
    }
}

impl From<&str> for ClaimPath {
    fn from(text: &str) -> Self {
        Self(text.split('.').map(str::to_owned).collect())
    }
}

impl Claims {
    /// The claim at a path. A claim whose whole name has dots in it comes first.
    pub(super) fn at(&self, path: &ClaimPath) -> Option<&Value> {
        let whole = path.0.join(".");
        if let Some(value) = self.0.get(&whole) {
            return Some(value);
        }
        let (first, rest) = path.0.split_first()?;
        rest.iter().try_fold(self.0.get(first)?, |value, name| value.get(name))
    }

    /// A text that is not empty and holds no control characters.
    pub(super) fn text(&self, path: &ClaimPath) -> Option<&str> {
        self.at(path)?.as_str().filter(|text| !text.is_empty() && !text.chars().any(char::is_control))
    }

    /// A claim that is one text or a list of texts.
    pub(super) fn texts(&self, name: &'static str) -> Result<Vec<&str>, TokenFault> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text]),
            Some(Value::Array(items)) => {
                items.iter().map(|item| item.as_str().ok_or(TokenFault::Claim(name))).collect::<Result<_, _>>()
            }
            Some(_) => Err(TokenFault::Claim(name)),
        }
    }

    /// A moment, in seconds since 1970; a part of a second is cut off.
    pub(super) fn seconds(&self, name: &'static str) -> Result<Option<i64>, TokenFault> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number,
            _ => return Err(TokenFault::Claim(name)),
        };
        let whole = number.as_i64().or_else(|| whole(number.as_f64()?));
        whole.filter(|seconds| (0..=SECONDS_MAX).contains(seconds)).map(Some).ok_or(TokenFault::Claim(name))
    }
}

/// The end of the year 9999.
const SECONDS_MAX: i64 = 253_402_300_799;

/// A number without its fraction, by its digits: narrowing casts would round in silence.
fn whole(number: f64) -> Option<i64> {
    format!("{:.0}", number.floor()).parse().ok()
}
