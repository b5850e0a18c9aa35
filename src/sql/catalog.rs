//! What the proxy knows of one database's catalog: a value, fetched elsewhere.

use std::collections::HashMap;

use super::lineage::Lineage;

/// An object identifier of PostgreSQL.
pub(crate) type Oid = u32;

/// Kind of relation (`pg_class.relkind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelationKind {
    /// Ordinary table.
    Table,
    /// Partitioned table.
    Partitioned,
    /// View.
    View,
    /// Materialized view.
    MaterializedView,
    /// Foreign table.
    Foreign,
    /// Sequence.
    Sequence,
    /// Composite type, index, TOAST table.
    Other,
}

/// Where a view's column comes from, one level down, as the server describes the view's own query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum ColumnOrigin {
    /// A column of a relation, unchanged.
    Column(Oid, i16),
    /// Anything else.
    Expression,
}

/// One column of a relation (`pg_attribute`; dropped ones are left out).
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attribute {
    /// `attnum`, from 1; system columns are not listed.
    pub number: i16,
    /// `attname`.
    pub name: String,
    /// `atttypid`.
    pub type_oid: Oid,
    /// `attnotnull`.
    pub not_null: bool,
    /// True if a unique or primary key index is on just this column.
    pub unique: bool,
    /// For views and materialized views.
    pub origin: Option<ColumnOrigin>,
    /// What its values are made of, one level down: for columns of views and materialized views by their query, for generated columns
    /// by their expression. None for all others.
    #[serde(default)]
    pub lineage: Option<Lineage>,
}

/// One relation (`pg_class`).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Relation {
    /// `pg_class.oid`.
    pub oid: Oid,
    /// Name of its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: RelationKind,
    /// True for a temporary relation (of any session).
    pub temporary: bool,
    /// Its columns by number, ascending.
    pub columns: Vec<Attribute>,
    /// Tables it inherits from or is a partition of.
    pub parents: Vec<Oid>,
    /// Relations that its rewrite rules read or write: for a view its query's, for a table those of its rules.
    pub depends: Vec<Oid>,
    /// True if user-defined functions are called in its rewrite rules.
    pub calls_unknown: bool,
}

/// Kind of type (`pg_type.typtype`, arrays told apart).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TypeKind {
    /// Base type.
    Base,
    /// Array of the type named.
    Array(Oid),
    /// Domain over the type named.
    Domain(Oid),
    /// Enum with its labels, in order.
    Enum(Vec<String>),
    /// Composite type with the types of its fields.
    Composite(Vec<Oid>),
    /// Range over the type named.
    Range(Oid),
    /// Multirange over the range type named.
    Multirange(Oid),
    /// Pseudo-type.
    Pseudo,
}

/// One data type (`pg_type`).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TypeInfo {
    /// `pg_type.oid`.
    pub oid: Oid,
    /// Name of its schema.
    pub schema: String,
    /// `typname`.
    pub name: String,
    /// Its kind.
    pub kind: TypeKind,
    /// `typcategory`: `S` for strings, `N` for numbers, ...
    pub category: char,
}

/// How a function may vary (`pg_proc.provolatile`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Volatility {
    /// `i`
    Immutable,
    /// `s`
    Stable,
    /// `v`
    #[default]
    Volatile,
}

/// One function, aggregate or procedure (`pg_proc`); overloads are apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Function {
    /// Name of its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// `prolang`: `internal`, `c`, `sql`, `plpgsql`, ...
    pub language: String,
    /// How it may vary.
    pub volatility: Volatility,
    /// The extension it belongs to, if any.
    pub extension: Option<String>,
    /// Names of its input arguments in order, empty where they have none.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// The text of a function of the language `sql`: `prosrc`, or `pg_get_function_sqlbody` for one that was parsed when it was made.
    #[serde(default)]
    pub body: Option<String>,
    /// What the last of its arguments are where they are not given (`pg_get_expr` of `proargdefaults`).
    #[serde(default)]
    pub defaults: Option<String>,
    /// Names of the columns that its rows have; none if it gives no rows, or it is not known which.
    #[serde(default)]
    pub results: Vec<String>,
    /// True if it gives one value that is no row.
    #[serde(default)]
    pub scalar: bool,
    /// True if a `SET` of its own goes with it (`proconfig`): names in its text may mean others than here.
    #[serde(default)]
    pub configured: bool,
    /// True for an aggregate or a window function.
    #[serde(default)]
    pub aggregate: bool,
}

/// The catalog of one database at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Catalog {
    /// Counts up with every fetch that found a change.
    pub version: u64,
    /// `pg_class`, system schemas included.
    pub relations: HashMap<Oid, Relation>,
    /// `pg_type`.
    pub types: HashMap<Oid, TypeInfo>,
    /// `pg_proc` without the internal functions of `pg_catalog`, by name (the same name can stand for several).
    pub functions: HashMap<String, Vec<Function>>,
    /// Names of the internal and C functions of `pg_catalog`.
    pub builtin: std::collections::HashSet<String>,
    /// Operators outside `pg_catalog`, by name, with the function (schema, name) behind each.
    pub operators: HashMap<String, Vec<(String, String)>>,
    /// Functions (schema, name) outside `pg_catalog` that a conversion to or from a type of this name can run: those of `pg_cast`, of
    /// the CHECK constraints of domains, and input functions.
    #[serde(default)]
    pub conversions: HashMap<String, Vec<(String, String)>>,
    /// What columns were called when they were first seen, as `schema.table.column`, where that has changed: a mask follows its
    /// column when the column, its table or its schema is renamed.
    #[serde(default, with = "listed")]
    pub former: HashMap<(Oid, i16), String>,
    /// Columns of the rows that functions of `pg_catalog` give (their OUT arguments), by the function's name; several where overloads
    /// differ. A function that is not in it gives a single value.
    #[serde(default)]
    pub rows: HashMap<String, Vec<Vec<String>>>,
    /// The search path that sessions begin with can name the temporary schema: then temporary relations need not come first.
    #[serde(default)]
    pub temporary_named: bool,
    by_name: HashMap<String, Vec<Oid>>,
}

/// A map whose keys are no text, as a list of its entries, so that any format can hold it.
mod listed {
    use std::collections::{BTreeMap, HashMap};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Columns = HashMap<(super::Oid, i16), String>;

    pub(super) fn serialize<S: Serializer>(map: &Columns, to: S) -> Result<S::Ok, S::Error> {
        map.iter().collect::<BTreeMap<_, _>>().into_iter().collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Columns, D::Error> {
        Ok(Vec::deserialize(from)?.into_iter().collect())
    }
}

impl Catalog {
    /// Puts a relation in.
    pub fn insert(&mut self, relation: Relation) {
        self.by_name.entry(relation.name.clone()).or_default().push(relation.oid);
        self.relations.insert(relation.oid, relation);
    }

    /// Remembers what columns were called in an earlier catalog of the same database.
    pub fn remember(&mut self, earlier: &Self) {
        for (oid, relation) in &self.relations {
            let Some(before) = earlier.relations.get(oid) else { continue };
            let moved = (&before.schema, &before.name) != (&relation.schema, &relation.name);
            for column in &relation.columns {
                let key = (*oid, column.number);
                let known = before.columns.iter().find(|known| known.number == column.number);
                if let Some(former) = earlier.former.get(&key) {
                    self.former.insert(key, former.clone());
                } else if let Some(known) = known.filter(|known| moved || known.name != column.name) {
                    self.former.insert(key, format!("{}.{}.{}", before.schema, before.name, known.name));
                }
            }
        }
    }

    /// Every relation of this name, in whatever schema.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Relation> {
        self.by_name.get(name).into_iter().flatten().filter_map(|oid| self.relations.get(oid))
    }

    /// The relation of this name in this schema.
    #[must_use]
    pub fn qualified(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.named(name).find(|relation| relation.schema == schema)
    }

    /// The type behind domains: the base type's OID. Gives up after 32 levels.
    #[must_use]
    pub fn base_type(&self, mut oid: Oid) -> Oid {
        for _ in 0..32 {
            match self.types.get(&oid).map(|info| &info.kind) {
                Some(TypeKind::Domain(base)) => oid = *base,
                _ => break,
            }
        }
        oid
    }
}
