//! The log's thread: writes what sessions do not write themselves, and signs checkpoints.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::column::Store;
use super::files::{self, CHECKPOINT_FILE};
use super::queue::{Request, Shared};
use super::writer::{Ready, Writer};
use super::{Durability, GROUP_BYTES_MAX, GROUP_EVENTS_MAX, IDLE_INTERVALS, LogFailed, Settings, StoreError};
use crate::ledger::Body;

/// What the thread owns.
pub(super) struct Thread {
    shared: Arc<Shared>,
    receiver: Receiver<Request>,
    store: Arc<Store>,
    sync: bool,
    every: Duration,
    newest_file: PathBuf,
    witness: Option<PathBuf>,
    signed_at: Option<Instant>,
    signed_size: u64,
    /// Held until the database is closed: fields are dropped in order.
    _lock: File,
}

/// Whether the loop goes on.
enum Next {
    More,
    Close(std::sync::mpsc::SyncSender<Result<(), LogFailed>>),
    Stop,
}

impl Thread {
    pub(super) fn new(
        store: Arc<Store>,
        lock: File,
        settings: &Settings,
        shared: Arc<Shared>,
        receiver: Receiver<Request>,
    ) -> Self {
        Self {
            shared,
            receiver,
            store,
            sync: settings.durability == Durability::Power,
            every: Duration::from_millis(settings.checkpoint_every_ms.max(1)),
            newest_file: settings.path.join(CHECKPOINT_FILE),
            witness: settings.witness.clone(),
            signed_at: None,
            signed_size: 0,
            _lock: lock,
        }
    }

    /// Runs until the log is closed or dropped.
    pub(super) fn run(mut self) {
        let mut next = Next::More;
        while matches!(next, Next::More) {
            match self.receiver.recv_timeout(self.due()) {
                Ok(first) => next = self.group(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => next = Next::Stop,
            }
            if matches!(next, Next::More) && self.due().is_zero() && self.shared.failed.get().is_none() {
                let signed = self.checkpoint();
                self.fail_on(signed);
            }
        }
        // From here on no session writes by itself.
        self.shared.closed.store(true, Ordering::Release);
        if matches!(next, Next::Close(_)) && self.shared.failed.get().is_none() {
            let signed = self.checkpoint();
            self.fail_on(signed);
        }
        let answer = self.shared.failed.get().cloned().map_or(Ok(()), Err);
        drop(self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.refuse_rest();
        drop(self);
        if let Next::Close(done) = next {
            let _ = done.send(answer);
        }
    }

    /// Time until the next checkpoint is due: an interval if there is something new, a longer one if not.
    fn due(&self) -> Duration {
        let Some(signed_at) = self.signed_at else { return Duration::ZERO };
        if self.shared.failed.get().is_some() {
            return Duration::from_secs(3600);
        }
        let new = self.signed_size != self.shared.size.load(Ordering::Acquire);
        let wait = if new { self.every } else { self.every * IDLE_INTERVALS };
        wait.saturating_sub(signed_at.elapsed()).min(self.every)
    }

    /// Commits the first request and what else is queued.
    fn group(&mut self, first: Request) -> Next {
        let (mut group, mut bytes, mut next) = (Vec::new(), 0, Next::More);
        let since_us = now_us();
        let mut request = Some(first);
        while let Some(one) = request.take() {
            match one {
                Request::Close(done) => next = Next::Close(done),
                Request::Stop => next = Next::Stop,
                one => {
                    bytes += one.bytes();
                    group.push(one);
                }
            }
            if matches!(next, Next::More) && group.len() < GROUP_EVENTS_MAX && bytes < GROUP_BYTES_MAX {
                request = self.receiver.try_recv().ok();
            }
        }
        if self.shared.failed.get().is_none() {
            let written = self.commit(&mut group);
            self.fail_on(written);
        }
        let outcome = self.shared.failed.get();
        let events = group.iter().filter(|one| one.bytes() > 0).count();
        if outcome.is_none() {
            group.iter().for_each(Request::acknowledge);
        }
        group.into_iter().for_each(|one| one.answer(outcome));
        self.shared.left(bytes, events, since_us);
        next
    }

    /// Bodies are made before the writer is taken, so that sessions that have little to write need not wait for them.
    fn commit(&self, group: &mut [Request]) -> Result<(), StoreError> {
        group.iter_mut().try_for_each(Request::make_body)?;
        let mut writer = self.shared.writer.lock().map_err(|_| panicked())?;
        let writer = writer.as_mut().ok_or_else(panicked)?;
        for request in group {
            stage(writer, request)?;
        }
        writer.commit(self.sync)?;
        self.shared.size.store(writer.size(), Ordering::Release);
        Ok(())
    }

    /// Signs the log as it is. It is flushed to the disk before it is shown to anyone: a witness never knows more than
    /// what survives a loss of power.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        let (size, note) = {
            let mut writer = self.shared.writer.lock().map_err(|_| panicked())?;
            writer.as_mut().ok_or_else(panicked)?.checkpoint(now_us())?
        };
        self.store.sync()?;
        files::replace(&self.newest_file, &note, self.sync)?;
        if let Some(witness) = &self.witness {
            let failed = files::append(witness, &format!("{note}\n"), self.sync).err().map(|error| error.to_string());
            if let Some(error) = &failed {
                tracing::error!(%error, "the witness file cannot be written");
            }
            *self.shared.witness_failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        }
        (self.signed_at, self.signed_size) = (Some(Instant::now()), size);
        Ok(())
    }

    fn fail_on(&self, result: Result<(), StoreError>) {
        if let Err(error) = result {
            self.shared.fail(&error);
        }
    }

    /// Answers what came behind the end.
    fn refuse_rest(&self) {
        while let Ok(request) = self.receiver.try_recv() {
            self.shared.left(request.bytes(), usize::from(request.bytes() > 0), now_us());
            request.answer(Some(&LogFailed::Closed));
        }
        self.shared.shorter.notify_waiters();
    }
}

fn stage(writer: &mut Writer, request: &mut Request) -> Result<(), StoreError> {
    match request {
        Request::Append { session, number, event, body, now_us, .. } => {
            let body = body.take().map_or_else(|| Body::of(event), Ok)?;
            writer.append(session, *number, event, body, *now_us)
        }
        Request::Record { event, now_us, .. } => {
            writer.stage(Ready { session: None, event, body: Body::of(event)?, key: None, now_us: *now_us })
        }
        Request::Gone { session, number } => writer.abort(session.id, *number, "aborted", now_us()),
        Request::Close(_) | Request::Stop => Ok(()),
    }
}

fn panicked() -> StoreError {
    StoreError::Damaged("writing it was broken off".into())
}

pub(super) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
