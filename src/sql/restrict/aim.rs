//! Rows aimed at leaving a condition unmet, for conditions that few rows leave unmet.

use super::super::tree::{Expr, Is, Sign, Value};
use super::eval::Judge;
use super::look::any;
use super::sample::{Kind, allows, fit};
use super::time::DAY;
use super::truth::{comparing, opposite};
use super::value::Val;

/// How many rows are aimed.
pub(super) const PICKS: u32 = 16;

impl<'e> Judge<'e> {
    /// Gives columns of the next row values that should leave out one of the conditions.
    pub(super) fn aim(&mut self, conditions: &[&'e Expr], pick: u32) {
        for condition in conditions {
            self.want(condition, false, pick);
        }
    }

    fn want(&mut self, expr: &'e Expr, wanted: bool, pick: u32) {
        if self.step() {
            return;
        }
        let at = usize::try_from(pick).unwrap_or(0);
        match expr {
            Expr::Not(inner) => self.want(inner, !wanted, pick),
            Expr::And(list) if wanted => list.iter().for_each(|part| self.want(part, true, pick)),
            Expr::Or(list) if !wanted => list.iter().for_each(|part| self.want(part, false, pick)),
            Expr::And(list) | Expr::Or(list) => {
                if let Some(part) = list.get(at % list.len().max(1)) {
                    self.want(part, wanted, pick);
                }
            }
            Expr::Compare(sign, sides) => self.want_order(if wanted { sign } else { opposite(sign) }, &sides.0, &sides.1),
            Expr::Distinct(sides, same) => self.want_order(if *same == wanted { "=" } else { "<>" }, &sides.0, &sides.1),
            Expr::In(left, list, not) if *not != wanted => {
                if let Some(item) = list.get(at % list.len().max(1)) {
                    self.want_order("=", left, item);
                }
            }
            Expr::In(left, list, _) => list.iter().rev().take(1).for_each(|item| self.want_order("<>", left, item)),
            Expr::Between(parts, not) if *not != wanted => self.want_order(">=", &parts.0, &parts.1),
            Expr::Between(parts, _) if at.is_multiple_of(2) => self.want_order("<", &parts.0, &parts.1),
            Expr::Between(parts, _) => self.want_order(">", &parts.0, &parts.2),
            Expr::Is(inner, Is::Bool(value), not) => self.want(inner, (*value != *not) == wanted, pick),
            Expr::Is(inner, Is::Null, not) if *not != wanted => self.want_null(inner),
            Expr::Chain(signs, args) => self.want_like(signs, args, wanted),
            Expr::Column(name) => {
                if let Some(column) = self.bare_column(name) {
                    self.set(column, Val::Bool(wanted));
                }
            }
            _ => {}
        }
    }

    /// A name that may be that of a column of the target.
    fn bare_column(&self, name: &[String]) -> Option<String> {
        let column = name.last()?;
        self.attribute(column).map(|known| known.name.clone())
    }

    /// The column that an expression is, casts aside.
    fn column_in(&self, expr: &'e Expr) -> Option<String> {
        match expr {
            Expr::Column(name) => self.bare_column(name),
            Expr::Cast(inner, _) | Expr::Collate(inner) => self.column_in(inner),
            _ => None,
        }
    }

    fn set(&mut self, column: String, value: Val) {
        self.aimed.entry(column).or_insert(value);
    }

    fn want_null(&mut self, expr: &'e Expr) {
        if let Some(column) = self.column_in(expr)
            && !self.all_not_null(&column)
        {
            self.set(column, Val::Null);
        }
    }

    fn want_order(&mut self, sign: &'static str, left: &'e Expr, right: &'e Expr) {
        let (column, value, sign) = match (self.column_in(left), self.column_in(right)) {
            (Some(left), Some(right)) => return self.want_both(sign, left, right),
            (Some(column), None) => (column, constant(right), sign),
            (None, Some(column)) => (column, constant(left), mirrored(sign)),
            (None, None) => return,
        };
        let kind = self.kind(&column);
        let Some(value) = value.and_then(|value| fit(&kind, value)) else { return };
        let moved = |step: f64| match &value {
            Val::Number(number, whole) => Some(Val::Number(number + step, *whole)),
            Val::Time(at, day) => Some(Val::Time(at + step * DAY, *day)),
            Val::Span(length) => Some(Val::Span(length + step * DAY)),
            Val::Bool(known) => Some(Val::Bool(!known)),
            _ => None,
        };
        let value = match sign {
            "=" | "<=" | ">=" => Some(value),
            "<" => moved(-1.0),
            _ => moved(1.0),
        };
        if let Some(value) = value.filter(|value| allows(&kind, value)) {
            self.set(column, value);
        }
    }

    /// Two columns alike.
    fn want_both(&mut self, sign: &str, left: String, right: String) {
        if sign != "=" || left == right {
            return;
        }
        let value = self.sample(&left);
        self.set(right, value);
    }

    fn want_like(&mut self, signs: &'e [Sign], args: &'e [Expr], wanted: bool) {
        let ([sign], [left, Expr::Value(Value::Text(pattern)), ..]) = (signs, args) else { return };
        let like = match sign.sign.as_str() {
            "like" | "ilike" | "~~" | "~~*" | "similar" | "~" | "~*" => wanted,
            "!~~" | "!~~*" | "!~" | "!~*" => !wanted,
            _ => return,
        };
        if let (true, Some(column)) = (like, self.column_in(left)) {
            let bare: String = pattern.chars().filter(|c| !matches!(c, '%' | '\\' | '^' | '$')).collect();
            if matches!(self.kind(&column), Kind::Text(_)) {
                self.set(column, Val::text(&bare));
            }
        }
    }
}

fn mirrored(sign: &str) -> &'static str {
    match sign {
        "<" => ">",
        ">" => "<",
        "<=" => ">=",
        ">=" => "<=",
        other => comparing(other).unwrap_or("="),
    }
}

/// The constant that an expression is, casts aside.
fn constant(expr: &Expr) -> Option<&Value> {
    let mut found = None;
    let others = any(expr, &mut |part| match part {
        Expr::Value(value) => {
            found = Some(value);
            false
        }
        Expr::Cast(..) | Expr::Collate(_) => false,
        _ => true,
    });
    if others { None } else { found }
}
