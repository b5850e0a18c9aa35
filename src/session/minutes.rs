//! What happens to holds at the desk, kept until the session that waits records it in its own order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::ledger::{Event, SessionId};

/// Events of holds by session. A hold makes at most as many as people may answer it, so the bounds of the desk bound this, too.
#[derive(Debug, Clone, Default)]
pub struct Minutes(Arc<Mutex<HashMap<SessionId, Vec<Event>>>>);

impl Minutes {
    /// Keeps an event for the session.
    pub fn keep(&self, session: SessionId, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(session).or_default().push(event);
    }

    /// Gives out what has been kept for the session.
    pub(super) fn take(&self, session: &SessionId) -> Vec<Event> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(session).unwrap_or_default()
    }
}
