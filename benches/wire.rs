//! Cutting 1,000 DataRows out of a read buffer.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pgveil::wire::{Limits, Piece, Splitter};

const ROWS: usize = 1_000;
const LIMITS: Limits = Limits { whole_bytes_max: 1 << 20, bulk: b"D", bulk_bytes_max: 1 << 16 };

/// Rows of four columns of 12 bytes each.
fn rows() -> Vec<u8> {
    let mut row = b"D\0\0\0\x46\0\x04".to_vec();
    (0..4).for_each(|_| row.extend_from_slice(b"\0\0\0\x0ctwelve bytes"));
    row.repeat(ROWS)
}

fn split(c: &mut Criterion) {
    let rows = rows();
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Bytes(rows.len() as u64));
    let filled = || {
        let mut splitter = Splitter::new(LIMITS);
        *splitter.buffer() = BytesMut::from(rows.as_slice());
        splitter
    };
    group.bench_function("split_1000_rows", |b| {
        b.iter_batched(
            filled,
            |mut splitter| match splitter.next() {
                Ok(Some(Piece::Run(run))) => assert_eq!(black_box(run.count), ROWS),
                other => unreachable!("{other:?}"),
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("split_1000_rows_in_1400_byte_reads", |b| {
        b.iter_batched(
            || Splitter::new(LIMITS),
            |mut splitter| {
                let mut count = 0;
                for chunk in rows.chunks(1_400) {
                    splitter.buffer().extend_from_slice(chunk);
                    while let Ok(Some(Piece::Run(run))) = splitter.next() {
                        count += run.count;
                    }
                }
                assert_eq!(black_box(count), ROWS);
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, split);
criterion_main!(benches);
