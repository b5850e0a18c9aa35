//! Keys by which a client can cancel what its session is doing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::wire::{CancelKey, VERSION_3_2};

/// Dropped when a CancelRequest has had its effect.
pub(super) type Done = oneshot::Sender<()>;
/// CancelRequests of one session that may wait; more are as good as one.
pub(super) const CANCELS_MAX: usize = 4;

/// Length of a key's secret.
const SECRET_BYTES: usize = 4;
/// Its length from protocol 3.2 on: the server's own.
const LONG_SECRET_BYTES: usize = 32;

type Keys = Arc<Mutex<HashMap<CancelKey, mpsc::Sender<Done>>>>;

/// The keys of all open sessions. A key names the database's own process; its secret is ours, so that the database's never
/// leaves the proxy.
#[derive(Debug, Clone, Default)]
pub struct Cancels {
    keys: Keys,
}

/// A session's key; it stops working when this is dropped.
#[derive(Debug)]
pub(super) struct Registered {
    key: CancelKey,
    keys: Keys,
}

impl Cancels {
    /// Gives a session its key, as long as this version of the protocol has it. `None` if there is no randomness to be had.
    pub(super) fn enter(&self, process: i32, version: u32, cancel: mpsc::Sender<Done>) -> Option<Registered> {
        let mut secret = vec![0; if version >= VERSION_3_2 { LONG_SECRET_BYTES } else { SECRET_BYTES }];
        aws_lc_rs::rand::fill(&mut secret).ok()?;
        let key = CancelKey { process, secret: secret.into() };
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), cancel);
        Some(Registered { key, keys: Arc::clone(&self.keys) })
    }

    /// Cancels what the session with this key is doing, and waits until that has had its effect. A wrong key does nothing and
    /// says nothing.
    pub async fn cancel(&self, key: &CancelKey) {
        let session = self.keys.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        let (done, when_done) = oneshot::channel();
        if session.is_some_and(|session| session.try_send(done).is_ok()) {
            let _ = when_done.await;
        }
    }
}

impl Registered {
    pub(super) fn key(&self) -> &CancelKey {
        &self.key
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
