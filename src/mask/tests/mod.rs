//! Tests of the room, and what they share.

mod copy;
mod json;
mod lineage;
mod map;
mod messages;
mod rows;
mod values;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Keys, MaskMap, MaskedColumn, PseudonymKey, RowPlan, Strategy, Unmasked};
use crate::sql::{Attribute, Catalog, ColumnOrigin, Relation, RelationKind, TypeInfo, TypeKind};
use crate::wire::{ColumnField, Format, Malformed, RowDescription, Run};

/// OID of the table that test columns come from; column `n` of it falls under the n-th strategy.
const TABLE: u32 = 16_384;

fn keys() -> Keys {
    Keys { pseudonym: PseudonymKey::new(&[7; 32]), year_now: 2026, names: Default::default() }
}

fn relation(oid: u32, name: &str, kind: RelationKind, columns: &[(&str, Option<ColumnOrigin>)]) -> Relation {
    let (schema, name) = name.split_once('.').unwrap();
    let columns = columns.iter().zip(1..).map(|((name, origin), number)| Attribute {
        number,
        name: (*name).to_owned(),
        type_oid: 25,
        not_null: false,
        unique: false,
        origin: *origin,
        lineage: None,
    });
    Relation {
        oid,
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind,
        temporary: false,
        columns: columns.collect(),
        parents: Vec::new(),
        depends: Vec::new(),
        calls_unknown: false,
    }
}

fn info(oid: u32, schema: &str, name: &str, kind: TypeKind, category: char) -> TypeInfo {
    TypeInfo { oid, schema: schema.to_owned(), name: name.to_owned(), kind, category }
}

/// A catalog of one table of a hundred columns, and a few types of users' own.
fn catalog() -> Catalog {
    let names: Vec<String> = (1..=100).map(|number| format!("c{number}")).collect();
    let columns: Vec<(&str, Option<ColumnOrigin>)> = names.iter().map(|name| (name.as_str(), None)).collect();
    let mut catalog = Catalog::default();
    catalog.insert(relation(TABLE, "clinical.patients", RelationKind::Table, &columns));
    let types = [
        info(25, "pg_catalog", "text", TypeKind::Base, 'S'),
        info(19, "pg_catalog", "name", TypeKind::Array(18), 'S'),
        info(1009, "pg_catalog", "_text", TypeKind::Array(25), 'A'),
        info(1182, "pg_catalog", "_date", TypeKind::Array(1082), 'A'),
        info(20_000, "public", "citext", TypeKind::Base, 'S'),
        info(20_001, "public", "email", TypeKind::Base, 'S'),
        info(20_002, "clinical", "us_ssn", TypeKind::Domain(25), 'S'),
        info(20_003, "clinical", "_us_ssn", TypeKind::Array(20_002), 'A'),
        info(20_004, "clinical", "sex", TypeKind::Enum(vec!["F".to_owned(), "M".to_owned()]), 'E'),
        info(20_005, "public", "hstore", TypeKind::Base, 'U'),
        info(20_006, "clinical", "_sex", TypeKind::Array(20_004), 'A'),
        info(20_007, "clinical", "names", TypeKind::Domain(1009), 'A'),
        info(20_008, "clinical", "_names", TypeKind::Array(20_007), 'A'),
        info(1007, "pg_catalog", "_int4", TypeKind::Array(23), 'A'),
        info(1022, "pg_catalog", "_float8", TypeKind::Array(701), 'A'),
        info(1000, "pg_catalog", "_bool", TypeKind::Array(16), 'A'),
        info(1231, "pg_catalog", "_numeric", TypeKind::Array(1700), 'A'),
        info(2951, "pg_catalog", "_uuid", TypeKind::Array(2950), 'A'),
        info(3807, "pg_catalog", "_jsonb", TypeKind::Array(3802), 'A'),
        info(628, "pg_catalog", "line", TypeKind::Array(701), 'G'),
    ];
    catalog.types.extend(types.into_iter().map(|info| (info.oid, info)));
    catalog
}

/// A column of the test table: its number there, its type, and its format.
fn field(attribute: i16, type_oid: u32, modifier: i32, format: Format) -> ColumnField {
    ColumnField {
        name: Bytes::from_static(b"c"),
        table_oid: TABLE,
        attribute,
        type_oid,
        type_length: -1,
        type_modifier: modifier,
        format,
    }
}

/// A map with these columns of the test table masked.
fn map_of(masks: &[(i16, Option<Strategy>)]) -> MaskMap {
    let masked = |strategy: &Option<Strategy>| MaskedColumn::of("clinical.patients.c", strategy.clone());
    let columns = masks.iter().map(|(attribute, strategy)| ((TABLE, *attribute), masked(strategy)));
    MaskMap { columns: columns.collect(), touched: [TABLE].into(), ruled: true, ..MaskMap::default() }
}

fn plan(columns: Vec<ColumnField>, masks: &[(i16, Option<Strategy>)]) -> RowPlan {
    RowPlan::new(&RowDescription { columns }, None, &map_of(masks), true, &catalog(), &keys())
}

fn data_row(cells: &[Option<&[u8]>], out: &mut BytesMut) {
    let body: usize = cells.iter().map(|cell| 4 + cell.map_or(0, <[u8]>::len)).sum();
    out.put_u8(b'D');
    out.put_u32(u32::try_from(body + 6).unwrap());
    out.put_u16(u16::try_from(cells.len()).unwrap());
    for cell in cells {
        match cell {
            None => out.put_i32(-1),
            Some(value) => {
                out.put_i32(i32::try_from(value.len()).unwrap());
                out.put_slice(value);
            }
        }
    }
}

fn run_of(rows: &[Vec<Option<Vec<u8>>>]) -> Run {
    let mut bytes = BytesMut::new();
    for row in rows {
        let cells: Vec<Option<&[u8]>> = row.iter().map(Option::as_deref).collect();
        data_row(&cells, &mut bytes);
    }
    Run { tag: b'D', count: rows.len(), bytes: bytes.freeze() }
}

/// Reads rows back, each to its last byte.
fn read_rows(bytes: &Bytes) -> Vec<Vec<Option<Vec<u8>>>> {
    let run = Run { tag: b'D', count: 0, bytes: bytes.clone() };
    let mut rows = Vec::new();
    let mut length = 0;
    for row in run.bodies() {
        let mut body = crate::wire::Body::new(b'D', row);
        let count = body.count().unwrap();
        rows.push((0..count).map(|_| body.value().unwrap().map(<[u8]>::to_vec)).collect());
        body.end().unwrap();
        length += row.len() + 5;
    }
    assert_eq!(length, bytes.len());
    rows
}

fn mask(plan: &RowPlan, rows: &[Vec<Option<Vec<u8>>>]) -> Result<Vec<Vec<Option<Vec<u8>>>>, Malformed> {
    let masked = plan.rows(Unmasked::new(run_of(rows)), &mut BytesMut::new())?;
    Ok(read_rows(masked.get()))
}
