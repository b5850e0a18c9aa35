//! Names of prepared statements and portals that a session has defined: the protocol and SQL text share them.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Most names that are told apart; past that any name may have been defined.
const NAMES_MAX: usize = 65_536;

/// What a session has defined. Nothing is ever forgotten: whether a name was given up in time nobody can tell.
#[derive(Debug, Default)]
pub(super) struct Defined {
    hasher: RandomState,
    /// By their digests: two names that share one count as one.
    names: HashMap<u64, Name>,
    /// Of those that are not told apart.
    other: Name,
}

#[derive(Debug, Default, Clone, Copy)]
struct Name {
    times: u64,
    text: bool,
    statement: bool,
    portal: bool,
}

impl Defined {
    /// A text defines a statement or cursor of this name.
    pub(super) fn text(&mut self, name: &[u8]) {
        self.name(name).text = true;
    }

    /// The protocol defines a statement of this name.
    pub(super) fn statement(&mut self, name: &[u8]) {
        self.name(name).statement = true;
    }

    /// The protocol defines a portal of this name.
    pub(super) fn portal(&mut self, name: &[u8]) {
        self.name(name).portal = true;
    }

    /// True if a text may have defined a statement or cursor of this name.
    pub(super) fn is_text(&self, name: &[u8]) -> bool {
        self.other.text || self.names.get(&self.hasher.hash_one(name)).is_some_and(|known| known.text)
    }

    /// True if the protocol may have defined a statement of this name.
    pub(super) fn is_statement(&self, name: &[u8]) -> bool {
        self.other.statement || self.names.get(&self.hasher.hash_one(name)).is_some_and(|known| known.statement)
    }

    /// True if the protocol may have defined a portal of this name.
    pub(super) fn is_portal(&self, name: &[u8]) -> bool {
        self.other.portal || self.names.get(&self.hasher.hash_one(name)).is_some_and(|known| known.portal)
    }

    /// How often this name may have been defined.
    pub(super) fn times(&self, name: &[u8]) -> u64 {
        let known = self.names.get(&self.hasher.hash_one(name)).map_or(0, |known| known.times);
        known.saturating_add(self.other.times)
    }

    fn name(&mut self, name: &[u8]) -> &mut Name {
        let digest = self.hasher.hash_one(name);
        let full = self.names.len() >= NAMES_MAX && !self.names.contains_key(&digest);
        let known = if full { &mut self.other } else { self.names.entry(digest).or_default() };
        known.times = known.times.saturating_add(1);
        known
    }
}
