//! A text, a name or a portal that has come to mean something else by the time it runs: what it then gives is masked, or refused.

use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use proto_tests::wire::{Pipeline, Reply};
use proto_tests::{Canaries, Stand, Wire, eventually};

/// Masks for all but clinicians, no holds.
const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/stand/corpus-policy.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--policy", POLICY]));
static RAW: LazyLock<Canaries> = LazyLock::new(|| Canaries::of(&STAND));
/// Settings of the account are everybody's.
static ALONE: Mutex<()> = Mutex::new(());

/// Harmless where a backslash is a character, and no text at all where it escapes.
const TURNED: &str = r"select '\'' as a, (select string_agg(ssn::text, ',') from clinical.patients where id < 9) as b --' as a";
/// Nothing of a masked column as it is: the server names no origin.
const RAW_QUERY: &str = "select upper(ssn) as a from clinical.patients where id < 9";
const HARMLESS: &str = "select 'x'::text as a";
/// Characters that hold a backslash and a bar in SJIS: taken byte by byte they move the fields of a row.
const SHIFTED: &str =
    "copy (select chr(12477) as a, ssn, chr(12509) as b from clinical.patients where id < 5) to stdout (delimiter '|')";

fn agent() -> Wire {
    Wire::connect(&STAND, &STAND.identity("AGENT"))
}

fn run(pipeline: &mut Pipeline<'_>, sql: &str) {
    pipeline.parse("", sql).bind("", "", &[], 0).execute("", 0);
}

/// What is said in one go up to a Sync.
fn go(wire: &mut Wire, texts: &[&str]) -> Reply {
    wire.pipeline(|p| {
        texts.iter().for_each(|text| run(p, text));
        p.sync();
    });
    wire.reply()
}

fn clean(what: &str, reply: &Reply) {
    RAW.assert_clean(what, &reply.bytes());
    assert_eq!(reply.messages.last().map(|last| last.tag), Some(b'Z'), "{what}: the session has ended");
}

#[test]
fn settings_that_the_server_has_not_reported_yet() {
    let ways = [
        ("set", "set standard_conforming_strings = off", TURNED),
        ("a function", "select set_config('standard_conforming_strings', 'off', false)", TURNED),
        ("an encoding", "set client_encoding = 'SJIS'", SHIFTED),
        ("an encoding by its other name", "set names 'SJIS'", SHIFTED),
    ];
    for (what, set, text) in ways {
        clean(what, &go(&mut agent(), &[set, text]));
        let mut wire = agent();
        wire.pipeline(|p| {
            run(p, set);
            p.flush();
        });
        while wire.read().unwrap().tag != b'C' {}
        clean(what, &go(&mut wire, &[text]));
    }
    for back in ["rollback", "rollback to a"] {
        let mut wire = agent();
        wire.query("set standard_conforming_strings = off");
        wire.query("begin; savepoint a; set standard_conforming_strings = on");
        clean(back, &go(&mut wire, &[back, TURNED]));
    }
    clean("one text", &agent().query(&format!("set client_encoding = 'SJIS'; {SHIFTED}")));
}

#[test]
fn settings_that_the_server_has_reported_are_in_force() {
    let mut wire = agent();
    wire.query("set standard_conforming_strings = off");
    wire.query("set standard_conforming_strings = on");
    let reply = go(&mut wire, &["set timezone = 'UTC'", r"select '\' as kept"]);
    assert_eq!(reply.rows(), [[Some(r"\".to_owned())]]);
    wire.query("set client_encoding = 'LATIN1'");
    wire.query("set client_encoding = 'UTF8'");
    assert_eq!(wire.query("select 'é' as kept").rows(), [[Some("é".to_owned())]]);
}

#[test]
fn names_that_the_protocol_and_texts_share() {
    let mut wire = agent();
    wire.query(&format!("prepare foo as {HARMLESS}"));
    wire.query("deallocate foo");
    wire.pipeline(|p| {
        p.parse("foo", RAW_QUERY).sync();
    });
    wire.reply();
    clean("a statement of the protocol", &wire.query("execute foo"));
    let mut wire = agent();
    wire.query(&format!("begin; declare c cursor for {HARMLESS}; close c"));
    wire.pipeline(|p| {
        p.parse("", RAW_QUERY).bind("c", "", &[], 0).sync();
    });
    wire.reply();
    clean("a portal of the protocol", &wire.query("fetch all from c"));
}

#[test]
fn names_defined_anew_between_bind_and_execute() {
    let ways = [
        (format!("prepare foo as {HARMLESS}"), "execute foo", "deallocate foo", format!("prepare foo as {RAW_QUERY}")),
        (
            format!("begin; declare foo cursor for {HARMLESS}"),
            "fetch all from foo",
            "close foo",
            format!("declare foo cursor for {RAW_QUERY}"),
        ),
    ];
    for (first, used, gone, second) in &ways {
        let mut wire = agent();
        wire.query(first);
        wire.pipeline(|p| {
            p.parse("s", used).bind("p", "s", &[], 0).describe(b'P', "p");
            run(p, gone);
            run(p, second);
            p.execute("p", 0).sync();
        });
        let reply = wire.reply();
        clean(used, &reply);
        assert_eq!(reply.sqlstate().as_deref(), Some("0A000"), "{used}");
        let mut wire = agent();
        wire.query(first);
        wire.pipeline(|p| {
            p.parse("s", used).sync();
        });
        wire.reply();
        wire.pipeline(|p| {
            run(p, gone);
            run(p, second);
            p.bind("p", "s", &[], 0).execute("p", 0).sync();
        });
        clean(used, &wire.reply());
    }
}

#[test]
fn a_prepared_text_whose_function_was_redefined() {
    let made = |body: &str| {
        STAND.owner(&format!("create or replace function public.meant(i int) returns text language sql stable as $$ {body} $$"));
    };
    made("select 'x'::text");
    let mut wire = agent();
    wire.query("prepare foo as select public.meant(9) as a");
    wire.query("begin; declare c cursor for select public.meant(g) as a from generate_series(8, 9) g");
    let executed = wire.query("execute foo");
    assert_eq!(executed.rows(), [[Some("x".to_owned())]]);
    made("select string_agg(upper(ssn), ',') from clinical.patients where id < i");
    clean("execute", &wire.query("execute foo"));
    clean("fetch", &wire.query("fetch all from c"));
    STAND.owner("drop function public.meant(int)");
}

#[test]
fn temporary_relations_that_are_gone_or_come_last() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let made = "create temp table patients (ssn text, id int)";
    let used = "select upper(ssn) as a from patients where id < 9";
    STAND.owner("alter role clinic_app set search_path = clinical, public, pg_temp");
    let mut wire = agent();
    wire.query(made);
    clean("last in the path", &wire.query(used));
    STAND.owner("alter role clinic_app set search_path = clinical, public");
    for (open, undone) in [("begin", "rollback"), ("begin; savepoint a", "rollback to a")] {
        let mut wire = agent();
        wire.query(&format!("{open}; {made}"));
        clean(undone, &go(&mut wire, &[undone, used]));
    }
    let mut wire = agent();
    wire.query(&format!("begin; {made}; rollback; select 1"));
    clean("undone in its own text", &wire.query(used));
    let mut wire = agent();
    wire.pipeline(|p| {
        run(p, made);
        p.flush();
    });
    while wire.read().unwrap().tag != b'C' {}
    wire.pipeline(|p| {
        run(p, "select 1 / 0");
        p.sync();
        run(p, used);
        p.sync();
    });
    clean("undone by an error", &wire.reply());
    clean("undone by an error", &wire.reply());
    let mut wire = agent();
    wire.query("begin; create temp table seven as select 7 as n");
    assert_eq!(go(&mut wire, &["select n * 6 as x from seven"]).rows(), [[Some("42".to_owned())]], "ordinary work");
    STAND.owner("alter role clinic_app reset search_path");
}

#[test]
fn names_that_stand_for_nothing() {
    let mut wire = agent();
    wire.pipeline(|p| {
        p.bind("", "nothing", &[], 0).sync();
        p.execute("nowhere", 0).sync();
        p.bind("", "", &[], 0).sync();
    });
    for (state, message) in [
        ("26000", "prepared statement \"nothing\" does not exist"),
        ("34000", "portal \"nowhere\" does not exist"),
        ("26000", "unnamed prepared statement does not exist"),
    ] {
        let reply = wire.reply();
        assert_eq!(reply.sqlstate().as_deref(), Some(state));
        assert_eq!(reply.of(b'E').next().and_then(|error| error.field(b'M')).as_deref(), Some(message));
    }
}

/// Two columns that change places, and a view that shows another one.
const SWAPPED: &str = "alter table billing.claims rename subscriber_name to kept; alter table billing.claims rename status to subscriber_name; \
    alter table billing.claims rename kept to status; create or replace view tests.turning as select id, phone as shown from clinical.patients";
const SWAPPED_BACK: &str = "alter table billing.claims rename status to kept; alter table billing.claims rename subscriber_name to status; \
    alter table billing.claims rename kept to subscriber_name; create or replace view tests.turning as select id, sex::text as shown from clinical.patients";
/// What shows nothing of a masked column before, and all of one after.
const TURNING: [&str; 4] = [
    "select upper(status) from billing.claims where id < 9",
    "select array_agg(status), max(id) from billing.claims where id < 9",
    "copy (select status || '' as a from billing.claims where id < 9) to stdout",
    "select shown || '' as a from tests.turning where id < 9",
];

/// A session of the owner's that holds a change of the catalog, and does not say yet whether it stays.
fn holding() -> Wire {
    let mut owner = Wire::owner(&STAND);
    let reply = owner.query(&format!("begin; {SWAPPED}"));
    assert_eq!(reply.sqlstate(), None);
    owner
}

/// Waits until a session waits for the owner's locks, and then for as long as makes a statement one that has waited.
fn awaited() {
    let waits = "select count(*) from pg_locks where not granted";
    eventually("a session waits for a lock", || (STAND.owner(waits) != "0").then_some(()));
    std::thread::sleep(Duration::from_millis(40));
}

#[test]
fn a_change_of_another_session_that_a_statement_waits_for() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    STAND.owner("create view tests.turning as select id, sex::text as shown from clinical.patients; grant select on tests.turning to clinic_app");
    for text in TURNING {
        let mut asked = agent();
        let before = asked.query(text);
        clean(text, &before);
        assert!(!before.rows().is_empty() || before.of(b'd').count() > 0, "{text}");
        let mut prepared = agent();
        prepared.pipeline(|p| {
            p.parse("s", text).bind("", "s", &[], 0).execute("", 0).sync();
        });
        clean(text, &prepared.reply());
        let mut owner = holding();
        asked.ask(text);
        awaited();
        owner.query("commit");
        clean(text, &asked.reply());
        // At once: nobody has looked at the catalog in between.
        prepared.pipeline(|p| {
            p.bind("", "s", &[], 0).execute("", 0).sync();
        });
        clean(text, &prepared.reply());
        STAND.owner(SWAPPED_BACK);
    }
    // What it asks of a masked column by now nobody would have let through, and what it stores may be read again.
    let asks = "select id, status from billing.claims where status like 'Q%'";
    let stores = "update clinical.codes set label = (select status from billing.claims where id = 1) where code = '8867-4' returning label";
    for (text, stays) in [(asks, true), (stores, false)] {
        let mut asked = agent();
        asked.query("begin");
        let mut owner = holding();
        asked.ask(text);
        awaited();
        owner.query("commit");
        let reply = if stays { asked.reply().messages } else { vec![asked.read().unwrap()] };
        let received: Vec<u8> = reply.iter().flat_map(|message| message.body.clone()).collect();
        RAW.assert_clean(text, &received);
        let shown = reply.iter().filter(|message| message.tag == b'D').flat_map(|message| message.cells());
        assert!(shown.flatten().all(|cell| cell == b"[redacted]"), "{text}");
        assert_eq!(reply.last().unwrap().tag, if stays { b'Z' } else { b'E' }, "{text}");
        drop(asked);
        STAND.owner(SWAPPED_BACK);
    }
    assert_eq!(STAND.owner("select label from clinical.codes where code = '8867-4'"), "Heart rate");
    STAND.owner("drop view tests.turning");
}
