//! What a session's own past does to the meaning of its next text.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::defined::Defined;
use super::ground::Sight;
use crate::sql::{self, Facts, Setting, Shift, Temporaries, UnknownReason, Verb};

/// Most texts that one name may stand for; past that the name stands for anything.
const CANDIDATES_MAX: usize = 16;
/// Most names that are kept.
const NAMES_MAX: usize = 16_384;
/// Under these no text is read whose meaning depends on them.
const UNREPORTED: (bool, &str) = (false, "SJIS");

/// One text that a name may stand for.
#[derive(Debug)]
struct Candidate {
    facts: Facts,
    /// The text that defined it, and its statement there.
    text: Bytes,
    statement: usize,
    /// The version of the catalog that it was read by.
    version: u64,
}

/// Settings, prepared statements, cursors and temporary relations of one session.
#[derive(Debug)]
pub(super) struct Names {
    /// `standard_conforming_strings`, as the server last reported it.
    standard_conforming_strings: bool,
    /// `client_encoding`, as the server last reported it.
    client_encoding: String,
    /// One of these has been set in this session: the end of a transaction may set it back.
    reading_set: bool,
    /// ReadyForQuery that are still to come before the server has reported them as they are: it does so ahead of these alone.
    unreported: usize,
    /// Temporary relations that surely exist and come first in the search path.
    temporary: Temporaries,
    /// Made or changed in the transaction that is open.
    temporary_open: BTreeSet<String>,
    /// That transaction may be undone by what the server has not answered yet.
    pub(super) ending: bool,
    /// The search path was set: temporary relations need not come first.
    path_moved: bool,
    /// It was set since the last text: names may mean what nobody has looked at.
    pub(super) path_just_moved: bool,
    prepared: HashMap<String, Vec<Candidate>>,
    cursors: HashMap<String, Vec<Candidate>>,
    /// Names that were defined, by text or by the protocol.
    defined: Defined,
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
            reading_set: false,
            unreported: 0,
            temporary: Temporaries::new(),
            temporary_open: BTreeSet::new(),
            ending: false,
            path_moved: false,
            path_just_moved: false,
            prepared: HashMap::new(),
            cursors: HashMap::new(),
            defined: Defined::default(),
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

    /// `standard_conforming_strings` and `client_encoding` by which the next text is read.
    pub(super) fn reading(&self) -> (bool, &str) {
        if self.unreported > 0 { UNREPORTED } else { (self.standard_conforming_strings, &self.client_encoding) }
    }

    /// Temporary relations that surely exist and come first in the search path.
    pub(super) fn temporary(&self) -> Cow<'_, Temporaries> {
        if self.ending {
            let settled = self.temporary.iter().filter(|(name, _)| !self.temporary_open.contains(*name));
            Cow::Owned(settled.map(|(name, made)| (name.clone(), made.clone())).collect())
        } else {
            Cow::Borrowed(&self.temporary)
        }
    }

    /// True if temporary relations were made in the transaction that is open.
    pub(super) fn has_open(&self) -> bool {
        !self.temporary_open.is_empty()
    }

    /// True if a text means what it means in any other session, so that its ruling can be shared.
    pub(super) fn is_plain(&self) -> bool {
        self.reading() == (true, "UTF8") && self.temporary.is_empty()
    }

    /// Every text that a prepared statement's name may stand for.
    pub(super) fn prepared(&self, name: &str, sight: &Sight) -> Vec<Facts> {
        let mut known: Vec<Facts> = Vec::new();
        for candidate in self.prepared.get(name).into_iter().flatten() {
            known.push(if candidate.version == sight.catalog.version {
                candidate.facts.clone()
            } else {
                self.anew(candidate, sight)
            });
        }
        if self.defined.is_statement(name.as_bytes()) {
            known.push(Facts::unknown(UnknownReason::Name));
        }
        known
    }

    /// Every query that a cursor's name may stand for. Its relations are those it was declared over; functions are called as they
    /// are now.
    pub(super) fn cursor(&self, name: &str, sight: &Sight) -> Vec<Facts> {
        let mut known: Vec<Facts> = Vec::new();
        for candidate in self.cursors.get(name).into_iter().flatten() {
            known.push(candidate.facts.clone());
            let calls = candidate.facts.functions.iter().any(|function| !function.builtin);
            if calls && candidate.version != sight.catalog.version {
                known.push(self.anew(candidate, sight));
            }
        }
        if self.defined.is_portal(name.as_bytes()) {
            known.push(Facts::unknown(UnknownReason::Name));
        }
        known
    }

    /// The facts of what a text has defined, by the catalog as it is now.
    fn anew(&self, candidate: &Candidate, sight: &Sight) -> Facts {
        let (standard_conforming_strings, client_encoding) = self.reading();
        let none = |_: &str| Vec::new();
        let setting = Setting {
            catalog: &sight.catalog,
            standard_conforming_strings,
            client_encoding,
            temporary: &Temporaries::new(),
            prepared: &none,
            cursors: &none,
        };
        let analysis = sql::analyze(&candidate.text, &setting);
        let shifts = analysis.statements.get(candidate.statement).map(|facts| facts.shifts.as_slice());
        let defined = shifts.unwrap_or_default().iter().find_map(|shift| match shift {
            Shift::Prepared(_, facts) | Shift::Cursor(_, facts) => Some(Facts::clone(facts)),
            _ => None,
        });
        defined.unwrap_or_else(|| Facts::unknown(UnknownReason::Name))
    }

    /// True if only the protocol can have defined this name.
    pub(super) fn is_of_protocol(&self, name: &[u8]) -> bool {
        !self.code_ran && !self.defined.is_text(name)
    }

    /// A text has gone to the server under this name.
    pub(super) fn parsed(&mut self, name: &[u8]) {
        self.defined.statement(name);
    }

    /// A portal of this name has gone to the server.
    pub(super) fn bound(&mut self, name: &[u8]) {
        self.defined.portal(name);
    }

    /// How often anything that these statements name may have been defined: more than before means that they may stand for
    /// something else.
    pub(super) fn definitions(&self, statements: &[Facts]) -> u64 {
        let used = statements.iter().filter_map(|facts| facts.uses.as_ref());
        used.map(|name| self.defined.times(name.as_bytes())).fold(u64::from(self.code_ran), u64::saturating_add)
    }

    /// A text goes to the server: what each statement may define is possible from now on. `unread` says that it calls code that
    /// the policy does not vouch for; `owed` counts the ReadyForQuery that the server owes already.
    pub(super) fn forwarded(&mut self, text: &Bytes, statements: &[Facts], version: u64, unread: bool, owed: usize) {
        for (statement, facts) in statements.iter().enumerate() {
            self.reshaped.extend(reshaped(facts));
            self.reading_set |= facts.shifts.iter().any(|shift| *shift == Shift::Reading || unread && *shift == Shift::Anything);
            if facts.verbs.iter().any(ends) {
                self.temporary.retain(|_, made| !made.fleeting);
            }
            if self.reading_set && (facts.shifts.iter().any(is_of_reading) || facts.verbs.iter().any(ends)) {
                self.unreported = owed.saturating_add(1);
            }
            for shift in &facts.shifts {
                let (map, name, defined) = match shift {
                    Shift::Prepared(name, defined) => (&mut self.prepared, name, defined),
                    Shift::Cursor(name, defined) => (&mut self.cursors, name, defined),
                    other => {
                        self.shifted(other, unread);
                        continue;
                    }
                };
                self.defined.text(name.as_bytes());
                let candidate = Candidate { facts: Facts::clone(defined), text: text.clone(), statement, version };
                add(map, name, candidate);
            }
        }
        if self.path_moved {
            self.temporary.clear();
        }
    }

    fn shifted(&mut self, shift: &Shift, unread: bool) {
        match shift {
            Shift::SearchPath => {
                self.path_moved = true;
                self.path_just_moved = true;
            }
            Shift::TemporaryGone(gone) => self.gone(gone),
            Shift::Anything => {
                self.code_ran |= unread;
                self.gone(&[]);
            }
            Shift::TemporaryMade(name, made) => {
                // Whether it comes to pass or not, what is known of one of this name counts no more.
                if let Some(known) = self.temporary.get_mut(name).filter(|known| *known != made) {
                    known.columns = None;
                }
            }
            Shift::Reading | Shift::Catalog | Shift::Prepared(..) | Shift::Cursor(..) => {}
        }
    }

    /// A text has run to its end without an error.
    pub(super) fn completed(&mut self, facts: &Facts) {
        for shift in &facts.shifts {
            if let Shift::TemporaryMade(name, made) = shift
                && !self.path_moved
                && self.temporary.len() < NAMES_MAX
            {
                self.temporary.insert(name.clone(), made.clone());
                self.temporary_open.insert(name.clone());
            }
        }
    }

    /// A statement has failed, or a transaction was rolled back: what was made in it may be gone.
    pub(super) fn undone(&mut self) {
        let open = std::mem::take(&mut self.temporary_open);
        self.temporary.retain(|name, _| !open.contains(name));
    }

    /// ReadyForQuery has come.
    pub(super) fn ready(&mut self) {
        self.unreported = self.unreported.saturating_sub(1);
    }

    /// True if it reads a relation that the catalog may know by another shape than the server does by now.
    pub(super) fn is_reshaped(&self, facts: &Facts) -> bool {
        reads_any(facts, &self.reshaped)
    }

    /// No transaction is open any more.
    pub(super) fn settled(&mut self) {
        self.reshaped.clear();
        self.temporary_open.clear();
        self.temporary.retain(|_, made| !made.fleeting);
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

/// True for what may change how text is read.
fn is_of_reading(shift: &Shift) -> bool {
    matches!(shift, Shift::Reading | Shift::Anything)
}

/// True for what may end a transaction, or a part of one.
fn ends(verb: &Verb) -> bool {
    matches!(verb, Verb::Transaction | Verb::TwoPhase)
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

fn add(map: &mut HashMap<String, Vec<Candidate>>, name: &str, candidate: Candidate) {
    if map.len() >= NAMES_MAX && !map.contains_key(name) {
        return;
    }
    let candidates = map.entry(name.to_owned()).or_default();
    if let Some(same) = candidates.iter_mut().find(|known| known.facts == candidate.facts) {
        *same = candidate;
        return;
    }
    if candidates.len() >= CANDIDATES_MAX {
        candidates.truncate(CANDIDATES_MAX);
        candidates.push(Candidate { facts: Facts::unknown(UnknownReason::Name), text: Bytes::new(), ..candidate });
        return;
    }
    candidates.push(candidate);
}
