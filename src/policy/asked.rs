//! What a statement asks about the values of masked columns, and whether it may.

use std::collections::BTreeSet;

use super::masked::touches;
use super::{Policy, masked};
use crate::mask::{MaskMap, Predicates, doubt, remnants};
use crate::sql::{Asked, Facts, Source, Untraced, Use};

/// Most reasons that are given of one statement.
const REFUSALS_MAX: usize = 32;

/// Why a masked identity may not ask what this statement asks; empty if it may.
pub(super) fn refusals(facts: &Facts, masks: &MaskMap, policy: &Policy) -> Vec<String> {
    let touched = touches(facts, masks, policy);
    facts.asks.iter().flat_map(|asked| refusal(asked, facts, masks, touched)).take(REFUSALS_MAX).collect()
}

/// What is asked, once it is known what is masked: where masked values come among no others, only which are equal.
fn how(asked: &Asked, masks: &MaskMap) -> Use {
    let masked = |source: &Source| masks.covers(source.relation, source.attribute).is_some();
    if asked.how == Use::Among && asked.of.sources.iter().all(masked) { Use::Equal } else { asked.how }
}

fn refusal<'a>(asked: &'a Asked, facts: &Facts, masks: &'a MaskMap, touched: bool) -> impl Iterator<Item = String> + 'a {
    let asks = how(asked, masks);
    let how = named(asks);
    let doubt = doubt(&asked.of, masks)
        .filter(|_| touched && asked.how > Use::Group && asked.of.untraced != Some(Untraced::Absent))
        .map(|why| format!("the statement asks ({how}) about a value that {why}, and touches {}", masked::cause(facts, masks)));
    let refused = remnants(&asked.of, masks).filter(move |remnant| !remnant.allows(asks));
    let refused = refused.map(move |remnant| {
        let by = remnant.by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
        format!("the statement asks about `{}` in a way ({how}{by}) that its mask does not allow", remnant.column.source)
    });
    refused.chain(doubt)
}

/// The masked columns of which the statement asks whether they equal a value: each such answer tells a little.
pub(super) fn questions<'m>(facts: &Facts, masks: &'m MaskMap) -> BTreeSet<&'m str> {
    let equal = facts.asks.iter().filter(|asked| how(asked, masks) == Use::Equal).flat_map(|asked| remnants(&asked.of, masks));
    equal.filter(|remnant| remnant.predicates() == Predicates::Equality).map(|remnant| remnant.column.source.as_str()).collect()
}

/// The word for a way of asking.
fn named(how: Use) -> &'static str {
    match how {
        Use::Null => "null",
        Use::Group => "group",
        Use::Equal => "equality",
        Use::Among => "order among others",
        Use::Order => "order",
        Use::Match => "match",
        Use::Fail => "failure",
    }
}
