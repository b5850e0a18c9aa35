//! Lets clients in, one task each, on the threads that sessions live on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::door::Door;
use super::grounds::Grounds;
use super::workers::Workers;
use crate::frontend::{self, Acceptor, Opening, Stream};
use crate::identity::Roster;
use crate::ledger::{Event, LoginRefused};
use crate::session::{self, House, now_us};

/// How many connections may be in their login beside the open sessions.
const LOGINS_MAX: usize = 512;
/// How long a CancelRequest may take to have its effect.
const CANCEL_MAX: Duration = Duration::from_secs(10);
/// Pause after the operating system has refused to accept (no file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every new connection needs; copies share it.
#[derive(Clone)]
pub(super) struct Listening(Arc<Inner>);

struct Inner {
    workers: Workers,
    acceptor: Acceptor,
    roster: Arc<Roster>,
    grounds: Grounds,
    house: Arc<House>,
    sessions: Arc<Semaphore>,
    sessions_max: usize,
    logins: Arc<Semaphore>,
    ending: watch::Receiver<bool>,
}

impl Listening {
    pub(super) fn new(
        workers: Workers,
        acceptor: Acceptor,
        roster: Arc<Roster>,
        grounds: Grounds,
        house: Arc<House>,
        sessions_max: usize,
        ending: watch::Receiver<bool>,
    ) -> Self {
        let sessions = Arc::new(Semaphore::new(sessions_max));
        let logins = Arc::new(Semaphore::new(LOGINS_MAX));
        Self(Arc::new(Inner { workers, acceptor, roster, grounds, house, sessions, sessions_max, logins, ending }))
    }

    /// Accepts connections at all doors until it is dropped.
    pub(super) async fn accept_all(self, doors: Vec<Door>) {
        let mut all: JoinSet<()> = doors.into_iter().map(|door| self.clone().accept(door)).collect();
        while all.join_next().await.is_some() {}
    }

    async fn accept(self, door: Door) {
        loop {
            let Ok(login) = Arc::clone(&self.0.logins).acquire_owned().await else { return };
            match door.accept().await {
                Ok(stream) => {
                    let inner = Arc::clone(&self.0);
                    let served = self.0.workers.serve(stream, move |stream| async move {
                        if let Some(session) = Box::pin(inner.let_in(stream)).await {
                            drop(login);
                            inner.serve(session).await;
                        }
                    });
                    if let Err(fault) = served {
                        tracing::warn!(%fault, "a connection could not be handed on");
                    }
                }
                Err(fault) => {
                    tracing::warn!(%fault, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Waits until all sessions have ended, but no longer than `time_max`.
    pub(super) async fn drained(&self, time_max: Duration) {
        let all = u32::try_from(self.0.sessions_max).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(time_max, self.0.sessions.acquire_many(all)).await;
    }
}

impl Inner {
    /// Startup and login of one connection.
    async fn let_in(&self, stream: Stream) -> Option<frontend::Session> {
        let client = stream.peer();
        let request = match frontend::accept(stream, &self.acceptor).await {
            Ok(Opening::Session(request)) => request,
            Ok(Opening::Cancel { key, stream }) => {
                // The client waits for the close, and takes it for the effect.
                let _ = tokio::time::timeout(CANCEL_MAX, self.house.cancels.cancel(&key)).await;
                drop(stream);
                return None;
            }
            Err(refusal) => {
                tracing::debug!(client, %refusal, "connection refused");
                return None;
            }
        };
        let minor_max = if request.asks_newer() { self.grounds.newest_minor(request.database()).await } else { 0 };
        let handshake = match request.agree(minor_max).await {
            Ok(handshake) => handshake,
            Err(refusal) => {
                tracing::debug!(client, %refusal, "connection refused");
                return None;
            }
        };
        let mut dice = [0; crate::identity::NONCE_BYTES];
        if aws_lc_rs::rand::fill(&mut dice).is_err() {
            return None;
        }
        match frontend::login(handshake, &self.roster, jiff::Timestamp::now(), dice).await {
            Ok(session) => Some(session),
            Err(refused) => {
                let category = refused.why.category().to_owned();
                tracing::info!(client, category, "login refused");
                let event = LoginRefused { identity: refused.user, client, category };
                let _ = self.house.log.record(Event::LoginRefused(event), now_us()).await;
                None
            }
        }
    }

    async fn serve(self: Arc<Self>, client: frontend::Session) {
        let Ok(permit) = Arc::clone(&self.sessions).try_acquire_owned() else {
            return client.refuse("53300", "sorry, too many clients already").await;
        };
        let Some(ground) = self.grounds.find(client.database()) else {
            let name = String::from_utf8_lossy(client.database()).into_owned();
            return client.refuse("3D000", &format!("database \"{name}\" does not exist")).await;
        };
        session::run(client, ground, Arc::clone(&self.house), self.ending.clone()).await;
        drop(permit);
    }
}
