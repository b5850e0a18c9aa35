//! Whether a WHERE restricts which rows of the target are reached.
//!
//! A condition is judged over three values: true whatever the row holds, never true, dependent on the row of the target, or dependent on
//! something else (a parameter, another relation, the clock). Only what is never true or depends on the row restricts. A second
//! instance of the target that is joined to it by the same column counts as the target itself.

mod atoms;
mod cover;
mod source;
mod value;

use super::catalog::Catalog;
use super::facts::Where;
use super::tree::{Arm, Call, Cte, Expr, From, Mass, Merge, Query, Select, Value};
use atoms::Judge;
use cover::Cover;
pub(super) use source::Scope;
pub(super) use value::any;

/// What a condition is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    /// True whatever the row holds.
    Always,
    /// Never true.
    Never,
    /// Depends on the row of the target.
    Filter,
    /// Depends on something else.
    Other,
}

impl Truth {
    fn of(known: bool) -> Self {
        if known { Self::Always } else { Self::Never }
    }

    fn restricts(self) -> bool {
        matches!(self, Self::Never | Self::Filter)
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Filter, _) | (_, Self::Filter) => Self::Filter,
            (Self::Other, _) | (_, Self::Other) => Self::Other,
            _ => Self::Always,
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Always, _) | (_, Self::Always) => Self::Always,
            (Self::Other, _) | (_, Self::Other) => Self::Other,
            (Self::Filter, _) | (_, Self::Filter) => Self::Filter,
            _ => Self::Never,
        }
    }
}

/// The WHERE of an UPDATE or DELETE. `ctes` are the queries of WITH in scope.
pub(super) fn mass(catalog: &Catalog, ctes: &[Scope<'_>], mass: &Mass) -> Where {
    let Some(condition) = &mass.condition else { return Where::Absent };
    let mut judge = Judge::new(catalog, ctes, &mass.target, mass.alias.as_deref());
    verdict(judge.joined(&mass.from, &[condition]))
}

/// The laxest of the actions of a MERGE that change or delete rows of the target.
pub(super) fn merge(catalog: &Catalog, ctes: &[Scope<'_>], merge: &Merge) -> Where {
    let source = std::slice::from_ref(&merge.source);
    let mut laxest = Where::Restricts;
    for when in merge.whens.iter().filter(|when| when.mass) {
        let on = if when.by_source { None } else { Some(&merge.on) };
        let conditions: Vec<&Expr> = on.into_iter().chain(&when.condition).collect();
        let mut judge = Judge::new(catalog, ctes, &merge.target, merge.alias.as_deref());
        laxest = laxest.max(verdict(judge.joined(source, &conditions)));
    }
    laxest
}

fn verdict(truth: Truth) -> Where {
    if truth.restricts() { Where::Restricts } else { Where::Tautology }
}

impl<'e> Judge<'e> {
    /// The truth of conditions over the target joined with items of FROM.
    fn joined(&mut self, from: &'e [From], conditions: &[&'e Expr]) -> Truth {
        let mut all: Vec<&Expr> = Vec::new();
        conditions.iter().for_each(|condition| conjuncts(condition, &mut all));
        let sources = self.sources.len();
        let copies = self.copies.len();
        let merged = self.add(from, &mut all);
        if self.sources.len() > source::SOURCES_MAX {
            self.sources.truncate(sources);
            return Truth::Other;
        }
        self.find_copies(&all);
        let mut truth = if merged && self.copies.len() > copies { Truth::Filter } else { Truth::Always };
        for condition in all {
            truth = truth.and(self.judge(condition, false));
        }
        self.sources.truncate(sources);
        self.copies.truncate(copies);
        truth
    }

    /// The truth of an expression, or of its opposite.
    fn judge(&mut self, expr: &Expr, not: bool) -> Truth {
        match expr {
            Expr::Value(value) => boolean(value).map_or(Truth::Never, |known| Truth::of(known != not)),
            Expr::Not(inner) => self.judge(inner, !not),
            Expr::And(list) if not => self.any_of(list, true),
            Expr::Or(list) if !not => self.any_of(list, false),
            Expr::And(list) | Expr::Or(list) => list.iter().fold(Truth::Always, |truth, part| truth.and(self.judge(part, not))),
            Expr::Compare(sign, sides) => self.compare(if not { opposite(sign) } else { sign }, &sides.0, &sides.1),
            Expr::Distinct(sides, same) => self.distinct(sides, *same != not),
            Expr::Is(inner, what, is_not) => self.is(inner, *what, *is_not != not),
            Expr::In(left, list, not_in) => self.in_list(left, list, *not_in != not),
            Expr::InQuery(left, query, not_in) => self.in_query(left, query, *not_in != not),
            Expr::Exists(query) => {
                let truth = self.exists(query, None);
                self.perhaps_not(truth, not)
            }
            Expr::Between(parts, not_between) => {
                let (value, low, high) = parts.as_ref();
                let not = *not_between != not;
                let (above, below) = if not { ("<", ">") } else { (">=", "<=") };
                let (first, second) = (self.compare(above, value, low), self.compare(below, value, high));
                if not { first.or(second) } else { first.and(second) }
            }
            Expr::Any(sides, sign, all) => self.any(sides, &sign.sign, *all, not),
            Expr::Case(subject, branches, otherwise) => self.case(subject.as_deref(), branches, otherwise.as_deref(), not),
            Expr::Cast(inner, _) | Expr::Collate(inner) => match inner.as_ref() {
                Expr::Value(value) => boolean(value).map_or(Truth::Other, |known| Truth::of(known != not)),
                inner => self.judge(inner, not),
            },
            Expr::Query(query) => match source::single(query) {
                Some(inner) => self.judge(inner, not),
                None => self.regards(expr),
            },
            Expr::Call(call) => self.call(call, expr, not),
            Expr::Overlaps(sides) if self.starts_alike(sides) => Truth::of(!not),
            Expr::Chain(signs, args) => self.pattern(signs, args, not).unwrap_or_else(|| self.regards(expr)),
            Expr::CurrentOf(_) => Truth::Filter,
            other => self.regards(other),
        }
    }

    fn perhaps_not(&self, truth: Truth, not: bool) -> Truth {
        match truth {
            Truth::Always if not => Truth::Never,
            Truth::Never if not => Truth::Always,
            other => other,
        }
    }

    /// Dependent on the target if a column of it is in the expression.
    fn regards(&self, expr: &Expr) -> Truth {
        if self.mentions(expr) { Truth::Filter } else { Truth::Other }
    }

    /// The truth of a disjunction: parts that together leave nothing out make it true.
    fn any_of(&mut self, list: &[Expr], not: bool) -> Truth {
        let mut truth = Truth::Never;
        let mut cover = Cover::default();
        for part in list {
            truth = truth.or(self.judge(part, not));
            self.note(part, not, &mut cover);
        }
        if truth == Truth::Filter && self.covers(&cover) { Truth::Always } else { truth }
    }

    fn in_list(&mut self, left: &Expr, list: &[Expr], not: bool) -> Truth {
        let mut truth = if not { Truth::Always } else { Truth::Never };
        for item in list {
            let one = self.compare(if not { "<>" } else { "=" }, left, item);
            truth = if not { truth.and(one) } else { truth.or(one) };
        }
        if !not && truth == Truth::Filter {
            let mut cover = Cover::default();
            self.note_in(left, list, &mut cover);
            if self.covers(&cover) {
                return Truth::Always;
            }
        }
        truth
    }

    fn in_query(&mut self, left: &Expr, query: &Query, not: bool) -> Truth {
        let truth = match self.exists(query, Some(left)) {
            Truth::Other if self.mentions(left) => Truth::Filter,
            truth => truth,
        };
        self.perhaps_not(truth, not)
    }

    fn any(&mut self, sides: &(Expr, Expr), sign: &str, all: bool, not: bool) -> Truth {
        let (left, right) = sides;
        match right {
            Expr::Query(query) if sign == "=" && !all => return self.in_query(left, query, not),
            Expr::ArrayQuery(query) if sign == "=" && !all => return self.in_query(left, query, not),
            Expr::Array(list) if sign == "=" && !all => return self.in_list(left, list, not),
            Expr::Array(list) if all && list.is_empty() => return Truth::of(!not),
            Expr::Cast(inner, _) if all && matches!(inner.as_ref(), Expr::Array(list) if list.is_empty()) => {
                return Truth::of(!not);
            }
            Expr::Array(list) if all => {
                let sign = value::known(sign);
                let parts: Vec<Truth> =
                    list.iter().map(|item| sign.map_or(Truth::Filter, |sign| self.compare(sign, left, item))).collect();
                let truth = parts.into_iter().fold(Truth::Always, Truth::and);
                if truth == Truth::Always && !not {
                    return truth;
                }
            }
            _ => {}
        }
        if self.mentions(left) || self.mentions(right) { Truth::Filter } else { Truth::Other }
    }

    fn case(&mut self, subject: Option<&Expr>, branches: &[(Expr, Expr)], otherwise: Option<&Expr>, not: bool) -> Truth {
        let mut results = Vec::new();
        let (mut regards, mut ended) = (false, false);
        for (condition, result) in branches {
            let truth = match subject {
                Some(subject) => self.compare("=", subject, condition),
                None => self.judge(condition, false),
            };
            if truth == Truth::Never {
                continue;
            }
            results.push(self.judge(result, not));
            if truth == Truth::Always {
                ended = true;
                break;
            }
            regards |= truth == Truth::Filter;
        }
        if !ended {
            results.push(otherwise.map_or(Truth::Never, |otherwise| self.judge(otherwise, not)));
        }
        let first = results.first().copied().unwrap_or(Truth::Never);
        if results.iter().all(|result| *result == first) {
            return first;
        }
        if regards || results.contains(&Truth::Filter) && !results.contains(&Truth::Other) { Truth::Filter } else { Truth::Other }
    }

    fn call(&mut self, call: &Call, expr: &Expr, not: bool) -> Truth {
        let name = call.name.last().map_or("", String::as_str);
        if name == "coalesce" && call.syntax {
            for arg in &call.args {
                match arg {
                    Expr::Value(Value::Null) => {}
                    arg => match self.judge(arg, not) {
                        Truth::Never if matches!(arg, Expr::Value(_)) => return Truth::Never,
                        Truth::Always => return Truth::Always,
                        _ => break,
                    },
                }
            }
        }
        // Every text begins with, and holds, the empty one.
        if let ("starts_with", [value, Expr::Value(Value::Text(text))]) = (name, call.args.as_slice())
            && text.is_empty()
            && self.mentions(value)
        {
            return Truth::of(!not);
        }
        if let (Some(sign), [left, right]) = (value::function_sign(name), call.args.as_slice()) {
            return self.compare(if not { opposite(sign) } else { sign }, left, right);
        }
        self.regards(expr)
    }
}

/// The parts of a conjunction.
fn conjuncts<'e>(expr: &'e Expr, all: &mut Vec<&'e Expr>) {
    match expr {
        Expr::And(list) => list.iter().for_each(|part| conjuncts(part, all)),
        other => all.push(other),
    }
}

fn opposite(sign: &str) -> &'static str {
    match sign {
        "=" => "<>",
        "<>" => "=",
        "<" => ">=",
        ">" => "<=",
        "<=" => ">",
        _ => "<",
    }
}

/// The truth value of a constant; `None` for NULL and what is none.
fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(known) => Some(*known),
        Value::Number(number) => Some(*number != 0.0),
        Value::Text(text) => {
            let text = text.trim().to_ascii_lowercase();
            let begins = |word: &str| !text.is_empty() && word.starts_with(text.as_str());
            if begins("true") || begins("yes") || text == "on" || text == "1" {
                Some(true)
            } else if begins("false") || begins("no") || text == "of" || text == "off" || text == "0" {
                Some(false)
            } else {
                None
            }
        }
        Value::Null | Value::Other => None,
    }
}

/// The setting that a `set_config(name, ..)` over `pg_settings` sets, where the WHERE says which name.
pub(super) fn setting_name(call: &Call, select: &Select) -> Option<String> {
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
pub(super) fn has_query(value: &Expr) -> bool {
    value::any(value, &mut |part| matches!(part, Expr::Query(_) | Expr::ArrayQuery(_) | Expr::Exists(_) | Expr::InQuery(..)))
}

/// True if a query takes rows from something.
pub(super) fn from_relations(query: &Query) -> bool {
    query.arms.iter().any(|arm| match arm {
        Arm::Select(select) => !select.from.is_empty() || select.items.iter().any(|(value, _)| has_query(value)),
        Arm::Values(rows) => rows.iter().flatten().any(has_query),
        Arm::Table(_) => true,
        Arm::Query(query) => from_relations(query),
    })
}

/// True if an item of FROM takes rows from something.
pub(super) fn is_relation(from: &From) -> bool {
    match from {
        From::Query(query, _) => from_relations(query),
        From::Functions(calls, ..) => calls.iter().any(has_query),
        From::Relation(..) | From::Join(_) => true,
    }
}

/// The queries of a WITH by name.
pub(super) fn lookup<'q>(ctes: &[Scope<'q>], name: &str) -> Option<Option<&'q Cte>> {
    ctes.iter().rev().find(|(known, _)| *known == name).map(|(_, cte)| *cte)
}
