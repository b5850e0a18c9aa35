//! What comes at any time: notifications, settings, cancels.

use std::io::{Read, Write};
use std::time::Duration;

use super::login::SSL_REQUEST;
use crate::transcript::{COPY_DONE, SYNC, Scenario, Stage, copy_data, query, run};
use crate::wire::VERSION_3_0;

pub(super) const ALL: &[Scenario] = &[
    ("listen-and-notify", listen),
    ("settings-that-are-reported", settings),
    ("settings-changed-from-outside", reloaded),
    ("cancel", cancel),
    ("cancel-by-one-who-hangs-up", hang_up),
    ("cancel-with-a-wrong-key", wrong_key),
    ("cancel-when-idle", idle),
    ("cancel-in-copy-and-pipeline", copy_and_pipeline),
    ("cancel-by-a-long-key", long_key),
    ("cancel-in-clear", in_clear),
    ("nothing-is-inherited", inherited),
];

/// Long enough that nobody waits it out.
const LONG: &str = "select pg_sleep(25)";

/// Waits until the backend runs what it was asked.
fn until_running(stage: &Stage<'_>, wire: &crate::Wire) {
    let active = format!("select count(*) from pg_stat_activity where pid = {} and wait_event = 'PgSleep'", wire.key.0);
    stage.owner_until(&active, "1");
}

fn listen(stage: &mut Stage<'_>) {
    let (mut one, mut other) = (stage.connect(), stage.connect());
    stage.ask(&mut one, &["listen ch", "notify ch, 'mine'"]);
    stage.ask(&mut other, &["notify ch, 'other'"]);
    stage.until(&mut one, b"A", 1);
    stage.ask(&mut other, &["begin", "notify ch, 'late'", "notify ch, 'é'", "commit"]);
    stage.until(&mut one, b"A", 2);
    stage.ask(&mut one, &["select 1", "unlisten *"]);
    stage.ask(&mut other, &["notify ch"]);
    stage.silence(&mut one);
}

fn settings(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(
        &mut wire,
        &[
            "set timezone to 'UTC'",
            "set datestyle to german",
            "set application_name to 'other'",
            "begin; set local intervalstyle to iso_8601",
            "rollback",
            "set client_encoding to latin1",
            "set standard_conforming_strings to off",
            "set default_transaction_read_only to on",
            "set search_path to pg_catalog",
            "reset all",
            "set session authorization default",
            "set role none",
            "discard all",
            "select set_config('application_name', 'by function', false)",
        ],
    );
    let amid = [run("set timezone to 'Asia/Kolkata'"), run("select 1"), run("set timezone to 'nowhere'"), SYNC.to_vec()];
    stage.send(&mut wire, &amid.concat(), 1);
}

/// A setting that is changed for all sessions is told with the next answer.
fn reloaded(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    stage.ask(&mut wire, &["show datestyle"]);
    for change in ["set datestyle = 'SQL, DMY'", "reset datestyle"] {
        stage.owner(&format!("alter system {change}"));
        stage.owner("select pg_reload_conf()");
        std::thread::sleep(Duration::from_millis(500));
        stage.ask(&mut wire, &["select 1", "show datestyle"]);
    }
}

fn cancel(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    wire.ask(LONG);
    until_running(stage, &wire);
    wire.cancel();
    stage.ready(&mut wire, 1);
    stage.ask(&mut wire, &["select 1", "begin"]);
    wire.ask(LONG);
    until_running(stage, &wire);
    wire.cancel();
    stage.ready(&mut wire, 1);
    stage.ask(&mut wire, &["select 1", "rollback"]);
}

fn hang_up(stage: &mut Stage<'_>) {
    for _ in 0..5 {
        // the server signals twice: the second may hit what comes next
        let mut wire = stage.connect();
        wire.ask(LONG);
        until_running(stage, &wire);
        wire.cancel_and_hang_up();
        stage.ready(&mut wire, 1);
    }
}

fn wrong_key(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    wire.ask("select pg_sleep(0.7)");
    let mut wrong = wire.secret.clone();
    wrong[0] ^= 1;
    let keys = [wrong, wire.secret[..3].to_vec(), [&wire.secret[..], b"more"].concat(), vec![7; 256], vec![7; 257]];
    for secret in keys {
        drop(wire.request_cancel(wire.key.0, &secret));
    }
    drop(wire.request_cancel(wire.key.0 + 1, &wire.secret));
    stage.ready(&mut wire, 1);
}

fn idle(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    wire.cancel();
    std::thread::sleep(Duration::from_millis(200));
    stage.ask(&mut wire, &["select 1", "begin"]);
    wire.cancel();
    std::thread::sleep(Duration::from_millis(200));
    stage.ask(&mut wire, &["select 2", "commit"]);
}

fn copy_and_pipeline(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    wire.send(&[run("select 1"), run(LONG), run("select 2"), SYNC.to_vec()].concat()).unwrap();
    until_running(stage, &wire);
    wire.cancel();
    stage.ready(&mut wire, 1);
    wire.send(&query("copy (select pg_sleep(25)) to stdout")).unwrap();
    until_running(stage, &wire);
    wire.cancel();
    stage.ready(&mut wire, 1);
    stage.ask(&mut wire, &["create temp table cc(i int)"]);
    wire.ask("copy cc from stdin");
    stage.until(&mut wire, b"G", 1);
    let reads = format!("select count(*) from pg_stat_activity where pid = {} and wait_event = 'ClientRead'", wire.key.0);
    stage.owner_until(&format!("{reads} and state = 'active'"), "1");
    wire.cancel();
    // the server looks up when data come
    stage.send(&mut wire, &[copy_data("1\n"), COPY_DONE.to_vec()].concat(), 1);
    stage.ask(&mut wire, &["select 1"]);
}

fn long_key(stage: &mut Stage<'_>) {
    let Some(mut wire) = stage.connect_with(VERSION_3_0 | 2, &[]) else { return };
    stage.note(wire.secret.len());
    wire.ask(LONG);
    until_running(stage, &wire);
    // the beginning of a key is none
    if wire.secret.len() > 4 {
        drop(wire.request_cancel(wire.key.0, &wire.secret[..4]));
    }
    wire.cancel();
    stage.ready(&mut wire, 1);
}

/// By TCP in clear also where the session came by TLS, as clients up to PostgreSQL 16 do it; and behind a request for encryption.
fn in_clear(stage: &mut Stage<'_>) {
    for asks_first in [false, true] {
        let mut wire = stage.connect();
        wire.ask(LONG);
        until_running(stage, &wire);
        let mut socket = stage.target().way.in_clear().dial().unwrap();
        if asks_first {
            socket.write_all(SSL_REQUEST).unwrap();
            let mut answer = [0];
            socket.read_exact(&mut answer).unwrap();
            stage.note(char::from(answer[0]));
            if answer != *b"N" {
                break;
            }
        }
        let mut socket = wire.request_cancel_by(socket, wire.key.0, &wire.secret);
        stage.note(format!("{} bytes", socket.read(&mut [0]).unwrap_or(0)));
        stage.ready(&mut wire, 1);
        stage.ask(&mut wire, &["select 1"]);
    }
}

fn inherited(stage: &mut Stage<'_>) {
    let mut wire = stage.connect();
    let left = [
        "set work_mem to '3MB'",
        "create temp table leak(i int)",
        "select pg_advisory_lock(77)",
        "listen leak",
        "prepare leak as select 1",
        "declare leak cursor with hold for select 1",
        "select set_config('app.user', 'first', false)",
        "load 'auto_explain'",
    ];
    stage.ask(&mut wire, &left);
    let pid = wire.key.0;
    drop(wire);
    stage.owner_until(&format!("select count(*) from pg_stat_activity where pid = {pid}"), "0");
    let mut wire = stage.connect();
    stage.ask(
        &mut wire,
        &[
            "show work_mem",
            "select to_regclass('leak'), (select count(*) from pg_prepared_statements), (select count(*) from pg_cursors), \
             (select count(*) from pg_listening_channels()), (select count(*) from pg_locks where locktype = 'advisory')",
            "select coalesce(current_setting('app.user', true), '') = ''",
            "show auto_explain.log_analyze",
        ],
    );
}
