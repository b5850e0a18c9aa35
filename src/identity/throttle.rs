//! Failures counted by whom they come from, so that nobody can try many. Time is an argument.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long a failure counts, in milliseconds.
pub const FAILURES_WITHIN_MS: u64 = 60_000;
/// Most sources, or names, that are remembered: past that, who has failed least is forgotten.
const KEPT_MAX: usize = 10_000;

/// Failures of the last minute, by whatever they are counted by. Of that only a hash is kept: names have the length that a client
/// gives them.
#[derive(Debug)]
pub struct Throttle<K> {
    kept: Mutex<HashMap<u64, Failures>>,
    hash: RandomState,
    of: PhantomData<fn(&K)>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    since_ms: u64,
}

impl Failures {
    fn count(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.since_ms) < FAILURES_WITHIN_MS
    }
}

impl<K> Default for Throttle<K> {
    fn default() -> Self {
        Self { kept: Mutex::default(), hash: RandomState::new(), of: PhantomData }
    }
}

impl<K: Hash> Throttle<K> {
    fn kept(&self) -> MutexGuard<'_, HashMap<u64, Failures>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if there have been so many failures that further attempts are not even looked at.
    #[must_use]
    pub fn is_barred(&self, who: &K, failures_max: u32, now_ms: u64) -> bool {
        let who = self.hash.hash_one(who);
        self.kept().get(&who).is_some_and(|failures| failures.count(now_ms) && failures.count >= failures_max)
    }

    /// Counts a failure. The minute begins with the first.
    pub fn failed(&self, who: &K, now_ms: u64) {
        let who = self.hash.hash_one(who);
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX && !kept.contains_key(&who) {
            kept.retain(|_, failures| failures.count(now_ms));
            let least = kept.iter().min_by_key(|(_, failures)| failures.count).map(|(least, _)| *least);
            if let Some(least) = least.filter(|_| kept.len() >= KEPT_MAX) {
                kept.remove(&least);
            }
        }
        let failures = kept.entry(who).or_insert(Failures { count: 0, since_ms: now_ms });
        if !failures.count(now_ms) {
            *failures = Failures { count: 0, since_ms: now_ms };
        }
        failures.count = failures.count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_bar_for_a_minute() {
        let throttle = Throttle::default();
        for _ in 0..3 {
            assert!(!throttle.is_barred(&"a", 3, 1000));
            throttle.failed(&"a", 1000);
        }
        assert!(throttle.is_barred(&"a", 3, 1000 + FAILURES_WITHIN_MS - 1));
        assert!(!throttle.is_barred(&"b", 3, 1000));
        assert!(!throttle.is_barred(&"a", 3, 1000 + FAILURES_WITHIN_MS));
        throttle.failed(&"a", 1000 + FAILURES_WITHIN_MS);
        assert!(!throttle.is_barred(&"a", 3, 1000 + FAILURES_WITHIN_MS), "a new minute");
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_worst_is_kept() {
        let throttle = Throttle::default();
        (0..5).for_each(|_| throttle.failed(&usize::MAX, 0));
        (0..KEPT_MAX + 100).for_each(|who| throttle.failed(&who, 0));
        assert!(throttle.kept().len() <= KEPT_MAX);
        assert!(throttle.is_barred(&usize::MAX, 5, 0));
    }
}
