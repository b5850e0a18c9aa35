//! Access that was withdrawn.

use std::collections::{BTreeMap, BTreeSet};

use super::Identity;

/// Most entries at a time.
pub const REVOKED_MAX: usize = 10_000;

/// Whose access.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// That of a credential or an issuer's identity, by the name that it is shown by or, for an issuer's, `subject@issuer`.
    Identity(String),
    /// That of every identity of an issuer.
    Issuer(String),
}

impl Target {
    /// What it is, for the log.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match self {
            Self::Identity(name) if name.contains('@') => "identity",
            Self::Identity(_) => "credential",
            Self::Issuer(_) => "issuer",
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Identity(name) | Self::Issuer(name) => name,
        }
    }

    /// True if this identity is meant.
    #[must_use]
    pub fn covers(&self, identity: &Identity) -> bool {
        match self {
            Self::Issuer(name) => !name.is_empty() && identity.issuer == *name,
            Self::Identity(name) if identity.issuer.is_empty() => identity.name == *name,
            Self::Identity(name) => identity.name == *name || full_subject(identity) == *name,
        }
    }
}

/// By whom access was withdrawn.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// The person's name.
    pub by: String,
    /// Issuers' identities that were seen under the name, as `subject@issuer`: who is called otherwise later is still the same.
    pub subjects: BTreeSet<String>,
}

/// What is withdrawn, and by whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations(BTreeMap<Target, Withdrawn>);

impl Revocations {
    /// What is withdrawn.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = (Target, Withdrawn)>) -> Self {
        Self(entries.into_iter().take(REVOKED_MAX).collect())
    }

    /// Withdraws; false if there is no room for more.
    pub fn add(&mut self, target: Target, by: &str) -> bool {
        if self.0.len() >= REVOKED_MAX && !self.0.contains_key(&target) {
            return false;
        }
        let entry = self.0.entry(target).or_default();
        if entry.by.is_empty() {
            by.clone_into(&mut entry.by);
        }
        true
    }

    /// Notes who is known under a withdrawn name.
    pub fn note(&mut self, target: &Target, identity: &Identity) {
        if let (Target::Identity(_), Some(entry)) = (target, self.0.get_mut(target))
            && !identity.issuer.is_empty()
            && entry.subjects.len() < REVOKED_MAX
        {
            entry.subjects.insert(full_subject(identity));
        }
    }

    /// Gives back; false if it was not withdrawn.
    pub fn lift(&mut self, target: &Target) -> bool {
        self.0.remove(target).is_some()
    }

    /// True if this identity may not come in.
    #[must_use]
    pub fn cover(&self, identity: &Identity) -> bool {
        let subject = full_subject(identity);
        self.0.iter().any(|(target, entry)| target.covers(identity) || entry.subjects.contains(&subject))
    }

    /// What is withdrawn and by whom, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Target, &Withdrawn)> {
        self.0.iter()
    }
}

fn full_subject(identity: &Identity) -> String {
    format!("{}@{}", identity.subject, identity.issuer)
}
