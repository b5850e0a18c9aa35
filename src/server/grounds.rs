//! The databases that clients can ask for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::StartFault;
use crate::backend::{Route, Upstream, newest_minor};
use crate::config::Config;
use crate::mask::{Keys, PseudonymKey};
use crate::policy::Policy;
use crate::session::Ground;
use crate::tally::Tally;

/// How long a connection to a database may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Most databases that the entry `*` may have given rise to.
const ANY_MAX: usize = 4096;
/// The entry that stands for any name that no other has.
const ANY: &str = "*";

/// What the configuration says of a database.
#[derive(Clone)]
struct Entry {
    upstream: String,
    route: Arc<Route>,
    policy: Arc<Policy>,
}

/// The entries of a configuration, ready for use: nothing about them can fail any more.
pub(super) struct Entries(HashMap<String, Entry>);

impl Entries {
    pub(super) fn new(config: &Config) -> Result<Self, StartFault> {
        let mut entries = HashMap::new();
        for database in &config.databases {
            let upstream = Upstream::parse(&database.upstream)
                .map_err(|faults| StartFault::Upstream { name: database.name.clone(), faults })?;
            let route = Route::new(upstream, database.password.clone(), CONNECT_MAX)
                .map_err(|fault| StartFault::Route(database.name.clone(), fault))?;
            let (upstream, policy) = (database.upstream.clone(), Arc::clone(&database.policy));
            entries.insert(database.name.clone(), Entry { upstream, route: Arc::new(route), policy });
        }
        Ok(Self(entries))
    }

    /// What is said of the database that clients call so, and under which name.
    fn of(&self, name: &str) -> Option<(&str, &Entry)> {
        let named = self.0.get_key_value(name).filter(|(name, _)| *name != ANY);
        named.or_else(|| self.0.get_key_value(ANY)).map(|(name, entry)| (name.as_str(), entry))
    }

    /// The way to the database that clients call so, or to another.
    fn route(&self, name: &str) -> Option<Arc<Route>> {
        let entry = self.of(name).map(|(_, entry)| entry).or_else(|| self.0.values().next());
        entry.map(|entry| Arc::clone(&entry.route))
    }
}

/// A database that somebody has asked for.
struct Known {
    upstream: String,
    ground: Arc<Ground>,
}

/// Databases by the names that clients use.
pub(super) struct Grounds {
    state: Mutex<State>,
    keys: Arc<Keys>,
    tally: Arc<Tally>,
}

struct State {
    entries: Entries,
    known: HashMap<String, Known>,
    /// Those that nobody new gets, while sessions are on them.
    former: Vec<Weak<Ground>>,
}

impl Grounds {
    pub(super) fn new(entries: Entries, pseudonym: PseudonymKey, tally: Arc<Tally>) -> Self {
        let year_now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year();
        let keys = Arc::new(Keys { pseudonym, year_now, names: crate::mask::scan::Names::default() });
        entries.0.keys().for_each(|name| drop(tally.database(name)));
        Self { state: Mutex::new(State { entries, known: HashMap::new(), former: Vec::new() }), keys, tally }
    }

    /// The newest minor version of the protocol that the database of this name speaks. A name that is not served has the answer of
    /// another: who has not logged in is not told which names there are.
    pub(super) async fn newest_minor(&self, name: &[u8]) -> u16 {
        let route = self.state.lock().unwrap_or_else(PoisonError::into_inner).entries.route(&String::from_utf8_lossy(name));
        match route {
            Some(route) => newest_minor(&route).await,
            None => 0,
        }
    }

    /// The database of this name, if clients may ask for it.
    pub(super) fn find(&self, name: &[u8]) -> Option<Arc<Ground>> {
        let name = std::str::from_utf8(name).ok()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = state.known.get(name) {
            return Some(Arc::clone(&known.ground));
        }
        let (called, entry) = state.entries.of(name)?;
        let (route, policy, counts) = (Arc::clone(&entry.route), Arc::clone(&entry.policy), self.tally.database(called));
        let ground = Arc::new(Ground::new(name.to_owned(), route, policy, Arc::clone(&self.keys), counts));
        let known = Known { upstream: entry.upstream.clone(), ground: Arc::clone(&ground) };
        if state.known.len() >= ANY_MAX {
            // Open sessions keep theirs.
            state.leave_all();
        }
        state.known.insert(name.to_owned(), known);
        Some(ground)
    }

    /// Another configuration: policies are adopted at once, databases that are elsewhere now get new sessions there, and those that
    /// are gone lose theirs.
    pub(super) fn reload(&self, entries: Entries) {
        entries.0.keys().for_each(|name| drop(self.tally.database(name)));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, known) in std::mem::take(&mut state.known) {
            match entries.of(&name) {
                Some((_, entry)) if entry.upstream == known.upstream => {
                    known.ground.adopt(Arc::clone(&entry.policy), Arc::clone(&entry.route));
                    state.known.insert(name, known);
                }
                _ => state.former.push(Arc::downgrade(&known.ground)),
            }
        }
        for ground in state.former.iter().filter_map(Weak::upgrade) {
            match entries.of(ground.name()) {
                // It is not where new sessions go, and the way to it stays what it was.
                Some((_, entry)) => ground.adopt(Arc::clone(&entry.policy), ground.route()),
                None => ground.retire(),
            }
        }
        state.former.retain(|ground| ground.strong_count() > 0);
        state.entries = entries;
    }
}

impl State {
    fn leave_all(&mut self) {
        self.former.retain(|ground| ground.strong_count() > 0);
        let left: Vec<Weak<Ground>> = self.known.drain().map(|(_, known)| Arc::downgrade(&known.ground)).collect();
        self.former.extend(left);
    }
}
