//! COPY TO STDOUT of masked relations: what comes is what SELECT shows, in every layout; unmasked ones pass byte for byte.

use std::sync::LazyLock;

use proto_tests::wire::Reply;
use proto_tests::{Stand, Wire};

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/stand/copy-policy.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| {
    let stand = Stand::start("clinic", &["--policy", POLICY]);
    stand.owner(TABLES);
    stand
});

/// Values with everything in them that a COPY escapes or quotes; `secret` stands in each that must not be seen.
const TABLES: &str = r#"
create schema copies;
grant usage, create on schema copies to public;
create table copies.odd (id int primary key, kept text, name text, token text, note varchar(12), born date, amount numeric, gone text,
                         twice int generated always as (id * 2) stored, fixed char(20));
insert into copies.odd values
  (1, 'plain', 'secret-name-1234', 'secret-token', 'secret', '1931-02-03', 1234.5, 'secret'),
  (2, E'two\nlines', E'secret\n"quoted", |tail', E'secret\ttab', E'secret\\', '2001-12-31', 17, E'secret\\.'),
  (3, null, null, null, null, null, null, null),
  (4, '', '', '', '', '1988-07-07', 0, ''),
  (5, E'\\.', E'secret\\.', E'\\N', 'NULL', '1990-01-01', -15.5, 'NULL'),
  (6, 'a|b,c;d~e''f"g\h', E'secret''~|"\\', 'secret,;', 'secret"', '1970-01-01', 99999999999999.99, '~'),
  (7, E'\r\n\b\f\v', E'secret\r\b\f\v', 'Y', '+', '1950-05-05', 5, 'Y'),
  (8, 'nö', 'secret-größe', 'sécret', 'sécret', '2020-02-29', 1e10, 'é');
create table copies.many as
  select n as id, 'secret ' || n as name, 'secret' || n as token, date '1960-05-05' + n % 9000 as born, repeat('x', n % 50) as kept
  from generate_series(1, 100000) n;
create table copies.free as select id, 'kept ' || id as a, case when id % 3 > 0 then E'line\n' || id end as b from generate_series(1, 5000) id;
grant select on all tables in schema copies to public;
"#;

/// Options, and the same for COPY FROM.
const OPTIONS: &[(&str, &str)] = &[
    ("", ""),
    ("with (delimiter '|', null 'X')", "with (delimiter '|', null 'X')"),
    ("(delimiter ',', null '(null)')", "(delimiter ',', null '(null)')"),
    ("delimiter '|' null as '-'", "delimiter '|' null as '-'"),
    ("(format text, header)", "(format text, header)"),
    ("csv", "csv"),
    ("with csv header", "with csv header"),
    ("(format csv, header true, quote '''')", "(format csv, header true, quote '''')"),
    ("(format csv, quote '~', escape '\\', null 'NULL')", "(format csv, quote '~', escape '\\', null 'NULL')"),
    ("(format csv, force_quote *, delimiter ';')", "(format csv, delimiter ';')"),
    ("csv delimiter ';' quote '~' force quote *", "csv delimiter ';' quote '~'"),
    ("(format csv, force_quote (name, note), null 'X', escape '|')", "(format csv, null 'X', escape '|')"),
    ("(format 'csv', header off, encoding 'UTF8')", "(format 'csv', encoding 'UTF8')"),
    ("(format binary)", "(format binary)"),
];

/// What is copied, and the SELECT of the same.
const SOURCES: &[(&str, &str)] = &[
    ("copies.odd", "select id, kept, name, token, note, born, amount, gone, fixed from copies.odd"),
    ("copies.odd (note, id, name, born, kept)", "select note, id, name, born, kept from copies.odd"),
    ("(select * from copies.odd)", "select * from copies.odd"),
    (
        "(select name, upper(name) as up, id + 1 as next, amount, kept from copies.odd)",
        "select name, upper(name) as up, id + 1 as next, amount, kept from copies.odd",
    ),
    ("(select gone from copies.odd)", "select gone from copies.odd"),
];

fn agent() -> Wire {
    Wire::connect(&STAND, &STAND.identity("AGENT"))
}

fn data(reply: &Reply) -> Vec<u8> {
    reply.of(b'd').flat_map(|message| message.body.to_vec()).collect()
}

/// Lets PostgreSQL read what came, as text.
fn read_back(name: &str, like: &str, binary: bool, options: &str, data: &[u8]) -> String {
    let file = std::env::temp_dir().join(format!("pgveil-copy-{}-{name}", std::process::id()));
    std::fs::write(&file, data).unwrap();
    let table = format!("scratch_{name}");
    let made = format!("create temp table {table} as {like} limit 0;");
    // Masked values need not fit what the columns are declared to hold; in text they are read as text.
    let widen = format!(
        "do $$ declare c text; begin for c in select attname from pg_attribute where attrelid = '{table}'::regclass and attnum > 0 loop \
         execute format('alter table {table} alter column %I type text', c); end loop; end $$;"
    );
    let read = format!("\\copy {table} from '{}' {options}", file.display());
    let mut commands = vec!["-tA", "-v", "ON_ERROR_STOP=1", "-c", &made];
    if !binary {
        commands.extend(["-c", &widen]);
    }
    let shown = format!("select coalesce(json_agg(t), '[]') from {table} t");
    commands.extend(["-c", &read, "-c", &shown]);
    let done = STAND.psql(STAND.value("OWNER"), &commands);
    assert!(done.status.success(), "{read}: {}\n{}", String::from_utf8_lossy(&done.stderr), String::from_utf8_lossy(data));
    std::fs::remove_file(file).unwrap();
    String::from_utf8(done.stdout).unwrap()
}

/// What SELECT shows through the proxy, read by PostgreSQL in the same way.
fn shown(name: &str, select: &str, binary: bool, null: Option<&str>) -> String {
    let rows = agent().query(select).rows();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.into_iter().map(|cell| cell.filter(|cell| Some(cell.as_str()) != null)).map(escaped).collect();
        text += &cells.join("\t");
        text.push('\n');
    }
    read_back(name, select, binary, "", text.as_bytes())
}

fn escaped(cell: Option<String>) -> String {
    let Some(cell) = cell else { return "\\N".to_owned() };
    [("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")].iter().fold(cell, |cell, (from, to)| cell.replace(from, to))
}

/// The NULL string of a text layout, which a value can look like.
fn ambiguous(options: &str) -> Option<&'static str> {
    match options {
        _ if options.contains("csv") || options.contains("binary") => None,
        _ if options.contains("'X'") => Some("X"),
        _ if options.contains("'-'") => Some("-"),
        _ => None,
    }
}

fn check(extended: bool) {
    let mut wire = agent();
    for (at, (source, select)) in SOURCES.iter().enumerate() {
        for (option, (to, from)) in OPTIONS.iter().enumerate() {
            if to.contains("(name, note)") && source.contains('(') {
                continue;
            }
            let sql = format!("copy {source} to stdout {to}");
            let reply = if extended {
                wire.pipeline(|p| {
                    p.parse("", &sql).bind("", "", &[], 0).describe(b'P', "").execute("", 0).sync();
                });
                wire.reply()
            } else {
                wire.query(&sql)
            };
            let refusal = reply.of(b'E').next().and_then(|message| message.field(b'M'));
            assert_eq!(refusal, None, "{sql}");
            let data = data(&reply);
            let bytes = String::from_utf8_lossy(&data).to_lowercase();
            assert!(!bytes.contains("secret") && !bytes.contains("sécret"), "{sql}: {bytes}");
            let binary = to.contains("binary");
            let name = format!("{at}_{option}_{}", if extended { "x" } else { "s" });
            let copied = read_back(&name, select, binary, from, &data);
            assert_eq!(copied, shown(&name, select, binary, ambiguous(to)), "{sql}");
        }
    }
}

#[test]
fn what_comes_is_what_select_shows() {
    check(false);
}

#[test]
fn also_in_the_extended_protocol() {
    check(true);
}

#[test]
fn many_rows_stream() {
    let mut wire = agent();
    let reply = wire.query("copy copies.many to stdout (format csv)");
    assert!(reply.tags().ends_with("cCZ"), "{}", &reply.tags()[reply.tags().len() - 9..]);
    assert_eq!(reply.of(b'd').count(), 100_000);
    let data = data(&reply);
    assert!(!data.windows(6).any(|window| window == b"secret"));
}

#[test]
fn what_is_not_masked_passes_byte_for_byte() {
    let (mut masked, mut direct) = (agent(), Wire::owner(&STAND));
    for (options, _) in OPTIONS.iter().filter(|(options, _)| !options.contains("name")) {
        for source in ["copies.free", "copies.free (b)", "(select * from copies.free)", "(select 1)"] {
            let sql = format!("copy {source} to stdout {options}");
            assert!(masked.query(&sql).bytes() == direct.query(&sql).bytes(), "{sql}");
        }
    }
    for sql in ["copy (select id, kept from copies.odd) to stdout", "copy copies.odd (id, kept) to stdout csv header"] {
        assert!(masked.query(sql).bytes() == direct.query(sql).bytes(), "{sql}");
    }
}

#[test]
fn errors_are_the_servers_and_the_session_goes_on() {
    let (mut masked, mut direct) = (agent(), Wire::owner(&STAND));
    for sql in [
        "copy (select id, kept / 0 as x from copies.odd) to stdout",
        "copy (select nothing, name from copies.odd) to stdout",
        "copy copies.odd (nothing) to stdout",
    ] {
        let (one, other) = (masked.query(sql), direct.query(sql));
        let told = |reply: &Reply| reply.of(b'E').next().map(|error| (error.field(b'C'), error.field(b'P')));
        if told(&one).is_some_and(|(state, _)| state.as_deref() != Some("42501")) {
            assert_eq!(told(&one), told(&other), "{sql}");
        }
        assert!(one.tags().ends_with("EZ"), "{sql}: {}", one.tags());
        assert!(masked.query("begin").tags().ends_with("CZ"));
        assert!(masked.query(sql).tags().ends_with("EZ"), "{sql}");
        assert!(masked.query("rollback").tags().ends_with("CZ"));
    }
}

#[test]
fn several_statements_and_several_copies_at_once() {
    let mut wire = agent();
    let reply = wire.query("select 1; copy copies.odd (name) to stdout; copy copies.odd (id, note) to stdout csv; select 2");
    assert!(reply.tags().ends_with("CZ"), "{}", reply.tags());
    let bytes = String::from_utf8_lossy(&reply.bytes()).into_owned();
    assert!(!bytes.contains("secret") && bytes.contains("[redacted]"), "{bytes}");
    wire.pipeline(|p| {
        for at in 0..3 {
            let name = format!("copy {at}");
            p.parse(&name, "copy copies.odd (name, kept) to stdout").bind("", &name, &[], 0).execute("", 0);
        }
        p.sync();
    });
    let reply = wire.reply();
    assert_eq!(reply.of(b'c').count(), 3, "{}", reply.tags());
    assert!(!String::from_utf8_lossy(&reply.bytes()).contains("secret"));
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let mut wire = agent();
    for sql in [
        "copy copies.odd to stdout (null 'secret-name-1234')",
        "copy copies.odd to stdout (encoding 'SJIS')",
        "copy (select name from copies.odd) to stdout; select 1; copy (select upper(name) from copies.odd) to stdout",
    ] {
        let reply = wire.query(sql);
        assert!(!String::from_utf8_lossy(&reply.bytes()).contains("secret "), "{sql}");
        assert!(reply.tags().ends_with("EZ"), "{sql}: {}", reply.tags());
    }
    assert!(wire.query("set client_encoding = 'SJIS'").tags().contains('C'));
    assert!(wire.query("copy copies.odd (name) to stdout").tags().ends_with("EZ"));
}
