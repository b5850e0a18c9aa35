//! Operators: what each makes of its two sides, and whether it can fail.

use std::rc::Rc;

use super::Tracer;
use super::aside::ANY;
use super::cast::{BOOL, JSONB, Sort, TEXT, sort};
use super::value::{Shared, Sum, Value};
use super::{constant, json};
use crate::sql::lineage::JsonStep;
use crate::sql::tree::{Expr, Sign};

/// Largest constant by which a division or a product of a number without bounds is not taken to fail.
const STEP_MAX: f64 = 1e6;
/// Largest constant with which sums and products of small numbers are not taken to overflow, and that counts for small itself.
pub(super) const SMALL_MAX: f64 = 1000.0;
/// Most days that are added to a time in the usual range without leaving that of the type.
const DAYS_MAX: f64 = 100_000.0;

/// Operators that give a truth value.
const TRUTHS: [&str; 22] = [
    "~", "~*", "!~", "!~*", "~~", "~~*", "!~~", "!~~*", "@>", "<@", "&&", "?", "?|", "?&", "@?", "@@", "^@", "<<=", ">>=", "<<",
    ">>", "~=",
];

impl<'a> Tracer<'a> {
    /// One operator with two sides.
    pub(super) fn binary(&mut self, sign: &str, left: &Shared, right: &Shared, written: &'a Expr) -> Shared {
        if left.is_clean() && right.is_clean() {
            let kind = if TRUTHS.contains(&sign) { BOOL } else { self.result(sign, left, right) };
            let small = matches!(sign, "+" | "-") && left.small && right.small;
            return Rc::new(Value { small, ..Value::clean(kind) });
        }
        let document = sort(self.catalog, left.kind) == Sort::Json;
        match sign {
            "->" | "->>" if document => self.member(sign, left, right, &[json::step(written)]),
            "#>" | "#>>" if document && right.is_clean() => match json::keys(written) {
                Some(steps) => self.member(sign, left, right, &steps),
                None => Rc::new(left.through(sign, Some(ANY), if sign == "#>" { left.kind } else { TEXT })),
            },
            "||" if document && left.plain && right.is_clean() => patch(left),
            "@>" if document && right.is_clean() => parts(sign, left, json::text(written).and_then(json::leaves)),
            "?" if document && right.is_clean() => parts(sign, left, json::text(written).map(|key| keys_of(&[key]))),
            "?|" | "?&" if document && right.is_clean() => parts(sign, left, key_list(written)),
            "@?" if document && right.is_clean() => parts(sign, left, json::text(written).and_then(json::jsonpath)),
            _ => {
                if self.can_fail(sign, left, right, written) {
                    self.fail(left);
                    self.fail(right);
                }
                let kind = if TRUTHS.contains(&sign) { BOOL } else { self.result(sign, left, right) };
                let mut sum = Sum::new();
                self.work += sum.add(left) + sum.add(right);
                let told = constant::shown(written).filter(|_| right.is_clean() && !left.is_clean());
                let small = matches!(sign, "+" | "-") && stays_small(sort(self.catalog, kind), left, right);
                let through = Value { small, ..sum.kept().through(sign, Some(told.as_deref().unwrap_or(ANY)), kind) };
                let total = matches!(sign, "+" | "-" | "*" | "/" | "%" | "||") && sort(self.catalog, kind) != Sort::Array;
                Rc::new(if total { through.there_with(&[left.clone(), right.clone()]) } else { through })
            }
        }
    }

    fn member(&mut self, sign: &str, left: &Shared, right: &Shared, steps: &[JsonStep]) -> Shared {
        let text = sign.ends_with(">>");
        let kind = if text { TEXT } else { left.kind };
        let part = left.part(steps, kind, true);
        if right.is_clean() {
            return Rc::new(part);
        }
        let mut sum = Sum::new();
        sum.add(&part);
        sum.add(&right.through(sign, Some(ANY), kind));
        Rc::new(Value { kind, ..sum.kept() })
    }

    fn result(&self, sign: &str, left: &Value, right: &Value) -> u32 {
        let (one, other) = (sort(self.catalog, left.kind), sort(self.catalog, right.kind));
        match (sign, one, other) {
            ("-", Sort::Date, Sort::Date) => 23,
            ("+" | "-", Sort::Date, Sort::Interval) | ("+", Sort::Interval, Sort::Date) => 1114,
            ("+" | "-", Sort::Date, _) => 1082,
            ("-", Sort::Stamp, Sort::Stamp) => 1186,
            ("+" | "-", Sort::Stamp, _) => left.kind,
            ("+", Sort::Interval, Sort::Stamp) => right.kind,
            ("||", Sort::Json, _) | ("||", _, Sort::Json) => JSONB,
            ("||", Sort::Array, _) | ("||", _, Sort::Array) => super::cast::ARRAY,
            ("||", ..) => TEXT,
            ("-" | "#-", Sort::Json, _) => left.kind,
            ("+" | "-" | "*" | "/" | "%", Sort::Whole(_), Sort::Whole(_)) => left.kind.max(right.kind),
            ("+" | "-" | "*" | "/", Sort::Whole(_) | Sort::Number, Sort::Whole(_) | Sort::Number) => {
                let float = [left, right].iter().any(|side| matches!(self.catalog.base_type(side.kind), 700 | 701));
                if float { super::cast::FLOAT } else { super::cast::NUMERIC }
            }
            _ => 0,
        }
    }

    fn can_fail(&self, sign: &str, left: &Value, right: &Value, written: &Expr) -> bool {
        let (one, other) = (sort(self.catalog, left.kind), sort(self.catalog, right.kind));
        let timed = |sort| matches!(sort, Sort::Date | Sort::Stamp | Sort::Interval | Sort::Clock);
        let number = constant::number(written).map(f64::abs);
        let near = number.is_some_and(|number| number <= STEP_MAX);
        let usual = |value: &Value| value.plain || value.small;
        match sign {
            "||" | "->" | "->>" | "#>" | "#>>" | "&&" | "@>" | "<@" | "?" | "?|" | "?&" | "<->" | "^@" => false,
            "~" | "~*" | "!~" | "!~*" | "~~" | "~~*" | "!~~" | "!~~*" | "@@" | "@?" => !right.is_clean(),
            "-" if timed(one) && timed(other) && one != Sort::Interval && other != Sort::Interval => false,
            "-" if timed(other) && other != Sort::Interval && left.is_clean() => false,
            "+" | "-" if timed(one) && !left.is_clean() => {
                let days = number.is_some_and(|number| number <= DAYS_MAX);
                !(usual(left) && (days || right.small))
            }
            "+" if timed(other) && left.is_clean() => !(usual(right) && left.small),
            "-" if one == Sort::Json => constant::number(written).is_some() || !right.is_clean(),
            "+" | "-" | "*" => !self.is_bounded(sign, left, right, number),
            "/" | "%" => !(near && number.is_some_and(|number| number >= 1.0)),
            _ => true,
        }
    }

    /// True if a sum or a product stays in the range of its type.
    fn is_bounded(&self, sign: &str, left: &Value, right: &Value, number: Option<f64>) -> bool {
        let exact = |value: &Value| self.catalog.base_type(value.kind) == super::cast::NUMERIC;
        let modest = |value: &Value| value.is_clean() && value.small;
        let by = |value: &Value, number: Option<f64>, other_modest: bool| {
            let step = number.is_some_and(|number| number <= STEP_MAX);
            let bounded = if sign == "*" { value.small } else { value.small || value.plain };
            (exact(value) && (step || other_modest)) || bounded && other_modest || sign != "*" && value.plain && step
        };
        match (left.is_clean(), right.is_clean()) {
            (false, true) => by(left, number, modest(right)),
            (true, _) => by(right, None, modest(left)),
            (false, false) if sign == "*" => false,
            (false, false) => [left, right].into_iter().all(|side| side.small || side.plain || exact(side)),
        }
    }

    /// A prefix operator that may fail.
    pub(super) fn fails_as_prefix(&mut self, sign: &str, value: &Value) {
        if !matches!(sign, "-" | "+" | "@" | "~" | "not") && !value.is_clean() {
            self.fail(value);
        }
    }

    /// `like any (..)` with patterns that are no constants.
    pub(super) fn fails_as_operator(&mut self, sign: &Sign, right: &'a Expr) {
        if matches!(sign.sign.as_str(), "=" | "<>" | "!=" | "<" | ">" | "<=" | ">=") {
            return;
        }
        let value = self.expr(right);
        if !value.is_clean() {
            self.fail(&value);
        }
    }
}

/// True if a sum is as small as what was summed: for a time once only, since what is added counts for less than the range.
fn stays_small(sort: Sort, left: &Value, right: &Value) -> bool {
    match sort {
        Sort::Date | Sort::Stamp => left.plain || right.plain,
        _ => left.small && right.small,
    }
}

/// What an operator tells of a document at these paths; of all of it where they are not known.
fn parts(sign: &str, document: &Value, paths: Option<Vec<Vec<JsonStep>>>) -> Shared {
    let Some(paths) = paths else { return Rc::new(document.through(sign, Some(ANY), BOOL)) };
    let mut sum = Sum::new();
    for path in paths {
        sum.add(&document.part(&path, BOOL, false));
    }
    Rc::new(Value { kind: BOOL, plain: false, ..sum.kept() })
}

/// A document to which constants are added, or in which they replace what was there: the rest stays in its place.
pub(super) fn patch(document: &Value) -> Shared {
    Rc::new(Value { direct: false, plain: false, mixed: true, known: true, ..document.clone() })
}

/// Keys of an object, or strings of an array.
fn keys_of(keys: &[&str]) -> Vec<Vec<JsonStep>> {
    let members = keys.iter().map(|key| vec![JsonStep::Member((*key).to_owned())]);
    members.chain(std::iter::once(vec![JsonStep::Element])).collect()
}

fn key_list(written: &Expr) -> Option<Vec<Vec<JsonStep>>> {
    let keys = json::keys(written)?;
    Some(keys.into_iter().map(|key| vec![key]).chain(std::iter::once(vec![JsonStep::Element])).collect())
}
