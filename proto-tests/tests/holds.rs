//! A statement that waits for a person: seen, answered, withdrawn; by every way a client can send it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proto_tests::cli::pgveil_as;
use proto_tests::numbers::Numbers;
use proto_tests::transcript::query;
use proto_tests::{Identity, Message, Ran, Stand, Wire, eventually, journal};
use serde_json::Value;

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/holds.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--policy", POLICY]));

fn table(name: &str) {
    STAND.owner(&format!("create table tests.{name} as select generate_series(1, 10) as id"));
}

fn rows(name: &str) -> String {
    STAND.owner(&format!("select count(*) from tests.{name}"))
}

fn compliance(arguments: &[&str]) -> Ran {
    pgveil_as(&STAND, &STAND.identity("COMPLIANCE"), arguments)
}

/// What waits, as this identity is told.
fn list(stand: &Stand, who: &Identity) -> Vec<Value> {
    let answer = pgveil_as(stand, who, &["holds", "list", "--json"]).json();
    answer["holds"].as_array().unwrap_or_else(|| panic!("no list: {answer}")).clone()
}

/// The id of the hold that the NOTICE names, once it has come.
fn held(wire: &mut Wire, text: &str) -> String {
    let notice = wire.read().unwrap();
    assert_eq!(notice.tag, b'N', "{notice:?}");
    announced(&notice, text)
}

fn announced(notice: &Message, text: &str) -> String {
    let said = notice.field(b'M').unwrap();
    let all = list(&STAND, &STAND.identity("COMPLIANCE"));
    let found = all.iter().find(|h| h.to_string().contains(text)).unwrap_or_else(|| panic!("no hold shows {text}: {all:?}"));
    let id = found["id"].as_str().unwrap().to_owned();
    assert!(said.contains(&id), "the notice `{said}` does not name the hold {id}");
    id
}

/// Rows that have come before the hold that stops them, and its id.
fn stopped(wire: &mut Wire, text: &str) -> (usize, String) {
    let mut rows = 0;
    loop {
        let message = wire.read().unwrap();
        match message.tag {
            b'D' | b'd' => rows += 1,
            b'N' => return (rows, announced(&message, text)),
            b'E' | b'Z' => panic!("{message:?} after {rows} rows"),
            _ => {}
        }
    }
}

fn deny(id: &str) {
    let _ = compliance(&["holds", "deny", id, "--reason", "too many"]).ok();
}

fn assert_withdrawn(id: &str) {
    eventually("the hold is withdrawn", || {
        list(&STAND, &STAND.identity("COMPLIANCE")).iter().all(|h| !h["id"].to_string().contains(id)).then_some(())
    });
}

#[test]
fn approved_by_another_it_runs_once() {
    table("approved");
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    wire.ask("delete from tests.approved");
    let id = held(&mut wire, "tests.approved");
    assert_eq!(rows("approved"), "10", "something ran before the answer");
    let shown = compliance(&["holds", "show", &id]).ok();
    for fact in ["delete from tests.approved", "mcp-agent", "mass-delete"] {
        assert!(shown.contains(fact), "{fact} is not shown: {shown}");
    }
    let _ = compliance(&["holds", "approve", &id]).ok();
    let reply = wire.reply();
    assert_eq!(reply.tags(), "CZ", "{reply:?}");
    assert_eq!(rows("approved"), "0");
    assert_ne!(compliance(&["holds", "approve", &id]).code, 0, "approved twice");
    // the approval was for that execution, not for the text
    STAND.owner("insert into tests.approved values (1)");
    wire.ask("delete from tests.approved");
    let again = held(&mut wire, "tests.approved");
    assert_ne!(again, id);
    let _ = compliance(&["holds", "deny", &again, "--reason", "once is enough"]).ok();
    assert_eq!(wire.reply().tags(), "EZ");
    assert_eq!(rows("approved"), "1");
}

#[test]
fn denied_it_is_an_error_and_the_session_goes_on() {
    table("denied");
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    wire.ask("/* tidy */ delete from tests.denied where 1=1");
    let id = held(&mut wire, "tests.denied");
    let _ = compliance(&["holds", "deny", &id, "--reason", "not without a ticket"]).ok();
    let reply = wire.reply();
    assert_eq!(reply.tags(), "EZ", "{reply:?}");
    assert_eq!(reply.messages[1].body, b"I");
    assert_eq!(rows("denied"), "10");
    assert_eq!(wire.query("select 1").tags(), "TDCZ");
}

#[test]
fn nobody_answers_their_own_and_outsiders_answer_none() {
    table("own");
    // olivia is an approver, and the statement is hers
    let mut wire = Wire::connect(&STAND, &STAND.identity("COMPLIANCE"));
    wire.ask("delete from tests.own");
    let id = held(&mut wire, "tests.own");
    assert_ne!(compliance(&["holds", "approve", &id]).code, 0, "approved her own");
    assert_ne!(pgveil_as(&STAND, &STAND.identity("OTHER"), &["holds", "approve", &id]).code, 0, "an agent approved");
    let mut wrong = STAND.identity("COMPLIANCE2");
    wrong.password = "wrong".into();
    assert_ne!(pgveil_as(&STAND, &wrong, &["holds", "approve", &id]).code, 0, "a wrong password approved");
    assert_eq!(rows("own"), "10");
    let _ = pgveil_as(&STAND, &STAND.identity("COMPLIANCE2"), &["holds", "approve", &id]).ok();
    assert_eq!(wire.reply().tags(), "CZ");
    assert_eq!(rows("own"), "0");
}

#[test]
fn two_approvals_are_two_people() {
    table("two");
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    STAND.owner("grant truncate on tests.two to clinic_app");
    wire.ask("truncate tests.two");
    let id = held(&mut wire, "tests.two");
    let _ = compliance(&["holds", "approve", &id]).ok();
    let _ = compliance(&["holds", "approve", &id]);
    assert_eq!(wire.read_within(Duration::from_millis(500)), None, "one person approved twice");
    assert_eq!(rows("two"), "10");
    let _ = pgveil_as(&STAND, &STAND.identity("COMPLIANCE2"), &["holds", "approve", &id]).ok();
    assert_eq!(wire.reply().tags(), "CZ");
    assert_eq!(rows("two"), "0");
}

#[test]
fn silence_is_denial() {
    table("silent");
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    let start = Instant::now();
    let reply = wire.query("update tests.silent set id = 0");
    assert_eq!(reply.tags(), "NEZ", "{reply:?}");
    assert!(start.elapsed() >= Duration::from_millis(900), "it did not wait");
    assert_eq!(STAND.owner("select count(*) from tests.silent where id = 0"), "0");
}

#[test]
fn cancel_withdraws_it() {
    table("cancelled");
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    wire.ask("delete from tests.cancelled");
    let id = held(&mut wire, "tests.cancelled");
    wire.cancel();
    let reply = wire.reply();
    assert_eq!(reply.sqlstate().as_deref(), Some("57014"), "{reply:?}");
    assert_eq!(reply.tags(), "EZ");
    assert_withdrawn(&id);
    assert_ne!(compliance(&["holds", "approve", &id]).code, 0);
    assert_eq!(rows("cancelled"), "10");
    assert_eq!(wire.query("select 1").tags(), "TDCZ");
}

#[test]
fn disconnecting_withdraws_it() {
    table("gone");
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    wire.ask("delete from tests.gone");
    let id = held(&mut wire, "tests.gone");
    drop(wire);
    assert_withdrawn(&id);
    assert_eq!(rows("gone"), "10");
}

/// What it sent before runs; for what would be held nobody is asked.
#[test]
fn a_client_that_has_left_holds_nothing() {
    let stand = Stand::start("clinic", &["--policy", POLICY]);
    stand.owner("create table tests.left as select generate_series(1, 10) as id");
    let mut wire = Wire::connect(&stand, &stand.identity("AGENT"));
    let update = query("update tests.left set id = id + 100 where id = 1");
    wire.send(&[query("select pg_sleep(0.2)"), update, query("delete from tests.left")].concat()).unwrap();
    wire.shut();
    assert_eq!([wire.reply().tags(), wire.reply().tags(), wire.reply().tags()], ["TDCZ", "CZ", ""]);
    let ended = || (journal::sessions(&stand, &[])[0]["end"] == "client-gone").then_some(());
    eventually("the session has ended", ended);
    assert_eq!(stand.owner("select count(*), max(id) from tests.left"), "10\t101");
    assert!(Numbers::of(stand.value("ADMIN")).sum("pgveil_holds_opened_total", &[]) < 1.0, "somebody was asked");
}

#[test]
fn shutting_down_withdraws_it() {
    let stand = Stand::start("clinic", &["--policy", POLICY]);
    stand.owner("create table tests.closing as select 1 as id");
    let mut wire = Wire::connect(&stand, &stand.identity("AGENT"));
    wire.ask("delete from tests.closing");
    assert_eq!(wire.read().unwrap().tag, b'N');
    assert!(std::process::Command::new("kill").args(["-TERM", stand.value("PID")]).status().unwrap().success());
    let reply = wire.reply();
    assert_eq!(reply.sqlstate().as_deref(), Some("57P01"), "{reply:?}");
}

#[test]
fn in_the_extended_protocol_it_is_the_execute_that_waits_and_the_parameters_are_shown() {
    table("extended");
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    wire.pipeline(|p| {
        p.parse("s", "delete from tests.extended where id = $1 or true").describe(b'S', "s").sync();
    });
    assert_eq!(wire.reply().tags(), "1tnZ", "preparing is not running");
    wire.pipeline(|p| {
        p.bind("", "s", &[Some("7316")], 0).execute("", 0).sync();
    });
    assert_eq!(wire.read().unwrap().tag, b'2');
    let id = held(&mut wire, "tests.extended");
    assert!(compliance(&["holds", "show", &id]).ok().contains("7316"), "the parameter is not shown");
    let _ = compliance(&["holds", "approve", &id]).ok();
    assert_eq!(wire.reply().tags(), "CZ");
    assert_eq!(rows("extended"), "0");
}

#[test]
fn a_message_is_held_as_a_whole() {
    table("whole");
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    let reply = wire.query("insert into tests.whole values (11); update tests.whole set id = 0; select 1");
    assert_eq!(reply.tags(), "NEZ", "{reply:?}");
    assert_eq!(rows("whole"), "10");
}

#[test]
fn a_pipeline_stops_at_the_risky_execute() {
    table("piped");
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    wire.pipeline(|p| {
        p.parse("", "select 5").bind("", "", &[], 0).execute("", 0);
        p.parse("", "drop table tests.piped").bind("", "", &[], 0).execute("", 0);
        p.parse("", "insert into tests.piped values (11)").bind("", "", &[], 0).execute("", 0).sync();
        p.parse("", "select 6").bind("", "", &[], 0).execute("", 0).sync();
    });
    let first = wire.reply();
    assert!(first.tags().starts_with("12D") && first.tags().ends_with("EZ"), "{}", first.tags());
    assert_eq!(first.rows(), [[Some("5".to_owned())]]);
    assert_eq!(wire.reply().rows(), [[Some("6".to_owned())]]);
    assert_eq!(rows("piped"), "10");
}

#[test]
fn a_refusal_fails_the_transaction() {
    table("atomic");
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    assert_eq!(wire.query("begin").tags(), "CZ");
    wire.query("insert into tests.atomic values (11)");
    let refused = wire.query("drop table tests.atomic");
    assert_eq!(refused.messages.last().unwrap().body, b"E", "the transaction is not failed");
    assert_eq!(wire.query("select 1").sqlstate().as_deref(), Some("25P02"));
    assert_eq!(wire.query("commit").messages[0].body, b"ROLLBACK\0");
    assert_eq!(rows("atomic"), "10");
}

#[test]
fn a_savepoint_helps_after_a_refusal() {
    table("saved");
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    wire.query("begin; insert into tests.saved values (11); savepoint a");
    assert!(wire.query("drop table tests.saved").sqlstate().is_some());
    assert_eq!(wire.query("rollback to a").tags(), "CZ");
    assert_eq!(wire.query("commit").messages[0].body, b"COMMIT\0");
    assert_eq!(rows("saved"), "11");
}

#[test]
fn rows_stop_at_the_line_and_go_on_when_approved() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("CLINICIAN"));
    let all = "select id, ssn from clinical.patients order by 1";
    wire.ask(all);
    let (rows, id) = stopped(&mut wire, all);
    assert_eq!(rows, 50);
    assert!(compliance(&["holds", "show", &id]).ok().contains("50 rows"), "the approver is not told");
    assert_eq!(wire.read_within(Duration::from_millis(300)), None, "a row came before the answer");
    let _ = compliance(&["holds", "approve", &id]).ok();
    let reply = wire.reply();
    assert_eq!(reply.of(b'D').count(), 1950);
    assert_eq!(reply.of(b'C').next().unwrap().body, b"SELECT 2000\0");
    // as many as may come, in whatever way
    assert_eq!(wire.query(&format!("{all} limit 50")).tags().len(), 53);
    wire.pipeline(|p| {
        p.parse("", all).bind("", "", &[], 0).execute("", 50).sync();
    });
    assert!(wire.reply().tags().ends_with("DsZ"));
}

#[test]
fn denied_amid_its_rows_a_statement_stops_and_fails() {
    for (who, rows) in
        [("CLINICIAN", "generate_series(1, 1000000)"), ("AGENT", "generate_series(1, 1000000)"), ("CLINICIAN", "(values (1)) v")]
    {
        let mut wire = Wire::connect(&STAND, &STAND.identity(who));
        let sql = format!("select p.last_name from clinical.patients p, {rows} where p.id <= 51 and '{who}' <> ''");
        for (begin, status, end) in [("begin", b'E', &b"ROLLBACK\0"[..]), ("select 1", b'I', b"COMMIT\0")] {
            let _ = wire.query(begin);
            wire.ask(&sql);
            let (rows, id) = stopped(&mut wire, who);
            assert_eq!(rows, 50);
            deny(&id);
            let reply = wire.reply();
            assert_eq!(reply.tags(), "EZ", "{sql}");
            assert_eq!(reply.sqlstate().as_deref(), Some("42501"));
            assert_eq!(reply.messages[1].body, [status], "{sql}");
            // neither the cancelling nor the failing of it meets what comes next
            assert_eq!(wire.query("commit").of(b'C').next().unwrap().body, end);
            assert_eq!(wire.query("select 1").tags(), "TDCZ");
        }
    }
}

#[test]
fn rows_of_one_portal_count_together_and_their_denial_fails_the_pipeline() {
    table("portal");
    let mut wire = Wire::connect(&STAND, &STAND.identity("CLINICIAN"));
    wire.pipeline(|p| {
        p.parse("", "insert into tests.portal values (11)").bind("", "", &[], 0).execute("", 0);
        p.parse("", "select ssn from clinical.patients /* portal */").bind("p", "", &[], 0);
        p.execute("p", 20).execute("p", 20).execute("p", 20).execute("p", 20).sync();
        p.parse("", "select 6").bind("", "", &[], 0).execute("", 0).sync();
    });
    let (rows_sent, id) = stopped(&mut wire, "/* portal */");
    assert_eq!(rows_sent, 50);
    deny(&id);
    assert_eq!(wire.reply().tags(), "EZ");
    assert_eq!(wire.reply().tags(), "12DCZ");
    assert_eq!(rows("portal"), "10", "what ran before in the same transaction was kept");
}

#[test]
fn denied_with_its_sync_gone_ahead_a_statement_still_fails_its_transaction() {
    for (begin, status) in [("begin", b"E"), ("select 1", b"I")] {
        for rows in ["generate_series(1, 1000000)", "(values (1)) v"] {
            let mut wire = Wire::connect(&STAND, &STAND.identity("CLINICIAN"));
            let _ = wire.query(begin);
            let sql = format!("select ssn from clinical.patients p, {rows} where p.id <= 51 /* ahead */");
            wire.pipeline(|p| {
                p.parse("", &sql).bind("", "", &[], 0).describe(b'P', "").execute("", 0).sync();
                p.parse("", "select 1").bind("", "", &[], 0).execute("", 0).sync();
            });
            let (rows, id) = stopped(&mut wire, "/* ahead */");
            assert_eq!(rows, 50);
            deny(&id);
            let reply = wire.reply();
            assert_eq!(reply.tags(), "EZ");
            assert_eq!(reply.messages[1].body, status);
            assert_eq!(wire.reply().tags(), if status == b"E" { "EZ" } else { "12DCZ" });
        }
    }
}

#[test]
fn rows_of_one_cursor_count_together() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("CLINICIAN"));
    let _ = wire.query("begin; declare line cursor for select ssn from clinical.patients");
    assert_eq!(wire.query("fetch 30 from line").of(b'D').count(), 30);
    wire.ask("fetch 30 from line");
    let (rows, id) = stopped(&mut wire, "fetch 30 from line");
    assert_eq!(rows, 20);
    let _ = compliance(&["holds", "approve", &id]).ok();
    assert_eq!(wire.reply().of(b'D').count(), 10);
    assert_eq!(wire.query("fetch 30 from line").of(b'D').count(), 30, "it was asked again");
    // another cursor of that name begins anew
    let _ = wire.query("commit; begin; declare line cursor for select ssn from clinical.patients");
    wire.ask("fetch all from line");
    let (rows, id) = stopped(&mut wire, "fetch all from line");
    assert_eq!(rows, 50);
    deny(&id);
    assert_eq!(wire.reply().messages[1].body, b"E");
}

#[test]
fn a_copy_stops_at_the_line() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("CLINICIAN"));
    wire.ask("copy clinical.patients (ssn) to stdout");
    let (rows, id) = stopped(&mut wire, "copy clinical.patients");
    assert_eq!(rows, 50);
    deny(&id);
    assert_eq!(wire.reply().tags(), "EZ");
    let exact = "copy (select ssn from clinical.patients limit 50) to stdout (format binary)";
    assert!(wire.query(exact).tags().ends_with("cCZ"), "the trailer of a binary COPY counts as a row");
}

#[test]
fn a_hold_amid_rows_can_be_cancelled_and_ends_with_the_session() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("CLINICIAN"));
    wire.ask("select ssn from clinical.patients /* cancelled */");
    let (_, id) = stopped(&mut wire, "/* cancelled */");
    wire.cancel();
    let reply = wire.reply();
    assert_eq!((reply.tags().as_str(), reply.sqlstate().as_deref()), ("EZ", Some("57014")));
    assert_withdrawn(&id);
    assert_eq!(wire.query("select 1").tags(), "TDCZ");
    wire.ask("select ssn from clinical.patients /* gone */");
    let (_, id) = stopped(&mut wire, "/* gone */");
    drop(wire);
    assert_withdrawn(&id);
}
