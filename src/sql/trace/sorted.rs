//! What is sorted on the way: the server sorts values to group them, to join them in full, to leave doubles out, and their rows come
//! in that order. Among values that a statement chooses itself, or that are known, a masked one is found by where it lies.

use super::Tracer;
use super::value::{Shared, Sum, Value};
use crate::sql::lineage::{Use, Way};
use crate::sql::tree::Expr;

/// What sorting a value asks about the columns that are in it as they are.
fn asked(value: &Value) -> Use {
    // Of what only decides which of them it is, each is asked about where it decides.
    let stored = value.sources.iter().filter(|source| matches!(source.way, Way::Kept | Way::Part(_)));
    let mut columns = stored.map(|source| (source.relation, source.attribute));
    let first = columns.next();
    if value.is_one_column() {
        Use::Group
    } else if value.known {
        Use::Order
    } else if columns.all(|column| Some(column) == first) {
        Use::Equal
    } else {
        Use::Among
    }
}

/// Two values as one that either may stand for.
fn either(left: &Value, right: &Value) -> Value {
    let mut sum = Sum::new();
    sum.add(left);
    sum.add(right);
    sum.kept()
}

impl<'a> Tracer<'a> {
    /// What grouping by a value asks.
    pub(super) fn grouped(&mut self, value: &Value) {
        self.work += value.sources.len();
        match &value.row {
            Some(row) => row.iter().for_each(|column| self.asks.ask(asked(&column.value), Use::Match, &column.value)),
            None => self.asks.ask(asked(value), Use::Match, value),
        }
    }

    /// What it asks that rows may be sorted by a value to be joined: nothing more of a column as it is, since no others come among its own.
    pub(super) fn joined(&mut self, value: &Value) {
        match &value.row {
            Some(row) => row.iter().for_each(|column| self.joined(&column.value)),
            None if value.known => self.grouped(value),
            None => {}
        }
    }

    /// What it asks that the values of two sides come together.
    pub(super) fn merged_rows(&mut self, left: &Value, right: &Value) {
        match (&left.row, &right.row) {
            (Some(lefts), Some(rights)) => {
                lefts.iter().zip(rights.iter()).for_each(|(left, right)| self.grouped(&either(&left.value, &right.value)));
            }
            _ => self.grouped(&either(left, right)),
        }
    }

    /// What the condition of a full join asks beside itself: rows of both sides come by what is compared, equal or not.
    pub(super) fn joined_in_full(&mut self, condition: &'a Expr) {
        if !self.deeper() {
            return;
        }
        match condition {
            Expr::And(list) => list.iter().for_each(|part| self.joined_in_full(part)),
            Expr::Compare(_, sides) | Expr::Distinct(sides, _) => {
                let sides: [Shared; 2] = [self.expr(&sides.0), self.expr(&sides.1)];
                self.merged_rows(&sides[0], &sides[1]);
            }
            other => {
                let value = self.expr(other);
                self.asks.ask(Use::Match, Use::Match, &value);
            }
        }
        self.shallower();
    }
}
