//! What the parts of a disjunction let through together.

use std::collections::HashMap;

use super::super::catalog::TypeKind;
use super::super::tree::{Expr, Is, Value};
use super::atoms::Judge;
use super::boolean;
use super::value::{constant, mirrored, order, simple};

/// What the parts of a disjunction let through.
#[derive(Default)]
pub(super) struct Cover {
    columns: HashMap<String, Covered>,
    pairs: HashMap<(String, String), u8>,
    flags: HashMap<String, (bool, bool)>,
}

impl Cover {
    /// Notes a test of two outcomes, or its opposite.
    fn flag(&mut self, key: String, opposite: bool) {
        let both = self.flags.entry(key).or_default();
        if opposite { both.1 = true } else { both.0 = true }
    }
}

/// What is let through of one expression's values.
#[derive(Default)]
struct Covered {
    name: Option<String>,
    inside: Vec<Value>,
    outside: Vec<Option<Value>>,
    below: Vec<(Value, bool)>,
    above: Vec<(Value, bool)>,
}

impl Covered {
    fn everything(&self) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let mut outside = self.outside.iter().flatten();
        if let Some(first) = outside.next() {
            let differs = |value: &Value| matches!(order(value, first), Some(Less | Greater));
            let below = self.below.iter().any(|(edge, with)| match order(first, edge) {
                Some(Less) => true,
                Some(Equal) => *with,
                _ => false,
            });
            let above = self.above.iter().any(|(edge, with)| match order(first, edge) {
                Some(Greater) => true,
                Some(Equal) => *with,
                _ => false,
            });
            if outside.any(differs) || self.inside.iter().any(|value| order(value, first) == Some(Equal)) || below || above {
                return true;
            }
        }
        let highest = self.below.iter().reduce(|best, next| {
            if order(&next.0, &best.0) == Some(Greater) || (order(&next.0, &best.0) == Some(Equal) && next.1) {
                next
            } else {
                best
            }
        });
        let lowest = self.above.iter().reduce(|best, next| {
            if order(&next.0, &best.0) == Some(Less) || (order(&next.0, &best.0) == Some(Equal) && next.1) { next } else { best }
        });
        match (highest, lowest) {
            (Some((high, high_in)), Some((low, low_in))) => match order(low, high) {
                Some(Less) => true,
                Some(Equal) => *high_in || *low_in || self.inside.iter().any(|value| order(value, low) == Some(Equal)),
                _ => false,
            },
            _ => false,
        }
    }
}

impl Judge<'_> {
    /// Notes what one part of a disjunction lets through.
    pub(super) fn note(&self, part: &Expr, not: bool, cover: &mut Cover) {
        match part {
            Expr::Not(inner) => self.note(inner, !not, cover),
            Expr::Compare(sign, sides) => {
                let sign = if not { super::opposite(sign) } else { sign };
                self.note_compare(sign, &sides.0, &sides.1, cover);
            }
            Expr::Distinct(sides, same) => self.note_compare(if *same == not { "<>" } else { "=" }, &sides.0, &sides.1, cover),
            Expr::In(left, list, not_in) if *not_in == not => self.note_in(left, list, cover),
            Expr::In(left, list, _) => {
                let key = format!("in {} {list:?}", self.key(left));
                cover.flag(key, true);
                for item in list {
                    cover.columns.entry(self.key(left)).or_default().outside.push(constant(simple(item)));
                }
            }
            Expr::Is(inner, Is::Bool(value), is_not) => {
                self.note(inner, *value == (*is_not != not), cover);
            }
            Expr::Is(inner, what, is_not) => {
                let key = format!("is {} {what:?}", self.key(inner));
                cover.flag(key, *is_not != not);
            }
            Expr::Column(_) => self.note_compare("=", part, &Expr::Value(Value::Bool(!not)), cover),
            other => {
                cover.flag(self.key(other), not);
            }
        }
    }

    /// Notes the constants of an IN list.
    pub(super) fn note_in(&self, left: &Expr, list: &[Expr], cover: &mut Cover) {
        let key = format!("in {} {list:?}", self.key(left));
        cover.flag(key, false);
        list.iter().for_each(|item| self.note_compare("=", left, item, cover));
    }

    fn note_compare(&self, sign: &'static str, left: &Expr, right: &Expr, cover: &mut Cover) {
        let (left, right) = (simple(left), simple(right));
        let (column, value, sign) = match (constant(left), constant(right)) {
            (None, Some(value)) => (left, value, sign),
            (Some(value), None) => (right, value, mirrored(sign)),
            _ => {
                let bits = match sign {
                    "=" => 2,
                    "<>" => 5,
                    "<" => 1,
                    "<=" => 3,
                    ">" => 4,
                    _ => 6,
                };
                let (left, right) = (self.key(left), self.key(right));
                let swapped = left > right;
                let bits = if swapped { (bits & 2) | ((bits & 1) << 2) | (bits >> 2) } else { bits };
                let pair = if swapped { (right, left) } else { (left, right) };
                *cover.pairs.entry(pair).or_default() |= bits;
                return;
            }
        };
        let name = match column {
            Expr::Column(name) => self.target_column(name),
            _ => None,
        };
        let covered = cover.columns.entry(self.key(column)).or_default();
        covered.name = name;
        match sign {
            "=" => covered.inside.push(value),
            "<>" => covered.outside.push(Some(value)),
            "<" | "<=" => covered.below.push((value, sign == "<=")),
            _ => covered.above.push((value, sign == ">=")),
        }
    }

    /// True if the parts noted leave no row out.
    pub(super) fn covers(&self, cover: &Cover) -> bool {
        cover.pairs.values().any(|bits| *bits == 7)
            || cover.flags.values().any(|both| *both == (true, true))
            || cover.columns.values().any(|covered| covered.everything() || self.all_labels(covered))
    }

    /// True if all values of a boolean or enum column are let through.
    fn all_labels(&self, covered: &Covered) -> bool {
        let has = |wanted: &Value| covered.inside.iter().any(|value| value == wanted);
        if has(&Value::Bool(true)) && has(&Value::Bool(false)) {
            return true;
        }
        let kind = covered
            .name
            .as_deref()
            .and_then(|name| self.attribute(name))
            .and_then(|attribute| self.catalog.types.get(&attribute.type_oid));
        match kind.map(|kind| &kind.kind) {
            Some(TypeKind::Enum(labels)) => !labels.is_empty() && labels.iter().all(|label| has(&Value::Text(label.clone()))),
            _ => {
                let truths: Vec<Option<bool>> = covered.inside.iter().map(boolean).collect();
                kind.is_some_and(|kind| kind.category == 'B') && truths.contains(&Some(true)) && truths.contains(&Some(false))
            }
        }
    }
}
