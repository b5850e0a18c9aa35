//! Lets clients in, one task each, on the threads that sessions live on.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::door::Entrance;
use super::grounds::Grounds;
use super::seats::{Seat, Seats, SeatsMax};
use super::workers::Workers;
use crate::config::Limits;
use crate::frontend::{self, Acceptor, Doors, Guard, Handshake, Opening, Source, Stream, Tokens};
use crate::identity::Throttle;
use crate::ledger::{Event, LoginRefused};
use crate::policy::clip;
use crate::session::{self, Ground, House, Stage, now_us};
use crate::tally::Tally;

/// How long a connection waits for others to log in before it is turned away.
const LOGIN_WAIT_MAX: Duration = Duration::from_secs(1);
/// How many connections may be on their way to be turned away; those past that are not accepted before.
const LATE_MAX: usize = 64;
/// How long such a connection may take to say what it wants: to cancel, perhaps.
const LATE_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a CancelRequest may take to have its effect.
const CANCEL_MAX: Duration = Duration::from_secs(10);
/// Most refused logins from one source within a minute that the log tells of, each by itself: more would fill it.
const REFUSALS_TOLD_MAX: u32 = 100;
/// Pause after the operating system has refused to accept (no file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a configuration says of clients that come.
pub(super) struct Rules {
    pub(super) acceptor: Acceptor,
    pub(super) limits: Limits,
    pub(super) doors: Doors,
}

/// What every new connection needs; copies share it.
#[derive(Clone)]
pub(super) struct Listening(Arc<Inner>);

struct Inner {
    workers: Workers,
    rules: RwLock<Arc<Rules>>,
    grounds: Grounds,
    house: Arc<House>,
    tally: Arc<Tally>,
    seats: Seats,
    logins: Arc<Semaphore>,
    late: Arc<Semaphore>,
    sources: Throttle<Source>,
    names: Throttle<(Source, Vec<u8>)>,
    refusals: Throttle<Source>,
    began: Instant,
    stage: watch::Receiver<Stage>,
}

/// A place for a connection that has not logged in.
struct Place {
    /// There was none in time: it is turned away.
    late: bool,
    _permit: OwnedSemaphorePermit,
}

/// One of those who try to log in, as failures are counted.
struct Attempt<'a> {
    all: &'a Inner,
    name: (Source, Vec<u8>),
    limits: Limits,
}

impl Guard for Attempt<'_> {
    fn is_barred(&self) -> bool {
        let Self { all, name, limits } = self;
        all.sources.is_barred(&name.0, limits.failed_logins_source_max, all.now_ms())
            || all.names.is_barred(name, limits.failed_logins_identity_max, all.now_ms())
    }

    fn failed(&self) {
        self.all.sources.failed(&self.name.0, self.all.now_ms());
        self.all.names.failed(&self.name, self.all.now_ms());
    }
}

impl Listening {
    pub(super) fn new(
        workers: Workers,
        rules: Rules,
        grounds: Grounds,
        house: Arc<House>,
        tally: Arc<Tally>,
        stage: watch::Receiver<Stage>,
    ) -> Self {
        let logins = Arc::new(Semaphore::new(rules.limits.logins_max));
        Self(Arc::new(Inner {
            workers,
            rules: RwLock::new(Arc::new(rules)),
            grounds,
            house,
            tally,
            seats: Seats::default(),
            logins,
            late: Arc::new(Semaphore::new(LATE_MAX)),
            sources: Throttle::default(),
            names: Throttle::default(),
            refusals: Throttle::default(),
            began: Instant::now(),
            stage,
        }))
    }

    /// Accepts connections at all doors until it is dropped.
    pub(super) async fn accept(self, mut entrance: Entrance) {
        let mut crowded = false;
        loop {
            let Some(place) = self.0.place(&mut crowded).await else { return };
            match entrance.accept().await {
                Ok(stream) => {
                    self.0.tally.connections.add(1);
                    let place = self.0.better(place);
                    let inner = Arc::clone(&self.0);
                    if let Err(fault) = self.0.workers.serve(stream, move |stream| inner.meet(stream, place)) {
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

    /// The databases.
    pub(super) fn grounds(&self) -> &Grounds {
        &self.0.grounds
    }

    /// From now on other rules hold for those who come.
    pub(super) fn reload(&self, rules: Rules) {
        *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Who can tell whose a token is.
    pub(super) fn tokens(&self) -> Option<Arc<dyn Tokens>> {
        self.0.rules().doors.tokens.clone()
    }

    /// Open sessions.
    pub(super) fn sessions(&self) -> usize {
        self.0.seats.count()
    }

    /// Waits until all sessions have ended, but no longer than `time_max`; false if some have not.
    pub(super) async fn drained(&self, time_max: Duration) -> bool {
        tokio::time::timeout(time_max, self.0.seats.empty()).await.is_ok()
    }
}

impl Inner {
    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_ending(&self) -> bool {
        !matches!(*self.stage.borrow(), Stage::Serving(_))
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A place for the next connection. Who comes waits a moment for others to log in; while that was in vain, nobody waits.
    async fn place(&self, crowded: &mut bool) -> Option<Place> {
        let wait = if *crowded { Duration::ZERO } else { LOGIN_WAIT_MAX };
        if let Ok(login) = tokio::time::timeout(wait, Arc::clone(&self.logins).acquire_owned()).await {
            *crowded = false;
            return login.ok().map(|_permit| Place { late: false, _permit });
        }
        *crowded = true;
        tokio::select! {
            biased;
            login = Arc::clone(&self.logins).acquire_owned() => login.ok().map(|_permit| Place { late: false, _permit }),
            late = Arc::clone(&self.late).acquire_owned() => late.ok().map(|_permit| Place { late: true, _permit }),
        }
    }

    /// Since a place was taken somebody may have logged in.
    fn better(&self, place: Place) -> Place {
        if !place.late {
            return place;
        }
        Arc::clone(&self.logins).try_acquire_owned().map_or(place, |_permit| Place { late: false, _permit })
    }

    /// The whole life of a connection. What a login needs is in a place of its own: a session would keep room for it otherwise.
    async fn meet(self: Arc<Self>, stream: Stream, place: Place) {
        let Some((client, _seat, ground)) = Box::pin(self.let_in(stream, place)).await else { return };
        session::run(client, ground, Arc::clone(&self.house), self.stage.clone()).await;
    }

    /// Startup and login of one connection.
    async fn let_in(&self, stream: Stream, place: Place) -> Option<(frontend::Session, Seat, Arc<Ground>)> {
        let handshake = self.begin(stream, &place).await?;
        let client = self.log_in(handshake).await?;
        drop(place);
        self.seated(client).await
    }

    /// The startup of one connection.
    async fn begin(&self, stream: Stream, place: &Place) -> Option<Handshake> {
        let (source, client) = (stream.source(), stream.peer());
        let rules = self.rules();
        let mut acceptor = rules.acceptor.clone();
        if place.late {
            acceptor.login_time_max = acceptor.login_time_max.min(LATE_TIME_MAX);
        }
        let request = match frontend::accept(stream, &acceptor).await {
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
        // Who is not let in anyway causes no look at a database.
        let turned_away = place.late || self.is_ending();
        let minor_max =
            if request.asks_newer() && !turned_away { self.grounds.newest_minor(request.database()).await } else { 0 };
        let handshake = match request.agree(minor_max).await {
            Ok(handshake) => handshake,
            Err(refusal) => {
                tracing::debug!(client, %refusal, "connection refused");
                return None;
            }
        };
        if self.is_ending() {
            self.tally.turned_away.add("draining");
            handshake.refuse("57P03", "the database system is shutting down").await;
            return None;
        }
        if place.late {
            self.turned_away("logins", handshake.user(), (source, client)).await;
            handshake.refuse("53300", "sorry, too many clients are logging in already").await;
            return None;
        }
        Some(handshake)
    }

    /// The login of one connection.
    async fn log_in(&self, handshake: Handshake) -> Option<frontend::Session> {
        let (source, client) = (handshake.stream().source(), handshake.stream().peer());
        let attempt = Attempt { all: self, name: (source, handshake.user().to_vec()), limits: self.rules().limits };
        let mut dice = [0; crate::identity::NONCE_BYTES];
        if aws_lc_rs::rand::fill(&mut dice).is_err() {
            return None;
        }
        let rules = self.rules();
        match frontend::login(handshake, &rules.doors, &attempt, jiff::Timestamp::now(), dice).await {
            Ok(session) if !self.house.access.admits(&session.identity) => {
                self.refused("revoked", session.identity.name.as_bytes(), (source, client)).await;
                session::withdrawn(session).await;
                None
            }
            Ok(session) => Some(session),
            Err(refused) => {
                self.refused(refused.why.category(), refused.user.as_bytes(), (source, client)).await;
                None
            }
        }
    }

    /// Tells whoever counts that somebody was not let in, and the log unless that has been told of too many.
    async fn refused(&self, category: &'static str, user: &[u8], (source, client): (Source, String)) {
        self.tally.logins_refused.add(category);
        if self.refusals.is_barred(&source, REFUSALS_TOLD_MAX, self.now_ms()) {
            return;
        }
        self.refusals.failed(&source, self.now_ms());
        tracing::info!(client, category, "login refused");
        // No name that somebody may have is longer.
        let identity = clip(&String::from_utf8_lossy(user));
        let event = LoginRefused { identity, client, category: category.to_owned() };
        let _ = self.house.log.record(Event::LoginRefused(event), now_us()).await;
    }

    /// The same where a limit is the reason.
    async fn turned_away(&self, limit: &'static str, user: &[u8], from: (Source, String)) {
        self.tally.turned_away.add(limit);
        self.refused("limit", user, from).await;
    }

    /// A seat for who has logged in, and the database that is asked for; or why there is none.
    async fn seated(&self, client: frontend::Session) -> Option<(frontend::Session, Seat, Arc<Ground>)> {
        if self.is_ending() {
            self.tally.turned_away.add("draining");
            client.refuse("57P03", "the database system is shutting down").await;
            return None;
        }
        let seat = match self.seat(&client.identity.name) {
            Ok(seat) => seat,
            Err(full) => {
                let name = client.identity.name.clone();
                let from = (client.stream.source(), client.stream.peer());
                self.turned_away(full.word(), name.as_bytes(), from).await;
                client.refuse("53300", &full.message(&name)).await;
                return None;
            }
        };
        let Some(ground) = self.grounds.find(client.database()) else {
            let name = String::from_utf8_lossy(client.database()).into_owned();
            client.refuse("3D000", &format!("database \"{name}\" does not exist")).await;
            return None;
        };
        Some((client, seat, ground))
    }

    fn seat(&self, identity: &str) -> Result<Seat, super::seats::Full> {
        let limits = self.rules().limits;
        self.seats.take(identity, SeatsMax { all: limits.sessions_max, identity: limits.sessions_identity_max })
    }
}
