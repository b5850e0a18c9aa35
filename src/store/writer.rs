//! The one thread that writes: encodes, seals, hashes and indexes what is queued, commits it in groups, signs checkpoints.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rocksdb::WriteBatch;

use super::column::{Store, columns};
use super::files::{self, CHECKPOINT_FILE};
use super::index::{Change, Index};
use super::queue::{Request, Session, Shared};
use super::{Durability, GROUP_BYTES_MAX, GROUP_EVENTS_MAX, IDLE_INTERVALS, LogFailed, Settings, StoreError};
use crate::ledger::{DataKey, Event, Place, SessionClosed, Signer, Tree, encode, leaf};

/// Puts an entry, its hashes and its indexes into a batch, and appends it to the tree.
pub(super) fn stage(
    store: &Store,
    tree: &mut Tree,
    index: &mut Index,
    batch: &mut WriteBatch,
    place: &Place,
    event: &Event,
    key: Option<&DataKey>,
) -> Result<(), StoreError> {
    let bytes = encode(place, event, key)?;
    let hashes: Vec<u8> = tree.append(leaf(&bytes)).iter().flat_map(|hash| hash.0).collect();
    store.put(batch, &columns::ENTRIES, &place.index, &bytes)?;
    store.put(batch, &columns::HASHES, &place.index, &hashes)?;
    index.follow(place, event).iter().try_for_each(|change| stage_change(store, batch, change))
}

fn stage_change(store: &Store, batch: &mut WriteBatch, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::BySession(session, number, index) => store.put(batch, &columns::BY_SESSION, &(*session, *number), index),
        Change::Opened(session, row) => {
            store.put(batch, &columns::SESSIONS, session, row)?;
            store.put(batch, &columns::LIVE, session, &())?;
            store.put(batch, &columns::BY_TIME, &(row.opened_us, *session), &())?;
            store.put(batch, &columns::BY_IDENTITY, &(row.identity.clone(), (row.opened_us, *session)), &())?;
            store.put(batch, &columns::BY_DATABASE, &(row.database.clone(), (row.opened_us, *session)), &())
        }
        Change::Closed(session, row) => {
            store.put(batch, &columns::SESSIONS, session, row)?;
            store.delete(batch, &columns::LIVE, session)
        }
        Change::Hold(hold, index) => store.put(batch, &columns::HOLDS, &(hold.clone(), *index), &()),
    }
}

/// What the thread owns.
pub(super) struct Writer {
    store: Store,
    tree: Tree,
    index: Index,
    signer: Signer,
    shared: Arc<Shared>,
    receiver: Receiver<Request>,
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

impl Writer {
    #[expect(clippy::too_many_arguments, reason = "the parts are made by the start and meet here only")]
    pub(super) fn new(
        store: Store,
        lock: File,
        tree: Tree,
        index: Index,
        signer: Signer,
        settings: &Settings,
        shared: Arc<Shared>,
        receiver: Receiver<Request>,
    ) -> Self {
        Self {
            store,
            tree,
            index,
            signer,
            shared,
            receiver,
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
        let answer = match &next {
            Next::Close(_) if self.shared.failed.get().is_none() => {
                let signed = self.checkpoint();
                self.fail_on(signed);
                self.shared.failure().map_or(Ok(()), Err)
            }
            _ => self.shared.failure().map_or(Ok(()), Err),
        };
        self.shared.closed.store(true, Ordering::Release);
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
        let wait = if self.signed_size == self.tree.size() { self.every * IDLE_INTERVALS } else { self.every };
        wait.saturating_sub(signed_at.elapsed())
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
                    bytes += bytes_of(&one);
                    group.push(one);
                }
            }
            if matches!(next, Next::More) && group.len() < GROUP_EVENTS_MAX && bytes < GROUP_BYTES_MAX {
                request = self.receiver.try_recv().ok();
            }
        }
        if self.shared.failed.get().is_none() {
            let written = self.commit(&group);
            self.fail_on(written);
        }
        let outcome = self.shared.failed.get().cloned();
        let events = group.iter().filter(|one| bytes_of(one) > 0).count();
        if outcome.is_none() {
            group.iter().for_each(acknowledge);
        }
        group.into_iter().for_each(|one| answer(one, outcome.as_ref()));
        self.shared.left(bytes, events, since_us);
        next
    }

    fn commit(&mut self, group: &[Request]) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for request in group {
            self.stage_request(&mut batch, request)?;
        }
        if !batch.is_empty() {
            self.store.write(batch, self.sync)?;
            self.shared.size.store(self.tree.size(), Ordering::Release);
        }
        Ok(())
    }

    fn stage_request(&mut self, batch: &mut WriteBatch, request: &Request) -> Result<(), StoreError> {
        let index = self.tree.size();
        match request {
            Request::Append { session, number, event, now_us, .. } => {
                if *number == 1 {
                    self.store.put(batch, &columns::KEYS, &session.id, &session.wrapped)?;
                }
                let place = Place { index, time_us: *now_us, session: Some((session.id, *number)) };
                stage(&self.store, &mut self.tree, &mut self.index, batch, &place, event, Some(&session.key))
            }
            Request::Record { event, now_us, .. } => {
                let place = Place { index, time_us: *now_us, session: None };
                stage(&self.store, &mut self.tree, &mut self.index, batch, &place, event, None)
            }
            Request::Gone { session, number } if self.index.is_open(&session.id) => {
                let place = Place { index, time_us: now_us(), session: Some((session.id, *number)) };
                let event = Event::SessionClosed(SessionClosed { reason: "aborted".into() });
                stage(&self.store, &mut self.tree, &mut self.index, batch, &place, &event, None)
            }
            Request::Gone { .. } | Request::Close(_) | Request::Stop => Ok(()),
        }
    }

    /// Signs the tree as it is. It is flushed to the disk before it is shown to anyone: a witness never knows more than
    /// what survives a loss of power.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        let size = self.tree.size();
        let note = self.signer.note(size, self.tree.root(), now_us());
        let mut batch = WriteBatch::default();
        self.store.put(&mut batch, &columns::CHECKPOINTS, &size, &note)?;
        self.store.write(batch, true)?;
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
            tracing::error!(%error, "the log cannot be written: statements are refused from now on");
            let _ = self.shared.failed.set(LogFailed::Write(error.to_string()));
            self.shared.shorter.notify_waiters();
        }
    }

    /// Answers what came behind the end.
    fn refuse_rest(&self) {
        while let Ok(request) = self.receiver.try_recv() {
            self.shared.left(bytes_of(&request), usize::from(bytes_of(&request) > 0), now_us());
            answer(request, Some(&LogFailed::Closed));
        }
        self.shared.shorter.notify_waiters();
    }
}

/// Moves a session's durable position up to a request that has been written.
fn acknowledge(request: &Request) {
    if let Request::Append { session, number, .. } = request {
        session.durable.store(*number, Ordering::Release);
    }
}

/// Tells whoever waits for a request what became of it: a session once for all its requests of a group.
fn answer(request: Request, failed: Option<&LogFailed>) {
    let moved = |session: &Session| session.moved.notify_waiters();
    match request {
        Request::Append { session, number, .. } => {
            if failed.is_some() || session.durable.load(Ordering::Acquire) == number {
                moved(&session);
            }
        }
        Request::Record { done, .. } => {
            // Whoever does not wait any more needs no answer.
            let _ = done.send(failed.cloned().map_or(Ok(()), Err));
        }
        Request::Gone { session, .. } => moved(&session),
        Request::Close(done) => {
            let _ = done.send(failed.cloned().map_or(Ok(()), Err));
        }
        Request::Stop => {}
    }
}

/// Bytes a request was counted with; 0 for those that were not counted.
fn bytes_of(request: &Request) -> usize {
    match request {
        Request::Append { bytes, .. } | Request::Record { bytes, .. } => *bytes,
        Request::Gone { .. } | Request::Close(_) | Request::Stop => 0,
    }
}

pub(super) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
