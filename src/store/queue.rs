//! What travels from sessions to the writer, and what they know of each other.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError, mpsc};

use tokio::sync::{Notify, oneshot};

use super::writer::Writer;
use super::{LogFailed, QUEUE_BYTES_MAX, QUEUE_EVENTS_MAX, StoreError};
use crate::ledger::{Body, DataKey, Event, LedgerError, SessionId};

/// How often a session looks whether the writer is free before it leaves its event to the thread: a few microseconds.
const TRIES_MAX: u32 = 200;

/// A session as the writer needs it.
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) key: DataKey,
    pub(super) wrapped: Vec<u8>,
    /// The last position that is durable.
    pub(super) durable: AtomicU64,
    /// Told when `durable` moves, or the log fails.
    pub(super) moved: Notify,
}

/// One thing to write.
pub(super) enum Request {
    /// An event of a session.
    Append { session: Arc<Session>, number: u64, event: Event, body: Option<Body>, now_us: u64, bytes: usize },
    /// An event of no session.
    Record { event: Event, now_us: u64, bytes: usize, done: oneshot::Sender<Result<(), LogFailed>> },
    /// A session's recorder is gone; `number` would have been its next.
    Gone { session: Arc<Session>, number: u64 },
    /// Write what came before, sign a last checkpoint, end.
    Close(mpsc::SyncSender<Result<(), LogFailed>>),
    /// Write what came before, end.
    Stop,
}

impl Request {
    /// Bytes it was counted with; 0 if it was not counted.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append { bytes, .. } | Self::Record { bytes, .. } => *bytes,
            Self::Gone { .. } | Self::Close(_) | Self::Stop => 0,
        }
    }

    /// Makes the body of its entry, if that has not been done.
    pub(super) fn make_body(&mut self) -> Result<(), LedgerError> {
        if let Self::Append { event, body, .. } = self
            && body.is_none()
        {
            *body = Some(Body::of(event)?);
        }
        Ok(())
    }

    /// Moves a session's durable position up to it: it has been written.
    pub(super) fn acknowledge(&self) {
        if let Self::Append { session, number, .. } = self {
            session.durable.store(*number, Ordering::Release);
        }
    }

    /// Tells whoever waits for it what became of it: a session once for all its requests of a group.
    pub(super) fn answer(self, failed: Option<&LogFailed>) {
        match self {
            Self::Append { session, number, .. } => {
                if failed.is_some() || session.durable.load(Ordering::Acquire) == number {
                    session.moved.notify_waiters();
                }
            }
            Self::Record { done, .. } => {
                // Whoever does not wait any more needs no answer.
                let _ = done.send(failed.cloned().map_or(Ok(()), Err));
            }
            Self::Gone { session, .. } => session.moved.notify_waiters(),
            Self::Close(done) => {
                let _ = done.send(failed.cloned().map_or(Ok(()), Err));
            }
            Self::Stop => {}
        }
    }
}

/// Common to the log, its recorders and the thread.
pub(super) struct Shared {
    /// The end of the log; none once it is closed.
    pub(super) writer: Mutex<Option<Writer>>,
    /// True if sessions may write small events themselves.
    pub(super) at_once: bool,
    pub(super) queued_bytes: AtomicUsize,
    pub(super) queued_events: AtomicUsize,
    /// About since when the oldest of them has waited, in microseconds since 1970; 0 if there is none.
    pub(super) oldest_us: AtomicU64,
    /// Told when the queue gets shorter, or the log fails.
    pub(super) shorter: Notify,
    pub(super) failed: OnceLock<LogFailed>,
    pub(super) closed: AtomicBool,
    pub(super) size: AtomicU64,
    pub(super) witness_failed: Mutex<Option<String>>,
}

impl Shared {
    pub(super) fn new(writer: Writer, at_once: bool) -> Self {
        let size = AtomicU64::new(writer.size());
        Self {
            writer: Mutex::new(Some(writer)),
            at_once,
            queued_bytes: AtomicUsize::new(0),
            queued_events: AtomicUsize::new(0),
            oldest_us: AtomicU64::new(0),
            shorter: Notify::new(),
            failed: OnceLock::new(),
            closed: AtomicBool::new(false),
            size,
            witness_failed: Mutex::new(None),
        }
    }

    /// The writer, if it is free within moments. It holds only what was written: whoever finds the log failed lets go of it.
    pub(super) fn writer_now(&self) -> Option<MutexGuard<'_, Option<Writer>>> {
        for _ in 0..TRIES_MAX {
            match self.writer.try_lock() {
                Ok(writer) => return Some(writer).filter(|_| self.failure().is_none()),
                Err(TryLockError::Poisoned(_)) => return None,
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
        None
    }

    /// Nothing more can be written. To be called while the writer is held, so that nobody goes on behind what failed.
    pub(super) fn fail(&self, error: &StoreError) {
        tracing::error!(%error, "the log cannot be written: statements are refused from now on");
        let _ = self.failed.set(LogFailed::Write(error.to_string()));
        self.shorter.notify_waiters();
    }

    /// Why nothing more can be written.
    pub(super) fn failure(&self) -> Option<LogFailed> {
        let closed = || self.closed.load(Ordering::Acquire).then_some(LogFailed::Closed);
        self.failed.get().cloned().or_else(closed)
    }

    pub(super) fn entered(&self, bytes: usize, now_us: u64) {
        self.queued_bytes.fetch_add(bytes, Ordering::AcqRel);
        if self.queued_events.fetch_add(1, Ordering::AcqRel) == 0 {
            self.oldest_us.store(now_us, Ordering::Relaxed);
        }
    }

    /// `since_us` is when the writer took them: what is left has come after that.
    pub(super) fn left(&self, bytes: usize, events: usize, since_us: u64) {
        self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.oldest_us.store(since_us, Ordering::Relaxed);
        self.queued_events.fetch_sub(events, Ordering::AcqRel);
        self.shorter.notify_waiters();
    }

    pub(super) fn has_room(&self) -> bool {
        self.queued_bytes.load(Ordering::Acquire) < QUEUE_BYTES_MAX
            && self.queued_events.load(Ordering::Acquire) < QUEUE_EVENTS_MAX
    }
}

/// About how many bytes an event will take.
pub(super) fn event_bytes(event: &Event) -> usize {
    const OVERHEAD: usize = 256;
    OVERHEAD
        + match event {
            Event::Statement(event) => event.name.len() + event.text.len(),
            Event::Passed(event) => event.bytes.len(),
            Event::Execution(event) => {
                let values = event.parameters.iter().map(|parameter| 8 + parameter.value.as_ref().map_or(0, bytes::Bytes::len));
                event.portal.len() + values.sum::<usize>()
            }
            Event::Reply(event) => {
                let columns = event.columns.iter().map(|column| column.name.len() + column.reason.len() + 16);
                columns.sum::<usize>() + event.frames.iter().map(|frame| 8 + frame.len()).sum::<usize>()
            }
            Event::SessionOpened(_)
            | Event::SessionClosed(_)
            | Event::HoldOpened(_)
            | Event::HoldAnswered(_)
            | Event::LoginRefused(_)
            | Event::LoggedIn(_)
            | Event::Revoked(_)
            | Event::ConfigurationLoaded(_) => 0,
        }
}
