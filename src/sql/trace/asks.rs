//! What a statement asks, gathered: one entry for each way of asking.

use std::collections::{BTreeMap, BTreeSet};

use super::value::Value;
use crate::sql::facts::FunctionName;
use crate::sql::lineage::{Asked, Lineage, Source, Untraced, Use, Way};

/// Questions of one statement.
#[derive(Default)]
pub(super) struct Asks {
    sources: BTreeSet<(Use, Source)>,
    functions: BTreeSet<(Use, FunctionName)>,
    untraced: BTreeMap<Use, Untraced>,
}

impl Asks {
    /// Notes a question about a value: `kept` where it is a column as it is, `computed` where it is not.
    pub(super) fn ask(&mut self, kept: Use, computed: Use, value: &Value) {
        for source in &value.sources {
            let how = match &source.way {
                Way::Counted => continue,
                Way::Kept => kept,
                Way::Part(_) if value.plain => kept,
                Way::Part(_) | Way::Within(_) | Way::Picked(_) | Way::Through(_) => computed,
            };
            if !self.sources.contains(&(how, source.clone())) {
                self.sources.insert((how, source.clone()));
            }
        }
        for function in &value.functions {
            self.functions.insert((computed, function.clone()));
        }
        if let Some(why) = value.untraced {
            self.untraced.entry(computed).or_insert(why);
        }
    }

    /// Notes that something could not be followed.
    pub(super) fn lost(&mut self, why: Untraced) {
        self.untraced.entry(Use::Fail).or_insert(why);
    }

    /// The questions, by how.
    pub(super) fn all(self) -> Vec<Asked> {
        let mut by_use: BTreeMap<Use, Lineage> = BTreeMap::new();
        for (how, source) in self.sources {
            by_use.entry(how).or_default().sources.push(source);
        }
        for (how, function) in self.functions {
            by_use.entry(how).or_default().functions.push(function);
        }
        for (how, why) in self.untraced {
            by_use.entry(how).or_default().untraced = Some(why);
        }
        let finished = |(how, mut of): (Use, Lineage)| {
            of.sources.sort_unstable();
            of.functions.sort_unstable();
            Asked { how, of }
        };
        by_use.into_iter().map(finished).collect()
    }
}
