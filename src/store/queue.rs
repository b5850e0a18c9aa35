//! What travels from sessions to the writer, and what they know of each other.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use tokio::sync::{Notify, oneshot};

use super::{LogFailed, QUEUE_BYTES_MAX, QUEUE_EVENTS_MAX};
use crate::ledger::{DataKey, Event, SessionId};

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
    Append { session: Arc<Session>, number: u64, event: Event, now_us: u64, bytes: usize },
    /// An event of no session.
    Record { event: Event, now_us: u64, bytes: usize, done: oneshot::Sender<Result<(), LogFailed>> },
    /// A session's recorder is gone; `number` would have been its next.
    Gone { session: Arc<Session>, number: u64 },
    /// Write what came before, sign a last checkpoint, end.
    Close(mpsc::SyncSender<Result<(), LogFailed>>),
    /// Write what came before, end.
    Stop,
}

/// Common to the log, its recorders and the writer.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) queued_bytes: AtomicUsize,
    pub(super) queued_events: AtomicUsize,
    /// Told when the queue gets shorter, or the log fails.
    pub(super) shorter: Notify,
    pub(super) failed: OnceLock<LogFailed>,
    pub(super) closed: AtomicBool,
    pub(super) size: AtomicU64,
    pub(super) witness_failed: std::sync::Mutex<Option<String>>,
}

impl Shared {
    /// Why nothing more can be written.
    pub(super) fn failure(&self) -> Option<LogFailed> {
        let closed = || self.closed.load(Ordering::Acquire).then_some(LogFailed::Closed);
        self.failed.get().cloned().or_else(closed)
    }

    pub(super) fn entered(&self, bytes: usize) {
        self.queued_bytes.fetch_add(bytes, Ordering::AcqRel);
        self.queued_events.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn left(&self, bytes: usize, events: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::AcqRel);
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
