//! The numbers of one database. Sessions count in shards, so that no two cores wait for one another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::latency::{Latency, Way};
use super::{ByWord, Count};
use crate::sql::Verb;

/// Among so many shards sessions are dealt.
const SHARDS: usize = 8;
/// The number of verbs.
const VERBS: usize = Verb::ALL.len();

/// What was decided on a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It goes to the database.
    Forward,
    /// It waits for a person.
    Hold,
    /// It is refused.
    Block,
}

/// The decisions, as the log spells them.
pub const DECISIONS: [(Decided, &str); 3] = [(Decided::Forward, "forward"), (Decided::Hold, "hold"), (Decided::Block, "block")];

/// What can go wrong with a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamFault {
    /// It could not be reached, or did not take the connection as it should.
    Unreachable,
    /// It refused the session, in words of its own.
    Refused,
    /// It went without a word.
    Lost,
    /// Its catalog could not be read.
    Catalog,
    /// It could not be asked to cancel.
    Cancel,
    /// It sent what cannot be masked.
    Unmaskable,
}

impl UpstreamFault {
    fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Lost => "lost",
            Self::Catalog => "catalog",
            Self::Cancel => "cancel",
            Self::Unmaskable => "unmaskable",
        }
    }
}

/// Numbers that many sessions add to at a time; a cache line of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    statements: [[AtomicU64; 3]; VERBS],
    rows: AtomicU64,
    cells: AtomicU64,
    latency: [Latency; 2],
}

impl Default for Shard {
    fn default() -> Self {
        let statements = std::array::from_fn(|_| Default::default());
        Self { statements, rows: AtomicU64::default(), cells: AtomicU64::default(), latency: Default::default() }
    }
}

/// The numbers of one database.
#[derive(Debug, Default)]
pub struct Counts {
    /// Sessions that have begun.
    pub opened: Count,
    /// Sessions that have ended, by the reason the log has.
    pub closed: ByWord,
    upstream: ByWord,
    shards: [Shard; SHARDS],
    next: AtomicUsize,
}

/// What has been counted, added up.
#[derive(Debug, Default)]
pub struct Sums {
    /// Statements by verb and decision; those that never came are left out.
    pub statements: Vec<(&'static str, &'static str, u64)>,
    /// Rows sent to clients.
    pub rows: u64,
    /// Cells of masked columns in them.
    pub cells: u64,
    /// What the proxy adds to the way of statements, and of replies.
    pub latency: [Latency; 2],
}

impl Counts {
    /// Something went wrong with the database.
    pub fn upstream_failed(&self, fault: UpstreamFault) {
        self.upstream.add(fault.word());
    }

    /// How often what went wrong.
    #[must_use]
    pub fn upstream_faults(&self) -> Vec<(&'static str, u64)> {
        self.upstream.numbers()
    }

    /// A session's own way to count.
    #[must_use]
    pub fn session(self: &Arc<Self>) -> Tallied {
        let shard = self.next.fetch_add(1, Ordering::Relaxed) % SHARDS;
        Tallied { counts: Arc::clone(self), shard }
    }

    /// Adds up. What is counted meanwhile may be in it or not.
    #[must_use]
    pub fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for (at, verb) in Verb::ALL.iter().enumerate() {
            for (decided, (_, word)) in DECISIONS.iter().enumerate() {
                let cell = |shard: &Shard| Some(shard.statements.get(at)?.get(decided)?.load(Ordering::Relaxed));
                let number: u64 = self.shards.iter().filter_map(cell).sum();
                if number > 0 {
                    sums.statements.push((verb.name(), word, number));
                }
            }
        }
        for shard in &self.shards {
            sums.rows += shard.rows.load(Ordering::Relaxed);
            sums.cells += shard.cells.load(Ordering::Relaxed);
            sums.latency.iter().zip(&shard.latency).for_each(|(sum, part)| sum.add(part));
        }
        sums
    }
}

/// A session's own way to count.
#[derive(Debug, Clone)]
pub struct Tallied {
    counts: Arc<Counts>,
    shard: usize,
}

impl Tallied {
    /// The numbers of its database.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn shard(&self) -> Option<&Shard> {
        self.counts.shards.get(self.shard)
    }

    /// A statement has been decided upon.
    pub fn statement(&self, verb: Verb, decided: Decided) {
        let cell = self.shard().and_then(|shard| shard.statements.get(verb as usize)?.get(decided as usize));
        if let Some(cell) = cell {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Rows go to the client, each with so many cells of masked columns.
    pub fn rows(&self, rows: u64, masked_columns: usize) {
        let Some(shard) = self.shard() else { return };
        shard.rows.fetch_add(rows, Ordering::Relaxed);
        if masked_columns > 0 {
            let cells = rows.saturating_mul(u64::try_from(masked_columns).unwrap_or(u64::MAX));
            shard.cells.fetch_add(cells, Ordering::Relaxed);
        }
    }

    /// What came from one side was kept so long before the other side got it.
    pub fn kept(&self, way: Way, time: Duration) {
        if let Some(latency) = self.shard().and_then(|shard| shard.latency.get(way as usize)) {
            latency.observe(time);
        }
    }
}
