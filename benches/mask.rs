//! The way of rows through the masker.

use std::hint::black_box;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pgveil::mask::{JsonMask, Keys, MaskMap, MaskedColumn, PseudonymKey, RowPlan, Strategy, Unmasked};
use pgveil::sql::{Attribute, Catalog, Relation, RelationKind};
use pgveil::wire::{ColumnField, Format, RowDescription, Run};

const ROWS: usize = 1000;
const TABLE: u32 = 16_384;

fn catalog() -> Catalog {
    let column = |number: i16| Attribute {
        number,
        name: format!("c{number}"),
        type_oid: 25,
        not_null: false,
        unique: false,
        origin: None,
        lineage: None,
    };
    let mut catalog = Catalog::default();
    catalog.insert(Relation {
        oid: TABLE,
        schema: "clinical".to_owned(),
        name: "patients".to_owned(),
        kind: RelationKind::Table,
        temporary: false,
        columns: (1..=10).map(column).collect(),
        parents: Vec::new(),
        depends: Vec::new(),
        calls_unknown: false,
    });
    catalog
}

/// Ten columns, of which those given are masked.
fn plan(masks: &[(i16, Strategy)]) -> RowPlan {
    let types = [23, 25, 25, 25, 1082, 25, 25, 701, 2950, 1184];
    let field = |(attribute, type_oid): (i16, u32)| ColumnField {
        name: Bytes::from_static(b"c"),
        table_oid: TABLE,
        attribute,
        type_oid,
        type_length: -1,
        type_modifier: -1,
        format: Format::Text,
    };
    let masked = |strategy: &Strategy| MaskedColumn::of("clinical.patients.c", Some(strategy.clone()));
    let map = MaskMap {
        columns: masks.iter().map(|(attribute, strategy)| ((TABLE, *attribute), masked(strategy))).collect(),
        touched: [TABLE].into(),
        ruled: true,
        ..MaskMap::default()
    };
    let columns = (1..).zip(types).map(field).collect();
    let keys = Keys { pseudonym: PseudonymKey::new(&[7; 32]), year_now: 2026, names: Default::default() };
    RowPlan::new(&RowDescription { columns }, None, &map, true, &catalog(), &keys)
}

fn run() -> Run {
    let cells = [
        "4711",
        "123-45-6789",
        "Miller",
        "MRN0012345",
        "1984-05-17",
        "90210",
        "CA",
        "37.774929",
        "00112233-4455-6677-8899-aabbccddeeff",
        "2024-05-17 10:11:12+00",
    ];
    let mut bytes = BytesMut::new();
    for _ in 0..ROWS {
        let body: usize = cells.iter().map(|cell| 4 + cell.len()).sum();
        bytes.put_u8(b'D');
        bytes.put_u32(u32::try_from(body + 6).unwrap_or_default());
        bytes.put_u16(10);
        for cell in cells {
            bytes.put_u32(u32::try_from(cell.len()).unwrap_or_default());
            bytes.put_slice(cell.as_bytes());
        }
    }
    Run { tag: b'D', count: ROWS, bytes: bytes.freeze() }
}

fn rows(c: &mut Criterion) {
    use Strategy::{KeepLast, Null, Pseudonym, Redact, Year, Zip3};
    let cases = [
        ("none of ten", vec![]),
        ("four of ten: redact, null", vec![(2, Redact), (3, Redact), (5, Null), (8, Null)]),
        ("four of ten: partial, redact, year, zip3", vec![(2, KeepLast(4)), (3, Redact), (5, Year), (6, Zip3)]),
        ("one of ten: pseudonym", vec![(4, Pseudonym)]),
    ];
    let mut group = c.benchmark_group("mask rows");
    group.throughput(Throughput::Elements(ROWS as u64));
    let run = run();
    for (name, masks) in cases {
        let plan = plan(&masks);
        let mut out = BytesMut::new();
        group.bench_function(name, |b| b.iter(|| plan.rows(Unmasked::new(black_box(&run).clone()), &mut out)));
    }
    group.finish();
}

/// One column of a type, each value as given.
fn column(type_oid: u32, strategy: Strategy, value: &[u8]) -> (RowPlan, Run) {
    let field = ColumnField {
        name: Bytes::from_static(b"c"),
        table_oid: TABLE,
        attribute: 1,
        type_oid,
        type_length: -1,
        type_modifier: -1,
        format: Format::Text,
    };
    let map = MaskMap {
        columns: [((TABLE, 1), MaskedColumn::of("clinical.patients.c", Some(strategy)))].into(),
        touched: [TABLE].into(),
        ruled: true,
        ..MaskMap::default()
    };
    let keys = Keys { pseudonym: PseudonymKey::new(&[7; 32]), year_now: 2026, names: Default::default() };
    let mut bytes = BytesMut::new();
    for _ in 0..ROWS {
        bytes.put_u8(b'D');
        bytes.put_u32(u32::try_from(value.len() + 10).unwrap_or_default());
        bytes.put_u16(1);
        bytes.put_u32(u32::try_from(value.len()).unwrap_or_default());
        bytes.put_slice(value);
    }
    let plan = RowPlan::new(&RowDescription { columns: vec![field] }, None, &map, true, &catalog(), &keys);
    (plan, Run { tag: b'D', count: ROWS, bytes: bytes.freeze() })
}

fn documents(c: &mut Criterion) {
    let json = br#"{"dob": "1984-05-17", "phones": [{"kind": "home", "number": "555-0100"}, {"kind": "work", "number": "555-0199"}], "emergency": {"name": "Ann Miller", "relation": "sister", "phone": "555-0147"}, "prefers": "portal", "tags": ["a", "b", "c"], "notes": {"text": "asked for a call after the visit, not before noon", "by": 4711}}"#;
    let paths = ["$.phones[*].number", "$.emergency.name", "$.emergency.phone"];
    let Ok(mask) = JsonMask::new(paths.map(|path| (path, Strategy::Redact))) else { return };
    let cases = [
        ("json, three paths", column(114, Strategy::Json(mask), json)),
        ("array of text, redact", column(1009, Strategy::Redact, br#"{Ann,"Mary Lou",Jane,NULL,"O\"Neill","van der Berg"}"#)),
        (
            "array of text, partial",
            column(1009, Strategy::KeepLast(2), br#"{Ann,"Mary Lou",Jane,NULL,"O\"Neill","van der Berg"}"#),
        ),
    ];
    let mut group = c.benchmark_group("mask documents");
    for (name, (plan, run)) in cases {
        group.throughput(Throughput::Bytes(run.bytes.len() as u64));
        let mut out = BytesMut::new();
        group.bench_function(name, |b| b.iter(|| plan.rows(Unmasked::new(black_box(&run).clone()), &mut out)));
    }
    group.finish();
}

criterion_group!(benches, rows, documents);
criterion_main!(benches);
