//! What may be shown of a value, by what it is made of.

use std::borrow::Cow;

use super::{MaskMap, MaskedColumn, Part, Predicates, Strategy};
use crate::sql::{Lineage, Source, Step, Use, Way};

/// What a policy writes for a call whatever else it is given.
const ANY_ARGUMENT: &str = "*";
/// How a reason names the way to a part of a document.
const PATH: &str = "a json path";
/// Most columns that a reason names.
const NAMED_MAX: usize = 3;

/// What may be shown of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Judgement<'m> {
    /// All of it.
    Clear,
    /// What this leaves of it.
    Strategy(Cow<'m, Strategy>),
    /// Nothing: it is made of masked columns in a way that no mask fits.
    Derived,
    /// Nothing, in a statement that can reach a masked column: what it is made of is not known.
    Unknown,
}

/// What may be shown of a value, and why. Holds names only, no values.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged<'m> {
    /// What.
    pub judgement: Judgement<'m>,
    /// Why, as one line.
    pub reason: String,
}

/// A masked column in a value, and what of it can show there.
#[derive(Debug, Clone, PartialEq)]
pub struct Remnant<'m> {
    /// The column.
    pub column: &'m MaskedColumn,
    /// What fits it there; without, nothing does.
    pub strategy: Option<Cow<'m, Strategy>>,
    /// The first thing that was done to it.
    pub by: Option<String>,
    /// True if it was computed with, so that the outcome can tell anything of it.
    pub computed: bool,
}

/// Judges a value by what it is made of.
#[must_use]
pub fn judge<'m>(lineage: &Lineage, map: &'m MaskMap) -> Judged<'m> {
    if map.is_empty() {
        return clear("nothing is masked for this identity");
    }
    if let Some(reason) = doubt(lineage, map) {
        return Judged { judgement: Judgement::Unknown, reason };
    }
    let remnants: Vec<Remnant<'m>> = remnants(lineage, map).collect();
    let Some((first, others)) = remnants.split_first() else {
        return if lineage.sources.iter().any(|source| map.covers(source.relation, source.attribute).is_some()) {
            clear("what it shows of masked columns is allowed")
        } else {
            clear("made of no masked column")
        };
    };
    match &first.strategy {
        Some(strategy) if others.iter().all(|other| other.strategy.as_ref() == Some(strategy)) => {
            let reason = format!("masked by rule on {} ({})", named(&remnants), strategy.name());
            Judged { judgement: Judgement::Strategy(strategy.clone()), reason }
        }
        _ => Judged { judgement: Judgement::Derived, reason: derived(&remnants) },
    }
}

/// Why it is not known what a value is made of, if so.
#[must_use]
pub fn doubt(lineage: &Lineage, map: &MaskMap) -> Option<String> {
    if let Some(why) = lineage.untraced {
        return Some(format!("could not be traced: {why}"));
    }
    if let Some(function) = lineage.functions.iter().find(|function| !map.vouches(function)) {
        return Some(format!("could not be traced: it calls `{}`, which nobody has vouched for", function.name));
    }
    let known = |source: &Source| map.known.is_empty() || map.known.contains(&source.relation);
    let all = lineage.sources.iter().all(known);
    (!all).then(|| "could not be traced: a relation it comes from is not known yet".to_owned())
}

/// The masked columns of which something not allowed can show in a value.
pub fn remnants<'l, 'm: 'l>(lineage: &'l Lineage, map: &'m MaskMap) -> impl Iterator<Item = Remnant<'m>> + 'l {
    lineage.sources.iter().filter_map(|source| remnant(map.covers(source.relation, source.attribute)?, &source.way))
}

/// What of a masked column can show at the end of a way; none if only what is allowed.
pub(super) fn remnant<'m>(column: &'m MaskedColumn, way: &Way) -> Option<Remnant<'m>> {
    let strategy = column.strategy.as_ref();
    let (strategy, by) = match way {
        Way::Counted => return None,
        Way::Kept => (strategy.map(Cow::Borrowed), None),
        Way::Picked(function) if reveals(&column.reveal, &picking(function)) => return None,
        Way::Picked(function) => (strategy.filter(|strategy| strategy.keeps_order()).map(Cow::Borrowed), Some(function.clone())),
        Way::Through(step) if reveals(&column.reveal, step) => return None,
        Way::Through(step) => (None, Some(named_step(step))),
        Way::Part(path) | Way::Within(path) => match strategy.map_or(Part::Whole, |strategy| strategy.part(path)) {
            Part::Clear => return None,
            Part::Under(strategy) if matches!(way, Way::Part(_)) => (Some(Cow::Owned(strategy)), Some(PATH.to_owned())),
            Part::Under(_) | Part::Whole => (None, Some(PATH.to_owned())),
        },
    };
    Some(Remnant { column, strategy, by, computed: matches!(way, Way::Through(_) | Way::Within(_) | Way::Picked(_)) })
}

impl Remnant<'_> {
    /// What may be asked about it: of what was computed from it all or nothing, since a computation can tell more than its
    /// value.
    #[must_use]
    pub fn predicates(&self) -> Predicates {
        match self.column.predicates {
            Predicates::Equality if self.computed => Predicates::Deny,
            predicates => predicates,
        }
    }

    /// True if this may be asked about it. Whether it is there, and which values are equal, may be asked of the column as it is.
    #[must_use]
    pub fn allows(&self, how: Use) -> bool {
        match how {
            Use::Null | Use::Group if !self.computed => true,
            Use::Equal => self.predicates() >= Predicates::Equality,
            Use::Null | Use::Group | Use::Among | Use::Order | Use::Match | Use::Fail => self.predicates() == Predicates::Allow,
        }
    }
}

/// Picking as a step: `greatest` and `least` pick among several things they are given.
fn picking(function: &str) -> Step {
    let argument = matches!(function, "greatest" | "least").then(|| ANY_ARGUMENT.to_owned());
    Step { function: function.to_owned(), argument }
}

/// A step's name, with what else it was given where that is no more than a field or a length.
fn named_step(step: &Step) -> String {
    let told = is_field(step) || matches!(step.function.as_str(), "left" | "right" | "to_char");
    match step.argument.as_ref().filter(|_| told) {
        Some(argument) if argument != ANY_ARGUMENT && !argument.contains('\'') => format!("{}('{argument}')", step.function),
        _ => step.function.clone(),
    }
}

/// True for functions that take a field of dates, which is the same in either case.
fn is_field(step: &Step) -> bool {
    matches!(step.function.as_str(), "date_trunc" | "date_part" | "extract")
}

fn reveals(reveal: &[Step], step: &Step) -> bool {
    reveal.iter().any(|allowed| allowed.function == step.function && fits(allowed, step))
}

/// True if what else the call was given is what the policy means.
fn fits(allowed: &Step, step: &Step) -> bool {
    match (&allowed.argument, &step.argument) {
        (Some(wanted), _) if wanted == ANY_ARGUMENT => true,
        (Some(wanted), Some(argument)) if is_field(step) => argument.eq_ignore_ascii_case(wanted),
        (wanted, argument) => wanted == argument,
    }
}

fn clear(reason: &str) -> Judged<'static> {
    Judged { judgement: Judgement::Clear, reason: reason.to_owned() }
}

fn derived(remnants: &[Remnant<'_>]) -> String {
    let by = remnants.iter().find_map(|remnant| remnant.by.as_ref().map(|by| (remnant, by)));
    match by {
        Some((remnant, by)) => format!("derived from {} by {by}", remnant.column.source),
        None if remnants.iter().any(|remnant| remnant.strategy.is_none()) => {
            format!("`{}` can hold values of masked columns", named(remnants))
        }
        None => format!("holds values of {}, which are masked in different ways", named(remnants)),
    }
}

/// The columns, each once, and not too many.
fn named(remnants: &[Remnant<'_>]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for remnant in remnants {
        if !names.contains(&remnant.column.source.as_str()) {
            if names.len() == NAMED_MAX {
                names.push("others");
                break;
            }
            names.push(&remnant.column.source);
        }
    }
    names.join(", ")
}
