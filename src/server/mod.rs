//! The process: opens the store, binds the ports, lets clients in, reads its configuration again, ends in order.

mod door;
mod fault;
mod grounds;
mod listen;
mod notify;
mod reload;
mod revoked;
mod seats;
mod signals;
mod ways;
mod workers;

pub use fault::StartFault;

use std::io::Write;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::admin::{self, Admin, Outlook, Power};
use crate::approval::{self, Desk, Person};
use crate::config::{self, Config};
use crate::frontend::{Acceptor, ServerTls};
use crate::identity::{Credential, Holder, Holders, Roster, Verifier, Way};
use crate::ledger::{Answer, Event};
use crate::mask::PseudonymKey;
use crate::secret::Secret;
use crate::session::{Access, Bounds, Cancels, House, Minutes, Queued, Stage, Tidings, now_us};
use crate::store::{self, Log};
use crate::tally::Tally;
use door::Entrance;
use grounds::{Entries, Grounds};
use listen::{Listening, Rules};
use reload::Reload;
use signals::{Asked, Signals};
use workers::Workers;

/// Threads for all that is no session.
const OTHER_THREADS: usize = 2;
/// How long sessions that are broken off may take to say so, and the admin API to answer what it was asked.
const END_MAX: Duration = Duration::from_secs(5);
/// How often the log makes a checkpoint when it is busy.
const CHECKPOINT_EVERY_MS: u64 = 2_000;

/// Runs the proxy until it is told to end (SIGTERM, SIGINT). SIGHUP makes it read its configuration
/// again.
///
/// # Errors
/// Whatever keeps it from starting; each names the fault, its place and the way out.
pub fn run(config: Config) -> Result<(), StartFault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(OTHER_THREADS)
        .enable_all()
        .build()
        .map_err(StartFault::Runtime)?;
    runtime.block_on(serve(config))
}

async fn serve(config: Config) -> Result<(), StartFault> {
    let mut signals = Signals::new()?;
    let (acceptor, entries) = (acceptor(&config)?, Entries::new(&config)?);
    let tokens = ways::tokens(&config)?;
    let entrance = Entrance::open(&config.listen.addresses)?;
    let admin = bind(config.admin).await?;
    let log = open(&config)?;
    let tally = Arc::<Tally>::default();
    let house = Arc::new(house(&config, log, &tally)?);
    let grounds = Grounds::new(entries, PseudonymKey::new(house.log.derive("pseudonym").reveal()), Arc::clone(&tally));
    house.log.record(Event::ConfigurationLoaded(loaded(&config)), now_us()).await.map_err(StartFault::Log)?;

    let (stage, staged) = watch::channel(Stage::Serving(0));
    let in_force = reload::in_force(&config);
    let outlook = Outlook::new(Arc::clone(&tally), Arc::clone(&house), staged.clone(), config.store.path.clone(), in_force);
    let people = people(&config, &house);
    let mut until = staged.clone();
    let api = tokio::spawn(admin::serve(admin, admin::router(people).merge(outlook.clone().router()), async move {
        let _ = until.wait_for(|stage| *stage == Stage::Ending).await;
    }));
    let doors = ways::doors(&config, house.roster(), tokens);
    let rules = Rules { acceptor, limits: config.limits, doors };
    let workers = Workers::start().map_err(StartFault::Runtime)?;
    let listening = Listening::new(workers, rules, grounds, Arc::clone(&house), Arc::clone(&tally), staged);
    let accepting = tokio::spawn(listening.clone().accept(entrance));
    let watchdog = tokio::spawn({
        let house = Arc::clone(&house);
        async move { notify::watchdog(&house).await }
    });
    say_ready(&config);
    let mut reload = Reload::new(config, listening.clone(), Arc::clone(&house), tally, outlook, stage);
    while signals.next().await == Asked::Reload {
        reload.again().await;
    }
    reload.drain(&mut signals).await;
    accepting.abort();
    let _ = tokio::time::timeout(END_MAX, api).await;
    watchdog.abort();
    house.log.close().map_err(StartFault::Log)
}

fn open(config: &Config) -> Result<Log, StartFault> {
    let settings = settings(config);
    let log = Log::open(&settings, now_us()).map_err(StartFault::Store)?;
    if log.keys_made() {
        tracing::warn!(file = %settings.key_file.display(), "a new master key was made: keep a copy of it, recordings cannot be read without");
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    Ok(log)
}

fn house(config: &Config, log: Log, tally: &Arc<Tally>) -> Result<House, StartFault> {
    let roster = Arc::new(roster(config, &log)?);
    let minutes = Minutes::default();
    Ok(House {
        desk: desk(config, minutes.clone(), Arc::clone(tally)),
        minutes,
        log,
        access: Access::new(revoked::read(&config.store.path)?),
        cancels: Cancels::default(),
        tidings: Tidings::default(),
        replies: config.store.record,
        notices: config.masking.notices,
        roster: RwLock::new(roster),
        bounds: RwLock::new(bounds(config)),
        queued: Queued::default(),
    })
}

fn bounds(config: &Config) -> Bounds {
    let config::Limits { statement_bytes_max, ahead_bytes_max, queue_bytes_max, .. } = config.limits;
    Bounds { statement_bytes_max, ahead_bytes_max, queue_bytes_max, terms: config.sessions }
}

/// People who come by HTTP, and what they may do.
fn people(config: &Config, house: &Arc<House>) -> Admin {
    let turn = tokio::sync::Mutex::default();
    let keep = revoked::Keeper { folder: config.store.path.clone(), house: Arc::clone(house), turn };
    let power = Power { access: house.access.clone(), operators: config.operators.clone(), keep: Arc::new(keep) };
    Admin::new(house.desk.clone(), Arc::new(authenticator(Arc::clone(house)))).with_power(power)
}

/// The one line that says that clients may come.
fn say_ready(config: &Config) {
    let mut out = std::io::stdout().lock();
    let clients: Vec<String> = config.listen.addresses.iter().map(ToString::to_string).collect();
    let _ = writeln!(out, "ready: clients on {}, admin on {}", clients.join(" "), config.admin);
    let _ = out.flush();
    notify::ready();
}

async fn bind(address: std::net::SocketAddr) -> Result<TcpListener, StartFault> {
    TcpListener::bind(address).await.map_err(|fault| StartFault::Bind(address.to_string(), fault))
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
        Some(tls) => {
            Some(ServerTls::from_pem(&tls.certificate, tls.key.reveal(), tls.client_roots.as_deref()).map_err(StartFault::Tls)?)
        }
        None => None,
    };
    Ok(Acceptor {
        plaintext: config.listen.allow_plaintext || config.listen.tls.is_none(),
        tls,
        login_time_max: Duration::from_millis(config.limits.login_ms),
    })
}

fn roster(config: &Config, log: &Log) -> Result<Roster, StartFault> {
    let mock = log.derive("verifiers of identities that do not exist");
    let credential = |written: &config::Credential, verifier: &str, expires| {
        let verifier: Verifier = verifier.parse().map_err(|fault| StartFault::Verifier(written.name.clone(), fault))?;
        Ok(Credential { name: written.name.clone(), groups: written.groups.clone(), verifier, expires })
    };
    let holder = |one: &config::Certificate| (one.san.clone(), Holder { name: one.name.clone(), groups: one.groups.clone() });
    let holders = Holders::new(config.certificates.iter().map(holder));
    let current = config.credentials.iter().map(|written| credential(written, &written.verifier, written.expires));
    let former = config.credentials.iter().filter_map(|written| Some((written, written.former.as_ref()?)));
    let former = former.map(|(written, former)| credential(written, &former.verifier, Some(former.expires)));
    let (current, former) = (current.collect::<Result<Vec<_>, StartFault>>()?, former.collect::<Result<Vec<_>, StartFault>>()?);
    Ok(Roster::new(current, mock).map_err(StartFault::Roster)?.with_former(former).with_holders(holders))
}

fn desk(config: &Config, minutes: Minutes, tally: Arc<Tally>) -> Desk {
    let (holds_max, holds_identity_max) = (config.limits.holds_max, config.limits.holds_identity_max);
    let record = move |session, event: Event| {
        match &event {
            Event::HoldOpened(_) => tally.holds_opened.add(1),
            Event::HoldAnswered(answered) => tally.holds_answered.add(word(answered.answer)),
            _ => {}
        }
        minutes.keep(session, event);
    };
    Desk::new(approval::Bounds { holds_max, holds_identity_max }, Arc::new(record))
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Approved => "approved",
        Answer::Denied => "denied",
        Answer::TimedOut => "timed-out",
        Answer::Withdrawn => "withdrawn",
    }
}

/// Checks names and passwords as logins do, for people who come by HTTP.
fn authenticator(house: Arc<House>) -> impl Fn(&str, &Secret) -> Option<Person> {
    move |name, password| {
        let roster = house.roster();
        let credential = roster.admit(name.as_bytes(), password.reveal(), jiff::Timestamp::now()).ok()?;
        if !house.access.admits(&credential.identity(Way::Password)) {
            return None;
        }
        Some(Person { name: credential.name.clone(), groups: credential.groups.clone() })
    }
}

fn loaded(config: &Config) -> Vec<(String, [u8; 32])> {
    let file = (config.file.display().to_string(), config.digest);
    let policies =
        config.databases.iter().map(|database| (database.policy_file.display().to_string(), database.policy.version()));
    std::iter::once(file).chain(policies).collect()
}
