//! Free text on its way through the masker.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pgveil::mask::scan::{Dictionary, Names, Scan};
use pgveil::mask::{Keys, MaskMap, MaskedColumn, PseudonymKey, RowPlan, Strategy, Unmasked};
use pgveil::sql::{Catalog, Relation, RelationKind};
use pgveil::wire::{ColumnField, Format, RowDescription, Run};

const TABLE: u32 = 16_384;
const COLUMN: &str = "clinical.patients.last_name";
const PLAIN: &str = "Vital signs stable, lungs clear, no acute distress. Continue present dose and recheck in three months. \
    Discussed diet and exercise. Patient tolerates the medicine well, no side effects reported. Wound clean and dry, dressing \
    changed. BP 120/80, pulse 72, temperature 36.8 C, glucose 105 mg/dL. Metformin 500 mg twice daily.";

fn plan(names: Names) -> RowPlan {
    let column = ColumnField {
        name: Bytes::from_static(b"body"),
        table_oid: TABLE,
        attribute: 1,
        type_oid: 25,
        type_length: -1,
        type_modifier: -1,
        format: Format::Text,
    };
    let scan = Strategy::Scan(Arc::new(Scan { names_from: vec![COLUMN.to_owned()], ..Scan::default() }));
    let map = MaskMap {
        columns: [((TABLE, 1), MaskedColumn::of("clinical.notes.body", Some(scan)))].into(),
        touched: [TABLE].into(),
        ruled: true,
        ..MaskMap::default()
    };
    let mut catalog = Catalog::default();
    catalog.insert(Relation {
        oid: TABLE,
        schema: "clinical".to_owned(),
        name: "notes".to_owned(),
        kind: RelationKind::Table,
        temporary: false,
        columns: Vec::new(),
        parents: Vec::new(),
        depends: Vec::new(),
        calls_unknown: false,
    });
    let keys = Keys { pseudonym: PseudonymKey::new(&[7; 32]), year_now: 2026, names };
    RowPlan::new(&RowDescription { columns: vec![column] }, None, &map, true, &catalog, &keys)
}

fn run<'t>(texts: impl Iterator<Item = &'t str>) -> (Run, u64) {
    let (mut bytes, mut count, mut sum) = (BytesMut::new(), 0, 0);
    for text in texts {
        let length = u32::try_from(text.len()).unwrap_or_default();
        bytes.put_u8(b'D');
        bytes.put_u32(length + 10);
        bytes.put_u16(1);
        bytes.put_u32(length);
        bytes.put_slice(text.as_bytes());
        count += 1;
        sum += u64::from(length);
    }
    (Run { tag: b'D', count, bytes: bytes.freeze() }, sum)
}

/// The labelled notes without their labels.
fn labelled() -> Vec<String> {
    let file = include_str!("../fixtures/notes/notes.txt");
    let plain = |line: &str| {
        let mut text = String::new();
        for (index, part) in line.split(['⟦', '⟧']).enumerate() {
            text.push_str(if index % 2 == 1 { part.split_once(':').map_or(part, |(_, value)| value) } else { part });
        }
        text
    };
    file.lines().filter_map(|line| line.split_once('\t')).map(|(_, line)| plain(line)).collect()
}

fn names(count: usize) -> Names {
    let mut dictionary = Dictionary::default();
    for number in 0..count {
        let word: String = number.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
        dictionary.add(&format!("zq{word}"));
    }
    let names = Names::default();
    names.keep(vec![COLUMN.to_owned()], dictionary);
    names
}

fn scans(c: &mut Criterion) {
    let notes = labelled();
    let cases = [
        ("notes without identifiers", run(std::iter::repeat_n(PLAIN, 500)), 10_000),
        ("notes without identifiers, a million names", run(std::iter::repeat_n(PLAIN, 500)), 1_000_000),
        ("labelled notes", run(notes.iter().map(String::as_str)), 10_000),
    ];
    for (name, (run, sum), count) in cases {
        let plan = plan(names(count));
        let mut out = BytesMut::new();
        for (unit, throughput) in [("bytes", Throughput::Bytes(sum)), ("rows", Throughput::Elements(run.count as u64))] {
            let mut group = c.benchmark_group(format!("scan {unit}"));
            group.throughput(throughput);
            group.bench_function(name, |b| b.iter(|| plan.rows(Unmasked::new(black_box(&run).clone()), &mut out)));
            group.finish();
        }
    }
}

/// Seconds that this thread was on a processor, as Linux counts them: other programs do not matter to it.
fn on_processor() -> f64 {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    counted.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or_default() / 1e9
}

/// Bytes of notes that are masked to see how fast that is.
const STEADY_BYTES: u64 = 100_000_000;
/// Least time that says something about growth, in seconds.
const TELLING: f64 = 0.1;

/// Texts made to take long: prints the time of each at 2 and 4 MiB, with a mark where the longer takes three times as long.
fn hostile(_: &mut Criterion) {
    let (plan, mut out) = (plan(names(10_000)), BytesMut::new());
    let pieces = [
        ":",
        "::",
        "a:",
        "#1 ",
        "1-",
        "1",
        "12 ",
        "(1) ",
        "@",
        "a@",
        "a@b.",
        ".",
        "1.",
        " ",
        "Zq ",
        "May ",
        "Zqbc Foo ",
        "Dr. ",
        "Mr Zqbc ",
        "\u{200b}",
        "e\u{301}",
        "\u{ff11}",
        "http://",
        "www.",
        "a.com ",
        "x.com/",
        "1 Main St, ",
        "PO Box 1 ",
        "MRN 1 ",
        "A-1",
        "A1",
        "May 1 ",
        "\n",
        "PID|",
        "\nPID|||1",
        "x^",
        "\u{738b}",
        "O'",
        "de la ",
        "1/1/",
        "+1 ",
        "ID ",
        "by ",
        "Foo, MD ",
        "Calle ",
        "12 rue ",
        "Apt 5, ",
        "JohnSmith",
    ];
    for piece in pieces {
        let mut time = |length: usize| {
            let (run, _) = run(std::iter::once(piece.repeat(length / piece.len()).as_str()));
            let once = |_| {
                let began = on_processor();
                let _ = plan.rows(Unmasked::new(run.clone()), &mut out);
                out.clear();
                on_processor() - began
            };
            (0..3).map(once).fold(f64::MAX, f64::min)
        };
        let (short, long) = (time(2 << 20), time((4 << 20) - 8));
        let mark = if long < short * 3.0 || long < TELLING { "" } else { "   steep" };
        println!("{:16} 2 MiB {:7.1} ms, 4 MiB {:7.1} ms{mark}", format!("{piece:?}"), short * 1e3, long * 1e3);
    }
}

/// Prints how much of ordinary notes a core masks in a second of its own.
fn steady(_: &mut Criterion) {
    let notes = labelled();
    let cases =
        [("without identifiers", run(std::iter::repeat_n(PLAIN, 500))), ("labelled", run(notes.iter().map(String::as_str)))];
    let (plan, mut out) = (plan(names(10_000)), BytesMut::new());
    for (name, (run, sum)) in cases {
        let (began, mut bytes) = (on_processor(), 0);
        while bytes < STEADY_BYTES {
            let _ = plan.rows(Unmasked::new(run.clone()), &mut out);
            out.clear();
            bytes += sum;
        }
        let speed = bytes as f64 / (on_processor() - began);
        println!("notes {name}: {:.0} MB/s of a core, {:.0} notes/s", speed / 1e6, speed * run.count as f64 / sum as f64);
    }
}

criterion_group!(benches, steady, hostile, scans);
criterion_main!(benches);
