//! COPY, both ways.

use crate::transcript::{
    COPY_DONE, FLUSH, SYNC, Scenario, Stage, TERMINATE, bind, copy_data, describe, execute, message, parse, query, run,
};

pub(super) const ALL: &[Scenario] = &[
    ("copy-in", copy_in),
    ("copy-in-extended", copy_in_extended),
    ("copy-in-among-statements", among),
    ("copy-in-astray", astray),
    ("copy-failed-by-the-client", failed_by_client),
    ("copy-failed-by-the-server", failed_by_server),
    ("copy-out", copy_out),
    ("copy-out-breaks-off", breaks_off),
    ("copy-in-is-left", left),
    ("stray-copy-messages", stray),
    ("copy-in-of-many-sizes", sizes),
];

const TABLE: &str = "create temp table c(a int, b text)";

fn copy_in(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &[TABLE]);
    // Flush and Sync between are ignored
    for data in [&["1\tone\n", "2\ttw", "o\n3\t\\N\n"][..], &["6\tsix\n", "\\.\n"], &[]] {
        wire.ask("copy c from stdin");
        stage.until(&mut wire, b"G", 1);
        let parts: Vec<u8> = data.iter().flat_map(|part| [copy_data(part), FLUSH.to_vec(), SYNC.to_vec()].concat()).collect();
        stage.send(&mut wire, &[&parts, COPY_DONE].concat(), 1);
    }
    stage.ask(&mut wire, &["select * from c", "copy c from stdin (format nonsense)", "copy nowhere from stdin"]);
    let binary =
        [b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec(), b"\0\x02\0\0\0\x04\0\0\0\x07\0\0\0\x01x\xff\xff".to_vec()].concat();
    wire.ask("copy c from stdin (format binary)");
    stage.until(&mut wire, b"G", 1);
    stage.send(&mut wire, &[copy_data(binary), COPY_DONE.to_vec()].concat(), 1);
}

fn copy_in_extended(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &[TABLE]);
    let begin = |sql: &str| {
        [parse("", sql), describe(b'S', ""), bind("", "", &[], &[], &[]), describe(b'P', ""), execute("", 0), FLUSH.to_vec()]
            .concat()
    };
    wire.send(&begin("copy c from stdin (format csv)")).unwrap();
    stage.until(&mut wire, b"G", 1);
    stage.send(&mut wire, &[copy_data("7,\"sev\"\"en\"\n"), COPY_DONE.to_vec(), SYNC.to_vec()].concat(), 1);
    wire.send(&begin("copy c from stdin")).unwrap();
    stage.until(&mut wire, b"G", 1);
    // more behind it in the same sequence
    stage.send(&mut wire, &[copy_data("8\tx\n"), COPY_DONE.to_vec(), run("select count(*) from c"), SYNC.to_vec()].concat(), 1);
    // all of it ahead, the data before the server has asked for them
    let ahead = [run("copy c from stdin"), copy_data("9\ty\n"), COPY_DONE.to_vec(), SYNC.to_vec()];
    stage.send(&mut wire, &ahead.concat(), 1);
    stage.ask(&mut wire, &["select count(*) from c"]);
}

fn among(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &[TABLE]);
    wire.ask("copy c from stdin; select 1; copy c from stdin; copy c to stdout");
    stage.until(&mut wire, b"G", 1);
    wire.send(&[copy_data("9\tnine\n"), COPY_DONE.to_vec()].concat()).unwrap();
    stage.until(&mut wire, b"G", 1);
    stage.send(&mut wire, &[copy_data("10\tten\n"), COPY_DONE.to_vec()].concat(), 1);
    // the second fails, and with it the first
    wire.ask("copy c from stdin; copy c from stdin");
    stage.until(&mut wire, b"G", 1);
    wire.send(&[copy_data("11\tx\n"), COPY_DONE.to_vec()].concat()).unwrap();
    stage.until(&mut wire, b"G", 1);
    stage.send(&mut wire, &message(b'f', b"no\0"), 1);
    stage.ask(&mut wire, &["select count(*) from c"]);
}

fn astray(stage: &mut Stage<'_>) {
    for stray in [query("select 'not now'"), parse("", "select 1"), execute("", 0), message(b'F', b"\0\0\0\0")] {
        let mut wire = stage.connect();
        stage.ask(&mut wire, &[TABLE]);
        wire.ask("copy c from stdin");
        stage.until(&mut wire, b"G", 1);
        wire.send(&stray).unwrap();
        stage.ready(&mut wire, 1);
    }
}

fn failed_by_client(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &[TABLE]);
    wire.ask("copy c from stdin");
    stage.until(&mut wire, b"G", 1);
    stage.send(&mut wire, &[copy_data("4\tfour\n"), message(b'f', b"changed my mind\0")].concat(), 1);
    wire.send(&[run("copy c from stdin"), FLUSH.to_vec()].concat()).unwrap();
    stage.until(&mut wire, b"G", 1);
    stage.send(&mut wire, &[copy_data("4\tf"), message(b'f', b"halfway\0"), run("select 1"), SYNC.to_vec()].concat(), 1);
    stage.ask(&mut wire, &["begin"]);
    wire.ask("copy c from stdin");
    stage.until(&mut wire, b"G", 1);
    stage.send(&mut wire, &message(b'f', b"\0"), 1);
    stage.ask(&mut wire, &["rollback", "select count(*) from c"]);
}

fn failed_by_server(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &[TABLE]);
    wire.ask("copy c from stdin");
    stage.until(&mut wire, b"G", 1);
    let rows: String = (0..2000).map(|n| format!("{n}\tfine\n")).collect();
    let data = [copy_data("x\tbad\n"), copy_data(rows), COPY_DONE.to_vec()];
    stage.send(&mut wire, &data.concat(), 1);
    wire.send(&[run("copy c from stdin"), FLUSH.to_vec()].concat()).unwrap();
    stage.until(&mut wire, b"G", 1);
    // what follows is dropped up to Sync
    stage.send(&mut wire, &[copy_data("nonsense\n"), copy_data("5\tfive\n"), SYNC.to_vec()].concat(), 1);
    stage.send(&mut wire, &[copy_data("8\tstray\n"), COPY_DONE.to_vec(), query("select count(*) from c")].concat(), 1);
    // a deadline amid the data
    stage.ask(&mut wire, &["set statement_timeout to '200ms'"]);
    wire.ask("copy c from stdin");
    stage.until(&mut wire, b"G", 1);
    // the server looks up when data come
    std::thread::sleep(std::time::Duration::from_millis(400));
    stage.send(&mut wire, &[copy_data("1\tone\n"), COPY_DONE.to_vec()].concat(), 1);
    stage.ask(&mut wire, &["select count(*) from c"]);
}

fn copy_out(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(
        &mut wire,
        &[
            "copy (select i, repeat('x', i) from generate_series(1, 50) i) to stdout; select 1; \
             copy (values (1, null, E'a\\tb')) to stdout csv header",
            "copy (select i, i::text from generate_series(1, 3) i) to stdout (format binary)",
            "copy (select where false) to stdout",
        ],
    );
    let described = [parse("", "copy (select 1) to stdout"), bind("", "", &[], &[], &[]), describe(b'P', ""), execute("", 0)];
    stage.send(&mut wire, &[described.concat(), run("select 2"), SYNC.to_vec()].concat(), 1);
    wire.ask("copy (select g, repeat('y', 3000) from generate_series(1, 5000) g) to stdout");
    stage.digest(&mut wire);
}

fn breaks_off(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &["copy (select 10 / (5 - i) from generate_series(1, 9) i) to stdout"]);
    stage.send(
        &mut wire,
        &[run("copy (select 10 / (3 - i) from generate_series(1, 9) i) to stdout"), run("select 1"), SYNC.to_vec()].concat(),
        1,
    );
    wire.ask("copy (select repeat('z', 1000), 1 / (20000 - g) from generate_series(1, 30000) g) to stdout");
    stage.digest(&mut wire);
    stage.ask(&mut wire, &["select 1"]);
}

fn left(stage: &mut Stage<'_>) {
    stage.owner("drop table if exists copied_half; create table copied_half(i int)");
    for farewell in [&[][..], TERMINATE] {
        let mut wire = stage.connect();
        let pid = wire.key.0;
        wire.ask("copy copied_half from stdin");
        stage.until(&mut wire, b"G", 1);
        wire.send(&[&copy_data("1\n2\n"), farewell].concat()).unwrap();
        drop(wire);
        stage.owner_until(&format!("select count(*) from pg_stat_activity where pid = {pid}"), "0");
        let stored = stage.owner("select count(*) from copied_half");
        stage.note(stored);
    }
}

fn stray(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.send(&mut wire, &[copy_data("no\n"), COPY_DONE.to_vec(), message(b'f', b"no\0"), query("select 1")].concat(), 1);
    stage.send(&mut wire, &[run("select 2"), copy_data("no\n"), COPY_DONE.to_vec(), run("select 3"), SYNC.to_vec()].concat(), 1);
}

fn sizes(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &["create temp table cs(t text)"]);
    wire.ask("copy cs from stdin");
    stage.until(&mut wire, b"G", 1);
    let mut data = Vec::new();
    for bytes in [1_usize, 100, 8_191, 32_763, 32_764, 65_535, 200_000, 3_000_000] {
        data.extend(copy_data("w".repeat(bytes) + "\n"));
        data.extend(copy_data(""));
    }
    stage.send(&mut wire, &[data, COPY_DONE.to_vec()].concat(), 1);
    stage.ask(&mut wire, &["select count(*), sum(length(t)), md5(string_agg(t, ',' order by length(t))) from cs"]);
}
