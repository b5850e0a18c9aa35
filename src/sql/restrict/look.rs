//! What stands in expressions and queries.

use super::super::tree::{Arm, Call, Expr, From, Query, Select, Value};

/// The parts of a conjunction.
fn conjuncts<'e>(expr: &'e Expr, all: &mut Vec<&'e Expr>) {
    match expr {
        Expr::And(list) => list.iter().for_each(|part| conjuncts(part, all)),
        other => all.push(other),
    }
}

/// The setting that a `set_config(name, ..)` over `pg_settings` sets, where the WHERE says which name.
pub(in super::super) fn setting_name(call: &Call, select: &Select) -> Option<String> {
    let Some(Expr::Column(column)) = call.args.first() else { return None };
    if call.name.last()? != "set_config" || column.last()? != "name" {
        return None;
    }
    let [From::Relation(name, ..)] = select.from.as_slice() else { return None };
    if name.last()? != "pg_settings" {
        return None;
    }
    let mut all = Vec::new();
    conjuncts(select.condition.as_ref()?, &mut all);
    all.into_iter().find_map(|condition| match condition {
        Expr::Compare("=", sides) => match sides.as_ref() {
            (Expr::Column(left), Expr::Value(Value::Text(value))) if left.last() == column.last() => Some(value.clone()),
            _ => None,
        },
        _ => None,
    })
}

/// True if a query stands in an expression.
pub(in super::super) fn has_query(value: &Expr) -> bool {
    any(value, &mut |part| matches!(part, Expr::Query(_) | Expr::ArrayQuery(_) | Expr::Exists(_) | Expr::InQuery(..)))
}

/// True if a query takes rows from something.
pub(in super::super) fn from_relations(query: &Query) -> bool {
    query.arms.iter().any(|arm| match arm {
        Arm::Select(select) => !select.from.is_empty() || select.items.iter().any(|(value, _)| has_query(value)),
        Arm::Values(rows) => rows.iter().flatten().any(has_query),
        Arm::Table(_) => true,
        Arm::Query(query) => from_relations(query),
    })
}

/// True if an item of FROM takes rows from something.
pub(in super::super) fn is_relation(from: &From) -> bool {
    match from {
        From::Query(query, _) => from_relations(query),
        From::Functions(calls, ..) => calls.iter().any(has_query),
        From::Relation(..) | From::Join(_) => true,
    }
}

/// True if the test holds for the expression or a part of it; queries are tested, not entered.
pub(in super::super) fn any<'e>(expr: &'e Expr, test: &mut dyn FnMut(&'e Expr) -> bool) -> bool {
    if test(expr) {
        return true;
    }
    match expr {
        Expr::Value(_)
        | Expr::Parameter(_)
        | Expr::Column(_)
        | Expr::Star(_)
        | Expr::Query(_)
        | Expr::Exists(_)
        | Expr::ArrayQuery(_)
        | Expr::CurrentOf(_) => false,
        Expr::Call(call) => call.args.iter().any(|arg| any(arg, test)),
        Expr::Chain(_, args) | Expr::And(args) | Expr::Or(args) | Expr::Row(args) | Expr::Array(args) => {
            args.iter().any(|arg| any(arg, test))
        }
        Expr::Compare(_, sides) | Expr::Distinct(sides, _) | Expr::Any(sides, ..) | Expr::Overlaps(sides) => {
            any(&sides.0, test) || any(&sides.1, test)
        }
        Expr::Not(inner) | Expr::Is(inner, ..) | Expr::Collate(inner) | Expr::Cast(inner, _) | Expr::InQuery(inner, ..) => {
            any(inner, test)
        }
        Expr::In(left, list, _) => any(left, test) || list.iter().any(|item| any(item, test)),
        Expr::Between(parts, _) => any(&parts.0, test) || any(&parts.1, test) || any(&parts.2, test),
        Expr::Case(subject, branches, otherwise) => {
            subject.iter().chain(otherwise).any(|part| any(part, test))
                || branches.iter().any(|(condition, result)| any(condition, test) || any(result, test))
        }
        Expr::Part(inner, subscripts, _) => any(inner, test) || subscripts.iter().any(|part| any(part, test)),
    }
}
