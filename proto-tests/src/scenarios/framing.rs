//! Messages of any size, cut anywhere.

use crate::transcript::{SYNC, Scenario, Stage, bind, describe, execute, message, parse, query};

pub(super) const ALL: &[Scenario] = &[
    ("byte-by-byte", byte_by_byte),
    ("many-in-one-packet", many),
    ("deep-pipeline", deep_pipeline),
    ("slow-reader", slow_reader),
    ("long-values", long_values),
    ("long-messages", long_messages),
    ("many-columns", many_columns),
    ("unknown-messages", unknown),
    ("lengths-out-of-bounds", lengths),
];

fn byte_by_byte(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let script = [
        query("select 'a'; select 'b'"),
        parse("", "select $1::text"),
        bind("", "", &[], &[Some(b"c")], &[]),
        describe(b'P', ""),
        execute("", 0),
        SYNC.to_vec(),
    ];
    for byte in script.concat() {
        wire.send(&[byte]).unwrap();
    }
    stage.ready(&mut wire, 2);
}

fn many(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let all: Vec<u8> = (0..300).flat_map(|n| query(format!("select {n}"))).collect();
    stage.send(&mut wire, &all, 300);
}

/// A client that writes everything before it wants to read anything.
fn deep_pipeline(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.send(&mut wire, &[parse("d", "select $1::text, repeat('y', 150)"), SYNC.to_vec()].concat(), 1);
    let one = |n: i32| [bind("", "d", &[], &[Some(n.to_string().as_bytes())], &[]), execute("", 0)].concat();
    let mut all: Vec<u8> = (0..30_000).flat_map(one).collect();
    all.extend_from_slice(SYNC);
    wire.send_and_read(&all).unwrap();
    stage.digest(&mut wire);
}

fn slow_reader(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    wire.ask("select repeat('z', 1000) from generate_series(1, 50000)");
    let first = wire.read().unwrap();
    stage.note(char::from(first.tag));
    std::thread::sleep(std::time::Duration::from_secs(1));
    stage.digest(&mut wire);
}

fn long_values(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    for bytes in [8_000, 32_000, 33_000, 1_000_000, 20_000_000] {
        wire.ask(&format!("select repeat('v', {bytes}), 1, null"));
        stage.digest(&mut wire);
    }
}

/// Longer than what is collected: they are passed on.
fn long_messages(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let long = "q".repeat(70 << 20);
    stage.send(&mut wire, &query(format!("select length('{long}')")), 1);
    let extended = [
        parse("", format!("select length('{long}'), $1")),
        describe(b'S', ""),
        bind("", "", &[], &[Some(b"x")], &[]),
        execute("", 0),
        SYNC.to_vec(),
    ];
    stage.send(&mut wire, &extended.concat(), 1);
    let bound =
        [parse("lm", "select length($1)"), bind("p", "lm", &[], &[Some(long.as_bytes())], &[]), execute("p", 0), SYNC.to_vec()];
    stage.send(&mut wire, &bound.concat(), 1);
    // the error comes only when all of it has been read
    let failed = [query(format!("select '{long}' from nowhere")), query("select 1")];
    stage.send(&mut wire, &failed.concat(), 2);
    let skipped = [parse("", "selec"), query(&long), parse("", &long), SYNC.to_vec(), query("select 2")];
    stage.send(&mut wire, &skipped.concat(), 2);
}

fn many_columns(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    for columns in [0, 1, 100, 1600, 1665] {
        let list: Vec<String> = (0..columns).map(|n| format!("{n} as c{n}")).collect();
        wire.ask(&format!("select {}", list.join(", ")));
        stage.digest(&mut wire);
    }
}

fn unknown(stage: &mut Stage<'_>) {
    for tag in [b'y', b'R', b'p', 0, 0xff] {
        let mut wire = stage.connect();
        wire.send(&message(tag, b"what")).unwrap();
        stage.end(&mut wire);
    }
}

fn lengths(stage: &mut Stage<'_>) {
    for length in [0_u32, 3, 0x4000_0004, u32::MAX] {
        let mut wire = stage.connect();
        wire.send(&[b"Q", &length.to_be_bytes()[..]].concat()).unwrap();
        let said = wire.rest();
        stage.note(said.is_empty() || said[0] == b'E');
    }
}
