//! What columns are made of, by three witnesses: what `fixtures/queries` states, what the server says when it describes a query, and
//! what execution shows when one base column after the other is changed. `pgveil explain` is held against all of them.

use std::collections::{BTreeMap, BTreeSet};

use proto_tests::cli::pgveil;
use proto_tests::sources::{Expected, Sources, Stated, canonical, stated, tables};
use proto_tests::wire::Reply;
use proto_tests::{Identity, Stand, Wire};
use serde_json::Value;

/// Share of columns that must be exact, in percent.
const EXACT: usize = 95;
/// Texts explained in one go.
const BATCH: usize = 40;
/// Patients kept, so that it does not take long.
const ROWS: usize = 150;
type Tables = BTreeMap<String, Vec<(String, String)>>;

/// What pgveil says of one query.
#[derive(Debug, Clone, Default)]
struct Told {
    columns: Vec<(Sources, bool)>,
    asked: Sources,
}

fn names(tables: &Tables, list: &Value) -> Sources {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let clinic = |name: &&str| tables.contains_key(name.rsplit_once('.').map_or("", |(table, _)| table));
    list.iter().filter_map(Value::as_str).filter(clinic).flat_map(|name| canonical(tables, name)).collect()
}

fn told(tables: &Tables, statement: &Value) -> Told {
    let columns = statement["columns"].as_array().map(Vec::as_slice).unwrap_or_default();
    let column = |c: &Value| (names(tables, &c["sources"]), c["lineage"] == "unknown");
    Told { columns: columns.iter().map(column).collect(), asked: names(tables, &statement["predicates"]) }
}

fn explain(stand: &Stand, tables: &Tables, queries: &[Stated]) -> Vec<Told> {
    let mut all = Vec::new();
    for some in queries.chunks(BATCH) {
        let text = some.iter().map(|query| query.sql.clone() + ";\n").collect::<String>();
        let answer =
            pgveil(&["explain", "--config", stand.value("CONFIG"), "--database", "clinic", "--group", "agents", "--json", &text]);
        let answer = answer.json();
        let statements = answer["statements"].as_array().unwrap();
        assert_eq!(statements.len(), some.len(), "a text of {} statements", some.len());
        all.extend(statements.iter().map(|statement| told(tables, statement)));
    }
    all
}

/// A database of its own, without whatever would keep a column from being changed.
fn copy(stand: &Stand) -> Wire {
    let psql = |database: &str, sql: &str| {
        let dsn = format!("{}/{database}", stand.value("OWNER").rsplit_once('/').unwrap().0);
        let done = stand.psql(&dsn, &["-tA", "-v", "ON_ERROR_STOP=1", "-c", sql]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    psql("postgres", "create database changed template clinic");
    let free = psql(
        "changed",
        "select format('alter table %s drop constraint %I cascade;', conrelid::regclass, conname) from pg_constraint \
           where connamespace::regnamespace::text in ('clinical', 'billing', 'research', 'audit') and conrelid <> 0 \
             and conparentid = 0 and contype in ('f', 'u', 'p', 'c') order by contype = 'p'",
    );
    psql(
        "changed",
        &format!(
            "{}; alter table clinical.patients alter full_name drop expression, alter name_search drop expression; \
             alter table audit.access_log alter id drop identity; alter table clinical.patients disable trigger all; \
             delete from clinical.patients where id > {ROWS}; delete from clinical.encounters where patient_id > {ROWS}; \
             delete from clinical.observations where patient_id > {ROWS}; delete from clinical.medications where patient_id > {ROWS}; \
             delete from billing.claims where id > {ROWS}; delete from billing.payments where id > {ROWS}; \
             delete from clinical.clinical_notes where id > {ROWS}; \
             create table research.rows as table research.cohort; drop materialized view research.cohort; \
             alter table research.rows rename to cohort; {}",
            free.replace('\n', " "),
            ordered()
        ),
    );
    let who = Identity { user: "clinic_owner".into(), password: "owner".into(), dsn: String::new() };
    Wire::try_connect(stand.value("PG_PORT").parse().unwrap(), &who, "changed", &[]).unwrap().unwrap()
}

/// An index for each table, by which its rows are put in order again after a change: what an aggregate makes of rows depends on it.
const ORDERS: [(&str, &str); 18] = [
    ("clinical.patients", "id"),
    ("clinical.encounters_2022", "id"),
    ("clinical.encounters_2023", "id"),
    ("clinical.encounters_2024", "id"),
    ("clinical.observations", "id"),
    ("clinical.medications", "id"),
    ("clinical.clinical_notes", "id"),
    ("clinical.contacts", "id"),
    ("clinical.emergency_contacts", "id"),
    ("clinical.documents", "id"),
    ("clinical.providers", "id"),
    ("clinical.codes", "code"),
    ("billing.claims", "id"),
    ("billing.payments", "id"),
    ("research.subjects", "patient_id"),
    ("research.studies", "code"),
    ("research.cohort", "patient_id"),
    ("audit.access_log", "id"),
];

fn ordered() -> String {
    let index = |(place, (table, column)): (usize, &(&str, &str))| {
        format!("create index order{place} on {table} ({column}); cluster {table} using order{place};")
    };
    ORDERS.iter().enumerate().map(index).collect()
}

fn order_again(table: &str) -> String {
    let is_it = |name: &str| name == table || (table == "clinical.encounters" && name.starts_with("clinical.encounters_"));
    let all = ORDERS.iter().enumerate().filter(|(_, (name, _))| is_it(name));
    all.map(|(place, (name, _))| format!("cluster {name} using order{place};")).collect()
}

/// Another value of the type, for every row.
fn other(column: &str, of: &str) -> String {
    let letters =
        |value: &str| format!("translate({value}, 'qxzjkvwyQXZJKVWYabcdefghi0123456789', 'xzjkvwyqXZJKVWYQbcdefghia4963851207')");
    match of {
        "text" => letters(column),
        "bpchar" => format!("{}::char(2)", letters(&format!("translate({column}::text, 'ACFGIMNOPTW', 'CFGIMNOPTWA')"))),
        "us_ssn" => format!("{}::clinical.us_ssn", letters(&format!("{column}::text"))),
        "int4" | "int8" => format!("{column} + 7"),
        "numeric" => format!("{column} + 1.5"),
        "float8" => format!("{column} * 0.5 + 0.3"),
        "date" => format!("{column} + 400"),
        "timestamp" | "timestamptz" => format!("{column} + interval '61 seconds'"),
        "bool" => format!("not {column}"),
        "sex" => format!("(case {column} when 'F' then 'M' when 'M' then 'X' else 'F' end)::clinical.sex"),
        "visit_kind" => {
            let kinds = "when 'office' then 'inpatient' when 'inpatient' then 'emergency' when 'emergency' then 'telehealth' else 'office'";
            format!("(case {column} {kinds} end)::clinical.visit_kind")
        }
        "jsonb" => format!(
            "replace(replace(translate({column}::text, 'QXZJKVWY0123456789', 'XZJKVWYQ4963851207'), 'portal', 'fax'), 'mail', 'web')::jsonb"
        ),
        "_text" => format!("array(select {} from unnest({column}) u)", letters("u")),
        "bytea" => format!("{column} || '\\x41'::bytea"),
        "xml" => format!("translate({column}::text, 'QXZJKVWY0123456789', 'XZJKVWYQ4963851207')::xml"),
        "tsvector" => "to_tsvector('simple', 'other' || id)".to_owned(),
        "postal" => format!(
            "row({}, {}, {})::clinical.postal",
            letters(&format!("({column}).street")),
            letters(&format!("({column}).city")),
            letters(&format!("({column}).zip"))
        ),
        "uuid" => format!("md5({column}::text)::uuid"),
        unknown => panic!("no other value of type {unknown}"),
    }
}

type Cells = Vec<Vec<Option<Vec<u8>>>>;

/// The cells of each column, in no order.
fn cells(reply: &Reply, columns: usize) -> Cells {
    let mut out = vec![Vec::new(); columns];
    for row in reply.of(b'D') {
        for (column, cell) in out.iter_mut().zip(row.cells()) {
            column.push(cell);
        }
    }
    out.iter_mut().for_each(|column| column.sort());
    out
}

/// Which queries read which table, by their plans; what a function reads no plan tells.
fn reads(wire: &mut Wire, tables: &Tables, queries: &[Stated]) -> BTreeMap<String, BTreeSet<usize>> {
    let mut out: BTreeMap<String, BTreeSet<usize>> = tables.keys().map(|table| (table.clone(), BTreeSet::new())).collect();
    for (i, query) in queries.iter().enumerate() {
        let plan: String =
            wire.query(&format!("explain (verbose, costs off) {}", query.sql)).rows().concat().into_iter().flatten().collect();
        for (table, set) in &mut out {
            if plan.contains(&format!(" on {table}")) || (plan.contains("patient_") && table == "clinical.patients") {
                set.insert(i);
            }
        }
        if plan.contains(" on clinical.encounters") {
            out.entry("clinical.encounters".into()).or_default().insert(i);
        }
    }
    out
}

/// What each column's cells change with, by execution.
fn changes(wire: &mut Wire, tables: &Tables, queries: &[Stated]) -> Vec<Vec<Sources>> {
    let ask = |wire: &mut Wire, query: &Stated| {
        let reply = wire.query(&query.sql);
        if let Some(error) = reply.of(b'E').next() {
            println!("FIXTURE {}: {}", query.place, error.field(b'M').unwrap_or_default());
        }
        let columns = reply.of(b'T').next().map_or(0, |t| t.columns().len());
        cells(&reply, columns)
    };
    wire.query("set statement_timeout = '20s'");
    let clinic: Vec<usize> = (0..queries.len()).filter(|i| queries[*i].columns.is_some()).collect();
    let before: BTreeMap<usize, Cells> = clinic.iter().map(|i| (*i, ask(wire, &queries[*i]))).collect();
    let mut found: Vec<Vec<Sources>> =
        (0..queries.len()).map(|i| vec![Sources::new(); before.get(&i).map_or(0, Vec::len)]).collect();
    let reads = reads(wire, tables, queries);
    for (table, columns) in tables {
        let bare = table.rsplit('.').next().unwrap();
        for (column, of) in columns {
            wire.query("begin");
            let only = if bare.contains("contacts") { "only " } else { "" };
            let done = wire.query(&format!("update {only}{table} set {column} = {}", other(column, of)));
            assert_eq!(done.sqlstate(), None, "{table}.{column}: {:?}", done.of(b'E').next().and_then(|e| e.field(b'M')));
            wire.query(&order_again(table));
            for i in clinic.iter().filter(|i| reads[table].contains(i)) {
                wire.query("savepoint s");
                let reply = wire.query(&queries[*i].sql);
                if reply.sqlstate().is_none() {
                    let after = cells(&reply, before[i].len());
                    for (index, (old, new)) in before[i].iter().zip(&after).enumerate() {
                        if old != new {
                            found[*i][index].extend([format!("{table}.{column}")]);
                        }
                    }
                }
                wire.query("rollback to s");
            }
            wire.query("rollback");
        }
    }
    found
}

/// The server's own word: where each column comes from, if it is a column as it is.
fn origins(wire: &mut Wire, numbers: &BTreeMap<(u32, u16), String>, query: &Stated) -> Vec<Option<String>> {
    wire.pipeline(|out| {
        out.parse("", &query.sql).describe(b'S', "").sync();
    });
    let reply = wire.reply();
    if let Some(error) = reply.of(b'E').next() {
        println!("FIXTURE {}: {}", query.place, error.field(b'M').unwrap_or_default());
    }
    let described = reply.of(b'T').next().map(proto_tests::Message::columns).unwrap_or_default();
    described.iter().map(|column| numbers.get(&(column.relation, column.attribute)).cloned()).collect()
}

fn numbers(stand: &Stand) -> BTreeMap<(u32, u16), String> {
    const NUMBERS: &str = "select a.attrelid, a.attnum, a.attrelid::regclass || '.' || a.attname from pg_attribute a \
        join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace \
        where a.attnum > 0 and n.nspname in ('clinical', 'billing', 'research', 'audit') and c.relkind in ('r', 'p', 'm')";
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        ((cells[0].parse().unwrap(), cells[1].parse().unwrap()), cells[2].to_owned())
    };
    stand.owner(NUMBERS).lines().map(row).collect()
}

#[derive(Default)]
struct Sum {
    columns: usize,
    exact: usize,
    unknown: usize,
    wide: usize,
    missed: Vec<String>,
    stated: Vec<String>,
    shown: Vec<String>,
}

impl Sum {
    /// One column: what pgveil says against what is stated, what the server says and what execution shows.
    fn column(&mut self, place: &str, expected: &Expected, told: &(Sources, bool), asked: &Sources, seen: &Sources) {
        self.columns += 1;
        let (sources, unknown) = told;
        let allowed: BTreeSet<&String> = expected.values.iter().chain(&expected.hints).collect();
        if *unknown {
            self.unknown += 1;
            self.shown.push(format!("{place}: unknown"));
            return;
        }
        let missed: Vec<_> = expected.values.difference(sources).collect();
        if !missed.is_empty() {
            self.missed.push(format!("{place}: {missed:?} not among {sources:?}"));
        }
        let unseen: Vec<_> = seen.iter().filter(|s| !sources.contains(*s) && !asked.contains(*s)).collect();
        if !unseen.is_empty() {
            self.missed.push(format!("{place}: changes with {unseen:?}, which is neither source nor question"));
        }
        if sources.iter().all(|source| allowed.contains(source)) {
            self.exact += usize::from(missed.is_empty());
        } else {
            self.wide += 1;
            let more: Vec<_> = sources.iter().filter(|source| !allowed.contains(source)).collect();
            self.shown.push(format!("{place}: {more:?} too many"));
        }
    }
}

/// The fixtures themselves are held against the server and execution: a changed column is stated, unless rows are chosen by it.
fn check_stated(
    sum: &mut Sum,
    query: &Stated,
    index: usize,
    expected: &Expected,
    origin: Option<&String>,
    seen: &Sources,
    tables: &Tables,
) {
    let place = format!("{} column {}", query.place, index + 1);
    let known: BTreeSet<&String> = expected.values.iter().chain(&expected.hints).collect();
    if let Some(origin) = origin
        && !canonical(tables, origin).iter().all(|part| known.contains(part))
    {
        sum.stated.push(format!("{place}: the server says {origin}"));
    }
    let chooses = [
        " where ",
        " join ",
        " group by ",
        " order by ",
        " limit ",
        " intersect ",
        " except ",
        " distinct ",
        "v_",
        "patient_",
        "union ",
        "exists",
        " in (",
        " any (",
    ];
    if !chooses.iter().any(|word| query.sql.contains(word)) {
        for changed in seen.iter().filter(|changed| !known.contains(changed)) {
            sum.stated.push(format!("{place}: changes with {changed}"));
        }
    }
}

#[test]
fn columns_are_made_of_what_they_are_said_to_be() {
    let stand = Stand::start("corpus", &["--without-pgveil"]);
    let tables = tables(&stand);
    let queries = stated(&tables);
    let numbers = numbers(&stand);
    let mut owner = Wire::owner(&stand);
    let described: Vec<_> = queries.iter().map(|query| origins(&mut owner, &numbers, query)).collect();
    drop(owner);
    let seen = changes(&mut copy(&stand), &tables, &queries);
    let told = if std::env::var_os("PGVEIL_WITHOUT_EXPLAIN").is_some() { Vec::new() } else { explain(&stand, &tables, &queries) };
    let mut sum = Sum::default();
    for (i, query) in queries.iter().enumerate() {
        let none = Expected::default();
        let width = described[i].len();
        if query.columns.as_ref().is_some_and(|columns| columns.len() != width) {
            sum.stated.push(format!("{}: {width} columns", query.place));
            continue;
        }
        if told.get(i).is_some_and(|told| told.columns.len() != width) {
            sum.columns += width;
            sum.unknown += width;
            sum.shown.push(format!("{}: {} columns told, {width} come", query.place, told[i].columns.len()));
            continue;
        }
        for index in 0..width {
            let expected = query.columns.as_ref().map_or(&none, |columns| &columns[index]);
            let changed: Sources = seen[i].get(index).into_iter().flatten().flat_map(|name| canonical(&tables, name)).collect();
            check_stated(&mut sum, query, index, expected, described[i][index].as_ref(), &changed, &tables);
            if let Some(told) = told.get(i) {
                let place = format!("{} column {}", query.place, index + 1);
                sum.column(&place, expected, &told.columns[index], &told.asked, &changed);
            }
        }
    }
    sum.shown.iter().for_each(|line| println!("  {line}"));
    sum.stated.iter().for_each(|line| println!("FIXTURE {line}"));
    sum.missed.iter().for_each(|line| println!("MISSED {line}"));
    println!(
        "{} queries, {} columns: {} exact, {} with sources too many, {} unknown, {} misses",
        queries.len(),
        sum.columns,
        sum.exact,
        sum.wide,
        sum.unknown,
        sum.missed.len()
    );
    assert!(sum.stated.is_empty(), "the fixtures are wrong");
    assert!(sum.missed.is_empty(), "sources were missed");
    assert!(told.is_empty() || sum.exact * 100 >= sum.columns * EXACT, "fewer than {EXACT}% are exact");
}
