//! Whether a WHERE restricts which rows of the target are reached.
//!
//! A condition restricts if a row can be shown that it leaves out. Rows of the target are made up from what the catalog says of its
//! columns and from the constants of the condition, and the condition is evaluated on each of them; a condition that lets every one
//! of them through counts as none. What the evaluation does not know (a parameter, the clock, a function, another relation) is an
//! open value: it can leave a row out only if it changes from row to row, so that nothing that says the same of every row restricts.
//! A row that is left out only because a strict operator met a NULL does not count: `x = x` is no question about NULL.

mod aggregate;
mod aim;
mod compare;
mod document;
mod eval;
mod functions;
mod look;
mod operate;
mod pattern;
mod rows;
mod sample;
mod source;
mod text;
mod time;
mod truth;
mod value;

use super::catalog::Catalog;
use super::facts::Where;
use super::tree::{Cte, Expr, From, Mass, Merge};
use eval::Judge;
pub(super) use look::{any, from_relations, has_query, is_relation, setting_name};
use sample::Guess;
use truth::Truth;

/// Rows that are made up before a condition counts as none.
const ROWS: u32 = 96;
/// Of every so many rows one may hold NULL.
const NULLS_EVERY: u32 = 4;

/// A query of WITH.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'q> {
    /// The query.
    pub(super) cte: &'q Cte,
    /// True if it can name itself.
    pub(super) recursive: bool,
}

/// The WHERE of an UPDATE or DELETE. `ctes` are the queries of WITH in scope.
pub(super) fn mass(catalog: &Catalog, ctes: &[Scope<'_>], mass: &Mass) -> Where {
    let Some(condition) = &mass.condition else { return Where::Absent };
    let question = Question { from: &mass.from, all: vec![condition], unmatched: None };
    verdict(catalog, ctes, (&mass.target, mass.alias.as_deref()), &question)
}

/// The laxest of the actions of a MERGE that change or delete rows of the target.
pub(super) fn merge(catalog: &Catalog, ctes: &[Scope<'_>], merge: &Merge) -> Where {
    let source = std::slice::from_ref(&merge.source);
    let mut laxest = Where::Restricts;
    for when in merge.whens.iter().filter(|when| when.mass) {
        let question = if when.by_source {
            Question { from: &[], all: when.condition.iter().collect(), unmatched: Some((source, &merge.on)) }
        } else {
            Question { from: source, all: std::iter::once(&merge.on).chain(&when.condition).collect(), unmatched: None }
        };
        laxest = laxest.max(verdict(catalog, ctes, (&merge.target, merge.alias.as_deref()), &question));
    }
    laxest
}

/// What decides whether a row of the target is reached.
struct Question<'e> {
    /// What stands beside the target.
    from: &'e [From],
    /// The conditions.
    all: Vec<&'e Expr>,
    /// A source and the condition under which no row of it may match.
    unmatched: Option<(&'e [From], &'e Expr)>,
}

/// Every reading of what is not known must leave a row out.
fn verdict<'e>(catalog: &'e Catalog, ctes: &[Scope<'e>], target: (&'e [String], Option<&'e str>), ask: &Question<'e>) -> Where {
    let mut judge = Judge::new(catalog, ctes, target);
    judge.collect(&ask.all);
    for guess in [Guess::Whole, Guess::Text, Guess::Bool] {
        for parameters_null in [false, true] {
            if !leaves_out(&mut judge, guess, parameters_null, ask) {
                return Where::Tautology;
            }
            if !judge.met_parameter {
                break;
            }
        }
        if !judge.met_unknown {
            break;
        }
    }
    Where::Restricts
}

/// True if a row is found that the conditions leave out.
fn leaves_out<'e>(judge: &mut Judge<'e>, guess: Guess, parameters_null: bool, ask: &Question<'e>) -> bool {
    judge.begin(guess, parameters_null);
    let aims = aim::PICKS;
    for row in 0..ROWS {
        let aimed = row % 2 == 1 && row / 2 < aims;
        judge.next_row(row);
        if aimed {
            judge.aim(&ask.all, row / 2);
        }
        let truth = reached(judge, ask);
        if judge.is_over() {
            return false;
        }
        match truth {
            Truth::False if !judge.lost_to_null => return true,
            Truth::Null if !judge.met_null => return true,
            _ => {}
        }
    }
    false
}

/// The truth of a question for the row at hand.
fn reached<'e>(judge: &mut Judge<'e>, ask: &Question<'e>) -> Truth {
    let mut truth = judge.exists_beside(ask.from, &ask.all);
    if let Some((source, on)) = ask.unmatched {
        truth = truth.and(judge.exists_beside(source, &[on]).not());
    }
    truth
}
