//! Killed at any moment under write load: whatever the database committed is in the log, and the log is whole, in both modes of
//! durability.
//!
//! `PGVEIL_KILLS` says how often (5).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proto_tests::journal::{everything, verify};
use proto_tests::server::Server;
use proto_tests::{Identity, Stand, Wire};

const WRITERS: u64 = 6;
/// Rows that are written between two kills, at least.
const WRITTEN_MIN: u64 = 5;
/// How long to wait for them.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writes rows with marks of their own until the connection is lost, then connects again.
fn write(port: u16, who: &Identity, writer: u64, stop: &AtomicBool, count: &AtomicU64, written: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        let Ok(Ok(mut wire)) = Wire::try_connect(port, who, "clinic", &[]) else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        while !stop.load(Ordering::Relaxed) {
            let mark = format!("mark-{writer}-{}", count.fetch_add(1, Ordering::Relaxed));
            // half of them with the mark in a parameter, which must be on record just as well
            let reply = if mark.len() % 2 == 0 {
                wire.query(&format!("insert into tests.marks values ('{mark}')"))
            } else {
                wire.pipeline(|p| {
                    p.parse("", "insert into tests.marks values ($1)").bind("", "", &[Some(&mark)], 0).execute("", 0).sync();
                });
                wire.reply()
            };
            if !reply.tags().ends_with('Z') {
                break;
            }
            written.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn what_was_committed_is_on_record() {
    survives("process");
}

#[test]
fn so_it_is_when_every_entry_waits_for_the_disk() {
    survives("power");
}

/// Kills pgveil again and again under load.
fn survives(durability: &str) {
    let kills: u64 = std::env::var("PGVEIL_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(5);
    let stand = Stand::start("clinic", &["--without-pgveil"]);
    stand.owner("create table tests.marks (mark text)");
    let config = std::fs::read_to_string(stand.value("CONFIG")).unwrap();
    let chosen = config.replace("durability = \"process\"", &format!("durability = \"{durability}\""));
    assert!(chosen.contains(&format!("durability = \"{durability}\"")));
    std::fs::write(stand.value("CONFIG"), chosen).unwrap();
    let who = stand.identity("AGENT");
    let stop = Arc::new(AtomicBool::new(false));
    let (count, written) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut server = Server::start(&stand);
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| {
            let (port, who, stop) = (stand.port(), who.clone(), Arc::clone(&stop));
            let (count, written) = (Arc::clone(&count), Arc::clone(&written));
            std::thread::spawn(move || write(port, &who, n, &stop, &count, &written))
        })
        .collect();
    let mut pause = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(std::process::id());
    for kill in 0..kills {
        pause = pause.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // A busy machine lets clients in late: a kill before anything was written shows nothing.
        let (started, before) = (Instant::now(), written.load(Ordering::Relaxed));
        while written.load(Ordering::Relaxed) < before + WRITTEN_MIN {
            assert!(started.elapsed() < PATIENCE, "nothing is written before kill {kill}");
            std::thread::sleep(Duration::from_millis(3));
        }
        let started = Instant::now();
        let long_enough = Duration::from_millis((pause >> 33) % 300);
        while started.elapsed() < long_enough {
            std::thread::sleep(Duration::from_millis(3));
        }
        server.kill();
        let whole = verify(Path::new(stand.value("DATA")), Some(stand.value("WITNESS")));
        assert_eq!(whole.code, 0, "after kill {kill}: {}{}", whole.out, whole.err);
        server = Server::start(&stand);
    }
    std::thread::sleep(Duration::from_millis(300));
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().unwrap();
    }
    let told = everything(&stand, &["--identity", "mcp-agent"]);
    let recorded: BTreeSet<&str> =
        told.split(|c: char| !(c.is_alphanumeric() || c == '-')).filter(|w| w.starts_with("mark-")).collect();
    let committed = stand.owner("select mark from tests.marks");
    let missing: Vec<_> = committed.lines().filter(|mark| !recorded.contains(mark)).collect();
    assert!(committed.lines().count() > 20, "the load wrote only {} rows", committed.lines().count());
    assert!(
        missing.is_empty(),
        "{} of {} committed rows are not on record: {missing:?}",
        missing.len(),
        committed.lines().count()
    );
    assert_eq!(server.stop(), 0);
    assert_eq!(verify(Path::new(stand.value("DATA")), Some(stand.value("WITNESS"))).code, 0);
}
