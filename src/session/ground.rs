//! What all sessions on one database stand on: its catalog, its policy, and the rulings already made.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Mutex;

use super::catalog;
use super::dictionary::Drawer;
use super::kept::Kept;
use super::names::Names;
use super::ruling::Verdict;
use crate::backend::{self, ConnectError, Querier, QueryError, QueryLimits, Route, Start};
use crate::mask::{Keys, MaskMap, scan};
use crate::policy::{Policy, Questions, Subject};
use crate::sql::{self, Catalog, RelationName, Setting};
use crate::tally::Counts;

/// How long a catalog may go unchecked while statements are ruled upon by it.
const UNCHECKED_MAX: Duration = Duration::from_millis(250);
/// How long it may go unchecked when a session begins or moves its search path.
const UNCHECKED_ANEW_MAX: Duration = Duration::ZERO;
/// A statement that is described later than this after it was ruled upon may have waited for a change of the catalog.
const WAITED_AFTER: Duration = Duration::from_millis(20);
/// Longest wait for a look at the catalog.
const LOOK_MAX: Duration = Duration::from_secs(20);
/// Rulings kept for one set of groups.
const VERDICTS_MAX: usize = 4096;

/// Bounds of a question about the catalog.
const LOOK: QueryLimits = QueryLimits { rows_max: 5_000_000, answer_bytes_max: 64 << 20, time_max: LOOK_MAX };

/// Why the catalog could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookFault {
    /// The database could not be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It did not answer as it should.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// An answer is not of the shape expected.
    #[error("the catalog has an unexpected shape")]
    Shape,
    /// It took too long.
    #[error("the catalog was not read in time")]
    Slow,
}

/// One database, as it is configured.
#[derive(Debug)]
pub struct Ground {
    /// The database's name as clients say it.
    pub(super) name: String,
    /// What it is configured to be. `edition` tells when that has changed.
    charter: RwLock<Arc<Charter>>,
    edition: AtomicU64,
    /// The configuration has it no more.
    retired: AtomicBool,
    pub(super) counts: Arc<Counts>,
    keys: Arc<Keys>,
    looker: Mutex<Looker>,
    catalog: RwLock<Arc<Catalog>>,
    version: AtomicU64,
    /// How often something may have changed the catalog, and how many of these times a look has followed.
    wanted: AtomicU64,
    seen: AtomicU64,
    /// Sessions in which something that changes the catalog is under way.
    stirring: AtomicUsize,
    views: RwLock<HashMap<Vec<String>, Arc<View>>>,
    questions: std::sync::Mutex<Questions>,
    began: Instant,
}

/// What the configuration says of a database. A reload may put another one in its place.
#[derive(Debug)]
pub(super) struct Charter {
    edition: u64,
    /// The way to it.
    pub(super) route: Arc<Route>,
    pub(super) policy: Arc<Policy>,
    drawer: Arc<Drawer>,
}

/// The connection that looks at the catalog.
#[derive(Debug, Default)]
struct Looker {
    querier: Option<Querier>,
    fingerprint: String,
    /// The transactions that had ended when the fingerprint was taken.
    snapshot: String,
    looked: Option<Instant>,
}

/// When something was ruled upon.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    at: Instant,
    wanted: u64,
}

impl Mark {
    /// How long ago that was.
    pub(super) fn age(&self) -> Duration {
        self.at.elapsed()
    }
}

/// Held by a session while something that changes the catalog is under way there.
#[derive(Debug)]
pub(super) struct Stir(Arc<Ground>);

impl Drop for Stir {
    fn drop(&mut self) {
        self.0.mark_stale();
        self.0.stirring.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What one set of groups may see of one version of the catalog.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) catalog: Arc<Catalog>,
    pub(super) masks: MaskMap,
    phi: MaskMap,
    pub(super) charter: Arc<Charter>,
    pub(super) keys: Arc<Keys>,
    groups: Vec<String>,
    database: String,
}

/// A sight, with the rulings made on it.
#[derive(Debug)]
pub(super) struct View {
    pub(super) sight: Arc<Sight>,
    verdicts: Kept<Verdict>,
}

impl Ground {
    /// A database that has not been looked at yet.
    #[must_use]
    pub fn new(name: String, route: Arc<Route>, policy: Arc<Policy>, keys: Arc<Keys>, counts: Arc<Counts>) -> Self {
        // Names are those of this database alone.
        let keys = Arc::new(Keys { names: scan::Names::default(), ..Keys::clone(&keys) });
        let drawer = Arc::new(Drawer::new(policy.names_from(), keys.names.clone()));
        Self {
            name,
            charter: RwLock::new(Arc::new(Charter { edition: 0, route, policy, drawer })),
            edition: AtomicU64::new(0),
            retired: AtomicBool::new(false),
            counts,
            keys,
            looker: Mutex::new(Looker::default()),
            catalog: RwLock::new(Arc::new(Catalog::default())),
            version: AtomicU64::new(0),
            wanted: AtomicU64::new(1),
            seen: AtomicU64::new(0),
            stirring: AtomicUsize::new(0),
            views: RwLock::new(HashMap::new()),
            questions: std::sync::Mutex::default(),
            began: Instant::now(),
        }
    }

    /// The database's name as clients say it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn charter(&self) -> Arc<Charter> {
        Arc::clone(&self.charter.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The way to it.
    #[must_use]
    pub fn route(&self) -> Arc<Route> {
        Arc::clone(&self.charter().route)
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.charter().policy)
    }

    /// From now on statements are decided upon by this policy, and new connections go this way, which must lead to the same database.
    pub fn adopt(&self, policy: Arc<Policy>, route: Arc<Route>) {
        let mut charter = self.charter.write().unwrap_or_else(PoisonError::into_inner);
        let edition = charter.edition + 1;
        let names_from = policy.names_from();
        let drawer = if charter.drawer.draws_from(&names_from) {
            Arc::clone(&charter.drawer)
        } else {
            Arc::new(Drawer::new(names_from, self.keys.names.clone()))
        };
        *charter = Arc::new(Charter { edition, route, policy, drawer });
        self.edition.store(edition, Ordering::Release);
    }

    /// The configuration has this database no more: its sessions are to end.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// True if the configuration has this database no more.
    #[must_use]
    pub fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// Something may have changed the catalog: nothing is ruled upon before it has been looked at again.
    pub(super) fn mark_stale(&self) {
        self.wanted.fetch_add(1, Ordering::AcqRel);
    }

    /// Something that changes the catalog goes to the database, and is under way until this is dropped.
    pub(super) fn stir(self: &Arc<Self>) -> Stir {
        self.stirring.fetch_add(1, Ordering::AcqRel);
        self.mark_stale();
        Stir(Arc::clone(self))
    }

    /// Now, before a look at the catalog that a ruling is to rest upon.
    pub(super) fn mark(&self) -> Mark {
        Mark { at: Instant::now(), wanted: self.wanted.load(Ordering::Acquire) }
    }

    /// True if the catalog may have changed between a ruling and this moment: something in this process may have, or the server
    /// took so long that it may have waited for somebody else's change.
    pub(super) fn may_have_moved(&self, since: Mark) -> bool {
        // A session stops being counted after it has marked the catalog stale, so it is counted here first.
        self.stirring.load(Ordering::Acquire) > 0
            || self.wanted.load(Ordering::Acquire) != since.wanted
            || since.age() > WAITED_AFTER
    }

    fn is_stale(&self) -> bool {
        self.wanted.load(Ordering::Acquire) > self.seen.load(Ordering::Acquire)
    }

    /// Counts a question of an identity about columns; gives those about which it was one too many.
    pub(super) fn asked<'c>(&self, identity: &str, columns: &'c [String], question: &[u8]) -> Vec<&'c String> {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        let charter = self.charter();
        let budget = charter.policy.budget();
        columns.iter().filter(|column| !questions.ask(budget, identity, column, question, now_ms)).collect()
    }

    /// Begins to count an identity's questions about columns anew.
    pub(super) fn forget_asked(&self, identity: &str, columns: &[String]) {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        columns.iter().for_each(|column| questions.forget(identity, column));
    }

    /// What these groups may see now. `anew` asks for a fresh look: the session begins, or its search path has moved.
    ///
    /// # Errors
    /// The catalog could not be looked at.
    pub(super) async fn view(&self, groups: &[String], known: Option<&Arc<View>>, anew: bool) -> Result<Arc<View>, LookFault> {
        let edition = self.edition.load(Ordering::Acquire);
        let known = known.filter(|view| view.sight.charter.edition == edition);
        let anew_read;
        let charter = match known {
            Some(view) => &view.sight.charter,
            None => {
                anew_read = self.charter();
                &anew_read
            }
        };
        if charter.policy.needs_catalog() {
            self.look(if anew { UNCHECKED_ANEW_MAX } else { UNCHECKED_MAX }).await?;
            charter.drawer.keep_fresh(&charter.route, &self.name).await;
        }
        let version = self.version.load(Ordering::Acquire);
        if let Some(view) = known
            && view.sight.catalog.version == version
        {
            return Ok(Arc::clone(view));
        }
        Ok(self.shared_view(groups, charter))
    }

    /// The same as of this very moment: for what another session can redefine in place.
    pub(super) async fn view_now(&self, groups: &[String], known: &Arc<View>) -> Result<Arc<View>, LookFault> {
        self.look(Duration::ZERO).await?;
        self.view(groups, Some(known), false).await
    }

    fn shared_view(&self, groups: &[String], charter: &Arc<Charter>) -> Arc<View> {
        let catalog = Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner));
        let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = views.get(groups)
            && view.sight.catalog.version == catalog.version
            && view.sight.charter.edition == charter.edition
        {
            return Arc::clone(view);
        }
        let policy = &charter.policy;
        let sight = Sight {
            masks: MaskMap::resolve(&catalog, &policy.masks_for(groups), policy.known_functions()),
            phi: MaskMap::resolve(&catalog, &policy.phi(), policy.known_functions()),
            catalog,
            charter: Arc::clone(charter),
            keys: Arc::clone(&self.keys),
            groups: groups.to_vec(),
            database: self.name.clone(),
        };
        let view = Arc::new(View { sight: Arc::new(sight), verdicts: Kept::new(VERDICTS_MAX) });
        views.insert(groups.to_vec(), Arc::clone(&view));
        view
    }

    /// Looks at the catalog if something may have changed it, or if it has not been looked at for a while.
    async fn look(&self, unchecked_max: Duration) -> Result<(), LookFault> {
        let asked = Instant::now().checked_sub(unchecked_max);
        let fresh = unchecked_max < UNCHECKED_MAX || self.is_stale();
        let mut looker = if fresh {
            self.looker.lock().await
        } else {
            match self.looker.try_lock() {
                Ok(looker) => looker,
                Err(_) => return Ok(()),
            }
        };
        let due = asked.is_none_or(|asked| looker.looked.is_none_or(|looked| looked <= asked));
        if !due && !self.is_stale() {
            return Ok(());
        }
        // In a place of its own: every session's future would hold room for it otherwise.
        let outcome = tokio::time::timeout(LOOK_MAX, Box::pin(self.look_now(&mut looker))).await;
        if !matches!(outcome, Ok(Ok(()))) {
            looker.querier = None;
        }
        outcome.unwrap_or(Err(LookFault::Slow))
    }

    async fn querier(&self) -> Result<Querier, LookFault> {
        let parameters = [(Bytes::from_static(b"client_encoding"), Bytes::from_static(b"UTF8"))];
        let start = Start { version: crate::wire::VERSION_3_0, database: self.name.as_bytes(), parameters: &parameters };
        Ok(Querier::new(backend::connect(&self.route(), &start).await?, LOOK))
    }

    async fn look_now(&self, looker: &mut Looker) -> Result<(), LookFault> {
        // Read before the look, so that what changes during it is looked at again.
        let wanted = self.wanted.load(Ordering::Acquire);
        let began = Instant::now();
        let mut querier = match looker.querier.take() {
            Some(querier) => querier,
            None => self.querier().await?,
        };
        // Taken first: what ends after it is in no older snapshot.
        let snapshot = catalog::snapshot(&mut querier).await?;
        let fingerprint =
            if snapshot == looker.snapshot { looker.fingerprint.clone() } else { catalog::fingerprint(&mut querier).await? };
        if looker.fingerprint != fingerprint {
            let version = self.version.load(Ordering::Acquire) + 1;
            let mut fetched = catalog::fetch(&mut querier, version).await?;
            fetched.remember(&self.catalog.read().unwrap_or_else(PoisonError::into_inner));
            *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fetched);
            self.version.store(version, Ordering::Release);
            looker.fingerprint = fingerprint;
        }
        looker.querier = Some(querier);
        looker.snapshot = snapshot;
        looker.looked = Some(began);
        self.seen.fetch_max(wanted, Ordering::AcqRel);
        Ok(())
    }
}

impl Sight {
    /// A relation as the log spells it: `schema.name` of all it may stand for, or as it was written.
    pub(super) fn spelled(&self, name: &RelationName) -> Vec<String> {
        if name.oids.is_empty() {
            return vec![name.schema.as_ref().map_or_else(|| name.name.clone(), |schema| format!("{schema}.{}", name.name))];
        }
        let known = name.oids.iter().filter_map(|oid| self.catalog.relations.get(oid));
        known.map(|relation| format!("{}.{}", relation.schema, relation.name)).collect()
    }
}

impl View {
    /// The ruling on a text, from memory if it was made before on the same ground.
    pub(super) fn verdict(&self, text: &Bytes, identity: &str, names: &Names) -> Arc<Verdict> {
        let plain = names.is_plain();
        if plain && let Some(verdict) = self.verdicts.get(text) {
            return verdict;
        }
        let verdict = Arc::new(self.judge(text, identity, names));
        if plain && verdict.is_shareable() {
            self.verdicts.keep(text, &verdict);
        }
        verdict
    }

    fn judge(&self, text: &Bytes, identity: &str, names: &Names) -> Verdict {
        let sight = &self.sight;
        let (standard_conforming_strings, client_encoding) = names.reading();
        let setting = Setting {
            catalog: &sight.catalog,
            standard_conforming_strings,
            client_encoding,
            temporary: &names.temporary(),
            prepared: &|name| names.prepared(name, sight),
            cursors: &|name| names.cursor(name, sight),
        };
        let analysis = sql::analyze(text, &setting);
        self.decide(Bytes::copy_from_slice(text), analysis, identity)
    }

    /// The ruling on facts that were found otherwise than from a text.
    pub(super) fn decide(&self, text: Bytes, analysis: sql::Analysis, identity: &str) -> Verdict {
        let sight = &self.sight;
        let subject = Subject { identity, groups: &sight.groups, database: &sight.database };
        let decision = sight.charter.policy.decide(&analysis, &subject, &sight.masks, &sight.phi);
        Verdict::new(text, analysis, decision, Arc::clone(sight))
    }
}
