//! The databases that clients can ask for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::StartFault;
use crate::backend::{Route, Upstream, newest_minor};
use crate::config::Config;
use crate::mask::{Keys, PseudonymKey};
use crate::policy::Policy;
use crate::session::Ground;

/// How long a connection to a database may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Most databases that the entry `*` may have given rise to.
const ANY_MAX: usize = 4096;

struct Entry {
    route: Arc<Route>,
    policy: Arc<Policy>,
}

/// Databases by the names that clients use. The entry `*` stands for any other name.
pub(super) struct Grounds {
    named: HashMap<String, Arc<Ground>>,
    any: Option<Entry>,
    found: Mutex<HashMap<String, Arc<Ground>>>,
    keys: Arc<Keys>,
}

impl Grounds {
    pub(super) fn new(config: &Config, pseudonym: PseudonymKey) -> Result<Self, StartFault> {
        let year_now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year();
        let keys = Arc::new(Keys { pseudonym, year_now, names: crate::mask::scan::Names::default() });
        let mut grounds = Self { named: HashMap::new(), any: None, found: Mutex::default(), keys };
        for database in &config.databases {
            let upstream = Upstream::parse(&database.upstream)
                .map_err(|faults| StartFault::Upstream { name: database.name.clone(), faults })?;
            let route = Route::new(upstream, database.password.clone(), CONNECT_MAX)
                .map_err(|fault| StartFault::Route(database.name.clone(), fault))?;
            let entry = Entry { route: Arc::new(route), policy: Arc::clone(&database.policy) };
            if database.name == "*" {
                grounds.any = Some(entry);
            } else {
                let ground = grounds.ground(&database.name, &entry);
                grounds.named.insert(database.name.clone(), ground);
            }
        }
        Ok(grounds)
    }

    fn ground(&self, name: &str, entry: &Entry) -> Arc<Ground> {
        let (route, policy) = (Arc::clone(&entry.route), Arc::clone(&entry.policy));
        Arc::new(Ground::new(name.to_owned(), route, policy, Arc::clone(&self.keys)))
    }

    /// The newest minor version of the protocol that the database of this name speaks. A name that is not served has the answer of
    /// another: who has not logged in is not told which names there are.
    pub(super) async fn newest_minor(&self, name: &[u8]) -> u16 {
        let named = std::str::from_utf8(name).ok().and_then(|name| self.named.get(name)).map(|ground| ground.route());
        let any = self.any.as_ref().map(|entry| &entry.route);
        match named.or(any).or_else(|| self.named.values().next().map(|ground| ground.route())) {
            Some(route) => newest_minor(route).await,
            None => 0,
        }
    }

    /// The database of this name, if clients may ask for it.
    pub(super) fn find(&self, name: &[u8]) -> Option<Arc<Ground>> {
        let name = std::str::from_utf8(name).ok()?;
        if let Some(ground) = self.named.get(name) {
            return Some(Arc::clone(ground));
        }
        let entry = self.any.as_ref()?;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= ANY_MAX {
            // Open sessions keep theirs.
            found.clear();
        }
        Some(Arc::clone(found.entry(name.to_owned()).or_insert_with(|| self.ground(name, entry))))
    }
}
