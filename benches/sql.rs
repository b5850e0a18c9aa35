//! What the analysis of a statement costs: a lookup, a report, a mass change, long lists.
#![allow(missing_docs, clippy::expect_used, reason = "a bench")]

use std::collections::BTreeSet;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pgveil::sql::{Catalog, Setting, analyze};

const REPORT: &str = "with recent as (select patient_id, max(started_at) as last_seen from clinical.encounters group by patient_id) \
    select p.state, count(*) filter (where r.last_seen > now() - interval '1 year'), avg(p.risk_score)::numeric(6,2) \
    from clinical.patients p left join recent r on r.patient_id = p.id \
    where p.state in ('OH', 'TX', 'WA') and exists (select 1 from billing.claims c where c.patient_id = p.id) \
    group by p.state order by 2 desc limit 20";

fn texts() -> Vec<(&'static str, String)> {
    vec![
        ("lookup", "select id, mrn, state from clinical.patients where id = $1".to_owned()),
        ("report", REPORT.to_owned()),
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
    let catalog = Catalog::default();
    let temporary = BTreeSet::new();
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
}

criterion_group!(benches, bench);
criterion_main!(benches);
