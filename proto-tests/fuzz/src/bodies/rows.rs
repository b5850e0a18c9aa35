//! Rows of any bytes under any mask: what comes out are rows, of the same shape, with values of their types.

use bytes::{BufMut, Bytes, BytesMut};
use pgveil::mask::{RowPlan, Strategy, Unmasked, Verdict};
use pgveil::wire::{Body, Format, Run};
use postgres_protocol::types;

use super::ground::{COLUMNS_MAX, Column, STRATEGIES, TYPES, plan};
use super::input::Input;

/// One row's cells.
pub(super) type Row = Vec<Option<Vec<u8>>>;

/// Rows of any bytes, or rows of cells of any bytes.
pub fn mask_rows(data: &[u8]) {
    let mut input = Input::new(data);
    let broken = input.flag();
    let columns = columns(&mut input);
    let plan = plan(&columns);
    if broken {
        let mut bytes = input.rest().to_vec();
        // An honest length lets it through to the cells.
        if let Some(length) = bytes.len().checked_sub(1).and_then(|length| u32::try_from(length).ok())
            && bytes.len() > 5
        {
            bytes[0] = b'D';
            bytes[1..5].copy_from_slice(&length.to_be_bytes());
        }
        if let Some(masked) = run(&plan, bytes) {
            assert!(columns.iter().all(|column| column.mask.is_none()) || masked.iter().all(|row| row.len() == columns.len()));
        }
        return;
    }
    while !input.is_empty() {
        let cells = columns.iter().map(|_| (!input.flag()).then(|| input.bytes().to_vec())).collect();
        row(&plan, &columns, &cells);
    }
}

/// Columns with their types, formats and masks.
fn columns(input: &mut Input<'_>) -> Vec<Column> {
    (0..1 + input.below(COLUMNS_MAX))
        .map(|_| Column {
            type_oid: *input.one_of(&TYPES),
            modifier: if input.flag() { i32::from(input.byte()) } else { -1 },
            format: if input.flag() { Format::Binary } else { Format::Text },
            mask: mask(input),
        })
        .collect()
}

/// Nothing, a placeholder, or a strategy.
pub(super) fn mask(input: &mut Input<'_>) -> Option<Option<Strategy>> {
    match input.below(STRATEGIES.len() + 2) {
        0 => None,
        1 => Some(None),
        at => Some(Some(STRATEGIES[at - 2].clone())),
    }
}

fn row(plan: &RowPlan, columns: &[Column], cells: &Row) {
    let masked = masked(plan, cells);
    assert_eq!(masked, self::masked(plan, cells), "the same row comes out in two ways");
    // The same row with other values.
    let other: Row =
        cells.iter().map(|cell| cell.as_ref().map(|cell| cell.iter().rev().copied().chain([b'7']).collect())).collect();
    let other = self::masked(plan, &other);
    for (at, column) in columns.iter().enumerate() {
        match (&cells[at], &masked[at]) {
            (None, masked) => assert!(masked.is_none(), "NULL becomes a value"),
            (raw, masked) if column.mask.is_none() => assert_eq!(raw, masked, "a clear value changes"),
            (Some(_), None) => {}
            (Some(raw), Some(masked)) => {
                assert!(valid(column, masked) || !valid(column, raw), "no value of its type: {column:?} {raw:?} {masked:?}");
            }
        }
        if column.mask.is_some() && hides(column) {
            assert_eq!(masked[at], other[at], "{column:?}: what is shown depends on what is hidden");
        }
    }
    let verdicts = plan.columns();
    for (at, column) in columns.iter().enumerate() {
        assert_eq!(verdicts[at].verdict == Verdict::Clear, column.mask.is_none());
    }
}

/// True for masks that tell nothing of a value but whether it is there. An array shows its shape.
fn hides(column: &Column) -> bool {
    let scalar = !matches!(column.type_oid, 1007 | 1009 | 1182 | 1231 | 3807);
    scalar && matches!(column.mask, Some(None | Some(Strategy::Redact | Strategy::Null | Strategy::Fixed(_))))
}

/// True if a client would read this as a value of the column's type.
fn valid(column: &Column, value: &[u8]) -> bool {
    let text = std::str::from_utf8(value);
    match (column.format, column.type_oid) {
        (Format::Binary, 16) => types::bool_from_sql(value).is_ok(),
        (Format::Binary, 18) => value.len() == 1,
        (Format::Binary, 20) => types::int8_from_sql(value).is_ok(),
        (Format::Binary, 21) => types::int2_from_sql(value).is_ok(),
        (Format::Binary, 23) => types::int4_from_sql(value).is_ok(),
        (Format::Binary, 700) => types::float4_from_sql(value).is_ok(),
        (Format::Binary, 701) => types::float8_from_sql(value).is_ok(),
        (Format::Binary, 1082) => types::date_from_sql(value).is_ok(),
        (Format::Binary, 1114 | 1184) => types::timestamp_from_sql(value).is_ok(),
        (Format::Binary, 1186) => value.len() == 16,
        (Format::Binary, 2950) => types::uuid_from_sql(value).is_ok(),
        (Format::Binary, 3802) => matches!(value, [1, rest @ ..] if is_json(rest)),
        (Format::Binary, 1007 | 1009 | 1182 | 1231 | 3807) => types::array_from_sql(value).is_ok(),
        (Format::Binary, 1700) => numeric(value),
        (Format::Text, 16) => matches!(value, b"t" | b"f"),
        (Format::Text, 20) => text.is_ok_and(|text| text.parse::<i64>().is_ok()),
        (Format::Text, 21) => text.is_ok_and(|text| text.parse::<i16>().is_ok()),
        (Format::Text, 23) => text.is_ok_and(|text| text.parse::<i32>().is_ok()),
        (Format::Text, 700 | 701 | 1700) => text.is_ok_and(|text| text.parse::<f64>().is_ok()),
        (Format::Text, 2950) => text.is_ok_and(|text| text.len() == 36),
        (_, 114) | (Format::Text, 3802) => is_json(value),
        (Format::Text, 1007 | 1009 | 1182 | 1231 | 3807) => is_array(value),
        (_, 20_004) => matches!(value, b"F" | b"M"),
        (_, 19 | 25 | 1042 | 1043 | 20_002 | 142) => text.is_ok(),
        _ => true,
    }
}

fn is_json(value: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(value).is_ok()
}

/// Digits, weight, sign, scale, and as many digits as it says, each below 10,000.
fn numeric(value: &[u8]) -> bool {
    let words: Vec<u16> = value.chunks(2).map(|word| u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)])).collect();
    let digits = words.get(4..).unwrap_or_default();
    let special = matches!(words.get(2), Some(0xc000 | 0xd000 | 0xf000));
    value.len().is_multiple_of(2)
        && words.len() >= 4
        && usize::from(words[0]) == digits.len()
        && (special || matches!(words[2], 0 | 0x4000))
        && digits.iter().all(|digit| *digit < 10_000)
}

/// Braces that close, with elements between them.
fn is_array(value: &[u8]) -> bool {
    let body = match value.iter().position(|byte| *byte == b'=') {
        Some(at) if value.starts_with(b"[") => &value[at + 1..],
        _ => value,
    };
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in body.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1 == body.len(),
            b'}' if depth == 0 => return false,
            b'}' => depth -= 1,
            _ if depth == 0 => return false,
            _ => {}
        }
    }
    false
}

/// One row through a plan.
pub(super) fn masked(plan: &RowPlan, cells: &Row) -> Row {
    let body: usize = cells.iter().map(|cell| 4 + cell.as_ref().map_or(0, Vec::len)).sum();
    let mut bytes = BytesMut::new();
    bytes.put_u8(b'D');
    bytes.put_u32(u32::try_from(body + 6).expect("a short row"));
    bytes.put_u16(u16::try_from(cells.len()).expect("few cells"));
    for cell in cells {
        bytes.put_i32(cell.as_ref().map_or(-1, |cell| i32::try_from(cell.len()).expect("a short cell")));
        bytes.put_slice(cell.as_deref().unwrap_or_default());
    }
    let mut rows = run(plan, bytes.to_vec()).expect("a row that is well-formed is masked");
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

/// Rows through a plan; what comes out is read to its last byte. None if they are refused.
fn run(plan: &RowPlan, bytes: Vec<u8>) -> Option<Vec<Row>> {
    let run = Run { tag: b'D', count: 1, bytes: Bytes::from(bytes) };
    let masked = plan.rows(Unmasked::new(run), &mut BytesMut::new()).ok()?.into_inner();
    if plan.is_clear() {
        return Run { tag: b'D', count: 1, bytes: masked }.bodies().map(cells).collect();
    }
    let length = masked.len();
    let run = Run { tag: b'D', count: 1, bytes: masked };
    assert_eq!(run.bodies().map(|body| body.len() + 5).sum::<usize>(), length, "bytes beside rows");
    Some(run.bodies().map(|body| cells(body).expect("masked rows are well-formed")).collect())
}

fn cells(body: &[u8]) -> Option<Row> {
    let mut body = Body::new(b'D', body);
    let count = body.count().ok()?;
    let cells = (0..count).map(|_| body.value().ok().map(|value| value.map(<[u8]>::to_vec))).collect::<Option<Row>>()?;
    body.end().ok().map(|()| cells)
}
