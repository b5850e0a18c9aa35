//! How long a session may last: by its age, by idleness, by the end of the login's proof.

use std::time::Duration;

use tokio::time::Instant;

use super::End;
use crate::identity::Expiry;

/// When a session that has no bound is looked at again.
const FAR: Duration = Duration::from_secs(24 * 3_600);

/// Bounds of all sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Longest life.
    pub life_max: Option<Duration>,
    /// Longest time without a statement.
    pub idle_max: Option<Duration>,
    /// What the end of the proof means, where the issuer says nothing else.
    pub at_expiry: Expiry,
    /// How long a transaction may outlive the proof.
    pub grace: Duration,
}

/// What the session is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doing {
    /// Nothing is owed to the client, and nothing waits for a person.
    pub(super) quiet: bool,
    /// A transaction is open.
    pub(super) in_transaction: bool,
}

/// The bounds of one session.
#[derive(Debug)]
pub(super) struct Tenure {
    begun: Instant,
    active: Instant,
    expires: Option<Instant>,
    terms: Terms,
}

impl Tenure {
    /// Bounds of a session that begins now; its proof ends `left` from now, if it does.
    pub(super) fn new(now: Instant, terms: Terms, left: Option<Duration>) -> Self {
        Self { begun: now, active: now, expires: left.and_then(|left| now.checked_add(left)), terms }
    }

    /// The client has said something.
    pub(super) fn active(&mut self, now: Instant) {
        self.active = now;
    }

    /// The end that has come, if one has.
    pub(super) fn over(&self, now: Instant, doing: Doing) -> Option<End> {
        let past = |bound: Option<Instant>| bound.is_some_and(|bound| bound <= now);
        if past(self.life()) {
            return Some(End::TooLong);
        }
        let settled = doing.quiet && !doing.in_transaction;
        let expired = match self.terms.at_expiry {
            Expiry::FinishSession => false,
            Expiry::End => past(self.expires),
            Expiry::FinishTransaction => (settled && past(self.expires)) || past(self.expires_at_last()),
        };
        if expired {
            return Some(End::Expired);
        }
        (doing.quiet && past(self.idle())).then_some(End::Idle)
    }

    /// When to look again at the latest, if nothing happens until then.
    pub(super) fn next(&self, now: Instant, doing: Doing) -> Instant {
        let expiry = match self.terms.at_expiry {
            Expiry::FinishSession => [None, None],
            Expiry::End => [self.expires, None],
            Expiry::FinishTransaction => [self.expires, self.expires_at_last()],
        };
        // While something is under way, idleness has not begun.
        let idle = if doing.quiet { self.idle() } else { self.terms.idle_max.map(|idle| now + idle) };
        let bounds = [self.life(), expiry[0], expiry[1], idle];
        bounds.into_iter().flatten().filter(|bound| *bound > now).min().unwrap_or(now + FAR)
    }

    fn life(&self) -> Option<Instant> {
        self.terms.life_max.and_then(|life| self.begun.checked_add(life))
    }

    fn idle(&self) -> Option<Instant> {
        self.terms.idle_max.and_then(|idle| self.active.checked_add(idle))
    }

    fn expires_at_last(&self) -> Option<Instant> {
        self.expires.and_then(|expires| expires.checked_add(self.terms.grace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Doing = Doing { quiet: true, in_transaction: false };
    const OPEN: Doing = Doing { quiet: true, in_transaction: true };
    const BUSY: Doing = Doing { quiet: false, in_transaction: false };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn terms(at_expiry: Expiry) -> Terms {
        Terms { life_max: Some(seconds(100)), idle_max: Some(seconds(10)), at_expiry, grace: seconds(20) }
    }

    #[test]
    fn each_bound_ends_a_session_in_its_own_way() {
        let now = Instant::now();
        let cases = [
            (Expiry::End, 30, BUSY, Some(End::Expired)),
            (Expiry::End, 29, BUSY, None),
            (Expiry::FinishTransaction, 30, BUSY, None),
            (Expiry::FinishTransaction, 50, BUSY, Some(End::Expired)),
            (Expiry::FinishTransaction, 50, OPEN, Some(End::Expired)),
            (Expiry::FinishSession, 99, BUSY, None),
            (Expiry::FinishSession, 100, BUSY, Some(End::TooLong)),
            (Expiry::FinishSession, 9, QUIET, None),
            (Expiry::FinishSession, 10, QUIET, Some(End::Idle)),
            (Expiry::FinishSession, 10, OPEN, Some(End::Idle)),
        ];
        for (at_expiry, after, doing, expected) in cases {
            let tenure = Tenure::new(now, terms(at_expiry), Some(seconds(30)));
            assert_eq!(tenure.over(now + seconds(after), doing), expected, "{at_expiry:?} after {after} s, {doing:?}");
        }
    }

    #[test]
    fn a_transaction_ends_in_its_own_time_and_then_the_session() {
        let now = Instant::now();
        let mut tenure = Tenure::new(now, terms(Expiry::FinishTransaction), Some(seconds(30)));
        tenure.active(now + seconds(31));
        assert_eq!(tenure.over(now + seconds(31), OPEN), None);
        assert_eq!(tenure.over(now + seconds(31), QUIET), Some(End::Expired));
    }

    #[test]
    fn it_is_looked_at_when_the_next_bound_comes() {
        let now = Instant::now();
        let tenure = Tenure::new(now, terms(Expiry::FinishTransaction), Some(seconds(30)));
        assert_eq!(tenure.next(now, QUIET), now + seconds(10));
        assert_eq!(tenure.next(now + seconds(25), BUSY), now + seconds(30));
        assert_eq!(tenure.next(now + seconds(45), BUSY), now + seconds(50));
        assert_eq!(tenure.next(now + seconds(5), BUSY), now + seconds(15));
        let free = Terms { life_max: None, idle_max: None, at_expiry: Expiry::End, grace: seconds(1) };
        assert_eq!(Tenure::new(now, free, None).next(now, QUIET), now + FAR);
    }
}
