//! Rows and values of any size stream: memory stays bounded, and the first row leaves when it arrives.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proto_tests::{Stand, Wire};

/// Masks for all but clinicians, no holds.
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/stand/corpus-policy.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--policy", POLICY]));

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", STAND.value("PID"))).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Bytes of rows received, and the proxy's highest memory meanwhile above what it was before.
fn stream(who: &str, sql: &str) -> (usize, u64) {
    let mut wire = Wire::connect(&STAND, &STAND.identity(who));
    wire.query("select 1");
    let before = resident_kib();
    let (mut bytes, mut highest, mut looked) = (0, 0, Instant::now());
    wire.ask(sql);
    loop {
        let message = wire.read().unwrap();
        match message.tag {
            b'D' => bytes += message.body.len(),
            b'E' => panic!("{:?}", message.field(b'M')),
            b'Z' => break,
            _ => {}
        }
        if looked.elapsed() > Duration::from_millis(20) {
            highest = highest.max(resident_kib());
            looked = Instant::now();
        }
    }
    highest = highest.max(resident_kib());
    (bytes, highest.saturating_sub(before))
}

#[test]
fn one_value_of_two_hundred_megabytes_streams() {
    let (bytes, grown) = stream("CLINICIAN", "select repeat('0123456789', 20000000) as long");
    assert!(bytes > 200_000_000);
    assert!(grown < 160 << 10, "one value of {bytes} bytes took {grown} KiB of memory");
}

#[test]
fn many_rows_stream() {
    let (bytes, grown) = stream("CLINICIAN", "select g, repeat('x', 200) from generate_series(1, 1000000) g");
    assert!(bytes > 200_000_000);
    assert!(grown < 160 << 10, "a result of {bytes} bytes took {grown} KiB of memory");
}

#[test]
fn many_masked_rows_stream() {
    let sql = "select p.* from clinical.patients p, generate_series(1, 100) g";
    let (bytes, grown) = stream("AGENT", sql);
    assert!(bytes > 20_000_000, "{bytes}");
    assert!(grown < 160 << 10, "a masked result of {bytes} bytes took {grown} KiB of memory");
}

#[test]
fn the_first_row_does_not_wait_for_the_last() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("CLINICIAN"));
    let start = Instant::now();
    // PostgreSQL sends in blocks of 8 KiB, so each row is longer than one
    wire.ask("select repeat('x', 9000), pg_sleep(0.4) from generate_series(1, 5)");
    let mut first = None;
    loop {
        let message = wire.read().unwrap();
        match message.tag {
            b'D' if first.is_none() => first = Some(start.elapsed()),
            b'Z' => break,
            _ => {}
        }
    }
    let (first, last) = (first.unwrap(), start.elapsed());
    assert!(last >= Duration::from_millis(1900), "{last:?}");
    assert!(first < last.mul_f32(0.5), "the first row came after {first:?} of {last:?}");
}

#[test]
fn a_database_that_does_not_read_costs_no_memory() {
    STAND.owner(
        "create table tests.slow (t text); create function tests.wait() returns trigger language plpgsql as \
         $$ begin perform pg_sleep(60); return new; end $$; \
         create trigger slow before insert on tests.slow for each row execute function tests.wait()",
    );
    let mut wire = Wire::connect(&STAND, &STAND.identity("CLINICIAN"));
    wire.query("select 1");
    let before = resident_kib();
    wire.ask("copy tests.slow from stdin");
    assert_eq!(wire.read().unwrap().tag, b'G');
    // the client is made to wait, too
    let row = proto_tests::transcript::copy_data("x".repeat(10_000) + "\n");
    wire.send_until_blocked(&row, 100_000_000);
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB for a database that does not read");
    STAND.owner(&format!("select pg_terminate_backend({})", wire.key.0));
}

#[test]
fn a_client_that_does_not_read_costs_no_memory() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("CLINICIAN"));
    wire.query("select 1");
    let before = resident_kib();
    wire.ask("select repeat('x', 1000) from generate_series(1, 300000)");
    std::thread::sleep(Duration::from_secs(2));
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 160 << 10, "{grown} KiB for a client that does not read");
    assert_eq!(wire.reply().of(b'D').count(), 300_000);
}
