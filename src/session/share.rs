//! The bytes that wait in a session, counted with those of all others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes a session may keep whatever the others do.
const FREE_BYTES: usize = 256 << 10;

/// Bytes that wait in all sessions together, those apart that each may keep.
#[derive(Debug, Clone, Default)]
pub struct Queued(Arc<AtomicUsize>);

impl Queued {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one session adds to them.
#[derive(Debug)]
pub(super) struct Share {
    all: Queued,
    mine: usize,
}

impl Share {
    pub(super) fn new(all: Queued) -> Self {
        Self { all, mine: 0 }
    }

    /// So many bytes wait here now. False if they are more than there is room for.
    pub(super) fn keep(&mut self, bytes: usize, bytes_max: usize) -> bool {
        let mine = bytes.saturating_sub(FREE_BYTES);
        if mine == self.mine {
            return true;
        }
        let more = mine > self.mine;
        if more {
            self.all.0.fetch_add(mine - self.mine, Ordering::Relaxed);
        } else {
            self.all.0.fetch_sub(self.mine - mine, Ordering::Relaxed);
        }
        self.mine = mine;
        !more || self.all.bytes() <= bytes_max
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.all.0.fetch_sub(self.mine, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_session_is_never_in_the_way() {
        let all = Queued::default();
        let mut large = Share::new(all.clone());
        assert!(large.keep(FREE_BYTES + 100, 100));
        let mut small = Share::new(all.clone());
        assert!(small.keep(FREE_BYTES, 100));
        assert!(!large.keep(FREE_BYTES + 101, 100));
        assert!(large.keep(FREE_BYTES + 99, 0), "it gets less");
        assert_eq!(all.bytes(), 99);
        drop((large, small));
        assert_eq!(all.bytes(), 0);
    }
}
