//! One connection's life: the database's side is opened, the conversation relayed, the end recorded.

#[cfg(test)]
mod allocations;
mod budget;
mod cancels;
mod catalog;
mod copy;
mod defined;
mod dictionary;
mod door;
mod farewell;
mod fault;
mod ground;
mod hold;
mod kept;
mod lag;
mod long;
mod meter;
mod minutes;
mod names;
mod notice;
mod open;
mod outbox;
mod plan;
mod recording;
mod relay;
mod rule;
mod ruling;
mod share;
mod stage;
mod tenure;
mod tidings;

pub use cancels::Cancels;
use cancels::{CANCELS_MAX, Done, Registered};
pub use catalog::fetch as fetch_catalog;
pub use ground::{Ground, LookFault};
pub use kept::Kept;
pub use minutes::Minutes;
use open::Membership;
pub use open::{Access, OpenSession};
pub use recording::now_us;
pub use share::Queued;
use tenure::Tenure;
pub use tenure::Terms;
pub use tidings::Tidings;

use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};
use tracing::Instrument as _;

use crate::approval::Desk;
use crate::backend::{self, ConnectError, Connection, Start};
use crate::frontend;
use crate::identity::{Identity, Roster};
use crate::ledger::{Event, LoggedIn, SessionId, SessionOpened};
use crate::mask::{self, Exposure};
use crate::store::{Log, LogFailed, Position};
use crate::tally::UpstreamFault;
use crate::wire::{self, CancelKey, Malformed};
use farewell::FAREWELL_MAX;
use fault::Fault;
use recording::Recording;
use relay::Relay;

/// What all sessions share.
pub struct House {
    /// The log.
    pub log: Log,
    /// Where people answer.
    pub desk: Desk,
    /// What happens at the desk, on its way to the log.
    pub minutes: Minutes,
    /// Who may be in, and who is.
    pub access: Access,
    /// Keys by which sessions can be cancelled.
    pub cancels: Cancels,
    /// What sessions have sent to listeners.
    pub tidings: Tidings,
    /// False: replies are not recorded.
    pub replies: bool,
    /// False: clients are not told which columns could not be traced.
    pub notices: bool,
    /// Who may log in.
    pub roster: RwLock<Arc<Roster>>,
    /// Bounds of each session.
    pub bounds: RwLock<Bounds>,
    /// Bytes that wait in sessions.
    pub queued: Queued,
}

/// Bounds of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Longest Query, Parse or Bind that is read; longer ones are refused, or passed on unread.
    pub statement_bytes_max: usize,
    /// Most bytes that a client may send ahead while its statement is held.
    pub ahead_bytes_max: usize,
    /// Most bytes that may wait in all sessions together.
    pub queue_bytes_max: usize,
    /// How long they may last.
    pub terms: Terms,
}

/// Where the process is in its life, as sessions need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It serves. The number counts the configurations that were loaded.
    Serving(u64),
    /// It takes nobody new, and sessions end as soon as nothing is under way in them.
    Draining,
    /// Sessions end at once.
    Ending,
}

impl House {
    /// Who may log in.
    #[must_use]
    pub fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.roster.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn bounds(&self) -> Bounds {
        *self.bounds.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if this identity may still log in, with the same groups. Issuers stay as they are while the process runs.
    fn knows(&self, identity: &Identity) -> bool {
        let registered = || self.roster().knows(identity);
        !identity.issuer.is_empty() || registered()
    }

    /// Asks the database to cancel what a session is doing there. `done` is dropped when that has had its effect: the client that
    /// asked waits for it, and the session sends nothing new before.
    fn cancel_upstream(&self, ground: &Arc<Ground>, key: Option<CancelKey>, done: (Done, Done)) {
        let Some(key) = key else { return };
        let ground = Arc::clone(ground);
        tokio::spawn(async move {
            if let Err(fault) = backend::cancel(&ground.route(), &key).await {
                ground.counts.upstream_failed(UpstreamFault::Cancel);
                tracing::warn!(database = %ground.name, %fault, "cancel request failed");
            }
            drop(done);
        });
    }
}

/// How a session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// The client has said goodbye.
    Terminated,
    /// The client has gone without a word.
    ClientGone,
    /// The database has said why, and closed.
    ServerClosed,
    /// The database has gone without a word.
    ServerGone,
    /// The proxy ends.
    Shutdown,
    /// An operator has ended it.
    Ended,
    /// Access was withdrawn.
    Revoked,
    /// The configuration has the identity, its groups or the database no more.
    Reconfigured,
    /// The proof of the login has ended.
    Expired,
    /// Nothing was said for too long.
    Idle,
    /// It has lasted as long as it may.
    TooLong,
    /// Sessions together wait with more bytes than they may.
    Full,
    /// The log cannot be written.
    LogFailed,
    /// The database sent what cannot be masked.
    Unmaskable,
    /// The client broke the protocol.
    Protocol(String),
}

impl End {
    /// The word for it in the log.
    fn reason(&self) -> &'static str {
        match self {
            Self::Terminated => "terminate",
            Self::ClientGone => "client-gone",
            Self::ServerClosed | Self::ServerGone => "server-gone",
            Self::Shutdown => "shutdown",
            Self::Ended => "ended",
            Self::Revoked | Self::Reconfigured => "revoked",
            Self::Expired => "expired",
            Self::Idle => "idle",
            Self::TooLong => "session-max",
            Self::Full => "queue-full",
            Self::LogFailed => "log-failed",
            Self::Unmaskable => "unmaskable",
            Self::Protocol(_) => "protocol",
        }
    }
}

impl End {
    /// An end for which the client's own message is to blame.
    pub(super) fn protocol(fault: &Malformed) -> Self {
        match fault {
            // The server's own words.
            Malformed::Tag(tag) => Self::Protocol(format!("invalid frontend message type {tag}")),
            other => Self::Protocol(format!("protocol violation: {other}")),
        }
    }

    /// True if the session is not to go on, whatever it is doing.
    pub(super) fn is_forced(&self) -> bool {
        matches!(self, Self::Ended | Self::Revoked | Self::Reconfigured | Self::Expired | Self::Idle | Self::TooLong)
    }

    /// What the client is told, if anything.
    pub(super) fn fault(&self) -> Option<Fault> {
        match self {
            Self::Terminated | Self::ClientGone | Self::ServerClosed => None,
            Self::ServerGone => Some(Fault::ServerGone),
            Self::Shutdown => Some(Fault::Shutdown),
            Self::Ended => Some(Fault::Ended),
            Self::Revoked => Some(Fault::Revoked),
            Self::Reconfigured => Some(Fault::Reconfigured),
            Self::Expired => Some(Fault::Expired),
            Self::Idle => Some(Fault::Idle),
            Self::TooLong => Some(Fault::TooLong),
            Self::Full => Some(Fault::Full),
            Self::LogFailed => Some(Fault::LogFailed),
            Self::Unmaskable => Some(Fault::Unmaskable),
            Self::Protocol(what) => Some(Fault::Protocol(what.clone())),
        }
    }
}

/// What can come to a session from outside its two sockets.
#[derive(Debug)]
enum Signal {
    Cancel(Done),
    Stage(Stage),
    End(End),
    /// A bound on the session's time may have come.
    Due,
}

/// Where it comes from.
#[derive(Debug)]
pub(crate) struct Signals {
    registered: Option<Registered>,
    cancels: mpsc::Receiver<Done>,
    stage: watch::Receiver<Stage>,
    membership: Membership,
    due: Pin<Box<Sleep>>,
}

impl Signals {
    /// The next of them: a CancelRequest with this session's key, or another stage of the process. Cancel safe.
    async fn next(&mut self) -> Signal {
        let moved = async {
            if self.stage.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let ended = async {
            match self.membership.end.wait_for(Option::is_some).await.map(|end| end.clone()) {
                Ok(Some(end)) => end,
                Ok(None) | Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(done) = self.cancels.recv() => Signal::Cancel(done),
            () = moved => Signal::Stage(*self.stage.borrow_and_update()),
            end = ended => Signal::End(end),
            () = &mut self.due => Signal::Due,
        }
    }

    /// When `Due` comes.
    fn look_again_at(&mut self, when: Instant) {
        self.due.as_mut().reset(when);
    }
}

/// Turns away a client whose access was withdrawn.
pub async fn withdrawn(client: frontend::Session) {
    client.refuse_with(&Fault::Revoked.fatal()).await;
}

/// Serves a client that has proved who it is, up to the end of its session.
pub async fn run(client: frontend::Session, ground: Arc<Ground>, house: Arc<House>, stage: watch::Receiver<Stage>) {
    let Some(id) = session_id() else { return Box::pin(client.refuse_with(&Fault::LogFailed.fatal())).await };
    // Of the highest level: a warning tells its session whatever level is asked for.
    let span = tracing::error_span!("session", %id, database = %ground.name, identity = %client.identity.name);
    let counts = Arc::clone(&ground.counts);
    // In places of their own, so that what came before does not keep room beside it.
    let admitted = Box::pin(admit(client, ground, house, stage, (id, span.clone())).instrument(span.clone())).await;
    let Some((relay, greeting, signals)) = admitted else { return };
    counts.opened.add(1);
    // Not inside the span: to enter it at every message would cost more than the message.
    let end = Box::pin(converse(relay, greeting, signals)).await;
    counts.closed.add(end.reason());
    match end {
        End::ServerGone => counts.upstream_failed(UpstreamFault::Lost),
        End::Unmaskable => counts.upstream_failed(UpstreamFault::Unmaskable),
        _ => {}
    }
    tracing::info!(parent: &span, end = end.reason(), "session closed");
}

/// A session's state.
type Conversation = Relay<frontend::Stream, backend::Stream>;

/// Opens the database's side, and the log's. The client is told if that cannot be.
async fn admit(
    client: frontend::Session,
    ground: Arc<Ground>,
    house: Arc<House>,
    stage: watch::Receiver<Stage>,
    (id, span): (SessionId, tracing::Span),
) -> Option<(Box<Conversation>, Bytes, Signals)> {
    let start = Start { version: client.startup.version, database: client.database(), parameters: &client.startup.parameters };
    let route = ground.route();
    let server = match backend::connect(&route, &start).await {
        Ok(server) => server,
        Err(fault) => {
            turn_away(client, &ground, fault).await;
            return None;
        }
    };
    let view = match ground.view(&client.identity.groups, None, true).await {
        Ok(view) => view,
        Err(fault) => {
            ground.counts.upstream_failed(UpstreamFault::Catalog);
            tracing::warn!(%fault, "the catalog cannot be read");
            client.refuse_with(&Fault::CatalogUnread.fatal()).await;
            return None;
        }
    };
    // From here on it is ended if access is withdrawn.
    let Some(membership) = house.access.enter(id, Arc::clone(&client.identity), shown(&client, &ground, id)) else {
        client.refuse_with(&Fault::Revoked.fatal()).await;
        return None;
    };
    let recorded = record(&client, &ground, &view, &house, id).await;
    let Ok(recording) = recorded else {
        client.refuse_with(&Fault::LogFailed.fatal()).await;
        return None;
    };
    tracing::info!("session opened");
    let (cancel, cancels) = mpsc::channel(CANCELS_MAX);
    let (key, version) = (server.key.as_ref(), client.startup.version);
    let registered = key.and_then(|key| house.cancels.enter(key.process, version, cancel));
    let due = Box::pin(tokio::time::sleep_until(Instant::now()));
    let signals = Signals { registered, cancels, stage, membership, due };
    let (relay, greeting) = begin(client, server, recording, (ground, view), house, &signals, (id, span));
    Some((relay, greeting, signals))
}

/// Writes that a session has begun.
async fn record(
    client: &frontend::Session,
    ground: &Ground,
    view: &ground::View,
    house: &House,
    id: SessionId,
) -> Result<Recording, LogFailed> {
    let recorder = house.log.session(id).map_err(|fault| LogFailed::Write(fault.to_string()))?;
    let mut recording = Recording::new(recorder, house.replies);
    recording.append(Event::SessionOpened(opened(client, ground, view)))?;
    recording.append(Event::LoggedIn(logged_in(client)))?;
    recording.flush()?;
    recording.recorder().wait(Position(recording.position())).await?;
    Ok(recording)
}

/// Greets the client, relays the conversation, says goodbye on both sides.
async fn converse(mut relay: Box<Conversation>, greeting: Bytes, mut signals: Signals) -> End {
    let greeted = greet(&mut relay.client, greeting).await;
    // What has changed since the login holds before the first statement.
    let stage = *signals.stage.borrow_and_update();
    let end = match (greeted, relay.staged(stage)) {
        (Ok(()), Ok(())) => relay.run(&mut signals).await,
        (Ok(()), Err(end)) => end,
        (Err(_), _) => End::ClientGone,
    };
    relay.farewell(&end).await;
    relay.close(&end).await;
    end
}

/// Takes from the logins what the session needs. The rest ends here: it holds memory that a silent session has no use for.
fn begin(
    client: frontend::Session,
    server: Connection,
    recording: Recording,
    (ground, view): (Arc<Ground>, Arc<ground::View>),
    house: Arc<House>,
    signals: &Signals,
    (id, span): (SessionId, tracing::Span),
) -> (Box<Conversation>, Bytes) {
    let mut greeting = BytesMut::from(&*wire::authentication(0, &[]));
    for frame in server.opening {
        // Settings and login notices come before any statement.
        greeting.extend_from_slice(mask::message(frame, Exposure::Clear).get());
    }
    if let Some(registered) = &signals.registered {
        greeting.extend_from_slice(&wire::backend_key_data(registered.key()));
    }
    greeting.extend_from_slice(&wire::ready(server.status));
    let mut names = names::Names::new();
    for (name, value) in &server.parameters {
        names.parameter(name, value);
    }
    for (name, value) in &client.startup.parameters {
        names.startup(name, value);
    }
    let key = server.key.map(|key| CancelKey { secret: Bytes::copy_from_slice(&key.secret), ..key });
    let tenure = tenure(&house, &client.identity);
    let session = (client.identity, id, span);
    let (client, server) = ((client.stream, client.leftover), (server.stream, server.leftover));
    let relay = Relay::new(client, server, recording, names, (ground, view), house, session, key, tenure);
    (Box::new(relay), greeting.freeze())
}

async fn greet<S: AsyncWrite + Unpin>(stream: &mut S, greeting: Bytes) -> std::io::Result<()> {
    let said = async {
        stream.write_all(&greeting).await?;
        stream.flush().await
    };
    tokio::time::timeout(FAREWELL_MAX, said).await.unwrap_or_else(|slow| Err(slow.into()))
}

/// The database will not have the client, or cannot be reached: its own words, or ours.
async fn turn_away(client: frontend::Session, ground: &Ground, fault: ConnectError) {
    tracing::warn!(%fault, "upstream connection failed");
    let refused = matches!(fault, ConnectError::Refused { .. });
    ground.counts.upstream_failed(if refused { UpstreamFault::Refused } else { UpstreamFault::Unreachable });
    match fault {
        // Class 28: the proxy itself is not let in, which is between the operator and the database.
        ConnectError::Refused { error, sqlstate } if !sqlstate.as_str().starts_with("28") => {
            client.refuse_with(mask::message(error, Exposure::Clear).get()).await
        }
        _ => client.refuse_with(&Fault::Unreachable(ground.name.clone()).fatal()).await,
    }
}

fn opened(client: &frontend::Session, ground: &Ground, view: &ground::View) -> SessionOpened {
    let said = |name| client.startup.parameter(name).map(|value| String::from_utf8_lossy(value).into_owned());
    SessionOpened {
        identity: client.identity.name.clone(),
        groups: client.identity.groups.clone(),
        database: ground.name.clone(),
        client: client.stream.peer(),
        application: said("application_name").unwrap_or_default(),
        upstream_user: ground.route().upstream().user.clone(),
        policy: view.sight.charter.policy.version(),
    }
}

fn shown(client: &frontend::Session, ground: &Ground, id: SessionId) -> OpenSession {
    OpenSession {
        id: id.to_string(),
        identity: client.identity.name.clone(),
        actor: client.identity.actor.clone(),
        groups: client.identity.groups.clone(),
        database: ground.name.clone(),
        client: client.stream.peer(),
        since_us: now_us(),
    }
}

/// How long a session may last whose identity is this.
fn tenure(house: &House, identity: &Identity) -> Tenure {
    let left = identity.expires.map(|expires| {
        let left = expires.duration_since(jiff::Timestamp::now());
        Duration::try_from(left).unwrap_or(Duration::ZERO)
    });
    let terms = house.bounds().terms;
    let at_expiry = identity.at_expiry.unwrap_or(terms.at_expiry);
    Tenure::new(Instant::now(), Terms { at_expiry, ..terms }, left)
}

fn logged_in(client: &frontend::Session) -> LoggedIn {
    let identity = &client.identity;
    let expires = identity.expires.and_then(|expires| u64::try_from(expires.as_second()).ok());
    LoggedIn {
        way: identity.way.as_str().into(),
        issuer: identity.issuer.clone(),
        subject: identity.subject.clone(),
        actor: identity.actor.clone(),
        expires_s: expires.unwrap_or(0),
        user: client.startup.parameter("user").map(|user| String::from_utf8_lossy(user).into_owned()).unwrap_or_default(),
    }
}

fn session_id() -> Option<SessionId> {
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).ok().map(|()| SessionId(id))
}
