//! What happens, in numbers: counted on the way, read when somebody asks. Holds no text, no identity and no value, and names nothing
//! that a client can choose: databases are called as the configuration calls them.

mod counts;
mod latency;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use counts::{Counts, DECISIONS, Decided, Sums, Tallied, UpstreamFault};
pub use latency::{BOUNDS_US, Latency, Way};

/// Most databases that are counted apart; those past that are counted together.
const DATABASES_MAX: usize = 1024;
/// The name under which they are.
const OTHERS: &str = "(others)";

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Numbers by words of the program's own.
#[derive(Debug, Default)]
pub struct ByWord(Mutex<BTreeMap<&'static str, u64>>);

impl ByWord {
    /// Adds one.
    pub fn add(&self, word: &'static str) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = words.entry(word).or_default();
        *number = number.saturating_add(1);
    }

    /// The numbers, in the order of their words.
    #[must_use]
    pub fn numbers(&self) -> Vec<(&'static str, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().map(|(word, number)| (*word, *number)).collect()
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.numbers().iter().map(|(_, number)| number).sum()
    }
}

/// The numbers of one process.
#[derive(Debug, Default)]
pub struct Tally {
    /// Connections that have been accepted.
    pub connections: Count,
    /// Connections that were turned away by a limit or by the end of the process, by the limit.
    pub turned_away: ByWord,
    /// Logins that were refused, by category.
    pub logins_refused: ByWord,
    /// Statements that began to wait for a person.
    pub holds_opened: Count,
    /// How holds were answered.
    pub holds_answered: ByWord,
    /// Reloads of the configuration, by outcome.
    pub reloads: ByWord,
    databases: Mutex<BTreeMap<String, Arc<Counts>>>,
}

impl Tally {
    /// The numbers of a database that the configuration names.
    #[must_use]
    pub fn database(&self, name: &str) -> Arc<Counts> {
        let mut databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        let full = databases.len() >= DATABASES_MAX && !databases.contains_key(name);
        let name = if full { OTHERS } else { name };
        Arc::clone(databases.entry(name.to_owned()).or_default())
    }

    /// The numbers of all databases, by name.
    #[must_use]
    pub fn databases(&self) -> Vec<(String, Arc<Counts>)> {
        let databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        databases.iter().map(|(name, counts)| (name.clone(), Arc::clone(counts))).collect()
    }
}
