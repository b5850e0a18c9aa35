//! A session's way into the log.

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};

use super::LogFailed;
use super::queue::{Request, Session, Shared, event_bytes};
use crate::ledger::{BODY_BYTES_MAX, Body, Event, SessionId};

/// Larger events are left to the thread: compressing and storing them takes time that other sessions would miss.
const AT_ONCE_BYTES_MAX: usize = 8 << 10;
/// Events that a silent session keeps room for.
const STAGED_KEPT: usize = 4;

/// Where an event of a session stands among its events: 1 is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

/// Watches how far a session's events are durable, apart from its recorder.
#[derive(Clone)]
pub struct Watch {
    session: Arc<Session>,
    shared: Arc<Shared>,
}

impl Watch {
    /// The last position that survives the end of the process (or a loss of power, as the settings say). 0 is none.
    #[must_use]
    pub fn durable(&self) -> Position {
        Position(self.session.durable.load(Ordering::Acquire))
    }

    /// Waits until a position is durable. Cancel safe.
    ///
    /// # Errors
    /// The log has failed or is closed and the position is not durable.
    pub async fn wait(&self, position: Position) -> Result<(), LogFailed> {
        if self.durable() >= position {
            return Ok(());
        }
        loop {
            let mut moved = pin!(self.session.moved.notified());
            moved.as_mut().enable();
            if self.durable() >= position {
                return Ok(());
            }
            if let Some(failure) = self.shared.failure() {
                return Err(failure);
            }
            moved.await;
        }
    }

    /// Waits until the queue to the writer is under its bounds. Cancel safe.
    ///
    /// # Errors
    /// The log has failed or is closed.
    pub async fn room(&self) -> Result<(), LogFailed> {
        // Nearly always: no place in the list of those who wait, and no lock on it.
        if self.shared.failure().is_none() && self.shared.has_room() {
            return Ok(());
        }
        loop {
            let mut shorter = pin!(self.shared.shorter.notified());
            shorter.as_mut().enable();
            if let Some(failure) = self.shared.failure() {
                return Err(failure);
            }
            if self.shared.has_room() {
                return Ok(());
            }
            shorter.await;
        }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watch({}, {} durable)", self.session.id, self.durable().0)
    }
}

/// Appends the events of one session. When it is dropped and the session was not closed, the log's thread closes it (`aborted`).
pub struct Recorder {
    watch: Watch,
    sender: mpsc::Sender<Request>,
    /// Number of the last event, and of the last one that is not staged any more.
    appended: u64,
    committed: u64,
    staged: Vec<Staged>,
    staged_bytes: usize,
}

/// An event that is not on its way yet.
struct Staged {
    number: u64,
    event: Event,
    now_us: u64,
    bytes: usize,
}

impl Recorder {
    pub(super) fn new(session: Session, shared: Arc<Shared>, sender: mpsc::Sender<Request>) -> Self {
        let watch = Watch { session: Arc::new(session), shared };
        Self { watch, sender, appended: 0, committed: 0, staged: Vec::new(), staged_bytes: 0 }
    }

    /// The session.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.watch.session.id
    }

    /// Stages an event and commits it.
    ///
    /// # Errors
    /// As `stage` and `commit`.
    pub fn append(&mut self, event: Event, now_us: u64) -> Result<Position, LogFailed> {
        let position = self.stage(event, now_us)?;
        self.commit()?;
        Ok(position)
    }

    /// Sets an event aside, to be committed together with what comes next. `now_us` is the time it happened.
    ///
    /// # Errors
    /// The log has failed or is closed, or the event is too large: nothing may run that depends on it.
    pub fn stage(&mut self, event: Event, now_us: u64) -> Result<Position, LogFailed> {
        if let Some(failure) = self.watch.shared.failure() {
            return Err(failure);
        }
        let bytes = event_bytes(&event);
        if bytes > BODY_BYTES_MAX {
            return Err(LogFailed::Oversize(bytes));
        }
        self.appended += 1;
        self.staged_bytes += bytes;
        self.staged.push(Staged { number: self.appended, event, now_us, bytes });
        Ok(Position(self.appended))
    }

    /// Writes what is staged if it is little and that can be done at once, else hands it to the log's thread; never waits for
    /// long, also when the queue is over its bound.
    ///
    /// # Errors
    /// The log has failed or is closed.
    pub fn commit(&mut self) -> Result<(), LogFailed> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let little = std::mem::take(&mut self.staged_bytes) <= AT_ONCE_BYTES_MAX;
        if little && self.watch.shared.at_once && self.durable().0 == self.committed && self.write()? {
            self.staged.clear();
        } else {
            self.hand_over()?;
        }
        self.committed = self.appended;
        if self.staged.capacity() > STAGED_KEPT {
            self.staged.shrink_to(STAGED_KEPT);
        }
        Ok(())
    }

    /// Writes what is staged, of which nothing before it waits; false if the writer is not free.
    fn write(&mut self) -> Result<bool, LogFailed> {
        let Watch { session, shared } = &self.watch;
        let bodies = self.staged.iter().map(|staged| Body::of(&staged.event));
        let bodies = bodies.collect::<Result<Vec<_>, _>>().map_err(|_| LogFailed::Oversize(BODY_BYTES_MAX))?;
        let Some(mut writer) = shared.writer_now() else { return Ok(false) };
        let Some(writer) = writer.as_mut() else { return Ok(false) };
        let mut each = self.staged.iter().zip(bodies);
        let staged = each.try_for_each(|(one, body)| writer.append(session, one.number, &one.event, body, one.now_us));
        if let Err(error) = staged.and_then(|()| writer.commit(false)) {
            shared.fail(&error);
            return Err(shared.failure().unwrap_or(LogFailed::Closed));
        }
        shared.size.store(writer.size(), Ordering::Release);
        session.durable.store(self.appended, Ordering::Release);
        Ok(true)
    }

    fn hand_over(&mut self) -> Result<(), LogFailed> {
        let Watch { session, shared } = &self.watch;
        for Staged { number, event, now_us, bytes } in self.staged.drain(..) {
            shared.entered(bytes, now_us);
            let request = Request::Append { session: Arc::clone(session), number, event, body: None, now_us, bytes };
            self.sender.send(request).map_err(|_| shared.failure().unwrap_or(LogFailed::Closed))?;
        }
        Ok(())
    }

    /// A watch on this session that can be used while the recorder is lent out.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The last position that survives the end of the process (or a loss of power, as the settings say). 0 is none.
    #[must_use]
    pub fn durable(&self) -> Position {
        self.watch.durable()
    }

    /// Waits until a position is durable. Cancel safe.
    ///
    /// # Errors
    /// The log has failed or is closed and the position is not durable.
    pub async fn wait(&self, position: Position) -> Result<(), LogFailed> {
        self.watch.wait(position).await
    }

    /// Waits until the queue to the writer is under its bounds. Cancel safe.
    ///
    /// # Errors
    /// The log has failed or is closed.
    pub async fn room(&self) -> Result<(), LogFailed> {
        self.watch.room().await
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // What was decided is recorded, though nothing came of it.
        let _ = self.commit();
        let gone = Request::Gone { session: Arc::clone(&self.watch.session), number: self.appended + 1 };
        // A writer that has ended closes the session at the next start.
        let _ = self.sender.send(gone);
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorder({}, {} appended)", self.watch.session.id, self.appended)
    }
}
