//! COPY TO STDOUT, cut anywhere: what is let through is read by a reader of our own as a client would read it, and must hold
//! the masked rows.

use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use pgveil::mask::{CopyPlan, CopyStream, RowPlan, Unmasked};
use pgveil::sql::{CopyFormat, CopyLayout};
use pgveil::wire::{Format, Frame, Run};

use super::ground::{Column, plan};
use super::input::Input;
use super::rows::{Row, mask, masked};

const COLUMNS_MAX: usize = 4;
/// Options of the text format: delimiters, and strings for NULL.
const TEXT: ([u8; 5], [&str; 5]) = ([b'\t', b'|', b',', b'X', b' '], ["\\N", "", "NULL", "-", "\\Q1"]);
/// Options of CSV: delimiters, strings for NULL, quotes with their escapes.
const CSV: ([u8; 4], [&str; 4]) = ([b',', b'|', b';', b'\t'], ["", "NULL", "\\N", "42"]);
const QUOTES: [(u8, u8); 5] = [(b'"', b'"'), (b'\'', b'\''), (b'"', b'\\'), (b'\'', b'~'), (b'~', b'|')];

/// Rows that PostgreSQL could have written, or any bytes.
pub fn mask_copy(data: &[u8]) {
    let mut input = Input::new(data);
    let format = format(&mut input);
    let layout = format.layout;
    let columns: Vec<Column> = (0..1 + input.below(COLUMNS_MAX))
        .map(|_| Column {
            type_oid: *input.one_of(&[25, 25, 1082, 23, 1009]),
            modifier: -1,
            format: if layout == CopyLayout::Binary { Format::Binary } else { Format::Text },
            mask: mask(&mut input),
        })
        .collect();
    let rows = plan(&columns);
    let Ok(copy) = CopyPlan::new(&rows, &format) else { return };
    let copy = Arc::new(copy);
    let sizes: Vec<usize> = (0..1 + input.below(4)).map(|_| 1 + input.below(40)).collect();
    let honest = input.flag();
    let bytes = if honest { written(&mut input, &format, columns.len()) } else { input.rest().to_vec() };
    let whole = stream(&copy, columns.len(), &bytes, &[bytes.len().max(1)]);
    assert_eq!(stream(&copy, columns.len(), &bytes, &sizes), whole, "cuts show");
    assert_eq!(stream(&copy, columns.len(), &bytes, &[1]), whole, "single bytes show");
    match whole {
        Some(out) if copy.is_clear() => assert_eq!(out, bytes),
        Some(out) => same(&bytes, &out, &rows, &format, &columns),
        None => assert!(!honest, "what PostgreSQL writes is refused: {format:?} {:?}", String::from_utf8_lossy(&bytes)),
    }
}

fn format(input: &mut Input<'_>) -> CopyFormat {
    match input.below(3) {
        0 => {
            let (delimiter, null) = (*input.one_of(&TEXT.0), *input.one_of(&TEXT.1));
            CopyFormat { delimiter, null: null.to_owned(), header: input.flag(), ..CopyFormat::of(CopyLayout::Text) }
        }
        1 => {
            let (delimiter, null, (quote, escape)) = (*input.one_of(&CSV.0), *input.one_of(&CSV.1), *input.one_of(&QUOTES));
            let header = input.flag();
            CopyFormat { delimiter, null: null.to_owned(), quote, escape, header, ..CopyFormat::of(CopyLayout::Csv) }
        }
        _ => CopyFormat::of(CopyLayout::Binary),
    }
}

/// The bytes of all messages that come out, joined; none if the stream is refused.
fn stream(plan: &Arc<CopyPlan>, columns: usize, data: &[u8], sizes: &[usize]) -> Option<Vec<u8>> {
    let mut stream = CopyStream::new(Arc::clone(plan));
    stream.begin(&response(plan, columns)).expect("the plan's own response");
    let (mut out, mut rest, mut sizes) = (Vec::new(), data, sizes.iter().cycle());
    while !rest.is_empty() {
        let (payload, behind) = rest.split_at(rest.len().min(*sizes.next().expect("a cycle")));
        rest = behind;
        let mut bytes = BytesMut::new();
        bytes.put_u8(b'd');
        bytes.put_u32(u32::try_from(payload.len() + 4).expect("a short payload"));
        bytes.put_slice(payload);
        let masked = stream.data(Unmasked::new(Run { tag: b'd', count: 1, bytes: bytes.freeze() })).ok()?.into_inner();
        let length = masked.len();
        let run = Run { tag: b'd', count: 0, bytes: masked };
        assert_eq!(run.bodies().map(|body| body.len() + 5).sum::<usize>(), length, "bytes beside messages");
        run.bodies().for_each(|body| out.extend(body));
    }
    if plan.is_clear() {
        return Some(out);
    }
    stream.done().ok().map(|()| out)
}

fn response(plan: &CopyPlan, columns: usize) -> Unmasked<Frame> {
    // Any plan takes both formats in turn; only one fits.
    let of = |binary: u8| {
        let mut bytes = BytesMut::new();
        bytes.put_u8(b'H');
        bytes.put_u32(u32::try_from(7 + 2 * columns).expect("few columns"));
        bytes.put_u8(binary);
        bytes.put_u16(u16::try_from(columns).expect("few columns"));
        (0..columns).for_each(|_| bytes.put_u16(binary.into()));
        Unmasked::new(Frame::new(bytes.freeze()).expect("a frame"))
    };
    let fits = |response: &Unmasked<Frame>| CopyStream::new(Arc::new(plan.clone())).begin(response).is_ok();
    [of(0), of(1)].into_iter().find(fits).expect("a format")
}

/// Both hold the same rows, but for what is masked.
fn same(bytes: &[u8], out: &[u8], plan: &RowPlan, format: &CopyFormat, columns: &[Column]) {
    let (raw, masked_rows) = (read(bytes, format), read(out, format));
    assert_eq!(raw.len(), masked_rows.len(), "rows are lost or made");
    for (at, (raw, shown)) in raw.iter().zip(&masked_rows).enumerate() {
        if at == 0 && format.header {
            continue;
        }
        assert_eq!((raw.len(), shown.len()), (columns.len(), columns.len()));
        let mut wanted = masked(plan, raw);
        wanted.iter_mut().for_each(|cell| swallow(cell, format));
        assert_eq!(*shown, wanted, "{format:?} {columns:?}");
    }
}

/// In text a value that is written as the NULL string is not told from NULL.
fn swallow(cell: &mut Option<Vec<u8>>, format: &CopyFormat) {
    let null =
        |value: &Vec<u8>| format.layout == CopyLayout::Text && text_field(value, format.delimiter) == format.null.as_bytes();
    if cell.as_ref().is_some_and(null) {
        *cell = None;
    }
}

// What PostgreSQL writes (`copyto.c`).

fn written(input: &mut Input<'_>, format: &CopyFormat, columns: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let binary = format.layout == CopyLayout::Binary;
    if binary {
        out.extend(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
    } else if format.header {
        let names: Row = (1..=columns).map(|number| Some(format!("c{number}").into_bytes())).collect();
        line(&names, format, &mut out);
    }
    while !input.is_empty() {
        let mut row: Row = (0..columns).map(|_| (input.below(8) > 0).then(|| input.bytes().to_vec())).collect();
        if binary {
            out.extend(u16::try_from(columns).expect("few columns").to_be_bytes());
            for cell in row {
                out.extend(cell.as_ref().map_or(-1, |cell| i32::try_from(cell.len()).expect("a short cell")).to_be_bytes());
                out.extend(cell.iter().flatten());
            }
            continue;
        }
        // No text of a server holds a NUL.
        row.iter_mut().flatten().for_each(|cell| cell.retain(|byte| *byte != 0));
        row.iter_mut().for_each(|cell| swallow(cell, format));
        line(&row, format, &mut out);
    }
    if binary {
        out.extend([0xff, 0xff]);
    }
    out
}

fn line(row: &Row, format: &CopyFormat, out: &mut Vec<u8>) {
    for (at, cell) in row.iter().enumerate() {
        out.extend((at > 0).then_some(format.delimiter));
        match cell {
            None => out.extend(format.null.bytes()),
            Some(cell) if format.layout == CopyLayout::Text => out.extend(text_field(cell, format.delimiter)),
            Some(cell) => out.extend(csv_field(cell, format, row.len() == 1)),
        }
    }
    out.push(b'\n');
}

fn text_field(value: &[u8], delimiter: u8) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in value {
        match byte {
            8 => out.extend(b"\\b"),
            9 => out.extend(b"\\t"),
            10 => out.extend(b"\\n"),
            11 => out.extend(b"\\v"),
            12 => out.extend(b"\\f"),
            13 => out.extend(b"\\r"),
            _ if byte == delimiter || byte == b'\\' => out.extend([b'\\', byte]),
            _ => out.push(byte),
        }
    }
    out
}

fn csv_field(value: &[u8], format: &CopyFormat, single: bool) -> Vec<u8> {
    let CopyFormat { delimiter, quote, escape, null, .. } = format;
    let marked = value.iter().any(|byte| byte == delimiter || byte == quote || b"\r\n".contains(byte));
    if !(value == null.as_bytes() || marked || single && value == b"\\.") {
        return value.to_vec();
    }
    let mut out = vec![*quote];
    for byte in value {
        if byte == quote || byte == escape {
            out.push(*escape);
        }
        out.push(*byte);
    }
    out.push(*quote);
    out
}

// What a client reads (`copyfromparse.c`).

fn read(bytes: &[u8], format: &CopyFormat) -> Vec<Row> {
    match format.layout {
        CopyLayout::Text => bytes.split_inclusive(|byte| *byte == b'\n').map(|line| text_line(line, format)).collect(),
        CopyLayout::Csv => csv_lines(bytes, format),
        CopyLayout::Binary => binary_rows(bytes).expect("what is let through is of the format"),
    }
}

fn text_line(line: &[u8], format: &CopyFormat) -> Row {
    let line = line.strip_suffix(b"\n").expect("a line ends");
    let (mut fields, mut start, mut at) = (Vec::new(), 0, 0);
    while at <= line.len() {
        if at == line.len() || line[at] == format.delimiter {
            fields.push(&line[start..at]);
            start = at + 1;
        } else if line[at] == b'\\' {
            at += 1;
        }
        at += 1;
    }
    fields.into_iter().map(|field| (field != format.null.as_bytes()).then(|| text_value(field))).collect()
}

fn text_value(field: &[u8]) -> Vec<u8> {
    let (mut out, mut bytes) = (Vec::new(), field.iter());
    while let Some(&byte) = bytes.next() {
        let meant = if byte == b'\\' { *bytes.next().expect("an escape stands before something") } else { byte };
        out.push(match meant {
            b'b' if byte == b'\\' => 8,
            b't' if byte == b'\\' => 9,
            b'n' if byte == b'\\' => 10,
            b'v' if byte == b'\\' => 11,
            b'f' if byte == b'\\' => 12,
            b'r' if byte == b'\\' => 13,
            b'0'..=b'9' | b'x' if byte == b'\\' => panic!("an escape that no server writes"),
            other => other,
        });
    }
    out
}

fn csv_lines(bytes: &[u8], format: &CopyFormat) -> Vec<Row> {
    let CopyFormat { delimiter, quote, escape, null, .. } = format;
    let (mut rows, mut row, mut field) = (Vec::new(), Row::new(), Vec::new());
    let (mut inside, mut quoted, mut at) = (false, false, 0);
    while at < bytes.len() {
        let byte = bytes[at];
        let next = bytes.get(at + 1);
        if inside {
            if byte == *escape && next.is_some_and(|next| next == escape || next == quote) {
                field.extend(next);
                at += 1;
            } else if byte == *quote {
                inside = false;
            } else {
                field.push(byte);
            }
        } else if byte == *quote {
            (inside, quoted) = (true, true);
        } else if byte == *delimiter || byte == b'\n' {
            let field = std::mem::take(&mut field);
            row.push((std::mem::take(&mut quoted) || field != null.as_bytes()).then_some(field));
            if byte == b'\n' {
                rows.push(std::mem::take(&mut row));
            }
        } else {
            field.push(byte);
        }
        at += 1;
    }
    assert!(!inside && row.is_empty() && field.is_empty(), "a line does not end");
    rows
}

fn binary_rows(bytes: &[u8]) -> Option<Vec<Row>> {
    fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let (taken, behind) = rest.split_at_checked(count)?;
        *rest = behind;
        Some(taken)
    }
    let mut rest = bytes;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    if take(&mut rest, 11)? != b"PGCOPY\n\xff\r\n\0" {
        return None;
    }
    take(&mut rest, 4)?;
    let extension = u32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
    take(&mut rest, extension.try_into().ok()?)?;
    let mut rows = Vec::new();
    // Nobody waits for the mark that stands behind the last row.
    while !rest.is_empty() {
        let count = i16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?);
        if count == -1 {
            return rest.is_empty().then_some(rows);
        }
        let mut row = Row::new();
        for _ in 0..count {
            let length = i32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
            row.push(match length {
                -1 => None,
                length => Some(take(&mut rest, length.try_into().ok()?)?.to_vec()),
            });
        }
        rows.push(row);
    }
    Some(rows)
}
