use bytes::Bytes;
use tempfile::TempDir;

use super::column::columns;
use super::{Durability, Log, LogFailed, Recorder, Settings, Store, StoreError};
use crate::ledger::{
    Event, ExecutionEvent, Hashes as _, HoldAnswered, LoginRefused, Parameter, ReplyEvent, SessionClosed, SessionId,
    SessionOpened, StatementEvent, Stored, Tree, leaf,
};

const NOW: u64 = 1_800_000_000_000_000;

/// Settings of a log in a temporary folder.
pub(crate) fn settings(folder: &TempDir) -> Settings {
    Settings {
        path: folder.path().join("data"),
        durability: Durability::Process,
        key_file: folder.path().join("master.key"),
        checkpoint_every_ms: 20,
        witness: Some(folder.path().join("witness")),
    }
}

pub(crate) fn opened(identity: &str) -> Event {
    Event::SessionOpened(SessionOpened {
        identity: identity.into(),
        groups: vec!["agents".into()],
        database: "clinic".into(),
        client: "127.0.0.1:50000".into(),
        application: "psql".into(),
        upstream_user: "app".into(),
        policy: [7; 32],
    })
}

pub(crate) fn statement(number: u64, text: &str) -> Event {
    Event::Statement(StatementEvent {
        number,
        prepared: false,
        name: Bytes::new(),
        text: Bytes::copy_from_slice(text.as_bytes()),
        verbs: vec!["select".into()],
        relations: vec!["clinical.patients".into()],
        decision: "forward".into(),
        rules: vec!["default".into()],
        reasons: vec!["nothing forbids it".into()],
        touches_masked: true,
    })
}

fn reply(number: u64) -> Event {
    Event::Reply(ReplyEvent {
        number,
        last: true,
        columns: Vec::new(),
        frames: vec![Bytes::from_static(b"C\0\0\0\x0dSELECT 0\0")],
        rows: 0,
        tag: "SELECT 0".into(),
        sqlstate: String::new(),
        duration_us: 420,
        columns_of: 0,
    })
}

fn session_id(byte: u8) -> SessionId {
    SessionId([byte; 16])
}

fn fill(recorder: &mut Recorder, statements: u64) -> super::Position {
    let mut last = recorder.append(opened("agent"), NOW).unwrap();
    for number in 1..=statements {
        recorder.append(statement(number, "select last_name from clinical.patients"), NOW + number).unwrap();
        last = recorder.append(reply(number), NOW + number).unwrap();
    }
    last
}

/// Every entry, checked against its stored hashes; the reasons of closed sessions.
fn read_back(settings: &Settings) -> (u64, Vec<String>) {
    let store = Store::open_to_read(&settings.path).unwrap();
    let mut tree = Tree::default();
    let mut reasons = Vec::new();
    for row in store.scan(&columns::ENTRIES, &[], false).unwrap() {
        let (index, bytes) = row.unwrap();
        assert_eq!(index, tree.size());
        tree.append(leaf(&bytes));
        if index < store.marked().unwrap() {
            assert_eq!(store.hash(0, index).unwrap(), leaf(&bytes));
        }
        if let Event::SessionClosed(closed) = Stored::read(&bytes).unwrap().event {
            reasons.push(closed.reason);
        }
    }
    (tree.size(), reasons)
}

#[tokio::test]
async fn what_is_acknowledged_is_there_after_a_close() {
    for durability in [Durability::Process, Durability::Power] {
        close_and_read_back(durability).await;
    }
}

async fn close_and_read_back(durability: Durability) {
    let folder = TempDir::new().unwrap();
    let settings = Settings { durability, ..settings(&folder) };
    let log = Log::open(&settings, NOW).unwrap();
    assert!(log.keys_made());
    let mut recorder = log.session(session_id(1)).unwrap();
    fill(&mut recorder, 10);
    let end = recorder.append(Event::SessionClosed(SessionClosed { reason: "terminate".into() }), NOW + 99).unwrap();
    recorder.wait(end).await.unwrap();
    assert_eq!(recorder.durable(), end);
    log.record(Event::ConfigurationLoaded(vec![("pgveil.toml".into(), [1; 32])]), NOW).await.unwrap();
    drop(recorder);
    log.close().unwrap();
    assert_eq!(log.record(Event::ConfigurationLoaded(Vec::new()), NOW).await, Err(LogFailed::Closed));
    assert_eq!(read_back(&settings), (23, vec!["terminate".to_owned()]));
    let again = Log::open(&settings, NOW).unwrap();
    assert!(!again.keys_made());
    assert_eq!(again.size(), 23);
}

#[tokio::test]
async fn a_log_that_was_not_closed_goes_on() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    for round in 1..=3u8 {
        let log = Log::open(&settings, NOW).unwrap();
        let mut recorder = log.session(session_id(round)).unwrap();
        let last = fill(&mut recorder, 5);
        recorder.wait(last).await.unwrap();
        drop(log);
    }
    drop(Log::open(&settings, NOW).unwrap());
    let (size, reasons) = read_back(&settings);
    assert_eq!(size, 36);
    assert_eq!(reasons, ["crash", "crash", "crash"]);
}

#[tokio::test]
async fn a_recorder_that_is_dropped_closes_its_session() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    let log = Log::open(&settings, NOW).unwrap();
    let mut recorder = log.session(session_id(1)).unwrap();
    recorder.append(opened("agent"), NOW).unwrap();
    drop(recorder);
    drop(log.session(session_id(2)).unwrap());
    log.close().unwrap();
    assert_eq!(read_back(&settings), (2, vec!["aborted".to_owned()]));
}

#[test]
fn a_second_process_is_told_so() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    let _log = Log::open(&settings, NOW).unwrap();
    let error = Log::open(&settings, NOW).unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    assert!(super::is_live(&settings.path));
}

#[test]
fn keys_that_others_can_read_or_that_are_others_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    drop(Log::open(&settings, NOW).unwrap());
    let mode = std::fs::metadata(&settings.key_file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::fs::set_permissions(&settings.key_file, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(matches!(Log::open(&settings, NOW), Err(StoreError::Mode { mode: 0o640, .. })));
    std::fs::remove_file(&settings.key_file).unwrap();
    assert!(matches!(Log::open(&settings, NOW), Err(StoreError::KeyMissing { .. })));
    super::files::make_key(&settings.key_file).unwrap();
    assert!(matches!(Log::open(&settings, NOW), Err(StoreError::OtherKey(_))));
}

#[test]
fn processes_that_begin_together_make_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.key");
    let make = || super::files::make_key(&path).unwrap().reveal().to_vec();
    let keys: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn a_log_shorter_than_its_checkpoint_is_refused() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    let log = Log::open(&settings, NOW).unwrap();
    let mut recorder = log.session(session_id(1)).unwrap();
    fill(&mut recorder, 5);
    drop(recorder);
    log.close().unwrap();
    let store = Store::open(&settings.path).unwrap();
    let mut batch = rocksdb::WriteBatch::default();
    for index in 8..12u64 {
        store.delete(&mut batch, &columns::ENTRIES, &index).unwrap();
    }
    store.write(batch, true).unwrap();
    drop(store);
    let error = Log::open(&settings, NOW).unwrap_err();
    assert!(error.to_string().contains("it has 8 entries and has signed a checkpoint of 12"), "{error}");
}

#[test]
fn a_log_older_than_its_witness_is_refused() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    let write = |session| {
        let log = Log::open(&settings, NOW).unwrap();
        let mut recorder = log.session(session_id(session)).unwrap();
        fill(&mut recorder, 3);
        drop(recorder);
        log.close().unwrap();
    };
    let move_to = |from: &str, to: &str| std::fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
    write(1);
    std::fs::create_dir(folder.path().join("older")).unwrap();
    for file in std::fs::read_dir(&settings.path).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), folder.path().join("older").join(file.file_name())).unwrap();
    }
    write(2);
    move_to("data", "newer");
    move_to("older", "data");
    let error = Log::open(&settings, NOW).unwrap_err();
    assert!(matches!(error, StoreError::SetBack { .. }), "{error}");
    // Grown past the witness without it, it still is another log.
    let blind = Settings { witness: None, ..settings.clone() };
    let log = Log::open(&blind, NOW).unwrap();
    let mut recorder = log.session(session_id(3)).unwrap();
    fill(&mut recorder, 40);
    drop(recorder);
    log.close().unwrap();
    assert!(matches!(Log::open(&settings, NOW).unwrap_err(), StoreError::SetBack { .. }));
    move_to("data", "other");
    move_to("newer", "data");
    write(4);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_the_log_goes_on() {
    let folder = TempDir::new().unwrap();
    let log = Log::open(&settings(&folder), NOW).unwrap();
    let mut recorder = log.session(session_id(1)).unwrap();
    let value = Some(Bytes::from(vec![0; 64 << 20]));
    let parameters = (0..5).map(|_| Parameter { binary: true, value: value.clone() }).collect();
    let event = Event::Execution(ExecutionEvent {
        number: 1,
        statement: 1,
        portal: Bytes::new(),
        rows_max: 0,
        parameters,
        decision: "forward".into(),
    });
    assert!(matches!(recorder.append(event, NOW), Err(LogFailed::Oversize(_))));
    let position = recorder.append(opened("agent"), NOW).unwrap();
    recorder.wait(position).await.unwrap();
    recorder.room().await.unwrap();
}

#[tokio::test]
async fn events_of_no_session_are_recorded() {
    let folder = TempDir::new().unwrap();
    let log = Log::open(&settings(&folder), NOW).unwrap();
    let refused = LoginRefused { identity: "mallory".into(), client: "127.0.0.1:1".into(), category: "wrong-password".into() };
    log.record(Event::LoginRefused(refused), NOW).await.unwrap();
    assert_eq!(log.size(), 1);
    let answered = crate::ledger::Answer::Denied;
    let hold = HoldAnswered { hold: "h1".into(), answer: answered, by: "eve".into(), reason: "has PHI".into() };
    // A sealed part needs a session's key.
    assert_eq!(log.record(Event::HoldAnswered(hold), NOW).await, Err(LogFailed::NoSession));
    assert_eq!(log.failed(), None);
}

#[test]
fn a_witness_that_cannot_be_written_does_not_stop_the_log() {
    let folder = TempDir::new().unwrap();
    let settings = Settings { witness: Some(folder.path().join("nowhere/witness")), ..settings(&folder) };
    let log = Log::open(&settings, NOW).unwrap();
    fill(&mut log.session(session_id(1)).unwrap(), 3);
    log.close().unwrap();
    assert!(log.witness_failed().unwrap().contains("nowhere/witness"));
    assert_eq!(log.failed(), None);
    assert_eq!(read_back(&settings).0, 8);
}

#[test]
fn keys_and_values_have_fixed_bytes() {
    use super::{Field, Row};
    let session = session_id(0xa5);
    assert_eq!(7u64.bytes(), [0, 0, 0, 0, 0, 0, 0, 7]);
    let key = ("ab".to_owned(), (1u64, session));
    let bytes = key.bytes();
    assert_eq!(bytes[..12], [0, 2, b'a', b'b', 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(bytes[12..], [0xa5; 16]);
    assert_eq!(Field::read(&bytes), Some(key));
    assert_eq!(<(String, u64)>::read(&[0, 9, b'a']), None);
    assert_eq!((session, 258u64).bytes()[16..], [0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(u64::read(&[0; 7]), None);
    let row = Row {
        first: 3,
        opened_us: 24,
        identity: "i".into(),
        groups: vec!["g".into()],
        database: "d".into(),
        client: "c".into(),
        application: "a".into(),
        statements: 2,
        closed: Some((25, "r".into())),
    };
    let expected =
        [0x89, 3, 0x18, 24, 0x61, b'i', 0x81, 0x61, b'g', 0x61, b'd', 0x61, b'c', 0x61, b'a', 2, 0x82, 0x18, 25, 0x61, b'r'];
    assert_eq!(row.bytes(), expected);
    assert_eq!(Row::read(&expected), Some(row));
    assert_eq!(Row::read(&[expected.as_slice(), &[0]].concat()), None);
}

#[tokio::test]
async fn a_session_over_the_bound_waits_for_room() {
    let folder = TempDir::new().unwrap();
    let log = Log::open(&settings(&folder), NOW).unwrap();
    let mut recorder = log.session(session_id(1)).unwrap();
    let watch = recorder.watch().clone();
    let frame = Bytes::from(vec![7; 8 << 20]);
    for number in 1..=6 {
        let mut event = reply(number);
        if let Event::Reply(reply) = &mut event {
            reply.frames = vec![frame.clone()];
        }
        recorder.append(event, NOW).unwrap();
    }
    watch.room().await.unwrap();
    assert!(log.queued_bytes() < super::QUEUE_BYTES_MAX);
    watch.wait(super::Position(6)).await.unwrap();
    assert_eq!((watch.durable(), log.queued_bytes() < super::QUEUE_BYTES_MAX), (super::Position(6), true));
}
