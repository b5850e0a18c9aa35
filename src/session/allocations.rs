//! The way of rows from one socket to the other, as the relay goes it, under an allocator that counts.

use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::{Bytes, BytesMut};
use tempfile::TempDir;

use super::outbox::Outbox;
use super::recording::{Recording, Released};
use crate::flow::{self, Asked, Flow, Next, Output, ToClient};
use crate::ledger::SessionId;
use crate::mask::{Keys, MaskMap, MaskedColumn, PseudonymKey, RowPlan, Strategy};
use crate::sql::Catalog;
use crate::store::{self, Log};
use crate::wire::{ColumnField, Format, Frame, Limits, Piece, RowDescription, Splitter};

const TABLE: u32 = 16_384;
const READ_BYTES: usize = 64 * 1024;
const STREAM_BYTES: usize = READ_BYTES * 10;
/// Runs of which the best counts.
const RUNS: usize = 4;
const LIMITS: Limits = Limits { whole_bytes_max: 1 << 20, bulk: b"Dd", bulk_bytes_max: 1 << 20 };

#[derive(Debug, Clone)]
struct Veiled;

impl flow::Ruling for Veiled {
    fn veiled(&self) -> bool {
        true
    }

    fn bars(&self) -> bool {
        false
    }

    fn renames(&self, _: &[u8]) -> bool {
        false
    }
}

/// Three columns: text that keeps its last four characters, text that passes, text with a pseudonym.
fn plan() -> RowPlan {
    let masked = |strategy| MaskedColumn::of("clinical.patients.c", Some(strategy));
    let map = MaskMap {
        columns: [((TABLE, 1), masked(Strategy::KeepLast(4))), ((TABLE, 3), masked(Strategy::Pseudonym))].into(),
        touched: [TABLE].into(),
        ruled: true,
        ..MaskMap::default()
    };
    let field = |attribute, table_oid| ColumnField {
        name: Bytes::from_static(b"c"),
        table_oid,
        attribute,
        type_oid: 25,
        type_length: -1,
        type_modifier: -1,
        format: Format::Text,
    };
    let keys = Keys { pseudonym: PseudonymKey::new(&[7; 32]), year_now: 2026, names: Default::default() };
    let columns = vec![field(1, TABLE), field(0, 0), field(3, TABLE)];
    RowPlan::new(&RowDescription { columns }, None, &map, false, &Catalog::default(), &keys)
}

fn message(tag: u8, body: &[u8]) -> Frame {
    let mut bytes = vec![tag];
    bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend(body);
    Frame::new(bytes.into()).unwrap()
}

/// So many rows that they have `STREAM_BYTES` together.
fn stream(rows: usize) -> Vec<u8> {
    let masked = b"0123456789abcdefghijklmnop";
    let mut body = 3_u16.to_be_bytes().to_vec();
    let mut cell = |value: &[u8]| {
        body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend(value);
    };
    let filler = STREAM_BYTES / rows - (5 + 2 + 3 * 4 + 2 * masked.len());
    cell(masked);
    cell(&vec![b'x'; filler]);
    cell(masked);
    message(b'D', &body).bytes().repeat(rows)
}

/// Everything between the sockets, with a Query that has been described.
struct Way {
    splitter: Splitter,
    flow: Flow<Veiled, RowPlan>,
    out: Vec<Output<Veiled, RowPlan>>,
    masked_rows: BytesMut,
    recording: Recording,
    outbox: Outbox,
    rows: u64,
}

impl Way {
    fn new(log: &Log, id: u8) -> Self {
        let (mut flow, mut out) = (Flow::new(), Vec::new());
        let next = flow.client(message(b'Q', b"select\0"), &mut out).unwrap();
        assert!(matches!(next, Next::Ask(Asked::Query(_))));
        flow.forward(Veiled, 1, &mut out);
        let plan = Arc::new(plan());
        flow.server(message(b'T', b"\0\0"), |_, _| Ok(Arc::clone(&plan)), &mut out).unwrap();
        out.clear();
        Self {
            splitter: Splitter::new(LIMITS),
            flow,
            out,
            masked_rows: BytesMut::new(),
            recording: Recording::new(log.session(SessionId([id; 16])).unwrap(), true),
            outbox: Outbox::default(),
            rows: 0,
        }
    }

    /// What the relay does for one read from the database: cut, converse, mask, record, send.
    fn read(&mut self, bytes: &[u8]) {
        self.splitter.buffer().reserve(READ_BYTES);
        self.splitter.buffer().extend_from_slice(bytes);
        while let Some(piece) = self.splitter.next().unwrap() {
            let Piece::Run(run) = piece else { panic!("{piece:?}") };
            self.flow.rows(run, &mut self.out).unwrap();
            for output in self.out.drain(..) {
                let Output::ToClient { number, what: ToClient::Rows(run, Some(plan)), .. } = output else { panic!("{output:?}") };
                let rows = run.rows();
                self.recording.rows_begin(number, None, None).unwrap();
                let masked = plan.rows(run, &mut self.masked_rows).unwrap();
                self.recording.released(number, None, &masked, Released::Bulk { rows }).unwrap();
                self.outbox.push(masked.into_inner());
                self.rows += rows;
            }
        }
        self.recording.flush().unwrap();
        self.outbox.gate(self.recording.position());
        let mut context = Context::from_waker(Waker::noop());
        let written = self.outbox.poll_write(&mut tokio::io::sink(), u64::MAX, &mut context);
        assert!(written.is_ready());
    }

    /// Allocations that a stream of so many rows makes, when one like it has gone before.
    fn allocations(&mut self, rows: usize) -> u64 {
        let bytes = stream(rows);
        let (first, _) = bytes.split_at(READ_BYTES);
        self.read(first);
        let rest = bytes.split_at(READ_BYTES).1;
        let info = allocation_counter::measure(|| rest.chunks(READ_BYTES).for_each(|read| self.read(read)));
        assert_eq!(self.rows, u64::try_from(rows).unwrap());
        info.count_total
    }
}

#[test]
fn no_row_costs_an_allocation() {
    let folder = TempDir::new().unwrap();
    let log = Log::open(&store::tests::settings(&folder), 1_800_000_000_000_000).unwrap();
    let reads = u64::try_from(STREAM_BYTES / READ_BYTES).unwrap() - 1;
    // The same bytes in the same reads, cut into ever more rows. How often the log's writer is found busy varies; the best of a few
    // runs is what the rows cost.
    let mut ids = 1..;
    let mut best = |rows| (0..RUNS).filter_map(|_| Some(Way::new(&log, ids.next()?).allocations(rows))).min().unwrap();
    let counts = [100, 1_000, 5_000].map(&mut best);
    let [few, .., many] = counts;
    assert!(counts.iter().all(|count| *count <= reads * 16), "{counts:?} allocations in {reads} reads");
    assert!(many <= few + reads, "allocations grow with rows: {counts:?}");
}

/// Bytes of the future that a function makes.
fn future_bytes<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn a_silent_session_takes_little_room() {
    let run = future_bytes(|(client, ground, house, shutdown)| super::run(client, ground, house, shutdown));
    let converse = future_bytes(|(relay, greeting, signals)| super::converse(relay, greeting, signals));
    let state = size_of::<super::Conversation>();
    assert!(run <= 1 << 10, "{run} bytes to begin a session");
    assert!(state <= 3 << 10, "{state} bytes of state");
    assert!(converse <= 2 << 10, "{converse} bytes for the conversation");
}
