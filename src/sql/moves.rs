//! Whether assignments carry a column's value to where its mask does not follow.

use super::restrict::{has_query, is_relation};
use super::tree::{Assignment, Expr, From, Merge};
use super::{restrict, tree};

/// Where the value of an assignment comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried {
    /// Constants, parameters and what the statement itself brings along.
    Nothing,
    /// The column that is assigned: a mask that shows a part of a value would show another part of this one.
    Itself,
    /// Another column, or a query.
    Elsewhere,
}

/// Each column assigned with where its value comes from; `(a, b) = (x, y)` is two assignments. `brought` tells columns that the
/// statement itself brings along.
pub(super) fn carried<'s>(set: &'s [Assignment], brought: &dyn Fn(&[String]) -> bool) -> Vec<(&'s str, Carried)> {
    let mut all = Vec::new();
    for (columns, value) in set {
        match value {
            Expr::Row(values) if columns.len() > 1 && values.len() == columns.len() => {
                all.extend(columns.iter().zip(values).map(|(column, value)| (column.as_str(), one(column, value, brought))));
            }
            value => all.extend(columns.iter().map(|column| (column.as_str(), one(column, value, brought)))),
        }
    }
    all
}

fn one(column: &str, value: &Expr, brought: &dyn Fn(&[String]) -> bool) -> Carried {
    let mut carried = if has_query(value) { Carried::Elsewhere } else { Carried::Nothing };
    restrict::any(value, &mut |part| {
        match part {
            Expr::Star(_) => carried = Carried::Elsewhere,
            Expr::Column(name) if brought(name) => {}
            Expr::Column(name) if name.last().is_some_and(|last| last == column) => {
                carried = if carried == Carried::Nothing { Carried::Itself } else { carried };
            }
            Expr::Column(_) => carried = Carried::Elsewhere,
            _ => {}
        }
        false
    });
    carried
}

/// True for a column of the row that ON CONFLICT has found no room for.
pub(super) fn is_excluded(name: &[String]) -> bool {
    matches!(name, [.., relation, _] if relation == "excluded")
}

/// True for a column of the source of a MERGE that takes its rows from no relation.
pub(super) fn is_of_source(merge: &Merge, name: &[String]) -> bool {
    let (From::Query(_, alias) | From::Functions(_, alias, _)) = &merge.source else { return false };
    !is_relation(&merge.source)
        && match name {
            [column] => alias.columns.contains(column),
            [relation, _] => alias.name.as_ref() == Some(relation),
            _ => false,
        }
}

/// True if an action of a MERGE writes values that a query gives.
pub(super) fn merges(merge: &tree::Merge) -> bool {
    let mut set = merge.whens.iter().flat_map(|when| &when.set).peekable();
    set.peek().is_some() && (is_relation(&merge.source) || set.any(|(_, value)| has_query(value)))
}
