//! Rules about columns, resolved to a database's object identifiers.

use std::collections::{HashMap, HashSet};

use super::builtin::OWN_SCHEMAS;
use super::{Strategy, glob, resolve};
use crate::sql::{Catalog, FunctionName, RelationName, Step};

/// A rule of a policy: which columns, and what is done with them.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnRule {
    /// `schema.table.column`, `*` and `?` are globs.
    pub column: String,
    /// What is done.
    pub strategy: Strategy,
    /// What may be asked about its values.
    pub predicates: Predicates,
    /// What may be computed from its values and shown: the first step on the way, without an argument for any.
    pub reveal: Vec<Step>,
}

/// What may be asked about the values of a masked column in conditions, orders and groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Predicates {
    /// Nothing but whether it is there, and grouping by it as it is.
    Deny,
    /// Also whether it equals a value.
    #[default]
    Equality,
    /// Anything.
    Allow,
}

/// A column that is masked: by a rule, or because it can hold what a masked column holds.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskedColumn {
    /// The base column the rule names, as `schema.table.column`.
    pub source: String,
    /// What is done, `None` if the column is derived from masked ones in a way that is not followed: placeholder.
    pub strategy: Option<Strategy>,
    /// What may be asked about it.
    pub predicates: Predicates,
    /// What may be computed from it and shown.
    pub reveal: Vec<Step>,
}

/// The masked columns of one database for one set of groups.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MaskMap {
    /// (relation, attribute number) -> what is done.
    pub columns: HashMap<(u32, i16), MaskedColumn>,
    /// Relations that have a masked column, or from which one can be reached (views, children, parents).
    pub touched: HashSet<u32>,
    /// True if there is any rule, even one that no column of the catalog matches today: what the catalog does not know is
    /// then masked.
    pub ruled: bool,
    /// The relations of the catalog; empty if that is not to be asked.
    pub known: HashSet<u32>,
    /// Functions, as `schema.name` with globs, that the policy vouches for: what they give holds nothing beyond their arguments.
    pub vouched: Vec<String>,
    /// Functions, as `schema.name`, of extensions that only compute with their arguments.
    pub computing: HashSet<String>,
    /// The masked columns of each relation by their names.
    pub names: HashMap<u32, Vec<(String, i16)>>,
}

impl ColumnRule {
    /// A rule that says no more than what is done.
    #[must_use]
    pub fn of(column: &str, strategy: Strategy) -> Self {
        Self { column: column.to_owned(), strategy, predicates: Predicates::default(), reveal: Vec::new() }
    }
}

impl MaskedColumn {
    /// A column of which no more is known than what is done.
    #[must_use]
    pub fn of(source: &str, strategy: Option<Strategy>) -> Self {
        Self { source: source.to_owned(), strategy, predicates: Predicates::default(), reveal: Vec::new() }
    }
}

impl MaskMap {
    /// Resolves rules against a catalog: base columns by name, the first rule that matches counts; children and partitions by
    /// their parents' rules and parents by their children's; views, materialized views and generated columns through what their
    /// columns are made of, and where that is not known, through their columns' origins.
    /// A column that would be masked in two different ways gets the placeholder. PostgreSQL's own catalogs that hold data of
    /// masked columns are covered as well. The result does not depend on the order of anything but `rules`.
    ///
    /// `vouched` names functions as `schema.name`, with globs: a column of a view that calls another is masked.
    #[must_use]
    pub fn resolve(catalog: &Catalog, rules: &[ColumnRule], vouched: &[String]) -> Self {
        if rules.is_empty() { Self::default() } else { resolve::resolve(catalog, rules, vouched) }
    }

    /// True if nothing is masked, whatever the catalog will hold.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty() && !self.ruled
    }

    /// What is done with a column, `None` if it is clear. Attribute 0 stands for the whole row; system columns (below 0) are
    /// clear.
    #[must_use]
    pub fn covers(&self, table_oid: u32, attribute: i16) -> Option<&MaskedColumn> {
        self.columns.get(&(table_oid, attribute))
    }

    /// True if the relation may hold masked columns; one that the catalog does not know may.
    #[must_use]
    pub fn touches(&self, name: &RelationName) -> bool {
        !self.is_empty() && !name.temporary && (name.oids.is_empty() || name.oids.iter().any(|oid| self.touched.contains(oid)))
    }

    /// The masked column of this name of a relation, `None` if it is clear.
    #[must_use]
    pub fn named(&self, relation: u32, name: &str) -> Option<&MaskedColumn> {
        let (_, number) = self.names.get(&relation)?.iter().find(|(known, _)| known == name)?;
        self.covers(relation, *number)
    }

    /// True if nothing can be in what the function gives that is not followed: it comes with the server, its text was read, or
    /// the policy vouches for it.
    #[must_use]
    pub fn vouches(&self, function: &FunctionName) -> bool {
        let known = |schema: &String| {
            let full = format!("{schema}.{}", function.name);
            OWN_SCHEMAS.contains(&schema.as_str())
                || self.computing.contains(&full)
                || self.vouched.iter().any(|pattern| glob::matches(pattern, &full))
        };
        function.builtin || function.readable || function.schema.as_ref().is_some_and(known)
    }
}
