//! Queries with what their result columns are made of, as `fixtures/queries` states it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Stand, stand};

/// Base columns, as `schema.table.column`.
pub type Sources = BTreeSet<String>;

/// What one result column is made of.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Columns whose values can reach it.
    pub values: Sources,
    /// Columns of which only whether they are there, how often or which branch is taken shows: named or not.
    pub hints: Sources,
}

/// One query.
#[derive(Debug, Clone)]
pub struct Stated {
    /// Where it stands.
    pub place: String,
    /// Its text.
    pub sql: String,
    /// Its columns; none for a query that reads no row of the clinic.
    pub columns: Option<Vec<Expected>>,
}

/// Short names of tables in the fixtures.
const SHORT: [(&str, &str); 15] = [
    ("p", "clinical.patients"),
    ("e", "clinical.encounters"),
    ("o", "clinical.observations"),
    ("m", "clinical.medications"),
    ("n", "clinical.clinical_notes"),
    ("k", "clinical.contacts"),
    ("d", "clinical.documents"),
    ("r", "clinical.providers"),
    ("g", "clinical.codes"),
    ("c", "billing.claims"),
    ("y", "billing.payments"),
    ("s", "research.subjects"),
    ("t", "research.studies"),
    ("a", "audit.access_log"),
    ("h", "research.cohort"),
];
/// Columns that are made of others: whoever names the one names the others.
const MADE: [(&str, &[&str]); 8] = [
    ("clinical.patients.full_name", &["clinical.patients.first_name", "clinical.patients.last_name"]),
    ("clinical.patients.name_search", &["clinical.patients.first_name", "clinical.patients.last_name"]),
    ("research.cohort.patient_id", &["clinical.patients.id"]),
    ("research.cohort.subject_key", &["clinical.patients.ssn"]),
    ("research.cohort.born", &["clinical.patients.birth_date"]),
    ("research.cohort.zip", &["clinical.patients.zip"]),
    ("research.cohort.dx", &["billing.claims.dx"]),
    ("research.cohort.amount", &["billing.claims.amount"]),
];

/// Every column of the clinic's tables, by table.
#[must_use]
pub fn tables(stand: &Stand) -> BTreeMap<String, Vec<(String, String)>> {
    const COLUMNS: &str = "select c.oid::regclass, a.attname, t.typname from pg_class c join pg_namespace n on n.oid = c.relnamespace \
        join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped join pg_type t on t.oid = a.atttypid \
        where n.nspname in ('clinical', 'billing', 'research', 'audit') and c.relkind in ('r', 'p', 'm') order by c.oid, a.attnum";
    let mut tables: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for line in stand.owner(COLUMNS).lines() {
        if let [table, column, of] = line.split('\t').collect::<Vec<_>>()[..] {
            tables.entry(table.to_owned()).or_default().push((column.to_owned(), of.to_owned()));
        }
    }
    tables
}

/// One spelling for what is the same column: children as their parent, made columns as what they are made of, rows as their columns.
#[must_use]
pub fn canonical(tables: &BTreeMap<String, Vec<(String, String)>>, name: &str) -> Sources {
    let Some((table, column)) = name.rsplit_once('.') else { return Sources::new() };
    let known = tables.get(table);
    let table = match table {
        "clinical.emergency_contacts" if column != "relation" => "clinical.contacts",
        other if other.starts_with("clinical.encounters_") => "clinical.encounters",
        other => other,
    };
    if column == "*" {
        let columns = known.into_iter().flatten();
        return columns.flat_map(|(column, _)| canonical(tables, &format!("{table}.{column}"))).collect();
    }
    let name = format!("{table}.{column}");
    match MADE.iter().find(|(made, _)| *made == name) {
        Some((_, of)) => of.iter().map(|part| (*part).to_owned()).collect(),
        None => Sources::from([name]),
    }
}

/// All queries of `fixtures/queries`.
///
/// # Panics
/// If a line cannot be read.
#[must_use]
pub fn stated(tables: &BTreeMap<String, Vec<(String, String)>>) -> Vec<Stated> {
    let mut files: Vec<_> =
        std::fs::read_dir(stand::root().join("fixtures/queries")).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    let mut all = Vec::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "sql")) {
        let text = std::fs::read_to_string(file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let place = format!("{}:{}", file.file_name().unwrap().display(), number + 1);
            let (sql, says) = line.split_once("; --> ").unwrap_or_else(|| panic!("{place}: no `; --> `"));
            let columns = (says != "*").then(|| says.split(" | ").map(|cell| expected(tables, cell)).collect());
            all.push(Stated { place, sql: sql.to_owned(), columns });
        }
    }
    all
}

fn expected(tables: &BTreeMap<String, Vec<(String, String)>>, cell: &str) -> Expected {
    let mut out = Expected::default();
    for word in cell.split_whitespace().filter(|word| *word != "-") {
        let (name, hint) = word.strip_suffix('?').map_or((word, false), |name| (name, true));
        let (short, column) = name.split_once('.').unwrap_or_else(|| panic!("`{word}` names no column"));
        let table = SHORT.iter().find(|(s, _)| *s == short).unwrap_or_else(|| panic!("`{short}` stands for no table")).1;
        // the relation of a contact is its child's
        let table = if short == "k" && column == "relation" { "clinical.emergency_contacts" } else { table };
        let set = if hint { &mut out.hints } else { &mut out.values };
        set.extend(canonical(tables, &format!("{table}.{column}")));
    }
    out
}
