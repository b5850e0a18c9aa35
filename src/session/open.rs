//! The sessions that are open, whose access is withdrawn, and the way to end what may not go on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

use super::End;
use crate::identity::{Identity, Revocations, Target};
use crate::ledger::SessionId;

/// A session as people are shown it.
#[derive(Debug, Clone, Serialize)]
pub struct OpenSession {
    /// Its identifier, as in the log.
    pub id: String,
    /// Who.
    pub identity: String,
    /// Who acts for them, if anybody does.
    pub actor: String,
    /// The identity's groups.
    pub groups: Vec<String>,
    /// The database.
    pub database: String,
    /// The client's address.
    pub client: String,
    /// When it began, in microseconds since 1970.
    pub since_us: u64,
}

struct Entry {
    identity: Arc<Identity>,
    shown: OpenSession,
    end: watch::Sender<Option<End>>,
}

#[derive(Default)]
struct State {
    open: HashMap<SessionId, Entry>,
    revoked: Revocations,
}

/// Who may be in, and who is. Copies share it.
#[derive(Clone, Default)]
pub struct Access(Arc<Mutex<State>>);

/// A session's place among the open ones; it is taken back when this is dropped.
pub(crate) struct Membership {
    id: SessionId,
    access: Access,
    pub(super) end: watch::Receiver<Option<End>>,
}

impl std::fmt::Debug for Membership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Membership({})", self.id)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.access.state().open.remove(&self.id);
    }
}

impl Access {
    /// Nobody is in; this is withdrawn.
    #[must_use]
    pub fn new(revoked: Revocations) -> Self {
        Self(Arc::new(Mutex::new(State { open: HashMap::new(), revoked })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves whole entries only.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a session in, unless access is withdrawn. Both are looked at in one step: what is withdrawn later ends it.
    pub(super) fn enter(&self, id: SessionId, identity: Arc<Identity>, shown: OpenSession) -> Option<Membership> {
        let mut state = self.state();
        if state.revoked.cover(&identity) {
            return None;
        }
        let (sender, end) = watch::channel(None);
        state.open.insert(id, Entry { identity, shown, end: sender });
        Some(Membership { id, access: self.clone(), end })
    }

    /// True if this identity may come in.
    #[must_use]
    pub fn admits(&self, identity: &Identity) -> bool {
        !self.state().revoked.cover(identity)
    }

    /// The open sessions, the oldest first.
    #[must_use]
    pub fn open(&self) -> Vec<OpenSession> {
        let mut open: Vec<OpenSession> = self.state().open.values().map(|entry| entry.shown.clone()).collect();
        open.sort_by(|a, b| (a.since_us, &a.id).cmp(&(b.since_us, &b.id)));
        open
    }

    /// Ends the one session whose identifier begins so; gives it, or `None` if there is not exactly one.
    pub fn end(&self, id: &str) -> Option<OpenSession> {
        let state = self.state();
        let mut found = state.open.values().filter(|entry| !id.is_empty() && entry.shown.id.starts_with(id));
        let (Some(entry), None) = (found.next(), found.next()) else { return None };
        entry.tell(End::Ended);
        Some(entry.shown.clone())
    }

    /// Withdraws access, which ends the open sessions that it is about; gives how many, or `None` if there is no room for more.
    pub fn revoke(&self, target: &Target, by: &str) -> Option<usize> {
        let mut state = self.state();
        if !state.revoked.add(target.clone(), by) {
            return None;
        }
        let State { open, revoked } = &mut *state;
        let mut ended = 0;
        for entry in open.values().filter(|entry| target.covers(&entry.identity)) {
            revoked.note(target, &entry.identity);
            ended += usize::from(entry.tell(End::Revoked));
        }
        Some(ended)
    }

    /// Gives access back; false if it was not withdrawn.
    pub fn lift(&self, target: &Target) -> bool {
        self.state().revoked.lift(target)
    }

    /// What is withdrawn.
    #[must_use]
    pub fn revoked(&self) -> Revocations {
        self.state().revoked.clone()
    }
}

impl Entry {
    fn tell(&self, end: End) -> bool {
        self.end.send_if_modified(|told| {
            let first = told.is_none();
            told.get_or_insert(end);
            first
        })
    }
}
