//! Aggregates over the rows that stand for a group.

use std::rc::Rc;

use super::super::tree::{Call, Expr, Role};
use super::eval::Judge;
use super::functions::{extreme, gives};
use super::look::any;
use super::source::Source;
use super::truth::Truth;
use super::value::{Open, Val, ids, mix};

/// The aggregates of `pg_catalog`.
const AGGREGATES: [&str; 44] = [
    "count",
    "min",
    "max",
    "sum",
    "avg",
    "bool_and",
    "bool_or",
    "every",
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "xmlagg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "range_agg",
    "range_intersect_agg",
    "any_value",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
    "corr",
    "covar_pop",
    "covar_samp",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "json_arrayagg",
    "json_objectagg",
];

/// The rows of a group: what each joins, and whether it is there.
#[derive(Clone)]
pub(super) struct Group<'e> {
    pub(super) members: Rc<[(Vec<Source<'e>>, Truth)]>,
}

impl<'e> Judge<'e> {
    /// True for a call that makes one value of many rows.
    pub(super) fn is_aggregate(&self, call: &Call) -> bool {
        let Some(name) = call.name.last() else { return false };
        let known = || self.catalog.functions.get(name).is_some_and(|all| all.iter().any(|function| function.aggregate));
        !call.window && (AGGREGATES.contains(&name.as_str()) || call.roles.contains(&Role::Within) || known())
    }

    /// True if an aggregate stands in an expression.
    pub(super) fn aggregates(&self, expr: &'e Expr) -> bool {
        any(expr, &mut |part| matches!(part, Expr::Call(call) if self.is_aggregate(call)))
    }

    /// The value of an aggregate over the group at hand.
    pub(super) fn aggregate(&mut self, place: usize, call: &'e Call) -> Val {
        let name = call.name.last().map_or("", String::as_str);
        let Some(group) = self.group.take() else { return Val::open(mix(("aggregate", place))) };
        let start = self.frames.last().copied().unwrap_or(0);
        let leader = self.sources.split_off(start);
        let (mut sure, mut perhaps) = (Vec::new(), Vec::new());
        for (sources, truth) in group.members.iter() {
            self.sources.extend(sources.iter().cloned());
            let kept = call
                .others()
                .filter(|(role, _)| *role == Role::Filter)
                .fold(*truth, |truth, (_, filter)| truth.and(self.truth(filter, false)));
            let counted = call
                .args
                .iter()
                .take(call.proper)
                .chain(call.others().filter(|(role, _)| *role == Role::Within).map(|(_, arg)| arg));
            let args: Vec<Val> =
                counted.map(|arg| if matches!(arg, Expr::Star(_)) { Val::Bool(true) } else { self.value(arg) }).collect();
            self.sources.truncate(start);
            match kept {
                Truth::True => sure.push(args),
                Truth::Maybe => perhaps.push(args),
                Truth::False | Truth::Null => {}
            }
        }
        self.sources.extend(leader);
        self.group = Some(group);
        sum_up(name, &sure, &perhaps)
    }
}

fn sum_up(name: &str, sure: &[Vec<Val>], perhaps: &[Vec<Val>]) -> Val {
    let first = |rows: &[Vec<Val>]| -> Vec<Val> {
        rows.iter().map(|args| args.first().cloned().unwrap_or(Val::Bool(true))).filter(|value| !value.is_null()).collect()
    };
    let (known, more) = (first(sure), first(perhaps));
    let id = mix((name, ids(&known), ids(&more)));
    let exact = perhaps.is_empty();
    match name {
        "count" => {
            let count = f64::from(u32::try_from(known.len()).unwrap_or(u32::MAX));
            if exact && sure.len() < 2 { Val::whole(count) } else { gives(name, id, true, count.min(1.0)) }
        }
        "min" | "max" if !known.is_empty() => {
            let best = extreme(&known, name == "max");
            if exact {
                return best;
            }
            let end = |best: Option<&Val>| best.map(|best| Rc::new(best.clone()));
            let (low, high) = if name == "max" { (end(best.low()), None) } else { (None, end(best.high())) };
            Val::Open(Open { id, low, high, present: true, ..Open::default() })
        }
        "bool_or" if known.contains(&Val::Bool(true)) => Val::Bool(true),
        "bool_and" | "every" if known.contains(&Val::Bool(false)) => Val::Bool(false),
        "bool_or" | "bool_and" | "every" | "any_value" if exact && !known.is_empty() => {
            known.first().cloned().unwrap_or(Val::Null)
        }
        "array_agg" => {
            let all: Vec<Val> = sure.iter().chain(perhaps).filter_map(|args| args.first().cloned()).collect();
            if all.is_empty() { Val::Null } else { Val::Array(all) }
        }
        _ if exact && sure.is_empty() => Val::Null,
        _ => Val::open(id),
    }
}
