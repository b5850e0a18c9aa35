//! Seats for sessions: so many in all, so many for one identity.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All seats; copies are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Seats(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    taken: Mutex<Taken>,
    /// Told when the last one is left.
    empty: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_identity: HashMap<String, usize>,
}

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeatsMax {
    pub(super) all: usize,
    pub(super) identity: usize,
}

/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    All,
    Identity,
}

impl Full {
    /// The word for it in the log and in the numbers.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::All => "sessions",
            Self::Identity => "sessions-identity",
        }
    }

    /// What the client is told: the server's own words where it has some.
    pub(super) fn message(self, identity: &str) -> String {
        match self {
            Self::All => "sorry, too many clients already".to_owned(),
            Self::Identity => format!("too many connections for \"{identity}\""),
        }
    }
}

/// A seat; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    identity: String,
}

impl Seats {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a seat.
    pub(super) fn take(&self, identity: &str, max: SeatsMax) -> Result<Seat, Full> {
        let mut taken = self.taken();
        if taken.all >= max.all {
            return Err(Full::All);
        }
        let own = taken.by_identity.get(identity).copied().unwrap_or_default();
        if own >= max.identity {
            return Err(Full::Identity);
        }
        taken.all += 1;
        taken.by_identity.insert(identity.to_owned(), own + 1);
        Ok(Seat { seats: self.clone(), identity: identity.to_owned() })
    }

    /// How many are taken.
    pub(super) fn count(&self) -> usize {
        self.taken().all
    }

    /// Waits until none is taken. Cancel safe.
    pub(super) async fn empty(&self) {
        loop {
            let mut empty = std::pin::pin!(self.0.empty.notified());
            empty.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            empty.await;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all = taken.all.saturating_sub(1);
        if let Some(own) = taken.by_identity.get_mut(&self.identity) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.by_identity.remove(&self.identity);
            }
        }
        if taken.all == 0 {
            self.seats.0.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn seats_are_bounded_in_all_and_for_each() {
        let (seats, max) = (Seats::default(), SeatsMax { all: 3, identity: 2 });
        let first = seats.take("a", max).unwrap();
        let second = seats.take("a", max).unwrap();
        assert_eq!(seats.take("a", max).unwrap_err(), Full::Identity);
        let third = seats.take("b", max).unwrap();
        assert_eq!(seats.take("c", max).unwrap_err(), Full::All);
        drop(first);
        let again = seats.take("a", max).unwrap();
        assert_eq!(seats.count(), 3);
        let empty = tokio::spawn({
            let seats = seats.clone();
            async move { seats.empty().await }
        });
        drop((second, third, again));
        empty.await.unwrap();
        assert!(seats.taken().by_identity.is_empty());
    }
}
