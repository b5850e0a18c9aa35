//! What a policy costs: once at start to read, and once per distinct text to decide.

use criterion::{Criterion, criterion_group, criterion_main};
use pgveil::mask::{MaskMap, MaskedColumn};
use pgveil::policy::{Policy, Subject};
use pgveil::sql::{Analysis, Facts, FunctionName, RelationName, Verb, Where};

fn statement() -> Facts {
    let relation = |oid: u32, name: &str| RelationName {
        schema: Some("clinical".to_owned()),
        name: name.to_owned(),
        oids: vec![oid],
        temporary: false,
    };
    let function = |name: &str| FunctionName {
        schema: Some("pg_catalog".to_owned()),
        name: name.to_owned(),
        builtin: true,
        readable: false,
    };
    Facts {
        reads: (0..8).map(|n| relation(100 + n, "patients")).collect(),
        writes: vec![relation(200, "codes")],
        functions: vec![function("count"), function("lower"), function("date_trunc")],
        where_: Where::Restricts,
        ..Facts::of(Verb::Update)
    }
}

fn benches(c: &mut Criterion) {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/hipaa-safe-harbor/policy.toml");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    c.bench_function("policy/read hipaa-safe-harbor", |b| b.iter(|| Policy::parse(&text, "policy.toml").is_ok()));

    let Ok(policy) = Policy::parse(&text, "policy.toml") else { return };
    let groups = ["agents".to_owned()];
    let subject = Subject { identity: "mcp-agent", groups: &groups, database: "clinic" };
    let analysis = Analysis { statements: vec![statement()] };
    let mut masks = MaskMap::default();
    let column = MaskedColumn::of("clinical.patients.ssn", None);
    masks.columns.insert((107, 1), column);
    masks.touched.insert(107);
    c.bench_function("policy/decide one statement", |b| b.iter(|| policy.decide(&analysis, &subject, &masks, &masks)));
}

criterion_group!(policy, benches);
criterion_main!(policy);
