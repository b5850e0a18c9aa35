//! Operators: what each makes of its two sides, and whether it can fail.

use std::rc::Rc;

use super::Tracer;
use super::aside::ANY;
use super::cast::{BOOL, JSONB, Sort, TEXT, sort};
use super::value::{Shared, Sum, Value};
use super::{constant, json};
use crate::sql::lineage::JsonStep;
use crate::sql::tree::{Expr, Sign};

/// Largest constant with which sums and products are not taken to overflow.
const STEP_MAX: f64 = 1e6;

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
            return Rc::new(Value { small: left.small && right.small, ..Value::clean(kind) });
        }
        let document = sort(self.catalog, left.kind) == Sort::Json;
        match sign {
            "->" | "->>" if document => self.member(sign, left, right, &[json::step(written)]),
            "#>" | "#>>" if document => {
                let steps = json::keys(written).unwrap_or_else(|| vec![JsonStep::Any]);
                let known = json::keys(written).is_some();
                self.member(sign, left, right, if known { &steps } else { &[] })
            }
            "@>" if document && right.is_clean() => parts(left, json::text(written).and_then(json::leaves)),
            "?" if document && right.is_clean() => parts(left, json::text(written).map(|key| keys_of(&[key]))),
            "?|" | "?&" if document && right.is_clean() => parts(left, key_list(written)),
            "@?" if document && right.is_clean() => parts(left, json::text(written).and_then(json::jsonpath)),
            _ => {
                if self.can_fail(sign, left, right, written) {
                    self.fail(left);
                    self.fail(right);
                }
                let kind = if TRUTHS.contains(&sign) { BOOL } else { self.result(sign, left, right) };
                let mut sum = Sum::new();
                self.work += sum.add(left) + sum.add(right);
                let told = constant::shown(written).filter(|_| right.is_clean() && !left.is_clean());
                Rc::new(sum.kept().through(sign, Some(told.as_deref().unwrap_or(ANY)), kind))
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
            ("+" | "-" | "*" | "/", Sort::Whole(_) | Sort::Number, Sort::Whole(_) | Sort::Number) => super::cast::NUMERIC,
            _ => 0,
        }
    }

    fn can_fail(&self, sign: &str, left: &Value, right: &Value, written: &Expr) -> bool {
        let (one, other) = (sort(self.catalog, left.kind), sort(self.catalog, right.kind));
        let timed = |sort| matches!(sort, Sort::Date | Sort::Stamp | Sort::Interval | Sort::Clock);
        let near = constant::number(written).is_some_and(|number| number.abs() <= STEP_MAX);
        match sign {
            "||" | "->" | "->>" | "#>" | "#>>" | "&&" | "@>" | "<@" | "?" | "?|" | "?&" | "<->" | "^@" => false,
            "~" | "~*" | "!~" | "!~*" | "~~" | "~~*" | "!~~" | "!~~*" | "@@" | "@?" => !right.is_clean(),
            "+" | "-" if timed(one) && (timed(other) || near || constant::is(written)) => false,
            "+" if timed(other) && left.is_clean() => false,
            "-" if timed(other) && (timed(one) || left.is_clean()) => false,
            "-" if one == Sort::Json => constant::number(written).is_some() || !right.is_clean(),
            "+" | "-" | "*" => !(near || (left.is_clean() && left.small) || (left.small && right.small)),
            "/" | "%" => !(near && constant::number(written).is_some_and(|number| number.abs() >= 1.0)),
            _ => true,
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

/// The parts of a document at these paths; the whole where they are not known.
fn parts(document: &Value, paths: Option<Vec<Vec<JsonStep>>>) -> Shared {
    let mut sum = Sum::new();
    for path in paths.unwrap_or_else(|| vec![Vec::new()]) {
        sum.add(&document.part(&path, BOOL, false));
    }
    Rc::new(Value { kind: BOOL, plain: false, ..sum.kept() })
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
