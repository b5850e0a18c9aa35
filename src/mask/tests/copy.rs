//! COPY TO STDOUT: rows written as PostgreSQL writes them, cut anywhere, come out masked as DataRows do.

use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generate;

use super::*;
use crate::mask::{CannotStream, CopyPlan, CopyStream};
use crate::sql::{CopyFormat, CopyLayout};
use crate::wire::{Frame, Part, Place};

type Row = Vec<Option<Vec<u8>>>;

/// What a COPY is written with, beside its format.
#[derive(Debug, Clone)]
struct Layout {
    format: CopyFormat,
    force_quote: bool,
}

fn layouts() -> impl Generate<Value = Layout> {
    let text = (prop_oneof![Just(b'\t'), Just(b'|'), Just(b','), Just(b'X'), Just(b' ')], any::<bool>());
    let text = (text, prop_oneof![Just("\\N"), Just(""), Just("NULL"), Just("-"), Just("\\Q1")]).prop_map(
        |((delimiter, header), null)| {
            let format = CopyFormat { delimiter, null: null.to_owned(), header, ..CopyFormat::of(CopyLayout::Text) };
            Layout { format, force_quote: false }
        },
    );
    let marks =
        prop_oneof![Just((b'"', b'"')), Just((b'\'', b'\'')), Just((b'"', b'\\')), Just((b'\'', b'~')), Just((b'~', b'|'))];
    let csv = (prop_oneof![Just(b','), Just(b'|'), Just(b';'), Just(b'\t')], marks, any::<bool>(), any::<bool>());
    let csv = (csv, prop_oneof![Just(""), Just("NULL"), Just("X"), Just("\\N"), Just("42")]).prop_map(
        |((delimiter, (quote, escape), header, force_quote), null)| {
            let format =
                CopyFormat { delimiter, quote, escape, null: null.to_owned(), header, ..CopyFormat::of(CopyLayout::Csv) };
            Layout { format, force_quote }
        },
    );
    let binary = Just(Layout { format: CopyFormat::of(CopyLayout::Binary), force_quote: false });
    prop_oneof![text, csv, binary]
}

fn values() -> impl Generate<Value = Option<Vec<u8>>> {
    prop_oneof![
        1 => Just(None),
        2 => "[A-Z][a-z]{0,9}( [A-Z][a-z]{0,9})?".prop_map(|text| Some(text.into_bytes())),
        1 => "[0-9]{3}-[0-9]{2}-[0-9]{4}|NULL|X||-|42|[\\\\][N.]?".prop_map(|text| Some(text.into_bytes())),
        3 => "[\n\r\t\u{8}\u{b}\u{c}\\\\,|;'\"~ Xaén.]{0,12}".prop_map(|text| Some(text.into_bytes())),
    ]
}

/// A mask for each column; every third test column is not masked.
fn masks() -> impl Generate<Value = Vec<Option<Option<Strategy>>>> {
    let each = prop_oneof![
        2 => Just(None),
        1 => Just(Some(None)),
        1 => Just(Some(Some(Strategy::Null))),
        1 => Just(Some(Some(Strategy::Pseudonym))),
        2 => (0..5_usize).prop_map(|keep| Some(Some(Strategy::KeepLast(keep)))),
        1 => "[,|\n\"'~\\\\XN]{0,4}".prop_map(|text| Some(Some(Strategy::Fixed(text)))),
    ];
    proptest::collection::vec(each, 1..5)
}

fn rows_of(columns: usize) -> impl Generate<Value = Vec<Row>> {
    proptest::collection::vec(proptest::collection::vec(values(), columns), 0..8)
}

fn row_plan(masks: &[Option<Option<Strategy>>], layout: CopyLayout) -> RowPlan {
    let format = if layout == CopyLayout::Binary { Format::Binary } else { Format::Text };
    let ruled: Vec<_> = masks.iter().zip(1..).filter_map(|(mask, at)| mask.clone().map(|mask| (at, mask))).collect();
    plan((1..).take(masks.len()).map(|at| field(at, 25, -1, format)).collect(), &ruled)
}

// ---- what PostgreSQL writes (`copyto.c`)

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

fn csv_field(value: &[u8], layout: &Layout, single: bool) -> Vec<u8> {
    let CopyFormat { delimiter, quote, escape, null, .. } = &layout.format;
    let marked = value.iter().any(|byte| byte == delimiter || byte == quote || b"\r\n".contains(byte));
    if !(layout.force_quote || value == null.as_bytes() || marked || single && value == b"\\.") {
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

fn encode(rows: &[Row], layout: &Layout, columns: usize) -> Vec<u8> {
    let CopyFormat { layout: kind, delimiter, null, header, .. } = &layout.format;
    let mut out = Vec::new();
    if *kind == CopyLayout::Binary {
        out.extend(b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        for row in rows {
            out.extend(u16::try_from(row.len()).unwrap().to_be_bytes());
            for cell in row {
                out.extend(cell.as_ref().map_or(-1, |cell| i32::try_from(cell.len()).unwrap()).to_be_bytes());
                out.extend(cell.iter().flatten());
            }
        }
        out.extend([0xff, 0xff]);
        return out;
    }
    let unforced = Layout { force_quote: false, ..layout.clone() };
    let mut line = |cells: &[Option<Vec<u8>>], layout: &Layout| {
        for (at, cell) in cells.iter().enumerate() {
            out.extend((at > 0).then_some(*delimiter));
            out.extend(match cell {
                None => null.clone().into_bytes(),
                Some(cell) if *kind == CopyLayout::Text => text_field(cell, *delimiter),
                Some(cell) => csv_field(cell, layout, cells.len() == 1),
            });
        }
        out.push(b'\n');
    };
    if *header {
        line(&vec![Some(b"c".to_vec()); columns], &unforced);
    }
    rows.iter().for_each(|row| line(row, layout));
    out
}

// ---- on its way

/// Cuts data into messages and messages into runs, by `cuts`.
fn runs(data: &[u8], cuts: &[u8]) -> Vec<Run> {
    let (mut runs, mut rest, mut cuts) = (Vec::new(), data, cuts.iter().cycle());
    while !rest.is_empty() {
        let mut bytes = BytesMut::new();
        let mut count = 0;
        for _ in 0..1 + cuts.next().unwrap() % 3 {
            let (payload, behind) = rest.split_at(usize::from(*cuts.next().unwrap()).min(rest.len()));
            bytes.put_u8(b'd');
            bytes.put_u32(u32::try_from(payload.len() + 4).unwrap());
            bytes.put_slice(payload);
            (rest, count) = (behind, count + 1);
        }
        runs.push(Run { tag: b'd', count, bytes: bytes.freeze() });
    }
    runs
}

fn response(columns: usize, layout: CopyLayout) -> Unmasked<Frame> {
    let format = u8::from(layout == CopyLayout::Binary);
    let mut bytes = BytesMut::new();
    bytes.put_u8(b'H');
    bytes.put_u32(u32::try_from(7 + 2 * columns).unwrap());
    bytes.put_u8(format);
    bytes.put_u16(u16::try_from(columns).unwrap());
    (0..columns).for_each(|_| bytes.put_u16(format.into()));
    Unmasked::new(Frame::new(bytes.freeze()).unwrap())
}

/// What comes out, message by message joined, if all is well.
fn stream(plan: &RowPlan, layout: &Layout, data: &[u8], cuts: &[u8]) -> Result<Vec<u8>, CannotStream> {
    let mut stream = CopyStream::new(CopyPlan::new(plan, &layout.format)?.into());
    stream.begin(&response(plan.columns().len(), layout.format.layout))?;
    let mut out = Vec::new();
    for run in runs(data, cuts) {
        let masked = stream.data(Unmasked::new(run))?.into_inner();
        let run = Run { tag: b'd', count: 0, bytes: masked };
        run.bodies().for_each(|body| out.extend(body));
    }
    stream.done()?;
    Ok(out)
}

/// The masked rows as rows of a SELECT would be, with what a NULL string swallows gone.
fn expected(plan: &RowPlan, rows: &[Row], layout: &Layout) -> Vec<Row> {
    let mut masked = if rows.is_empty() { Vec::new() } else { mask(plan, rows).unwrap() };
    masked.iter_mut().flatten().for_each(|cell| swallow(cell, layout));
    masked
}

/// In text a value that is written as the NULL string is not told from NULL.
fn swallow(cell: &mut Option<Vec<u8>>, layout: &Layout) {
    let CopyFormat { layout: kind, delimiter, null, .. } = &layout.format;
    if *kind == CopyLayout::Text && cell.as_ref().is_some_and(|cell| text_field(cell, *delimiter) == null.as_bytes()) {
        *cell = None;
    }
}

proptest! {
    #[test]
    fn rows_come_out_masked_and_otherwise_as_they_went_in(
        layout in layouts(),
        (masks, mut rows) in masks().prop_flat_map(|masks| { let columns = masks.len(); (Just(masks), rows_of(columns)) }),
        cuts in proptest::collection::vec(any::<u8>(), 1..9),
    ) {
        rows.iter_mut().flatten().for_each(|cell| swallow(cell, &layout));
        let cuts: Vec<u8> = cuts.into_iter().map(|cut| cut | 1).collect();
        let plan = row_plan(&masks, layout.format.layout);
        let data = encode(&rows, &layout, masks.len());
        let out = stream(&plan, &layout, &data, &cuts).unwrap();
        let wanted = encode(&expected(&plan, &rows, &layout), &layout, masks.len());
        if layout.force_quote && out != wanted {
            // A column that cannot be seen to be quoted by force may lose quotes, and with them what escapes stand for, nothing else.
            let marks = [layout.format.quote, layout.format.escape];
            let plain = |bytes: &[u8]| bytes.iter().copied().filter(|byte| !marks.contains(byte)).collect::<Vec<u8>>();
            prop_assert_eq!(plain(&out), plain(&wanted));
        } else {
            prop_assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&wanted));
        }
    }

    #[test]
    fn what_is_no_copy_is_refused_and_shows_nothing(
        layout in layouts(),
        data in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'|'), Just(b'"'), Just(0)], 0..200),
        cuts in proptest::collection::vec(1_u8.., 1..9),
    ) {
        let plan = row_plan(&[Some(Some(Strategy::Null)), None], layout.format.layout);
        if let Ok(out) = stream(&plan, &layout, &data, &cuts) {
            prop_assert!(out.len() <= 2 * data.len() + 2 * (layout.format.null.len() + 4) * data.len());
        }
    }
}

fn layout(kind: CopyLayout) -> Layout {
    Layout { format: CopyFormat::of(kind), force_quote: false }
}

#[test]
fn what_is_not_of_the_plan_ends_the_stream() {
    let plan = row_plan(&[None, Some(Some(Strategy::KeepLast(4)))], CopyLayout::Text);
    let header = Layout { format: CopyFormat { header: true, ..CopyFormat::of(CopyLayout::Csv) }, force_quote: false };
    let text = layout(CopyLayout::Text);
    let cases: &[(&Layout, &[u8])] = &[
        (&text, b"1\n"),
        (&text, b"1\t2\t3\n"),
        (&text, b"1\t2\\\n"),
        (&text, b"1\t\\101\n"),
        (&text, b"1\t123-45-6789"),
        (&header, b"1,123-45-6789\n"),
        (&layout(CopyLayout::Csv), b"1\n"),
        (&layout(CopyLayout::Csv), b"1,\"123\"45\n"),
        (&layout(CopyLayout::Csv), b"1,12\"3\n"),
        (&layout(CopyLayout::Csv), b"1,\"123-45-6789\n"),
        (&layout(CopyLayout::Csv), b"1,2,3\n"),
        (&layout(CopyLayout::Binary), b"PGCOPY\n\xff\r\n\0\0\0\0\x01\0\0\0\0"),
        (&layout(CopyLayout::Binary), b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01x"),
        (&layout(CopyLayout::Binary), b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\xff\xff\0\x02"),
        (&layout(CopyLayout::Binary), b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\x7f"),
    ];
    for (layout, data) in cases {
        assert!(stream(&plan, layout, data, &[255]).is_err(), "{}", String::from_utf8_lossy(data));
        assert!(stream(&plan, layout, data, &[1]).is_err(), "{}", String::from_utf8_lossy(data));
    }
}

#[test]
fn options_that_leave_in_doubt_what_is_null_are_not_followed() {
    let text = |null: &str, delimiter| CopyFormat { null: null.to_owned(), delimiter, ..CopyFormat::of(CopyLayout::Text) };
    for (format, follows) in [
        (text("\\N", b'\t'), true),
        (text("", b'|'), true),
        (text("X", b'|'), true),
        (text("(null)", b'|'), true),
        (text("123-45-6789", b'\t'), false),
        (text("Smith", b'\t'), false),
        (text("\\", b'\t'), false),
        (text("a|b", b'|'), false),
        (text("\\N", b'7'), false),
        (CopyFormat { null: "Smith".to_owned(), ..CopyFormat::of(CopyLayout::Csv) }, true),
        (CopyFormat { quote: b',', ..CopyFormat::of(CopyLayout::Csv) }, false),
        (CopyFormat { other: true, ..CopyFormat::of(CopyLayout::Csv) }, false),
    ] {
        assert_eq!(CopyPlan::follows(&format), follows, "{format:?}");
    }
}

#[test]
fn a_plan_that_masks_nothing_hands_back_the_same_buffer() {
    let plan = row_plan(&[None, None], CopyLayout::Text);
    let mut stream = CopyStream::new(CopyPlan::new(&plan, &CopyFormat::of(CopyLayout::Text)).unwrap().into());
    stream.begin(&response(2, CopyLayout::Text)).unwrap();
    let run = runs(b"anything at all", &[255]).remove(0);
    let at = run.bytes.as_ptr();
    let masked = stream.data(Unmasked::new(run)).unwrap();
    assert_eq!(masked.get().as_ptr(), at);
    let part = Part { tag: b'd', place: Place::First, bytes: masked.into_inner() };
    assert!(stream.part(Unmasked::new(part)).is_ok());
}

#[test]
fn a_row_longer_than_the_bound_is_refused() {
    let plan = row_plan(&[Some(None)], CopyLayout::Text);
    let mut stream = CopyStream::new(CopyPlan::new(&plan, &CopyFormat::of(CopyLayout::Text)).unwrap().into());
    stream.begin(&response(1, CopyLayout::Text)).unwrap();
    let piece = runs(&vec![b'x'; 1 << 24], &[255]);
    let bytes: Vec<u8> = piece.iter().flat_map(|run| run.bodies().flatten().copied().collect::<Vec<u8>>()).collect();
    let mut message = BytesMut::new();
    message.put_u8(b'd');
    message.put_u32(u32::try_from(bytes.len() + 4).unwrap());
    message.put_slice(&bytes);
    let run = Run { tag: b'd', count: 1, bytes: message.freeze() };
    let taken = (0..5).take_while(|_| stream.data(Unmasked::new(run.clone())).is_ok()).count();
    assert_eq!(taken, 4, "64 MiB are collected, and no more");
}
