//! The `when` of a rule, and whether the facts of a statement meet it.

use std::collections::BTreeSet;

use super::{Policy, Subject, glob};
use crate::sql::{Facts, FunctionName, Verb, Where};

/// Schemas whose functions come with the server.
pub(super) const SYSTEM_SCHEMAS: [&str; 2] = ["pg_catalog", "information_schema"];

/// What must hold of a statement; everything that is said, all at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Condition {
    pub(super) verbs: BTreeSet<Verb>,
    pub(super) wheres: BTreeSet<Where>,
    pub(super) not_temporary: bool,
    pub(super) functions: Vec<FunctionTest>,
    pub(super) groups: Vec<String>,
    pub(super) not_groups: Vec<String>,
    pub(super) databases: Vec<String>,
    pub(super) touches_masked: Option<bool>,
    pub(super) reads_phi: bool,
    pub(super) rows_over: Option<u64>,
}

/// Which functions a condition speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FunctionTest {
    /// Outside `pg_catalog` and not vouched for.
    Unknown,
    /// Of this name, in whatever schema.
    Name(String),
    /// Of this `schema.name`.
    Qualified(String),
}

/// One statement as conditions see it.
pub(super) struct Seen<'a> {
    pub(super) facts: &'a Facts,
    pub(super) subject: &'a Subject<'a>,
    pub(super) touches_masked: bool,
    pub(super) reads_phi: bool,
}

impl Condition {
    /// True if the statement meets it, the number of rows left aside.
    pub(super) fn met(&self, seen: &Seen<'_>, policy: &Policy) -> bool {
        let facts = seen.facts;
        (self.verbs.is_empty() || self.verbs.iter().any(|verb| facts.verb == *verb || facts.verbs.contains(verb)))
            && (self.wheres.is_empty() || self.wheres.contains(&facts.where_))
            && !(self.not_temporary && facts.target_temporary)
            && (self.functions.is_empty() || self.calls(facts, policy))
            && (self.groups.is_empty() || shares(&self.groups, seen.subject.groups))
            && !shares(&self.not_groups, seen.subject.groups)
            && (self.databases.is_empty() || self.databases.iter().any(|name| glob::matches(name, seen.subject.database)))
            && self.touches_masked.is_none_or(|wanted| wanted == seen.touches_masked)
            && (!self.reads_phi || seen.reads_phi)
    }

    fn calls(&self, facts: &Facts, policy: &Policy) -> bool {
        facts.functions.iter().any(|function| self.functions.iter().any(|test| test.met(function, policy)))
    }
}

impl FunctionTest {
    fn met(&self, function: &FunctionName, policy: &Policy) -> bool {
        match self {
            Self::Unknown => is_unknown(function, policy),
            Self::Name(pattern) => glob::matches(pattern, &function.name),
            Self::Qualified(pattern) => match &function.schema {
                Some(schema) => glob::matches(pattern, &format!("{schema}.{}", function.name)),
                // In which schema it will be found is not known: the name decides.
                None => pattern.split_once('.').is_some_and(|(_, name)| glob::matches(name, &function.name)),
            },
        }
    }
}

/// True for a function that is code nobody has looked at: outside the server's own schemas and not vouched for.
pub(super) fn is_unknown(function: &FunctionName, policy: &Policy) -> bool {
    let known = |schema: &String| SYSTEM_SCHEMAS.contains(&schema.as_str()) || policy.vouches(schema, &function.name);
    !function.builtin && !function.schema.as_ref().is_some_and(known)
}

/// True for a function that can hold what masks cannot follow: code nobody has looked at, and that could not be read either.
pub(super) fn is_opaque(function: &FunctionName, policy: &Policy) -> bool {
    !function.readable && is_unknown(function, policy)
}

fn shares(some: &[String], others: &[String]) -> bool {
    some.iter().any(|one| others.contains(one))
}
