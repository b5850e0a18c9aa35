//! Values of an evaluation: known ones, and open ones of which little is known.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use super::super::tree::Value;
use super::time;

/// Most elements of a constant array that are read.
const ELEMENTS_MAX: usize = 256;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Val {
    Null,
    Bool(bool),
    /// A number; true if it is of a type of whole ones.
    Number(f64, bool),
    Text(Rc<str>),
    /// A label of an enum: its place among all.
    Label(usize, Rc<[String]>),
    /// Seconds since 1970; true for a date.
    Time(f64, bool),
    /// Seconds.
    Span(f64),
    /// A row and the names of its fields.
    Row(Vec<Val>, Rc<[String]>),
    Array(Vec<Val>),
    /// A document that is an object: its members and their names.
    Object(Vec<Val>, Rc<[String]>),
    /// A range: its ends, and whether each belongs to it.
    Range(Option<Rc<(Val, Val, bool, bool)>>),
    Open(Open),
}

/// A value of which little is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Open {
    /// The same for what surely is the same value.
    pub(super) id: u64,
    /// It is not less than this.
    pub(super) low: Option<Rc<Val>>,
    /// It is not more than this.
    pub(super) high: Option<Rc<Val>>,
    /// True if it is not NULL.
    pub(super) present: bool,
    /// True if it stands for any value of another relation's column.
    pub(super) loose: bool,
    /// Letters of a text.
    pub(super) letters: Option<u8>,
    /// What it is surely not.
    pub(super) unlike: Option<u64>,
}

impl Val {
    /// An open value.
    pub(super) fn open(id: u64) -> Self {
        Self::Open(Open { id, ..Open::default() })
    }

    /// An open value that is not NULL.
    pub(super) fn present(id: u64) -> Self {
        Self::Open(Open { id, present: true, ..Open::default() })
    }

    /// TRUE or FALSE.
    pub(super) fn maybe(id: u64) -> Self {
        let (low, high) = (Some(Rc::new(Self::Bool(false))), Some(Rc::new(Self::Bool(true))));
        Self::Open(Open { id, low, high, present: true, ..Open::default() })
    }

    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn whole(number: f64) -> Self {
        Self::Number(number, true)
    }

    /// The same for equal values.
    pub(super) fn id(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Self::Open(open) => return open.id,
            Self::Null => 0_u8.hash(&mut hasher),
            Self::Bool(value) => (1_u8, value).hash(&mut hasher),
            Self::Number(value, _) => (2_u8, (value + 0.0).to_bits()).hash(&mut hasher),
            Self::Text(text) => (3_u8, text).hash(&mut hasher),
            Self::Label(at, _) => (4_u8, at).hash(&mut hasher),
            Self::Time(at, _) => (5_u8, at.to_bits()).hash(&mut hasher),
            Self::Span(length) => (6_u8, length.to_bits()).hash(&mut hasher),
            Self::Row(values, _) => (7_u8, ids(values)).hash(&mut hasher),
            Self::Array(values) => (8_u8, ids(values)).hash(&mut hasher),
            Self::Object(values, names) => (10_u8, ids(values), names).hash(&mut hasher),
            Self::Range(ends) => (9_u8, ends.as_ref().map(|ends| (ends.0.id(), ends.1.id(), ends.2, ends.3))).hash(&mut hasher),
        }
        hasher.finish()
    }

    pub(super) fn is_null(&self) -> bool {
        *self == Self::Null
    }

    /// What it is not less than.
    pub(super) fn low(&self) -> Option<&Self> {
        match self {
            Self::Open(open) => open.low.as_deref(),
            known => Some(known),
        }
    }

    /// What it is not more than.
    pub(super) fn high(&self) -> Option<&Self> {
        match self {
            Self::Open(open) => open.high.as_deref(),
            known => Some(known),
        }
    }

    /// A constant; `place` stands for one that is too long to be kept.
    pub(super) fn constant(value: &Value, place: u64) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(known) => Self::Bool(*known),
            Value::Number(number) => Self::Number(*number, number.fract() == 0.0),
            Value::Text(text) => Self::text(text),
            Value::Other => Self::present(place),
        }
    }
}

/// A hash of several ids.
pub(super) fn mix(parts: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

pub(super) fn ids(values: &[Val]) -> u64 {
    mix(values.iter().map(Val::id).collect::<Vec<_>>())
}

/// The truth value of a text.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let begins = |word: &str| !text.is_empty() && word.starts_with(text.as_str());
    if begins("true") || begins("yes") || text == "on" || text == "1" {
        Some(true)
    } else if begins("false") || begins("no") || text == "of" || text == "off" || text == "0" {
        Some(false)
    } else {
        None
    }
}

/// A number written in a text, or the place of a row (`(3,7)`).
pub(super) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Some((page, place)) =
        text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).and_then(|text| text.split_once(','))
    {
        return Some(page.trim().parse::<f64>().ok()? * 65_536.0 + place.trim().parse::<f64>().ok()?);
    }
    let digit =
        text.bytes().any(|byte| byte.is_ascii_digit()) || ["infinity", "-infinity"].contains(&text.to_ascii_lowercase().as_str());
    if digit { text.parse().ok() } else { None }
}

/// The elements of an array written in a text.
pub(super) fn elements(text: &str) -> Option<Vec<Val>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    if inner.contains(['{', '\\']) {
        return None;
    }
    let quoted = |part: &str| {
        let part = part.trim();
        match part.strip_prefix('"').and_then(|part| part.strip_suffix('"')) {
            Some(part) => Val::text(part),
            None if part.eq_ignore_ascii_case("null") => Val::Null,
            None => Val::text(part),
        }
    };
    let all: Vec<Val> = inner.split(',').take(ELEMENTS_MAX + 1).map(quoted).collect();
    (all.len() <= ELEMENTS_MAX).then_some(all)
}

/// How two known values compare, if that can be said.
pub(super) fn order(left: &Val, right: &Val) -> Option<Ordering> {
    match (left, right) {
        (Val::Number(left, _), Val::Number(right, _)) | (Val::Span(left), Val::Span(right)) => left.partial_cmp(right),
        (Val::Time(left, _), Val::Time(right, _)) => left.partial_cmp(right),
        (Val::Bool(left), Val::Bool(right)) => Some(left.cmp(right)),
        (Val::Text(left), Val::Text(right)) => Some(left.cmp(right)),
        (Val::Label(left, _), Val::Label(right, _)) => Some(left.cmp(right)),
        (Val::Text(text), other) => literal(text, other).and_then(|value| order(&value, other)),
        (other, Val::Text(text)) => literal(text, other).and_then(|value| order(other, &value)),
        (Val::Array(left), Val::Array(right)) => {
            for (left, right) in left.iter().zip(right) {
                match order(left, right)? {
                    Ordering::Equal => {}
                    known => return Some(known),
                }
            }
            Some(left.len().cmp(&right.len()))
        }
        _ => None,
    }
}

/// A text read as a value of the other's kind.
fn literal(text: &str, like: &Val) -> Option<Val> {
    Some(match like {
        Val::Number(_, whole) => Val::Number(number(text)?, *whole),
        Val::Bool(_) => Val::Bool(boolean(text)?),
        Val::Time(_, day) => Val::Time(time::moment(text)?, *day),
        Val::Span(_) => Val::Span(time::span(text)?),
        Val::Label(_, labels) => Val::Label(labels.iter().position(|label| **label == *text)?, labels.clone()),
        Val::Array(_) => Val::Array(elements(text)?),
        _ => return None,
    })
}

/// The value as the server writes it.
pub(super) fn written(value: &Val) -> Option<String> {
    let list = |values: &[Val], open: char, close: char| {
        let parts: Option<Vec<String>> =
            values.iter().map(|value| if value.is_null() { Some(String::new()) } else { written(value) }).collect();
        Some(format!("{open}{}{close}", parts?.join(",")))
    };
    match value {
        Val::Null | Val::Open(_) | Val::Object(..) | Val::Range(_) | Val::Span(_) => None,
        Val::Bool(value) => Some(value.to_string()),
        Val::Number(value, _) => Some(value.to_string()),
        Val::Text(text) => Some(text.to_string()),
        Val::Label(at, labels) => labels.get(*at).cloned(),
        Val::Time(at, day) => Some(time::written(*at, *day)),
        Val::Row(values, _) => list(values, '(', ')'),
        Val::Array(values) => list(values, '{', '}'),
    }
}
