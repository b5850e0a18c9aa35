//! Values that a statement counts up, or puts together of several lists: equality with them is a search, not a question.

use std::rc::Rc;

use super::Tracer;
use super::value::{Column, Many, Shared, Value};
use crate::sql::lineage::{Use, Way};
use crate::sql::tree::Expr;

/// Functions that count.
const COUNTERS: [&str; 9] =
    ["generate_series", "generate_subscripts", "row_number", "rank", "dense_rank", "ntile", "random", "nextval", "array_fill"];

/// What an expression was made of, so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Met {
    listed: usize,
    counted: bool,
}

impl Met {
    /// How many values something runs through that was put together of what was met.
    pub(super) fn many(self, computed: bool) -> Many {
        match self {
            Self { counted: true, .. } => Many::Counted,
            Self { listed: 0, .. } => Many::One,
            Self { listed: 1, .. } => Many::Listed,
            _ if computed => Many::Counted,
            _ => Many::Listed,
        }
    }
}

/// True unless it is one of several columns as they are stored.
fn is_computed(value: &Value) -> bool {
    value.is_clean() || value.sources.iter().any(|source| matches!(source.way, Way::Through(_)))
}

impl<'a> Tracer<'a> {
    /// Notes that a value is part of what is being followed.
    pub(super) fn meet(&mut self, value: &Value) {
        match value.many {
            Many::One => {}
            Many::Listed => self.met.listed = self.met.listed.saturating_add(1),
            Many::Counted => self.met.counted = true,
        }
    }

    /// Notes that a function is called.
    pub(super) fn meet_call(&mut self, name: &str) {
        self.met.counted |= COUNTERS.contains(&name);
    }

    /// Follows something by itself: what it was made of, beside what comes of it.
    pub(super) fn apart<T>(&mut self, follow: impl FnOnce(&mut Self) -> T) -> (T, Met) {
        let before = std::mem::take(&mut self.met);
        let result = follow(self);
        let met = std::mem::replace(&mut self.met, before);
        (result, met)
    }

    /// An expression, and whether it runs through more values than stand anywhere.
    pub(super) fn side(&mut self, side: &'a Expr) -> (Shared, bool) {
        let (value, met) = self.apart(|tracer| tracer.expr(side));
        let counted = is_counted(&value) || value.row.is_none() && met.many(is_computed(&value)) == Many::Counted;
        (value, counted)
    }

    /// A column of a query's output.
    pub(super) fn shown(&mut self, expr: &'a Expr) -> Shared {
        let (value, met) = self.apart(|tracer| tracer.expr(expr));
        let many = met.many(is_computed(&value));
        if value.many >= many || value.row.is_some() { value } else { Rc::new(Value { many, ..value.as_ref().clone() }) }
    }
}

/// True if it, or a field of it, runs through more values than stand anywhere.
pub(super) fn is_counted(value: &Value) -> bool {
    let within = value.row.as_ref().is_some_and(|row| row.iter().any(|column| column.value.many == Many::Counted));
    value.many == Many::Counted || within
}

/// Columns of which nothing is stored, as running through so many values at least.
pub(super) fn as_many(columns: &mut [Column], many: Many) {
    for column in columns {
        if column.value.is_clean() && column.value.many < many {
            column.value = Rc::new(Value { many, ..column.value.as_ref().clone() });
        }
    }
}

/// What a comparison asks, if one of its sides may be counted up.
pub(super) fn searched(how: Use, counted: bool) -> Use {
    if counted && how == Use::Equal { Use::Match } else { how }
}
