//! Logs, whole and tampered with.

mod crash;
mod reading;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rocksdb::WriteBatch;
use tempfile::TempDir;

use super::value::text;
use super::{Archive, Evidence, Filter, Found, Reader, Report, Seen, shown, verify};
use crate::ledger::{
    ColumnSeen, Content, Event, ReplyEvent, SessionClosed, SessionId, Signer, Tiles, Tree, Verifier, leaf, tile_bytes,
};
use crate::secret::Secret;
use crate::store::columns::{BY_SESSION, BY_TIME, CHECKPOINTS, ENTRIES, HASHES, KEYS, META, SESSIONS};
use crate::store::tests::{opened, settings, statement};
use crate::store::{Durability, Log, Settings, Store, master_key};

const NOW: u64 = 1_800_000_000_000_000;

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag], u32::try_from(body.len() + 4).unwrap().to_be_bytes().as_slice(), body].concat()
}

fn data_row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        match value {
            Some(value) => {
                body.extend(i32::try_from(value.len()).unwrap().to_be_bytes());
                body.extend_from_slice(value);
            }
            None => body.extend((-1i32).to_be_bytes()),
        }
    }
    message(b'D', &body)
}

fn column(name: &str, type_oid: u32, binary: bool, verdict: &str) -> ColumnSeen {
    ColumnSeen { name: name.into(), type_oid, binary, verdict: verdict.into(), reason: "policy".into() }
}

fn reply(number: u64) -> Event {
    let row = data_row(&[Some(b"***-**-1234"), Some(&7i32.to_be_bytes()), None]);
    Event::Reply(ReplyEvent {
        number,
        last: true,
        columns: vec![column("ssn", 25, false, "masked"), column("n", 23, true, "clear"), column("d", 1082, true, "clear")],
        frames: vec![Bytes::from(row), Bytes::from(message(b'C', b"SELECT 1\0"))],
        rows: 1,
        tag: "SELECT 1".into(),
        sqlstate: String::new(),
        duration_us: 300,
        columns_of: 0,
    })
}

fn session_id(byte: u8) -> SessionId {
    SessionId([byte; 16])
}

fn play(log: &Log, byte: u8, statements: u64, close: bool) {
    let mut recorder = log.session(session_id(byte)).unwrap();
    let now = NOW + u64::from(byte) * 1_000_000;
    recorder.append(opened(&format!("agent{}", byte % 2)), now).unwrap();
    for number in 1..=statements {
        recorder.append(statement(number, "select ssn, n, d from clinical.patients"), now + number).unwrap();
        recorder.append(reply(number), now + number).unwrap();
    }
    if close {
        recorder.append(Event::SessionClosed(SessionClosed { reason: "terminate".into() }), now + 99).unwrap();
    }
}

/// A log with tables, a write-ahead log, a crash and a clean end behind it.
pub(crate) fn whole(folder: &TempDir) -> Settings {
    let settings = settings(folder);
    let log = Log::open(&settings, NOW).unwrap();
    (1..=3).for_each(|byte| play(&log, byte, 4, true));
    let mut left = log.session(session_id(9)).unwrap();
    left.append(opened("left"), NOW).unwrap();
    drop(log);
    drop(left);
    let log = Log::open(&settings, NOW).unwrap();
    (4..=6).for_each(|byte| play(&log, byte, 4, byte != 6));
    log.close().unwrap();
    settings
}

fn check(path: &Path, evidence: &Evidence) -> Report {
    verify(path, evidence, &mut |_, _| {}).unwrap()
}

fn sentences(report: &Report) -> String {
    report.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn change(path: &Path, change: impl FnOnce(&Store, &mut WriteBatch)) {
    let store = Store::open(path).unwrap();
    let mut batch = WriteBatch::default();
    change(&store, &mut batch);
    store.write(batch, true).unwrap();
}

#[test]
fn a_whole_log_is_whole() {
    let folder = TempDir::new().unwrap();
    let settings = whole(&folder);
    let evidence = Evidence {
        checkpoints: settings.witness.iter().cloned().collect(),
        master: Some(master_key(&settings).unwrap()),
        public_key: Some(Verifier::parse(&fs::read_to_string(settings.path.join("checkpoint.pub")).unwrap()).unwrap()),
    };
    let report = check(&settings.path, &evidence);
    assert_eq!(sentences(&report), "");
    assert_eq!((report.entries, report.sessions, report.destroyed), (62, 7, 0));
    assert_eq!(report.newest.unwrap().size, 62);
}

#[test]
fn a_log_in_use_is_verified_too() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    let log = Log::open(&settings, NOW).unwrap();
    for byte in 1..30 {
        play(&log, byte, 20, true);
        let report = check(&settings.path, &Evidence::default());
        assert!(report.live);
        assert_eq!(sentences(&report), "");
    }
}

/// Small events are written by their sessions, large ones by the log's thread: each session's stay in order, and the log whole.
#[test]
fn many_threads_write_one_log() {
    const THREADS: u8 = 6;
    const EVENTS: u64 = 400;
    for durability in [Durability::Process, Durability::Power] {
        let folder = TempDir::new().unwrap();
        let settings = Settings { durability, ..settings(&folder) };
        let log = Log::open(&settings, NOW).unwrap();
        std::thread::scope(|scope| {
            for byte in 1..=THREADS {
                let mut recorder = log.session(session_id(byte)).unwrap();
                scope.spawn(move || {
                    recorder.append(opened("agent"), NOW).unwrap();
                    for number in 1..=EVENTS {
                        let bytes = if number % 7 == 0 { 20_000 } else { 20 };
                        recorder.append(statement(number, &"x".repeat(bytes)), NOW + number).unwrap();
                    }
                });
            }
        });
        // A look at it while it is written, some of it not indexed yet.
        let report = check(&settings.path, &Evidence::default());
        assert_eq!(sentences(&report), "");
        log.close().unwrap();
        let report = check(&settings.path, &Evidence::default());
        assert_eq!(sentences(&report), "");
        assert_eq!(report.entries, u64::from(THREADS) * (EVENTS + 2));
        let archive = Archive::open(&settings.path).unwrap();
        for byte in 1..=THREADS {
            let numbers = archive.entries(session_id(byte), None).unwrap().map(|entry| entry.unwrap().place.session.unwrap().1);
            assert!(numbers.eq(1..=EVENTS + 2));
        }
    }
}

#[test]
fn a_log_that_is_written_is_read_to_its_last_entry() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    let log = Log::open(&settings, NOW).unwrap();
    let mut recorder = log.session(session_id(1)).unwrap();
    recorder.append(opened("agent"), NOW).unwrap();
    for number in 1..=2_500 {
        recorder.append(statement(number, "select 1"), NOW + number).unwrap();
        if number % 500 == 3 {
            let archive = Archive::open(&settings.path).unwrap();
            assert_eq!(archive.entries(session_id(1), None).unwrap().map(Result::unwrap).count() as u64, number + 1);
        }
    }
    // Killed here, nothing of it is lost and the next start indexes the rest.
    drop(log);
    drop(recorder);
    drop(Log::open(&settings, NOW).unwrap());
    let report = check(&settings.path, &Evidence::default());
    assert_eq!((sentences(&report), report.entries), (String::new(), 2_502));
}

#[test]
fn a_reply_may_refer_to_the_columns_of_another() {
    let folder = TempDir::new().unwrap();
    let settings = settings(&folder);
    let log = Log::open(&settings, NOW).unwrap();
    let mut recorder = log.session(session_id(1)).unwrap();
    recorder.append(opened("agent"), NOW).unwrap();
    let first = recorder.append(reply(1), NOW).unwrap();
    let Event::Reply(mut later) = reply(2) else { panic!("a reply") };
    (later.columns, later.columns_of) = (Vec::new(), first.0);
    recorder.append(Event::Reply(later), NOW).unwrap();
    log.close().unwrap();
    let archive = Archive::open(&settings.path).unwrap();
    let key = archive.key(session_id(1), &master_key(&settings).unwrap()).unwrap();
    let columns = archive.entries(session_id(1), key.as_ref()).unwrap().filter_map(|entry| match entry.unwrap().event {
        Event::Reply(reply) => Some(reply.columns),
        _ => None,
    });
    let columns: Vec<_> = columns.collect();
    assert_eq!(columns.len(), 2);
    assert_eq!(columns[0].len(), 3);
    assert_eq!(columns[0], columns[1]);
}

fn journal_and_table_files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        name.ends_with(".sst")
            || name.ends_with(".log")
            || name.starts_with("MANIFEST-")
            || name == "CURRENT"
            || name == "checkpoint"
    });
    files.sort();
    files
}

fn flip_every(step: usize) {
    let folder = TempDir::new().unwrap();
    let settings = whole(&folder);
    let files = journal_and_table_files(&settings.path);
    assert!(files.iter().any(|file| file.extension().is_some_and(|end| end == "sst")));
    let mut missed = Vec::new();
    let mut tried = 0;
    for file in files {
        let good = fs::read(&file).unwrap();
        for offset in (0..good.len()).step_by(step) {
            for bits in [0x01, 0x80] {
                let mut bad = good.clone();
                bad[offset] ^= bits;
                fs::write(&file, &bad).unwrap();
                tried += 1;
                if check(&settings.path, &Evidence::default()).is_whole() {
                    missed.push(format!("{} {offset} {bits:#x}", file.file_name().unwrap().display()));
                }
            }
        }
        fs::write(&file, &good).unwrap();
    }
    assert_eq!(sentences(&check(&settings.path, &Evidence::default())), "");
    assert!(missed.is_empty(), "{} of {tried} missed: {missed:?}", missed.len());
}

#[test]
fn one_changed_byte_is_found_wherever_it_is() {
    flip_every(211);
}

#[test]
#[ignore = "minutes: every byte of every file"]
fn every_changed_byte_is_found() {
    flip_every(1);
}

#[test]
fn a_changed_entry_is_named() {
    let folder = TempDir::new().unwrap();
    let settings = whole(&folder);
    change(&settings.path, |store, batch| {
        let mut entry = store.get(&ENTRIES, &7).unwrap().unwrap();
        *entry.last_mut().unwrap() ^= 1;
        store.put(batch, &ENTRIES, &7, &entry).unwrap();
    });
    let report = check(&settings.path, &Evidence::default());
    assert_eq!(report.findings.len(), 1, "{}", sentences(&report));
    assert_eq!((report.findings[0].entry, report.findings[0].session), (Some(7), Some(session_id(1))));
    assert!(report.findings[0].what.contains("it has been changed"));
}

/// What an insider does who knows the format: all hashes made anew.
fn rehash(store: &Store, batch: &mut WriteBatch, entries: &[(u64, Vec<u8>)]) -> Tree {
    let (mut tree, mut tiles) = (Tree::default(), Tiles::default());
    let put = |batch: &mut WriteBatch, at, row: &[_]| store.put(batch, &HASHES, &at, &tile_bytes(row)).unwrap();
    for (index, bytes) in entries {
        tree.append(leaf(bytes));
        tiles.append(leaf(bytes), |at, row| put(batch, at, &row));
        store.put(batch, &ENTRIES, index, bytes).unwrap();
    }
    tiles.begun().for_each(|(at, row)| put(batch, at, row));
    tree
}

fn all_entries(store: &Store) -> Vec<(u64, Vec<u8>)> {
    store.scan(&ENTRIES, &[], false).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_tree_made_anew_without_the_signing_key_is_found() {
    let folder = TempDir::new().unwrap();
    let settings = whole(&folder);
    change(&settings.path, |store, batch| {
        let mut entries = all_entries(store);
        *entries[7].1.last_mut().unwrap() ^= 1;
        rehash(store, batch, &entries);
    });
    let report = check(&settings.path, &Evidence::default());
    assert!(sentences(&report).contains("do not have the root"), "{}", sentences(&report));
    // With a key of their own in place of the log's, only the public key from elsewhere tells.
    let own = Signer::new("pgveil/0123456789abcdef", &Secret::new(vec![1; 32])).unwrap();
    let true_key = Verifier::parse(&fs::read_to_string(settings.path.join("checkpoint.pub")).unwrap()).unwrap();
    change(&settings.path, |store, batch| {
        let sizes: Vec<u64> = store.scan(&CHECKPOINTS, &[], false).unwrap().map(|row| row.unwrap().0).collect();
        sizes.iter().for_each(|size| store.delete(batch, &CHECKPOINTS, size).unwrap());
        let tree = rehash(store, batch, &all_entries(store));
        let note = own.note(tree.size(), tree.root(), NOW);
        store.put(batch, &CHECKPOINTS, &tree.size(), &note).unwrap();
        store.put(batch, &META, &"verifier".to_owned(), &own.verifier().to_string()).unwrap();
        fs::write(settings.path.join("checkpoint"), note).unwrap();
        fs::write(settings.path.join("checkpoint.pub"), own.verifier().to_string()).unwrap();
    });
    assert!(check(&settings.path, &Evidence::default()).is_whole(), "the limit that the documentation states");
    let evidence = Evidence { public_key: Some(true_key), ..Evidence::default() };
    assert!(!check(&settings.path, &evidence).is_whole());
}

/// Takes the last entries out with all that speaks of them.
fn truncate(settings: &Settings, size: u64) {
    change(&settings.path, |store, batch| {
        let keep: Vec<(u64, Vec<u8>)> = all_entries(store).into_iter().filter(|(index, _)| *index < size).collect();
        for (index, _) in all_entries(store).iter().filter(|(index, _)| *index >= size) {
            store.delete(batch, &ENTRIES, index).unwrap();
        }
        rehash(store, batch, &keep);
        for row in store.scan(&CHECKPOINTS, &[], false).unwrap() {
            let (at, _) = row.unwrap();
            if at > size {
                store.delete(batch, &CHECKPOINTS, &at).unwrap();
            }
        }
        for row in store.scan(&BY_SESSION, &[], false).unwrap() {
            let (key, mut run) = row.unwrap();
            run.retain(|index| *index < size);
            store.delete(batch, &BY_SESSION, &key).unwrap();
            if !run.is_empty() {
                store.put(batch, &BY_SESSION, &key, &run).unwrap();
            }
        }
    });
}

#[test]
fn a_cut_off_end_is_found_by_what_was_kept_elsewhere() {
    let folder = TempDir::new().unwrap();
    let settings = whole(&folder);
    let witness = settings.witness.clone().unwrap();
    truncate(&settings, 50);
    let report = check(&settings.path, &Evidence::default());
    let missing =
        "the log has 50 entries and `checkpoint` in the data folder has a checkpoint of 62: entries 50 to 61 are missing";
    assert!(sentences(&report).contains(missing), "{}", sentences(&report));
    fs::remove_file(settings.path.join("checkpoint")).unwrap();
    let evidence = Evidence { checkpoints: vec![witness], ..Evidence::default() };
    let report = check(&settings.path, &evidence);
    assert!(sentences(&report).contains("entries 50 to 61 are missing"), "{}", sentences(&report));
}

type Fault = fn(&Store, &mut WriteBatch);

#[test]
fn taken_out_inserted_and_exchanged_entries_are_found() {
    let faults: [(&str, Fault); 11] = [
        ("entry 9 is missing", |store, batch| store.delete(batch, &ENTRIES, &9).unwrap()),
        ("entries 62 to 69 are missing", |store, batch| store.put(batch, &ENTRIES, &70, &vec![1]).unwrap()),
        ("it has been moved", |store, batch| {
            let (one, two) = (store.get(&ENTRIES, &3).unwrap().unwrap(), store.get(&ENTRIES, &4).unwrap().unwrap());
            store.put(batch, &ENTRIES, &3, &two).unwrap();
            store.put(batch, &ENTRIES, &4, &one).unwrap();
        }),
        ("its summary does not agree with its entries", |store, batch| {
            let mut row = store.get(&SESSIONS, &session_id(2)).unwrap().unwrap();
            row.identity = "somebody else".into();
            store.put(batch, &SESSIONS, &session_id(2), &row).unwrap();
        }),
        ("index `by_time` does not have it", |store, batch| {
            store.delete(batch, &BY_TIME, &(NOW + 3_000_000, session_id(3))).unwrap();
        }),
        // How many it ought to have depends on what was written together.
        ("column `by_session` has ", |store, batch| {
            store.put(batch, &BY_SESSION, &(session_id(7), 1), &vec![5]).unwrap();
        }),
        ("index `by_session` points elsewhere", |store, batch| {
            let mut run = store.get(&BY_SESSION, &(session_id(2), 1)).unwrap().unwrap();
            run[3] += 1;
            store.put(batch, &BY_SESSION, &(session_id(2), 1), &run).unwrap();
        }),
        ("index `by_session` has entries behind its end", |store, batch| {
            let mut run = store.get(&BY_SESSION, &(session_id(2), 1)).unwrap().unwrap();
            run.push(60);
            store.put(batch, &BY_SESSION, &(session_id(2), 1), &run).unwrap();
        }),
        ("index `by_session` does not have it", |store, batch| {
            store.delete(batch, &BY_SESSION, &(session_id(2), 1)).unwrap();
        }),
        ("there are hashes of 61 entries", |store, batch| {
            let mut row = store.get(&HASHES, &(0, 0)).unwrap().unwrap();
            row.truncate(61 * 32);
            store.put(batch, &HASHES, &(0, 0), &row).unwrap();
        }),
        ("column `hashes` has 2 records where the entries account for 1", |store, batch| {
            store.put(batch, &HASHES, &(1, 0), &vec![0; 32]).unwrap();
        }),
    ];
    for (sentence, fault) in faults {
        let folder = TempDir::new().unwrap();
        let settings = whole(&folder);
        change(&settings.path, fault);
        let report = check(&settings.path, &Evidence::default());
        assert!(sentences(&report).contains(sentence), "{sentence}: {}", sentences(&report));
    }
}

#[test]
fn a_destroyed_key_takes_the_content_and_leaves_the_proof() {
    let folder = TempDir::new().unwrap();
    let settings = whole(&folder);
    let other = {
        let store = Store::open(&settings.path).unwrap();
        store.get(&KEYS, &session_id(3)).unwrap().unwrap()
    };
    change(&settings.path, |store, batch| store.delete(batch, &KEYS, &session_id(2)).unwrap());
    let report = check(&settings.path, &Evidence::default());
    assert_eq!((sentences(&report).as_str(), report.destroyed), ("", 1));
    let archive = Archive::open(&settings.path).unwrap();
    let master = master_key(&settings).unwrap();
    assert!(archive.key(session_id(2), &master).unwrap().is_none());
    drop(archive);
    // A key put in the place of another is found with the master key.
    change(&settings.path, |store, batch| store.put(batch, &KEYS, &session_id(4), &other).unwrap());
    let evidence = Evidence { master: Some(master), ..Evidence::default() };
    assert!(sentences(&check(&settings.path, &evidence)).contains("does not open with the master key"));
}

#[test]
fn missing_files_are_found() {
    for gone in [".sst", ".log", "CURRENT", "MANIFEST"] {
        let folder = TempDir::new().unwrap();
        let settings = whole(&folder);
        let files = journal_and_table_files(&settings.path);
        let biggest =
            files.iter().filter(|file| file.to_string_lossy().contains(gone)).max_by_key(|file| file.metadata().unwrap().len());
        fs::remove_file(biggest.unwrap()).unwrap();
        assert!(!check(&settings.path, &Evidence::default()).is_whole(), "{gone}");
    }
    let folder = TempDir::new().unwrap();
    assert!(verify(folder.path(), &Evidence::default(), &mut |_, _| {}).is_err());
}

#[test]
fn a_copy_of_a_log_in_use_is_whole_and_one_changed_byte_in_it_is_found() {
    let folder = TempDir::new().unwrap();
    // No checkpoint between the copies of two files.
    let settings = Settings { checkpoint_every_ms: 600_000, ..whole(&folder) };
    let log = Log::open(&settings, NOW).unwrap();
    play(&log, 8, 10, true);
    while log.size() < 84 {
        std::thread::yield_now();
    }
    let copy = TempDir::new().unwrap();
    // The newest checkpoint first: the log that is copied after it reaches as far at least.
    let mut files: Vec<_> = fs::read_dir(&settings.path).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort_by_key(|file| !file.ends_with(crate::store::CHECKPOINT_FILE));
    for file in files {
        fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    let report = check(copy.path(), &Evidence::default());
    assert_eq!((sentences(&report).as_str(), report.entries, report.live), ("", 84, false));
    for file in journal_and_table_files(copy.path()) {
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        if bad.is_empty() {
            continue;
        }
        bad[middle] ^= 0x10;
        fs::write(&file, &bad).unwrap();
        let report = check(copy.path(), &Evidence::default());
        assert!(!report.is_whole(), "{}", file.display());
        fs::write(&file, &good).unwrap();
    }
    log.close().unwrap();
}
