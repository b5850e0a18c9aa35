//! Wrong passwords, counted by name, so that nobody can try many.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::FAILURES_MAX;

/// How long a failure counts.
const WINDOW: Duration = Duration::from_secs(60);
/// Most names that are remembered.
const NAMES_MAX: usize = 1000;

/// Failures of the last minute.
#[derive(Default)]
pub(super) struct Attempts(Mutex<HashMap<String, (u32, Instant)>>);

impl Attempts {
    /// True if the name may try.
    pub(super) fn may_try(&self, name: &str) -> bool {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|_, (_, since)| since.elapsed() < WINDOW);
        match names.get(name) {
            Some((failures, _)) => *failures < FAILURES_MAX,
            None => names.len() < NAMES_MAX,
        }
    }

    /// Counts a failure.
    pub(super) fn failed(&self, name: &str) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = names.entry(name.to_owned()).or_insert((0, Instant::now()));
        entry.0 = entry.0.saturating_add(1);
    }
}
