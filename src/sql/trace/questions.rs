//! Conditions: what each asks.

use std::rc::Rc;

use super::cast::{Sort, sort};
use super::many::{is_counted, searched};
use super::value::{Shared, Value};
use super::{Tracer, constant};
use crate::sql::lineage::{Untraced, Use};
use crate::sql::tree::{Expr, Is};

impl<'a> Tracer<'a> {
    /// Notes what a condition asks.
    pub(super) fn condition(&mut self, condition: &'a Expr) {
        if !self.deeper() {
            return;
        }
        match condition {
            Expr::And(list) | Expr::Or(list) => list.iter().for_each(|part| self.condition(part)),
            Expr::Not(inner) => self.condition(inner),
            Expr::Is(inner, Is::Null, _) => {
                let (value, counted) = self.side(inner);
                self.ask_null(&value, counted);
            }
            Expr::Is(inner, Is::Bool(_) | Is::Unknown, _) => self.condition(inner),
            Expr::Compare(sign, sides) => {
                let how = if matches!(*sign, "=" | "<>") { Use::Equal } else { Use::Order };
                self.ask_pair(how, &sides.0, &sides.1);
            }
            Expr::Distinct(sides, _) => self.ask_pair(Use::Equal, &sides.0, &sides.1),
            Expr::In(left, list, _) => {
                let list = list.iter().filter(|item| !matches!(item, Expr::Value(_)));
                let sides: Vec<_> = std::iter::once(left.as_ref()).chain(list).map(|side| self.side(side)).collect();
                self.ask_all(Use::Equal, &sides);
            }
            Expr::InQuery(left, query, _) => {
                let left = self.side(left);
                let columns = self.columns(query);
                let counted = is_counted(&columns);
                self.ask_all(Use::Equal, &[left, (columns, counted)]);
            }
            Expr::Between(parts, _) => {
                [&parts.0, &parts.1, &parts.2].into_iter().for_each(|part| self.ask_one(Use::Order, part));
            }
            Expr::Any(sides, sign, _) => {
                let how = match sign.sign.as_str() {
                    "=" | "<>" | "!=" => Use::Equal,
                    "<" | ">" | "<=" | ">=" => Use::Order,
                    _ => Use::Match,
                };
                self.fails_as_operator(sign, &sides.1);
                let left = self.side(&sides.0);
                let right = match &sides.1 {
                    Expr::Query(query) => {
                        let columns = self.columns(query);
                        let counted = is_counted(&columns);
                        (columns, counted)
                    }
                    side => self.side(side),
                };
                self.ask_all(how, &[left, right]);
            }
            Expr::Exists(query) => {
                let _ = self.query(query);
            }
            other => {
                let value = self.expr(other);
                self.asks.ask(Use::Match, Use::Match, &value);
            }
        }
        self.shallower();
    }

    fn ask_pair(&mut self, how: Use, left: &'a Expr, right: &'a Expr) {
        if how == Use::Equal {
            for (side, other) in [(left, right), (right, left)] {
                if constant::is_empty(other) {
                    let (value, counted) = self.side(side);
                    if self.is_text(&value) {
                        self.ask_null(&value, counted);
                    } else {
                        self.ask_all(how, &[(value, counted)]);
                    }
                    return;
                }
            }
        }
        let own = self.arguments.is_none();
        let constant = |side: &Expr| matches!(side, Expr::Value(_)) || own && matches!(side, Expr::Parameter(_));
        let sides = [left, right].into_iter().filter(|side| !constant(side));
        let sides: Vec<_> = sides.map(|side| self.side(side)).collect();
        self.ask_all(how, &sides);
    }

    fn ask_one(&mut self, how: Use, side: &'a Expr) {
        if !matches!(side, Expr::Value(_)) {
            let value = self.expr(side);
            self.ask_value(how, &value);
        }
    }

    /// Asks about all sides of a comparison, each with whether it may be counted up.
    fn ask_all(&mut self, how: Use, sides: &[(Shared, bool)]) {
        let how = searched(how, sides.iter().any(|(_, counted)| *counted));
        sides.iter().for_each(|(value, _)| self.ask_value(how, value));
        // Rows of several sides may be sorted to be joined, as those of groups are.
        if how == Use::Equal && sides.len() > 1 {
            sides.iter().for_each(|(value, _)| self.joined(value));
        }
    }

    /// Asks about a value, of a row about each of its columns.
    pub(super) fn ask_value(&mut self, how: Use, value: &Shared) {
        self.work += value.sources.len();
        match &value.row {
            Some(row) => row.iter().for_each(|column| self.asks.ask(how, Use::Match, &column.value)),
            None => self.asks.ask(how, Use::Match, value),
        }
    }

    /// True for a text that nothing was computed with.
    pub(super) fn is_text(&self, value: &Value) -> bool {
        value.plain && value.row.is_none() && sort(self.catalog, value.kind) == Sort::Text
    }

    pub(super) fn ask_null(&mut self, value: &Shared, counted: bool) {
        match &value.row {
            Some(row) => {
                row.iter().for_each(|column| self.asks.ask(Use::Null, Use::Match, &column.value));
            }
            None => {
                let how = if value.mixed { Use::Equal } else { Use::Null };
                self.asks.ask(searched(how, counted), Use::Match, value);
            }
        }
    }

    /// Notes that something can fail by a value.
    pub(super) fn fail(&mut self, value: &Value) {
        self.asks.ask(Use::Fail, Use::Fail, value);
    }

    /// What cannot be followed, as a value.
    pub(super) fn lost(&self, why: Untraced) -> Shared {
        Rc::new(Value::untraced(why))
    }
}
