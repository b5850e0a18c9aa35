//! What a session's own past does to the meaning of its next text.

use std::collections::{BTreeSet, HashMap};

use crate::sql::{Facts, Shift, Verb};

/// Most texts that one name may stand for; past that the name stands for anything.
const CANDIDATES_MAX: usize = 16;
/// Most names that are kept.
const NAMES_MAX: usize = 16_384;

/// Settings, prepared statements, cursors and temporary relations of one session.
#[derive(Debug)]
pub(super) struct Names {
    /// `standard_conforming_strings`, as the server last reported it.
    pub(super) standard_conforming_strings: bool,
    /// `client_encoding`, as the server last reported it.
    pub(super) client_encoding: String,
    /// Temporary relations that surely exist and come first in the search path.
    pub(super) temporary: BTreeSet<String>,
    /// Made in the transaction that is open.
    temporary_open: BTreeSet<String>,
    /// The search path was set: temporary relations need not come first.
    path_moved: bool,
    /// It was set since the last text: names may mean what nobody has looked at.
    pub(super) path_just_moved: bool,
    prepared: HashMap<String, Vec<Facts>>,
    cursors: HashMap<String, Vec<Facts>>,
    /// Relations that were dropped or altered in the transaction that is open: the catalog still has them as they were.
    reshaped: BTreeSet<String>,
    /// Code that nobody has read has run: it may have made or changed any name.
    pub(super) code_ran: bool,
}

impl Names {
    /// A new session's.
    pub(super) fn new() -> Self {
        Self {
            standard_conforming_strings: true,
            client_encoding: "UTF8".into(),
            temporary: BTreeSet::new(),
            temporary_open: BTreeSet::new(),
            path_moved: false,
            path_just_moved: false,
            prepared: HashMap::new(),
            cursors: HashMap::new(),
            reshaped: BTreeSet::new(),
            code_ran: false,
        }
    }

    /// Takes a parameter of the startup packet. Options are spelled in many ways (`--search-path`, backslashes): in doubt they set
    /// the search path.
    pub(super) fn startup(&mut self, name: &[u8], value: &[u8]) {
        let value = value.to_ascii_lowercase();
        let set = value.windows(4).any(|part| part == b"path") || value.contains(&b'\\');
        self.path_moved |= name.eq_ignore_ascii_case(b"search_path") || name.eq_ignore_ascii_case(b"options") && set;
    }

    /// Takes a ParameterStatus.
    pub(super) fn parameter(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"standard_conforming_strings" => self.standard_conforming_strings = value == b"on",
            b"client_encoding" => self.client_encoding = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        }
    }

    /// True if a text means what it means in any other session, so that its ruling can be shared.
    pub(super) fn is_plain(&self) -> bool {
        self.standard_conforming_strings && self.client_encoding == "UTF8" && self.temporary.is_empty()
    }

    /// Every text that a prepared statement's name may stand for.
    pub(super) fn prepared(&self, name: &str) -> Vec<Facts> {
        self.prepared.get(name).cloned().unwrap_or_default()
    }

    /// Every query that a cursor's name may stand for.
    pub(super) fn cursor(&self, name: &str) -> Vec<Facts> {
        self.cursors.get(name).cloned().unwrap_or_default()
    }

    /// A text goes to the server: what it may define is possible from now on. `unread` says that it calls code that the policy
    /// does not vouch for.
    pub(super) fn forwarded(&mut self, facts: &Facts, unread: bool) {
        self.reshaped.extend(reshaped(facts));
        for shift in &facts.shifts {
            match shift {
                Shift::Prepared(name, defined) => candidate(&mut self.prepared, name, defined),
                Shift::Cursor(name, defined) => candidate(&mut self.cursors, name, defined),
                Shift::SearchPath => {
                    self.path_moved = true;
                    self.path_just_moved = true;
                }
                Shift::TemporaryGone(gone) => self.gone(gone),
                Shift::Anything => {
                    self.code_ran |= unread;
                    self.gone(&[]);
                }
                Shift::Reading | Shift::TemporaryMade(_) | Shift::Catalog => {}
            }
        }
        if self.path_moved {
            self.temporary.clear();
        }
    }

    /// A text has run to its end without an error.
    pub(super) fn completed(&mut self, facts: &Facts) {
        for shift in &facts.shifts {
            if let Shift::TemporaryMade(name) = shift
                && !self.path_moved
                && self.temporary.len() < NAMES_MAX
            {
                self.temporary.insert(name.clone());
                self.temporary_open.insert(name.clone());
            }
        }
    }

    /// A statement has failed, or a transaction was rolled back: what was made in it may be gone.
    pub(super) fn undone(&mut self) {
        let open = std::mem::take(&mut self.temporary_open);
        self.temporary.retain(|name| !open.contains(name));
    }

    /// True if it reads a relation that the catalog may know by another shape than the server does by now.
    pub(super) fn is_reshaped(&self, facts: &Facts) -> bool {
        reads_any(facts, &self.reshaped)
    }

    /// No transaction is open any more.
    pub(super) fn settled(&mut self) {
        self.reshaped.clear();
        self.temporary_open.clear();
    }

    fn gone(&mut self, names: &[String]) {
        if names.is_empty() {
            self.temporary.clear();
        }
        for name in names {
            self.temporary.remove(name);
        }
    }
}

/// The relations, by their names alone, whose columns are others once this has run; the empty name stands for any.
pub(super) fn reshaped(facts: &Facts) -> BTreeSet<String> {
    let reshapes = |verb: &Verb| matches!(verb, Verb::Drop | Verb::Alter);
    if !facts.shifts.contains(&Shift::Catalog) || !facts.verbs.iter().any(reshapes) {
        return BTreeSet::new();
    }
    let names: BTreeSet<String> = facts.writes.iter().map(|name| name.name.clone()).collect();
    if names.is_empty() { BTreeSet::from([String::new()]) } else { names }
}

/// True if it reads one of these.
pub(super) fn reads_any(facts: &Facts, names: &BTreeSet<String>) -> bool {
    let any = names.contains("");
    !names.is_empty() && facts.reads.iter().chain(&facts.writes).any(|name| any || names.contains(&name.name))
}

fn candidate(map: &mut HashMap<String, Vec<Facts>>, name: &str, facts: &Facts) {
    if map.len() >= NAMES_MAX && !map.contains_key(name) {
        return;
    }
    let candidates = map.entry(name.to_owned()).or_default();
    if candidates.contains(facts) {
        return;
    }
    if candidates.len() >= CANDIDATES_MAX {
        candidates.push(Facts::unknown(crate::sql::UnknownReason::Name));
        candidates.truncate(CANDIDATES_MAX + 1);
        return;
    }
    candidates.push(facts.clone());
}
