//! Policy text becomes a checked policy; facts and who becomes a decision with reasons. Nothing is allowed by omission.

mod asked;
mod carriers;
mod condition;
mod decide;
mod decision;
mod document;
mod duration;
mod glob;
mod inference;
mod masked;
mod nearest;
mod scan;
mod stored;
mod strategies;
mod when;
mod written;

#[cfg(test)]
mod tests;

pub use decision::{Decision, Gate, HoldTerms, Outcome, RowsOver, Subject};
pub use document::{Document, FAULTS_MAX, FILE_BYTES_MAX, Fields, FileFault, Value, clip, ticked};
pub use duration::{parse_ms, show_ms};
pub use inference::{Budget, QUESTION_BYTES, QUESTIONS_DEFAULT, QUESTIONS_WITHIN_MS_DEFAULT, Questions};
pub use nearest::nearest;

use crate::mask::{ColumnRule, Predicates, Strategy};
use crate::sql::Step;
use condition::Condition;

/// One fault of a policy file.
pub type PolicyFault = FileFault;

/// Most mask entries, and most rules, of one policy.
pub const RULES_MAX: usize = 2000;
/// Shortest time a hold may wait, in milliseconds.
pub const WITHIN_MS_MIN: u64 = 100;
/// Longest time a hold may wait, in milliseconds.
pub const WITHIN_MS_MAX: u64 = 7 * 86_400_000;
/// How long a hold waits if the policy does not say, in milliseconds.
pub const WITHIN_MS_DEFAULT: u64 = 15 * 60_000;
/// Most people a hold may need.
pub const APPROVALS_MAX: u64 = 16;

/// A checked policy.
#[derive(Debug, Clone)]
pub struct Policy {
    version: [u8; 32],
    masks: Vec<MaskRule>,
    rules: Vec<Rule>,
    default: Then,
    unknown: Then,
    known_functions: Vec<String>,
    budget: Budget,
}

/// Which columns are masked, how, and for whom not.
#[derive(Debug, Clone, PartialEq)]
struct MaskRule {
    columns: Vec<String>,
    strategy: Strategy,
    predicates: Predicates,
    reveal: Vec<Step>,
    unless_groups: Vec<String>,
}

/// When something happens, and what.
#[derive(Debug, Clone, PartialEq)]
struct Rule {
    name: String,
    says: Option<String>,
    /// Any of these.
    when: Vec<Condition>,
    then: Then,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Then {
    Allow,
    Hold(HoldTerms),
    Block,
}

impl Policy {
    /// Reads and checks a policy; `file` is how faults name it.
    ///
    /// # Errors
    /// Every fault of the text, in its order, up to `FAULTS_MAX`.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<PolicyFault>> {
        written::read(text, file)
    }

    /// SHA-256 of the text this policy was read from.
    #[must_use]
    pub fn version(&self) -> [u8; 32] {
        self.version
    }

    /// What is masked for someone of these groups, the first entry that names a column first. Empty if nothing is; otherwise
    /// with the columns of the catalog that show other sessions' statements.
    #[must_use]
    pub fn masks_for(&self, groups: &[String]) -> Vec<ColumnRule> {
        let mine = |rule: &&MaskRule| !rule.unless_groups.iter().any(|group| groups.contains(group));
        let mut columns = columns_of(self.masks.iter().filter(mine));
        if !columns.is_empty() {
            columns.extend(masked::catalog_columns());
        }
        columns
    }

    /// What is masked for anybody: the columns that rules with `reads = "phi"` speak of.
    #[must_use]
    pub fn phi(&self) -> Vec<ColumnRule> {
        columns_of(self.masks.iter())
    }

    /// The sets of columns that names are drawn from, to search free text for.
    #[must_use]
    pub fn names_from(&self) -> Vec<Vec<String>> {
        let mut sets = Vec::new();
        for strategy in self.masks.iter().flat_map(|rule| rule.strategy.all()) {
            if let Strategy::Scan(scan) = strategy
                && !scan.names_from.is_empty()
                && !sets.contains(&scan.names_from)
            {
                sets.push(scan.names_from.clone());
            }
        }
        sets
    }

    /// True if a decision may depend on the catalog: something is masked, or a rule speaks of statements.
    #[must_use]
    pub fn needs_catalog(&self) -> bool {
        !self.masks.is_empty() || !self.rules.is_empty()
    }

    /// The functions it vouches for, as `schema.name` with globs.
    #[must_use]
    pub fn known_functions(&self) -> &[String] {
        &self.known_functions
    }

    /// How many questions about one masked column an identity may ask.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// How many mask entries and how many rules it has.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.masks.len(), self.rules.len())
    }

    /// True if `known_functions` vouches for the function.
    fn vouches(&self, schema: &str, name: &str) -> bool {
        let full = format!("{schema}.{name}");
        self.known_functions.iter().any(|pattern| glob::matches(pattern, &full))
    }
}

fn columns_of<'r>(rules: impl Iterator<Item = &'r MaskRule>) -> Vec<ColumnRule> {
    let mut seen = std::collections::HashSet::new();
    let pairs = rules.flat_map(|rule| rule.columns.iter().map(move |column| (column, rule)));
    let first = pairs.filter(|(column, _)| seen.insert(column.as_str()));
    let rule = |(column, rule): (&String, &MaskRule)| ColumnRule {
        column: column.clone(),
        strategy: rule.strategy.clone(),
        predicates: rule.predicates,
        reveal: rule.reveal.clone(),
    };
    first.map(rule).collect()
}
