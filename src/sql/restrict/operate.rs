//! Operators and casts.

use std::rc::Rc;

use super::super::tree::{Expr, Sign, TypeName};
use super::document;
use super::eval::Judge;
use super::pattern;
use super::time::{self, DAY};
use super::value::{self, Open, Val, boolean, mix, order, written};

/// Operators that hold between a value and itself (LIKE and regular expressions but for the rare wildcard in the value).
const REFLEXIVE: [&str; 21] = [
    "@>", "<@", "&&", "like", "ilike", "similar", "~~", "~~*", "~", "~*", "^@", "~=", "*=", "*<=", "*>=", "<<=", ">>=", "&<",
    "&>", "~<=~", "~>=~",
];
/// Operators that ask whether a text matches a pattern.
const PATTERN_SIGNS: [&str; 7] = ["like", "~~", "ilike", "~~*", "similar", "~", "~*"];
/// Letters of an MD5 digest.
pub(super) const DIGEST_LETTERS: u8 = 32;
/// Digests that are tried on a pattern.
const DIGESTS_TRIED: u32 = 64;

impl<'e> Judge<'e> {
    /// Operators of one precedence, from the left.
    pub(super) fn chain(&mut self, signs: &'e [Sign], args: &'e [Expr]) -> Val {
        let own = |sign: &Sign| sign.schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
        let Some((first, rest)) = args.split_first() else { return Val::open(0) };
        let mut left = self.value(first);
        if rest.is_empty() {
            return signs.iter().rev().fold(left, |value, sign| prefix(&sign.sign, value));
        }
        if let ([sign], [pattern, escape]) = (signs, rest) {
            let (pattern, escape) = (self.value(pattern), self.value(escape));
            return self.operate(&sign.sign, &left, &pattern, Some(&escape));
        }
        for (sign, arg) in signs.iter().zip(rest) {
            if self.step() {
                break;
            }
            let right = self.value(arg);
            left = if own(sign) { self.operate(&sign.sign, &left, &right, None) } else { unknown(&sign.sign, &left, &right) };
        }
        left
    }

    /// One operator between two values.
    pub(super) fn operate(&mut self, sign: &str, left: &Val, right: &Val, escape: Option<&Val>) -> Val {
        if left.is_null() || right.is_null() {
            return Val::Null;
        }
        if let Some(text) = negated(sign) {
            return match self.operate(text, left, right, escape) {
                Val::Bool(known) => Val::Bool(!known),
                Val::Null => Val::Null,
                other => Val::present(mix(("not", other.id()))),
            };
        }
        if let Some(value) = document::asked(sign, left, right) {
            return value;
        }
        if let Val::Open(Open { letters: Some(DIGEST_LETTERS), .. }) = left
            && PATTERN_SIGNS.contains(&sign)
            && self.matches_any_digest(sign, right, escape)
        {
            return Val::Bool(true);
        }
        // What is alike for both sides, and not known from their values.
        let same = left.id() == right.id();
        match sign {
            "like" | "~~" | "ilike" | "~~*" => {
                let fold = sign == "ilike" || sign == "~~*";
                self.like(left, right, escape, fold).unwrap_or_else(|| reflexive(sign, left, right))
            }
            "similar" => match (text_of(left), right) {
                (Some(text), Val::Text(pattern)) if escape.is_none() => {
                    self.patterns.similar(&text, pattern).map_or_else(|| reflexive(sign, left, right), Val::Bool)
                }
                _ => reflexive(sign, left, right),
            },
            "~" | "~*" => match (left, right) {
                (_, Val::Text(pattern)) if matches_all(pattern) => Val::Bool(true),
                (Val::Text(text), Val::Text(pattern)) if !same => {
                    self.patterns.matches(text, pattern, sign == "~*").map_or_else(|| unknown(sign, left, right), Val::Bool)
                }
                _ => reflexive(sign, left, right),
            },
            "^@" => match (left, right) {
                (_, Val::Text(start)) if start.is_empty() => Val::Bool(true),
                (Val::Text(text), Val::Text(start)) => Val::Bool(text.starts_with(&**start)),
                _ => reflexive(sign, left, right),
            },
            "||" => joined(left, right),
            "@>" => contains(left, right).unwrap_or_else(|| reflexive(sign, left, right)),
            "<@" => contains(right, left).unwrap_or_else(|| reflexive(sign, left, right)),
            "&&" => shares(left, right).unwrap_or_else(|| reflexive(sign, left, right)),
            "<<=" | "<<" => match right {
                Val::Text(net) if net.ends_with("/0") => Val::Bool(true),
                _ => reflexive(sign, left, right),
            },
            _ => arithmetic(sign, left, right).unwrap_or_else(|| reflexive(sign, left, right)),
        }
    }

    /// True if a pattern matches every digest that is tried.
    fn matches_any_digest(&mut self, sign: &str, pattern: &Val, escape: Option<&Val>) -> bool {
        let letters = usize::from(DIGEST_LETTERS / 2);
        (0..DIGESTS_TRIED).all(|number| {
            let digest = format!("{:0letters$x}{:0letters$x}", mix(("digest", number)), mix(("rest", number)));
            matches!(self.operate(sign, &Val::text(&digest), pattern, escape), Val::Bool(true))
        })
    }

    fn like(&self, left: &Val, right: &Val, escape: Option<&Val>, fold: bool) -> Option<Val> {
        let Val::Text(pattern) = right else { return None };
        let escape = match escape {
            None => Some('\\'),
            Some(Val::Text(text)) => text.chars().next(),
            Some(_) => return None,
        };
        if !pattern.is_empty() && pattern.chars().all(|c| c == '%') && escape != Some('%') {
            return Some(Val::Bool(true));
        }
        let text = text_of(left)?;
        Some(Val::Bool(if fold {
            pattern::like(&text.to_lowercase(), &pattern.to_lowercase(), escape)
        } else {
            pattern::like(&text, pattern, escape)
        }))
    }

    /// A cast.
    pub(super) fn cast(&self, value: Val, kind: &TypeName) -> Val {
        let name = kind.name.last().map_or("", String::as_str);
        if kind.array {
            return match value {
                Val::Text(text) => value::elements(&text).map_or_else(|| Val::present(mix((name, text))), Val::Array),
                other => other,
            };
        }
        if value.is_null() {
            return value;
        }
        let open = |value: Val| match value {
            Val::Open(open) => Val::Open(Open { id: mix((open.id, name)), low: None, high: None, ..open }),
            other => Val::present(mix((other.id(), name))),
        };
        match name {
            "text" | "varchar" | "bpchar" | "name" | "citext" if !kind.sized => match value {
                Val::Text(_) => value,
                Val::Open(_) => open(value),
                Val::Row(..) => filled(mix(("row", value.id()))),
                other => written(&other).map_or_else(|| open(other), |text| Val::text(&text)),
            },
            "int" | "integer" | "int4" | "int8" | "bigint" | "int2" | "smallint" | "oid" => {
                to_number(value, true).unwrap_or_else(open)
            }
            "numeric" | "decimal" | "float8" | "float4" | "real" | "float" | "dec" if !kind.sized => {
                to_number(value, false).unwrap_or_else(open)
            }
            "bool" | "boolean" => match value {
                Val::Text(text) => boolean(&text).map_or_else(|| Val::present(mix(("bool", text))), Val::Bool),
                Val::Number(number, _) => Val::Bool(number != 0.0),
                other => other,
            },
            "date" => match value {
                Val::Text(text) => {
                    time::moment(&text).map_or_else(|| open(Val::Text(text)), |at| Val::Time((at / DAY).floor() * DAY, true))
                }
                Val::Time(at, _) if at.is_finite() => Val::Time((at / DAY).floor() * DAY, true),
                Val::Time(at, _) => Val::Time(at, true),
                other => open(other),
            },
            "timestamp" | "timestamptz" => match value {
                Val::Text(text) => time::moment(&text).map_or_else(|| open(Val::Text(text)), |at| Val::Time(at, false)),
                Val::Time(at, _) => Val::Time(at, false),
                other => open(other),
            },
            "interval" | "time" => match value {
                Val::Text(text) => time::span(&text).map_or_else(|| open(Val::Text(text)), Val::Span),
                other => open(other),
            },
            "tid" => to_number(value, true).unwrap_or_else(open),
            "uuid" | "xid" => value,
            _ if name.ends_with("range") => match value {
                Val::Text(text) => range(&text, name).unwrap_or_else(|| open(Val::Text(text))),
                other => open(other),
            },
            _ => self.cast_named(value, kind).unwrap_or_else(open),
        }
    }

    /// A cast to a type that the catalog knows: a domain is its base, an enum's labels stay.
    fn cast_named(&self, value: Val, kind: &TypeName) -> Result<Val, Val> {
        let name = kind.name.last().map_or("", String::as_str);
        let Some(info) = self.catalog.types.values().find(|info| info.name == name) else { return Err(value) };
        let domain = self.catalog.base_type(info.oid) != info.oid;
        match (value, self.kind_of(info.oid, false, 0)) {
            (Val::Text(text), super::sample::Kind::Label(labels)) => match labels.iter().position(|label| **label == *text) {
                Some(at) => Ok(Val::Label(at, labels)),
                None => Err(Val::Text(text)),
            },
            (value, _) if domain => Ok(value),
            (value, _) => Err(value),
        }
    }
}

fn negated(sign: &str) -> Option<&'static str> {
    Some(match sign {
        "!~~" => "~~",
        "!~~*" => "~~*",
        "!~" => "~",
        "!~*" => "~*",
        _ => return None,
    })
}

fn prefix(sign: &str, value: Val) -> Val {
    match (sign, &value) {
        (_, Val::Null) | ("+", _) => value,
        ("-", Val::Number(number, whole)) => Val::Number(-number, *whole),
        ("-", Val::Span(length)) => Val::Span(-length),
        ("@", Val::Number(number, whole)) => Val::Number(number.abs(), *whole),
        ("~", Val::Number(number, true)) => Val::whole(-number - 1.0),
        _ => Val::open(mix((sign, value.id()))),
    }
}

/// A result of which only what it was made from is known.
pub(super) fn unknown(sign: &str, left: &Val, right: &Val) -> Val {
    let present = |value: &Val| !matches!(value, Val::Open(open) if !open.present);
    // What is looked up need not be there.
    let looked_up = sign.contains('>') && (sign.contains('-') || sign.contains('#'));
    let id = mix((sign, left.id(), right.id()));
    Val::Open(Open { id, present: present(left) && present(right) && !looked_up, ..Open::default() })
}

fn reflexive(sign: &str, left: &Val, right: &Val) -> Val {
    if REFLEXIVE.contains(&sign) && left.id() == right.id() { Val::Bool(true) } else { unknown(sign, left, right) }
}

/// True for regular expressions that surely match every text.
fn matches_all(pattern: &str) -> bool {
    ["", "^", "$", ".*", "^.*", "^.*$", ".*$", "(.*)", "()", ".{0,}", "|"].contains(&pattern)
}

fn text_of(value: &Val) -> Option<Rc<str>> {
    match value {
        Val::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn to_number(value: Val, whole: bool) -> Result<Val, Val> {
    match value {
        Val::Number(number, _) => Ok(Val::Number(if whole { number.round() } else { number }, whole)),
        Val::Bool(known) => Ok(Val::Number(f64::from(u8::from(known)), whole)),
        Val::Text(text) => value::number(&text).map(|number| Val::Number(number, whole)).ok_or(Val::Text(text)),
        // A number stays within its ends.
        Val::Open(open) if open.low.is_some() || open.high.is_some() => Ok(Val::Open(open)),
        other => Err(other),
    }
}

fn joined(left: &Val, right: &Val) -> Val {
    let empty = |value: &Val| matches!(value, Val::Text(text) if text.is_empty());
    match (left, right) {
        (Val::Array(left), Val::Array(right)) => Val::Array(left.iter().chain(right).cloned().collect()),
        (Val::Array(left), Val::Text(text)) => match value::elements(text) {
            Some(more) => Val::Array(left.iter().cloned().chain(more).collect()),
            None => Val::Array(left.iter().cloned().chain([right.clone()]).collect()),
        },
        (Val::Array(left), _) => Val::Array(left.iter().cloned().chain([right.clone()]).collect()),
        (_, Val::Array(right)) => Val::Array(std::iter::once(left.clone()).chain(right.iter().cloned()).collect()),
        (Val::Open(_), right) if empty(right) => left.clone(),
        (left, Val::Open(_)) if empty(left) => right.clone(),
        _ => match (written(left), written(right)) {
            (Some(left), Some(right)) => Val::text(&(left + &right)),
            (None, Some(text)) | (Some(text), None) if !text.is_empty() => filled(mix(("||", left.id(), right.id()))),
            _ => unknown("||", left, right),
        },
    }
}

/// A text that is not empty.
pub(super) fn filled(id: u64) -> Val {
    Val::Open(Open { id, low: Some(Rc::new(Val::text("\u{1}"))), present: true, ..Open::default() })
}

fn arithmetic(sign: &str, left: &Val, right: &Val) -> Option<Val> {
    match (left, right) {
        (Val::Number(left, first), Val::Number(right, second)) => numbers(sign, *left, *right, *first && *second),
        (Val::Number(..), Val::Text(text)) => arithmetic(sign, left, &Val::whole(value::number(text)?)),
        (Val::Text(text), Val::Number(..)) => arithmetic(sign, &Val::whole(value::number(text)?), right),
        (Val::Time(at, true), Val::Number(days, _)) if matches!(sign, "+" | "-") => {
            Some(Val::Time(if sign == "+" { at + days * DAY } else { at - days * DAY }, true))
        }
        (Val::Time(at, _), Val::Span(length)) | (Val::Span(length), Val::Time(at, _)) if sign == "+" => {
            Some(Val::Time(at + length, false))
        }
        (Val::Time(at, _), Val::Span(length)) if sign == "-" => Some(Val::Time(at - length, false)),
        (Val::Time(at, _), Val::Text(text)) if matches!(sign, "+" | "-") => {
            arithmetic(sign, &Val::Time(*at, false), &Val::Span(time::span(text)?))
        }
        (Val::Time(left, true), Val::Time(right, true)) if sign == "-" => Some(Val::whole((left - right) / DAY)),
        (Val::Time(left, _), Val::Time(right, _)) if sign == "-" => Some(Val::Span(left - right)),
        (Val::Span(left), Val::Span(right)) if matches!(sign, "+" | "-") => {
            Some(Val::Span(if sign == "+" { left + right } else { left - right }))
        }
        (Val::Span(length), Val::Number(times, _)) | (Val::Number(times, _), Val::Span(length)) if sign == "*" => {
            Some(Val::Span(length * times))
        }
        (Val::Array(left), Val::Array(_)) if sign == "-" => Some(Val::Array(left.clone())),
        (Val::Open(open), right) => with_open(sign, open, left, right, false),
        (left, Val::Open(open)) => with_open(sign, open, right, left, true),
        _ => None,
    }
}

/// Arithmetic with a number of which little is known.
fn with_open(sign: &str, open: &Open, whole: &Val, other: &Val, after: bool) -> Option<Val> {
    match (sign, other) {
        ("-", Val::Open(_)) if open.id == other.id() => Some(Val::whole(0.0)),
        ("/", Val::Open(_)) if open.id == other.id() => Some(Val::whole(1.0)),
        ("*", Val::Number(number, _)) if *number == 0.0 => Some(Val::whole(0.0)),
        ("+", Val::Number(number, _)) if *number == 0.0 => Some(whole.clone()),
        ("*", Val::Number(number, _)) if *number == 1.0 => Some(whole.clone()),
        ("-", Val::Number(number, _)) if *number == 0.0 && !after => Some(whole.clone()),
        ("/" | "^", Val::Number(number, _)) if *number == 1.0 && !after => Some(whole.clone()),
        ("+", Val::Number(number, _)) | ("-", Val::Number(number, _)) if !after || sign == "+" => {
            let step = if sign == "+" { *number } else { -number };
            let moved = |end: &Option<Rc<Val>>| match end.as_deref() {
                Some(Val::Number(end, whole)) => Some(Rc::new(Val::Number(end + step, *whole))),
                _ => None,
            };
            let id = mix(("+", open.id, step.to_bits()));
            Some(Val::Open(Open { id, low: moved(&open.low), high: moved(&open.high), present: open.present, ..Open::default() }))
        }
        _ => None,
    }
}

fn numbers(sign: &str, left: f64, right: f64, whole: bool) -> Option<Val> {
    let cut = |number: f64| if whole { number.trunc() } else { number };
    let result = match sign {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" if right != 0.0 => cut(left / right),
        "%" if right != 0.0 => left % right,
        "^" => return Some(Val::Number(left.powf(right), false)),
        "&" | "|" | "#" if whole => return bits(sign, left, right),
        "<<" | ">>" if whole && right == 0.0 => left,
        _ => return None,
    };
    Some(Val::Number(result, whole))
}

/// Operations on the bits of numbers.
fn bits(sign: &str, left: f64, right: f64) -> Option<Val> {
    let bits = |number: f64| format!("{number:.0}").parse::<i64>().ok();
    let (left, right) = (bits(left)?, bits(right)?);
    let result = match sign {
        "&" => left & right,
        "|" => left | right,
        _ => left ^ right,
    };
    Some(Val::whole(result.to_string().parse().ok()?))
}

/// Whether the left holds all of the right.
fn contains(left: &Val, right: &Val) -> Option<Val> {
    match (left, right) {
        (Val::Array(_), Val::Text(text)) => contains(left, &Val::Array(value::elements(text)?)),
        (Val::Text(text), Val::Array(_)) => contains(&Val::Array(value::elements(text)?), right),
        (Val::Array(left), Val::Array(right)) => {
            let found = |value: &Val| left.iter().any(|own| own == value || order(own, value).is_some_and(|order| order.is_eq()));
            Some(Val::Bool(right.iter().all(found)))
        }
        // Of a document: `{}` is in every object, and an empty range or array in every one.
        (_, Val::Text(text)) if ["{}", "empty"].contains(&text.trim()) => Some(Val::Bool(true)),
        (_, Val::Array(list)) if list.is_empty() => Some(Val::Bool(true)),
        (_, Val::Range(None)) => Some(Val::Bool(true)),
        (Val::Range(None), _) => Some(Val::Bool(false)),
        (Val::Range(Some(ends)), value) => {
            let (low, high, with_low, with_high) = ends.as_ref();
            let above = low.is_null() || order(low, value).is_some_and(|order| order.is_lt() || with_low & order.is_eq());
            let below = high.is_null() || order(value, high).is_some_and(|order| order.is_lt() || with_high & order.is_eq());
            let known = |end: &Val| end.is_null() || order(end, value).is_some();
            (known(low) && known(high)).then_some(Val::Bool(above && below))
        }
        _ => None,
    }
}

fn shares(left: &Val, right: &Val) -> Option<Val> {
    match (left, right) {
        _ if left.id() == right.id() => None,
        (Val::Array(_), Val::Text(text)) => shares(left, &Val::Array(value::elements(text)?)),
        (Val::Array(left), Val::Array(right)) => {
            let equal = |own: &Val, other: &Val| own == other || order(own, other).is_some_and(|order| order.is_eq());
            Some(Val::Bool(left.iter().any(|own| right.iter().any(|other| equal(own, other)))))
        }
        (Val::Range(Some(ends)), _) | (_, Val::Range(Some(ends))) if ends.0.is_null() && ends.1.is_null() => {
            Some(Val::Bool(true))
        }
        _ => None,
    }
}

/// A range written in a text.
fn range(text: &str, kind: &str) -> Option<Val> {
    let text = text.trim();
    if text == "empty" {
        return Some(Val::Range(None));
    }
    let with_low = text.starts_with('[');
    let with_high = text.ends_with(']');
    let inner = text.strip_prefix(['[', '('])?.strip_suffix([']', ')'])?;
    let (low, high) = inner.split_once(',')?;
    let end = |text: &str| match text.trim().trim_matches('"') {
        "" => Some(Val::Null),
        text if kind.starts_with("int") || kind.starts_with("num") => value::number(text).map(Val::whole),
        text => time::moment(text).map(|at| Val::Time(at, false)),
    };
    Some(Val::Range(Some(Rc::new((end(low)?, end(high)?, with_low, with_high)))))
}
