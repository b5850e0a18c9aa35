//! What random statements are made of: the tables, columns and functions that the database really has.

use std::collections::BTreeMap;

use crate::Stand;

/// Types that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `text` and what is cast to it without a word.
    Text,
    /// `integer`, `bigint`.
    Integer,
    /// `numeric`.
    Number,
    /// `double precision`.
    Float,
    /// `date`.
    Date,
    /// `timestamp` and `timestamptz`.
    Time,
    /// `interval`.
    Interval,
    /// `boolean`.
    Truth,
    /// `jsonb`.
    Json,
    /// `text[]`.
    Texts,
    /// `bytea`.
    Bytes,
    /// `uuid`.
    Uuid,
    /// Anything else.
    Other,
}

/// All that expressions are made of.
pub const KINDS: [Kind; 12] = [
    Kind::Text,
    Kind::Integer,
    Kind::Number,
    Kind::Float,
    Kind::Date,
    Kind::Time,
    Kind::Interval,
    Kind::Truth,
    Kind::Json,
    Kind::Texts,
    Kind::Bytes,
    Kind::Uuid,
];

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "text" | "bpchar" | "varchar" | "us_ssn" | "name" => Self::Text,
            "int4" | "int8" | "int2" => Self::Integer,
            "numeric" => Self::Number,
            "float8" | "float4" => Self::Float,
            "date" => Self::Date,
            "timestamp" | "timestamptz" => Self::Time,
            "interval" => Self::Interval,
            "bool" => Self::Truth,
            "jsonb" | "json" => Self::Json,
            "_text" => Self::Texts,
            "bytea" => Self::Bytes,
            "uuid" => Self::Uuid,
            _ => Self::Other,
        }
    }
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: Kind,
}

/// A relation to read.
#[derive(Debug, Clone)]
pub struct Table {
    /// `schema.name`.
    pub name: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// An unmasked column that bounds the rows taken, with what a random number is wrapped in.
    pub key: Option<String>,
    /// True if rows may be written.
    pub base: bool,
}

/// A function or an aggregate.
#[derive(Debug, Clone)]
pub struct Callable {
    /// Its name, quoted where it must be.
    pub name: String,
    /// Types of its arguments, as they are written in a cast.
    pub arguments: Vec<(Kind, String)>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Ground {
    /// Relations.
    pub tables: Vec<Table>,
    /// Functions by what they give.
    pub functions: BTreeMap<Kind, Vec<Callable>>,
    /// Aggregates by what they give.
    pub aggregates: BTreeMap<Kind, Vec<Callable>>,
    /// Functions that give rows of one column.
    pub sets: Vec<Callable>,
}

const TABLES: &str = "select c.oid::regclass, c.relkind, a.attname, t.typname from pg_class c join pg_namespace n on n.oid = c.relnamespace \
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped join pg_type t on t.oid = a.atttypid \
    where n.nspname in ('clinical', 'billing', 'research', 'audit') and c.relkind in ('r', 'p', 'v', 'm') order by n.nspname, c.relname, a.attnum";
/// Functions that cost much, tell of the session or the clock, or whose answer differs between two equal databases.
const FUNCTIONS: &str = r"select quote_ident(p.proname), p.prokind, p.proretset, r.typname, array_to_string(array(
      select t.typname from unnest(p.proargtypes) with ordinality u(o, i) join pg_type t on t.oid = u.o order by i), ',')
    from pg_proc p join pg_type r on r.oid = p.prorettype
    where p.pronamespace = 'pg_catalog'::regnamespace and p.provolatile in ('i', 's') and p.prokind in ('f', 'a') and p.provariadic = 0
      and p.pronargs between 1 and 3 and (p.prokind = 'a' or not p.proisstrict or true)
      and p.proname !~ '^(pg_|has_|current_|set_|lo_|ts_|table_|schema_|database_|query_|cursor_|inet|currtid|txid|version|repeat|lpad|rpad|factorial|row_security|binary_upgrade|generate_series|obj_|col_|shobj|to_reg|float8_|int[248]_|numeric_|bool_?(accum|alltrue|anytrue)|.*(_accum|_combine|_serialize|_deserialize|_transfn|_finalfn|_sortsupport|_support|in|out|recv|send|_avg|_sum|_larger|_smaller)$|timezone|age$|now$|xml|unique_key|interval_(avg|accum)|array_agg_|string_agg_|json.*agg_|like_|bernoulli|system|gin|gist|spg|brin|hash_|power$|pow$|exp$|dexp|format_type|bpcharlike|internal|encode_|trigger|length$)'
      and p.proname not in ('length', 'numeric_power', 'dpow') or (p.proname = 'length' and p.pronamespace = 'pg_catalog'::regnamespace and p.pronargs = 1)
    order by p.proname, p.oid";
/// Columns that are not masked and tell few rows from many.
const KEYS: [&str; 5] = ["pid", "patient_id", "id", "claim_id", "hit"];

impl Ground {
    /// Asks the database for all of it.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn of(stand: &Stand) -> Self {
        let mut ground = Self::default();
        for line in stand.owner(TABLES).lines() {
            let cells: Vec<&str> = line.split('\t').collect();
            let [name, kind, column, of] = cells[..] else { panic!("a row of four cells: {line}") };
            if ground.tables.last().is_none_or(|table| table.name != name) {
                let base = matches!(kind, "r" | "p");
                ground.tables.push(Table { name: name.to_owned(), columns: Vec::new(), key: None, base });
            }
            let table = ground.tables.last_mut().unwrap();
            table.columns.push(Column { name: column.to_owned(), kind: Kind::of(of) });
        }
        for table in &mut ground.tables {
            let has = |key: &&&str| table.columns.iter().any(|column| column.name == **key);
            table.key = KEYS.iter().find(has).map(|key| (*key).to_owned());
        }
        for line in stand.owner(FUNCTIONS).lines() {
            ground.take(&line.split('\t').collect::<Vec<_>>());
        }
        ground
    }

    fn take(&mut self, cells: &[&str]) {
        let [name, kind, many, gives, takes] = cells[..] else { return };
        let arguments: Vec<(Kind, String)> = takes.split(',').map(|of| (argument(of), of.to_owned())).collect();
        let gives = Kind::of(gives);
        if arguments.iter().any(|(kind, _)| *kind == Kind::Other) || (gives == Kind::Other && many != "t") {
            return;
        }
        let callable = Callable { name: name.to_owned(), arguments };
        match (kind, many) {
            ("a", _) => self.aggregates.entry(gives).or_default().push(callable),
            (_, "t") => self.sets.push(callable),
            _ => self.functions.entry(gives).or_default().push(callable),
        }
    }
}

/// Pseudo-types take something that fits.
fn argument(of: &str) -> Kind {
    match of {
        "anyelement" | "any" | "anycompatible" | "anynonarray" => Kind::Text,
        "anyarray" | "anycompatiblearray" => Kind::Texts,
        other => Kind::of(other),
    }
}
