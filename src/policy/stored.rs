//! What a statement stores, and whether masks follow it there.

use super::Policy;
use super::masked::{cause, touches};
use crate::mask::{Judgement, MaskMap, Strategy, judge, remnants};
use crate::sql::{Facts, Stored, Untraced};

/// Most reasons that are given of one statement.
const REFUSALS_MAX: usize = 32;

/// Why a masked identity may not store what this statement stores; empty if it may.
pub(super) fn refusals(facts: &Facts, masks: &MaskMap, policy: &Policy) -> Vec<String> {
    let touched = touches(facts, masks, policy);
    facts.stores.iter().flat_map(|stored| refusal(stored, facts, masks, touched)).take(REFUSALS_MAX).collect()
}

fn refusal(stored: &Stored, facts: &Facts, masks: &MaskMap, touched: bool) -> Vec<String> {
    let target = stored.column.as_ref().map_or_else(|| "a column".to_owned(), |column| format!("`{column}`"));
    let judged = judge(&stored.lineage, masks);
    match judged.judgement {
        Judgement::Unknown if touched && stored.lineage.untraced != Some(Untraced::Absent) => {
            vec![format!("the statement stores in {target} a value that {}, and touches {}", judged.reason, cause(facts, masks))]
        }
        Judgement::Clear | Judgement::Unknown => Vec::new(),
        Judgement::Strategy(strategy) if follows(stored, &strategy, masks) => Vec::new(),
        Judgement::Strategy(_) | Judgement::Derived => {
            let columns = remnants(&stored.lineage, masks).map(|remnant| &remnant.column.source);
            columns
                .map(|column| format!("the statement stores `{column}` in {target}, where its mask would not apply"))
                .take(REFUSALS_MAX)
                .collect()
        }
    }
}

/// True if the value falls under the same mask where it is stored, or a stricter one: a column set to itself, a row copied.
fn follows(stored: &Stored, strategy: &Strategy, masks: &MaskMap) -> bool {
    let Some(column) = &stored.column else { return false };
    let masked = |relation: &u32| {
        masks.named(*relation, column).is_some_and(|target| {
            target.strategy.as_ref() == Some(strategy)
                && remnants(&stored.lineage, masks).all(|remnant| {
                    target.predicates <= remnant.column.predicates
                        && target.reveal.iter().all(|step| remnant.column.reveal.contains(step))
                })
        })
    };
    !stored.relations.is_empty() && stored.relations.iter().all(masked)
}
