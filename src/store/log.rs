//! The log: opened once in a process, shared by all sessions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use tokio::sync::{Notify, oneshot};

use super::files::random;
use super::open::{Opened, open};
use super::queue::{Request, Session, Shared, event_bytes};
use super::recorder::Recorder;
use super::thread::{Thread, now_us};
use super::{Durability, LogFailed, Settings, StoreError};
use crate::ledger::{DataKey, Event, MasterKey, SessionId, Verifier, seals};
use crate::secret::Secret;

/// An open log. Dropped without `close` it ends like a killed process: what was acknowledged is there, nothing is tidied.
pub struct Log {
    shared: Arc<Shared>,
    sender: mpsc::Sender<Request>,
    thread: Mutex<Option<JoinHandle<()>>>,
    master: MasterKey,
    verifier: Verifier,
    keys_made: bool,
}

impl Log {
    /// Opens the log, makes it at the first start, and closes what sessions an earlier process has left open. `now_us`
    /// is the time that their end is recorded with.
    ///
    /// # Errors
    /// `InUse` if another process has it; `Damaged` if it is shorter than its newest checkpoint or its end does not agree
    /// with its hashes; the key errors; `Database`, a full disk included.
    pub fn open(settings: &Settings, now_us: u64) -> Result<Self, StoreError> {
        let Opened { store, lock, writer, verifier, master, keys_made } = open(settings, now_us)?;
        let shared = Arc::new(Shared::new(writer, settings.durability == Durability::Process));
        let (sender, receiver) = mpsc::channel();
        let thread = Thread::new(store, lock, settings, Arc::clone(&shared), receiver);
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || thread.run()).map_err(StoreError::Thread)?;
        Ok(Self { shared, sender, thread: Mutex::new(Some(thread)), master, verifier, keys_made })
    }

    /// True if the keys were made by this start: they must be backed up, for without the master key no content can be read.
    #[must_use]
    pub fn keys_made(&self) -> bool {
        self.keys_made
    }

    /// A key of the deployment for another purpose, made from the master key.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Secret {
        self.master.derive(purpose)
    }

    /// What checkpoints are verified with.
    #[must_use]
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// A way into the log for a new session, with a data key of its own.
    ///
    /// # Errors
    /// `Random` if the system gives no random numbers.
    pub fn session(&self, id: SessionId) -> Result<Recorder, StoreError> {
        let key = Secret::new(random::<32>()?.to_vec());
        let wrapped = self.master.wrap(id, &key, random()?)?;
        let session = Session { id, key: DataKey::new(&key)?, wrapped, durable: AtomicU64::new(0), moved: Notify::new() };
        Ok(Recorder::new(session, Arc::clone(&self.shared), self.sender.clone()))
    }

    /// Records an event that belongs to no session and waits until it is durable.
    ///
    /// # Errors
    /// The log has failed or is closed, or the event has content to seal and so belongs into a session.
    pub async fn record(&self, event: Event, now_us: u64) -> Result<(), LogFailed> {
        if seals(&event) {
            return Err(LogFailed::NoSession);
        }
        if let Some(failure) = self.shared.failure() {
            return Err(failure);
        }
        let (done, answer) = oneshot::channel();
        let bytes = event_bytes(&event);
        self.shared.entered(bytes, now_us);
        let closed = || self.shared.failure().unwrap_or(LogFailed::Closed);
        self.sender.send(Request::Record { event, now_us, bytes, done }).map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Why the log takes nothing more, if so.
    #[must_use]
    pub fn failed(&self) -> Option<String> {
        self.shared.failed.get().map(ToString::to_string)
    }

    /// Why the witness file could not be written at the last checkpoint, if so. The log goes on.
    #[must_use]
    pub fn witness_failed(&self) -> Option<String> {
        self.shared.witness_failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Entries in the log that are durable.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.shared.size.load(Ordering::Acquire)
    }

    /// Bytes that wait for the writer.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.shared.queued_bytes.load(Ordering::Acquire)
    }

    /// Entries that wait for the writer.
    #[must_use]
    pub fn queued_entries(&self) -> usize {
        self.shared.queued_events.load(Ordering::Acquire)
    }

    /// About how long the oldest of them has waited, in microseconds.
    #[must_use]
    pub fn lag_us(&self) -> u64 {
        if self.queued_entries() == 0 { 0 } else { now_us().saturating_sub(self.shared.oldest_us.load(Ordering::Relaxed)) }
    }

    /// Writes what is queued, signs a last checkpoint and ends. Blocks; what is appended later is refused.
    ///
    /// # Errors
    /// The log had failed, or fails now.
    pub fn close(&self) -> Result<(), LogFailed> {
        let (done, answer) = mpsc::sync_channel(1);
        let sent = self.sender.send(Request::Close(done));
        let result = match sent {
            Ok(()) => answer.recv().unwrap_or(Err(LogFailed::Closed)),
            Err(_) => Err(self.shared.failure().unwrap_or(LogFailed::Closed)),
        };
        self.join();
        result
    }

    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked has left no acknowledgement behind.
            let _ = thread.join();
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = self.sender.send(Request::Stop);
        self.join();
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Log({}, {} entries)", self.verifier.origin(), self.size())
    }
}
