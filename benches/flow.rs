//! The conversation alone: what it costs per execution and per read full of rows, without sockets, masks or log.
#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::hint::black_box;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pgveil::flow::{Asked, Flow, Next, Output, Ruling, Violation};
use pgveil::wire::{Frame, Run};

const ROWS: usize = 1_000;
const RUNS: usize = 64;

/// A ruling as the proxy has it: shared, and cloned for every portal and output.
#[derive(Debug, Clone)]
struct Known(Arc<bool>);

impl Ruling for Known {
    fn veiled(&self) -> bool {
        *self.0
    }

    fn bars(&self) -> bool {
        false
    }

    fn renames(&self, _: &[u8]) -> bool {
        false
    }
}

/// The plan is a number of columns.
type Conversation = (Flow<Known, usize>, Vec<Output<Known, usize>>);

fn frame(tag: u8, body: &[u8]) -> Option<Frame> {
    let mut bytes = BytesMut::new();
    bytes.put_u8(tag);
    bytes.put_u32(u32::try_from(body.len() + 4).unwrap_or_default());
    bytes.put_slice(body);
    Frame::new(bytes.freeze()).ok()
}

fn frames(list: &[(u8, &[u8])]) -> Vec<Frame> {
    list.iter().filter_map(|(tag, body)| frame(*tag, body)).collect()
}

fn client((flow, out): &mut Conversation, frames: &[Frame], veiled: &Known) {
    for frame in frames {
        let next = flow.client(frame.clone(), out);
        match next {
            Ok(Next::Ask(asked)) => {
                let ruling = match asked {
                    Asked::Bind(_, Some(ruling)) | Asked::Execute(_, Some(ruling)) => ruling,
                    _ => veiled.clone(),
                };
                flow.forward(ruling, 1, out);
            }
            Ok(Next::Go) => {}
            other => unreachable!("{other:?}"),
        }
    }
    out.clear();
}

fn server((flow, out): &mut Conversation, frames: &[Frame]) {
    for frame in frames {
        let plan = |_: &Frame, _: &Known| Ok::<_, Violation>(Arc::new(1));
        if let Err(violation) = flow.server(frame.clone(), plan, out) {
            unreachable!("{violation:?}");
        }
    }
    out.clear();
}

fn run(rows: usize) -> Run {
    Run { tag: b'D', count: rows, bytes: Bytes::from(b"D\0\0\0\x0f\0\x01\0\0\0\x05value".repeat(rows)) }
}

fn rows((flow, out): &mut Conversation, run: Run) {
    if let Err(violation) = flow.rows(run, out) {
        unreachable!("{violation:?}");
    }
}

const DESCRIPTION: &[u8] = b"\0\x01value\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0";

/// A conversation that has prepared `s`.
fn prepared(veiled: &Known) -> Conversation {
    let mut conversation = (Flow::new(), Vec::new());
    client(&mut conversation, &frames(&[(b'P', b"s\0select value from t where id = $1\0\0\0"), (b'S', b"")]), veiled);
    server(&mut conversation, &frames(&[(b'1', b""), (b'Z', b"I")]));
    conversation
}

/// Bind, Describe of the portal, Execute and Sync, with one row in answer, both ways.
fn executions(c: &mut Criterion) {
    let mut group = c.benchmark_group("flow");
    for (name, veiled) in [("prepared execution", false), ("prepared execution, veiled", true)] {
        let known = Known(Arc::new(veiled));
        let asked = frames(&[(b'B', b"\0s\0\0\0\0\x01\0\0\0\x011\0\0"), (b'D', b"P\0"), (b'E', b"\0\0\0\0\0"), (b'S', b"")]);
        // A veiled portal is described once more, behind the client's back.
        let described: &[(u8, &[u8])] = &[(b'2', b""), (b'T', DESCRIPTION), (b'T', DESCRIPTION)];
        let before = frames(described.get(..if veiled { 3 } else { 2 }).unwrap_or_default());
        let after = frames(&[(b'C', b"SELECT 1\0"), (b'Z', b"I")]);
        let row = run(1);
        let mut conversation = prepared(&known);
        group.bench_function(name, |b| {
            b.iter(|| {
                client(&mut conversation, black_box(&asked), &known);
                server(&mut conversation, &before);
                rows(&mut conversation, row.clone());
                server(&mut conversation, &after);
            });
        });
    }
    group.finish();
}

/// Reads full of rows, in answer to one Query.
fn stream(c: &mut Criterion) {
    let mut group = c.benchmark_group("flow");
    group.throughput(Throughput::Elements((ROWS * RUNS) as u64));
    let known = Known(Arc::new(true));
    let begun = || {
        let mut conversation = (Flow::new(), Vec::new());
        client(&mut conversation, &frames(&[(b'Q', b"select value from t\0")]), &known);
        server(&mut conversation, &frames(&[(b'T', DESCRIPTION)]));
        conversation
    };
    let read = run(ROWS);
    group.bench_function("stream of rows", |b| {
        b.iter_batched_ref(
            begun,
            |conversation| {
                for _ in 0..RUNS {
                    rows(conversation, black_box(&read).clone());
                    conversation.1.clear();
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, executions, stream);
criterion_main!(benches);
