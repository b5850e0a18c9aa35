//! How long bytes stay in the proxy: from their reading until they may leave. Measured now and then, since clocks cost.

use std::time::Instant;

use crate::tally::{Tallied, Way};

/// One arrival of so many is measured.
const EVERY: u32 = 8;

/// The measure of one session.
#[derive(Debug)]
pub(super) struct Lag {
    tallied: Tallied,
    arrivals: u32,
    /// What is measured: since when, which way.
    since: Option<(Instant, Way)>,
    /// The position of the log that lets it leave.
    position: u64,
}

impl Lag {
    pub(super) fn new(tallied: Tallied) -> Self {
        Self { tallied, arrivals: 0, since: None, position: u64::MAX }
    }

    /// Bytes have been read.
    pub(super) fn arrived(&mut self, way: Way) {
        self.arrivals = self.arrivals.wrapping_add(1);
        if self.arrivals % EVERY == 1 {
            (self.since, self.position) = (Some((Instant::now(), way)), u64::MAX);
        }
    }

    /// What they have led to leaves with this position of the log.
    pub(super) fn gated(&mut self, position: u64) {
        if self.since.is_some() && self.position == u64::MAX {
            self.position = position;
        }
    }

    /// The log has come so far.
    pub(super) fn reached(&mut self, durable: u64) {
        if self.position <= durable
            && let Some((since, way)) = self.since.take()
        {
            self.position = u64::MAX;
            self.tallied.kept(way, since.elapsed());
        }
    }
}
