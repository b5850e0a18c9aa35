//! What the analysis of a statement costs: a lookup, a report, a mass change, long lists; and what it costs when it is known.
#![allow(missing_docs, clippy::expect_used, reason = "a bench")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgveil::sql::{Attribute, Catalog, Relation, RelationKind, Setting, analyze};

const REPORT: &str = "with recent as (select patient_id, max(started_at) as last_seen from clinical.encounters group by patient_id) \
    select p.state, count(*) filter (where r.last_seen > now() - interval '1 year'), avg(p.risk_score)::numeric(6,2) \
    from clinical.patients p left join recent r on r.patient_id = p.id \
    where p.state in ('OH', 'TX', 'WA') and exists (select 1 from billing.claims c where c.patient_id = p.id) \
    group by p.state order by 2 desc limit 20";

const JOIN: &str = "select p.id, p.last_name, upper(p.first_name) as given, c.dx, c.amount \
    from clinical.patients p \
    join billing.claims c on c.patient_id = p.id \
    left join clinical.encounters e on e.patient_id = p.id and e.kind = 'office' \
    where p.state = $1 and c.amount > 100 and p.last_name = $2 order by c.amount desc";

fn relation(oid: u32, schema: &str, name: &str, columns: &str) -> Relation {
    let column = |(number, name): (i16, &str)| Attribute { number, name: name.to_owned(), type_oid: 25, ..Attribute::default() };
    Relation {
        oid,
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind: RelationKind::Table,
        temporary: false,
        columns: (1..).zip(columns.split(' ')).map(column).collect(),
        parents: Vec::new(),
        depends: Vec::new(),
        calls_unknown: false,
    }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::default();
    let patients = "id mrn ssn first_name last_name full_name birth_date sex phone email address city state zip risk_score";
    catalog.insert(relation(1, "clinical", "patients", patients));
    catalog.insert(relation(2, "billing", "claims", "id patient_id member_id dx amount status filed_on"));
    catalog.insert(relation(3, "clinical", "encounters", "id patient_id kind reason started_at"));
    catalog.insert(relation(4, "clinical", "codes", "code label normal_low normal_high"));
    catalog.insert(relation(5, "clinical", "observations", "id patient_id code value"));
    catalog.insert(relation(6, "audit", "access_log", "id at actor action"));
    catalog.builtin = ["upper", "max", "count", "avg", "now"].map(str::to_owned).into_iter().collect();
    catalog
}

fn texts() -> Vec<(&'static str, String)> {
    vec![
        ("lookup", "select id, mrn, state from clinical.patients where id = $1".to_owned()),
        ("join", JOIN.to_owned()),
        ("report", REPORT.to_owned()),
        (
            "union of 2000",
            format!("select ssn from clinical.patients{}", " union select ssn from clinical.patients".repeat(1_999)),
        ),
        ("columns of 10000", format!("select last_name{} from clinical.patients", ",last_name||ssn".repeat(9_999))),
        (
            "delete",
            "delete from clinical.observations o using clinical.codes c where o.code = c.code and o.id in (4, 5)".to_owned(),
        ),
        ("values of 1000 rows", format!("insert into audit.access_log (action) values ('a'){}", ",('bulk insert')".repeat(999))),
        ("or of 10000", format!("delete from clinical.codes where code = 'a'{}", " or code = 'a'".repeat(9_999))),
        ("list of 100000", format!("select 1 where 1 in (0{})", ",0".repeat(99_999))),
    ]
}

fn bench(criterion: &mut Criterion) {
    let catalog = catalog();
    let temporary = pgveil::sql::Temporaries::new();
    let nothing = |_: &str| Vec::new();
    let setting = Setting {
        catalog: &catalog,
        standard_conforming_strings: true,
        client_encoding: "UTF8",
        temporary: &temporary,
        prepared: &nothing,
        cursors: &nothing,
    };
    let mut group = criterion.benchmark_group("sql/analyze");
    for (name, text) in texts() {
        group.throughput(Throughput::Bytes(u64::try_from(text.len()).expect("a short text")));
        group.bench_with_input(BenchmarkId::from_parameter(name), &text, |bencher, text| {
            bencher.iter(|| analyze(black_box(text.as_bytes()), &setting));
        });
    }
    group.finish();
    // The second time a text is said: what was found out about it is looked up.
    let kept = pgveil::session::Kept::new(4096);
    let mut group = criterion.benchmark_group("sql/known");
    for (name, text) in texts() {
        kept.keep(text.as_bytes(), &Arc::new(analyze(text.as_bytes(), &setting)));
        if kept.get(text.as_bytes()).is_some() {
            group.bench_with_input(BenchmarkId::from_parameter(name), &text, |bencher, text| {
                bencher.iter(|| kept.get(black_box(text.as_bytes())));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
