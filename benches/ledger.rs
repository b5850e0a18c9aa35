//! The ledger's pieces, and with the store the whole way of an event into the log.
#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench that cannot set up has nothing to measure")]

use std::collections::HashMap;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pgveil::ledger::{
    DataKey, Event, Hash, Hashes, LedgerError, Place, ReplyEvent, SessionId, StatementEvent, Stored, TileAt, Tiles, Tree, encode,
    leaf, prove_inclusion, tiled,
};
use pgveil::secret::Secret;

const TEXT: &str = "select p.mrn, p.last_name, e.started_at, o.code from clinical.patients p join clinical.encounters e on \
                    e.patient_id = p.id join clinical.observations o on o.encounter_id = e.id where p.id = $1 order by 3";

fn statement(number: u64) -> Event {
    Event::Statement(StatementEvent {
        number,
        prepared: false,
        name: Bytes::new(),
        text: Bytes::from_static(TEXT.as_bytes()),
        verbs: vec!["select".into()],
        relations: vec!["clinical.patients".into(), "clinical.encounters".into(), "clinical.observations".into()],
        decision: "forward".into(),
        rules: vec!["default".into()],
        reasons: Vec::new(),
        touches_masked: true,
    })
}

fn reply(number: u64, bytes: usize) -> Event {
    // Digits without a pattern: rows compress a little, not to nothing.
    let mut state = 1u32;
    let row: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b"0123456789abcdef"[usize::try_from(state >> 28).unwrap()]
    })
    .take(bytes)
    .collect();
    Event::Reply(ReplyEvent {
        number,
        last: true,
        columns: Vec::new(),
        frames: vec![Bytes::from(row)],
        rows: 10,
        tag: "SELECT 10".into(),
        sqlstate: String::new(),
        duration_us: 1000,
        columns_of: 0,
    })
}

fn place(index: u64) -> Place {
    Place { index, time_us: 1_800_000_000_000_000 + index, session: Some((SessionId([7; 16]), index + 1)) }
}

#[derive(Default)]
struct Memory(HashMap<TileAt, Vec<Hash>>);

impl Hashes for Memory {
    fn hash(&self, level: u8, number: u64) -> Result<Hash, LedgerError> {
        tiled(level, number, |at| self.0.get(&at).cloned())
    }
}

fn ledger(criterion: &mut Criterion) {
    let key = DataKey::new(&Secret::new(vec![1; 32])).unwrap();
    let mut group = criterion.benchmark_group("ledger");
    let event = statement(1);
    group.bench_function("encode, seal and hash a statement", |bench| {
        let mut index = 0;
        bench.iter(|| {
            index += 1;
            leaf(&encode(&place(index), black_box(&event), Some(&key)).unwrap())
        });
    });
    let bytes = encode(&place(1), &event, Some(&key)).unwrap();
    group.bench_function("read and open a statement", |bench| {
        bench.iter(|| Stored::read(black_box(&bytes)).unwrap().open(Some(&key)).unwrap());
    });
    group.bench_function("append to the tree", |bench| {
        let mut tree = Tree::default();
        bench.iter(|| tree.append(black_box(Hash([3; 32]))));
    });
    let (mut tiles, mut memory) = (Tiles::default(), Memory::default());
    for index in 0..100_000u64 {
        tiles.append(leaf(&index.to_be_bytes()), |at, row| _ = memory.0.insert(at, row));
    }
    memory.0.extend(tiles.begun().map(|(at, row)| (at, row.to_vec())));
    group.bench_function("prove one of 100,000", |bench| {
        bench.iter(|| prove_inclusion(black_box(77_777), 100_000, &memory).unwrap())
    });
    let event = reply(1, 64 << 10);
    group.throughput(Throughput::Bytes(64 << 10));
    group.bench_function("encode, seal and hash 64 KiB of rows", |bench| {
        bench.iter(|| leaf(&encode(&place(1), black_box(&event), Some(&key)).unwrap()));
    });
    group.finish();
}

#[cfg(feature = "server")]
fn opened() -> Event {
    Event::SessionOpened(pgveil::ledger::SessionOpened {
        identity: "agent".into(),
        groups: Vec::new(),
        database: "clinic".into(),
        client: "127.0.0.1:1".into(),
        application: String::new(),
        upstream_user: "app".into(),
        policy: [0; 32],
    })
}

/// 100,000 events of ten sessions through the writer into RocksDB, then the same log verified.
#[cfg(feature = "server")]
fn store(_: &mut Criterion) {
    use pgveil::ledger::SessionClosed;
    use pgveil::store::{Durability, Log, Settings};
    use std::time::Instant;

    const EVENTS: u64 = 100_000;
    const BLOCKS: u64 = 4096;
    let folder = tempfile::TempDir::new().unwrap();
    let settings = Settings {
        path: folder.path().join("data"),
        durability: Durability::Process,
        key_file: folder.path().join("master.key"),
        checkpoint_every_ms: 2000,
        witness: None,
    };
    let log = Log::open(&settings, 0).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut recorders: Vec<_> = (0..10u8).map(|byte| log.session(SessionId([byte; 16])).unwrap()).collect();
    let begun = Instant::now();
    let mut last = Vec::new();
    for recorder in &mut recorders {
        recorder.append(opened(), 1).unwrap();
    }
    for number in 1..=EVENTS / 20 {
        last.clear();
        for recorder in &mut recorders {
            recorder.append(statement(number), number).unwrap();
            last.push(recorder.append(reply(number, 400), number).unwrap());
        }
        runtime.block_on(recorders[0].room()).unwrap();
    }
    for (recorder, position) in recorders.iter().zip(&last) {
        runtime.block_on(recorder.wait(*position)).unwrap();
    }
    let rate = EVENTS as f64 / begun.elapsed().as_secs_f64();
    println!("store: {rate:.0} events/s into the log, group committed ({EVENTS} events)");
    let mut waits: Vec<_> = (0..2000u64)
        .map(|number| {
            let begun = Instant::now();
            let position = recorders[0].append(statement(number), number).unwrap();
            runtime.block_on(recorders[0].wait(position)).unwrap();
            begun.elapsed()
        })
        .collect();
    waits.sort();
    println!("store: one statement until durable: median {:?}, 99% {:?}", waits[1000], waits[1980]);
    let bulk = reply(1, 64 << 10);
    let begun = Instant::now();
    let mut position = recorders[0].durable();
    for _ in 0..BLOCKS {
        position = recorders[0].append(bulk.clone(), 3).unwrap();
        runtime.block_on(recorders[0].room()).unwrap();
    }
    runtime.block_on(recorders[0].wait(position)).unwrap();
    let rate = (BLOCKS * 64) as f64 / 1024.0 / begun.elapsed().as_secs_f64();
    println!("store: {rate:.0} MiB/s of replies in blocks of 64 KiB");
    for recorder in &mut recorders {
        recorder.append(Event::SessionClosed(SessionClosed { reason: "terminate".into() }), 2).unwrap();
    }
    drop(recorders);
    log.close().unwrap();
    let begun = Instant::now();
    let report = pgveil::replay::verify(&settings.path, &pgveil::replay::Evidence::default(), &mut |_, _| {}).unwrap();
    assert!(report.is_whole());
    println!("store: verified {} entries in {:?}", report.entries, begun.elapsed());
}

#[cfg(not(feature = "server"))]
fn store(_: &mut Criterion) {}

criterion_group!(benches, ledger, store);
criterion_main!(benches);
