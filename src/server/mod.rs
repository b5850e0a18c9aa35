//! The process: opens the store, binds the ports, lets clients in, ends in order.

mod door;
mod fault;
mod grounds;
mod listen;
mod workers;

pub use fault::StartFault;

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admin::{self, Admin};
use crate::approval::{Bounds, Desk, Person};
use crate::config::{self, Config};
use crate::frontend::{Acceptor, ServerTls};
use crate::identity::{Credential, Roster, Verifier};
use crate::ledger::Event;
use crate::mask::PseudonymKey;
use crate::secret::Secret;
use crate::session::{Cancels, House, Minutes, Tidings, now_us};
use crate::store::{self, Log};
use door::Door;
use grounds::Grounds;
use listen::Listening;
use workers::Workers;

/// Threads for all that is no session.
const OTHER_THREADS: usize = 2;
/// How long open sessions may take to end when the process does.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// How often the log makes a checkpoint when it is busy.
const CHECKPOINT_EVERY_MS: u64 = 2_000;

/// Runs the proxy until it is told to end (SIGTERM, SIGINT).
///
/// # Errors
/// Whatever keeps it from starting; each names the fault, its place and the way out.
pub fn run(config: &Config) -> Result<(), StartFault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(OTHER_THREADS)
        .enable_all()
        .build()
        .map_err(StartFault::Runtime)?;
    runtime.block_on(serve(config))
}

async fn serve(config: &Config) -> Result<(), StartFault> {
    let acceptor = acceptor(config)?;
    let doors = Door::all(&config.listen.addresses)?;
    let admin = bind(config.admin).await?;
    let settings = settings(config);
    let log = Log::open(&settings, now_us()).map_err(StartFault::Store)?;
    if log.keys_made() {
        tracing::warn!(file = %settings.key_file.display(), "a new master key was made: keep a copy of it, recordings cannot be read without");
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let roster = Arc::new(roster(config, log.derive("verifiers of identities that do not exist"))?);
    let grounds = Grounds::new(config, PseudonymKey::new(log.derive("pseudonym").reveal()))?;
    log.record(Event::ConfigurationLoaded(loaded(config)), now_us()).await.map_err(StartFault::Log)?;

    let minutes = Minutes::default();
    let desk = desk(config, minutes.clone());
    let (replies, notices) = (config.store.record, config.masking.notices);
    let (cancels, tidings) = (Cancels::default(), Tidings::default());
    let house = Arc::new(House { log, desk: desk.clone(), minutes, cancels, tidings, replies, notices });
    let (end, ending) = watch::channel(false);
    let people = Admin::new(desk.clone(), Arc::new(authenticator(Arc::clone(&roster))));
    let mut until = ending.clone();
    let api = tokio::spawn(admin::serve(admin, people, async move {
        let _ = until.wait_for(|ending| *ending).await;
    }));
    let workers = Workers::start().map_err(StartFault::Runtime)?;
    let listening = Listening::new(workers, acceptor, roster, grounds, Arc::clone(&house), config.limits.sessions_max, ending);
    say_ready(config);
    let sessions = listening.clone();
    tokio::select! {
        () = sessions.accept_all(doors) => {}
        () = told_to_end() => {}
    }
    tracing::info!("ending");
    desk.close();
    end.send_replace(true);
    listening.drained(DRAIN_MAX).await;
    let _ = tokio::time::timeout(DRAIN_MAX, api).await;
    house.log.close().map_err(StartFault::Log)
}

/// The one line that says that clients may come.
fn say_ready(config: &Config) {
    let mut out = std::io::stdout().lock();
    let clients: Vec<String> = config.listen.addresses.iter().map(ToString::to_string).collect();
    let _ = writeln!(out, "ready: clients on {}, admin on {}", clients.join(" "), config.admin);
    let _ = out.flush();
}

async fn bind(address: std::net::SocketAddr) -> Result<TcpListener, StartFault> {
    TcpListener::bind(address).await.map_err(|fault| StartFault::Bind(address.to_string(), fault))
}

async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// The store's settings, as a configuration has them.
#[must_use]
pub fn settings(config: &Config) -> store::Settings {
    store::Settings {
        path: config.store.path.clone(),
        durability: match config.store.durability {
            config::Durability::Process => store::Durability::Process,
            config::Durability::Power => store::Durability::Power,
        },
        key_file: config.store.key_file.clone(),
        checkpoint_every_ms: CHECKPOINT_EVERY_MS,
        witness: config.store.witness.clone(),
    }
}

fn acceptor(config: &Config) -> Result<Acceptor, StartFault> {
    let tls = match &config.listen.tls {
        Some(tls) => Some(ServerTls::from_pem(&tls.certificate, tls.key.reveal()).map_err(StartFault::Tls)?),
        None => None,
    };
    Ok(Acceptor {
        plaintext: config.listen.allow_plaintext || config.listen.tls.is_none(),
        tls,
        login_time_max: Duration::from_millis(config.limits.login_ms),
    })
}

fn roster(config: &Config, mock: Secret) -> Result<Roster, StartFault> {
    let credential = |written: &config::Credential| {
        let verifier: Verifier = written.verifier.parse().map_err(|fault| StartFault::Verifier(written.name.clone(), fault))?;
        Ok(Credential { name: written.name.clone(), groups: written.groups.clone(), verifier, expires: written.expires })
    };
    let credentials = config.credentials.iter().map(credential).collect::<Result<Vec<_>, StartFault>>()?;
    Roster::new(credentials, mock).map_err(StartFault::Roster)
}

fn desk(config: &Config, minutes: Minutes) -> Desk {
    let bounds = Bounds { holds_max: config.limits.holds_max, holds_identity_max: config.limits.holds_identity_max };
    Desk::new(bounds, Arc::new(move |session, event| minutes.keep(session, event)))
}

fn authenticator(roster: Arc<Roster>) -> impl Fn(&str, &Secret) -> Option<Person> {
    move |name, password| {
        let credential = roster.admit(name.as_bytes(), password.reveal(), jiff::Timestamp::now()).ok()?;
        Some(Person { name: credential.name.clone(), groups: credential.groups.clone() })
    }
}

fn loaded(config: &Config) -> Vec<(String, [u8; 32])> {
    let file = (config.file.display().to_string(), config.digest);
    let policies =
        config.databases.iter().map(|database| (database.policy_file.display().to_string(), database.policy.version()));
    std::iter::once(file).chain(policies).collect()
}
