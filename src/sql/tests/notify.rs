//! What texts send to listeners in so many words.

use super::super::{Notification, Said, notifications};

fn text(channel: &str, payload: &str) -> Notification {
    Notification { channel: Said::Text(channel.into()), payload: Said::Text(payload.into()) }
}

#[test]
fn constants_are_known() {
    let cases = [
        ("notify Jobs", text("jobs", "")),
        ("NOTIFY \"Jobs\", 'it''s'", text("Jobs", "it's")),
        ("notify jobs, E'a\\nb' ;", text("jobs", "a\nb")),
        ("select pg_notify('a', $$b$$)", text("a", "b")),
        ("select pg_catalog.pg_notify('A', '')", text("A", "")),
    ];
    for (sql, known) in cases {
        assert_eq!(notifications(sql.as_bytes()), [known], "{sql}");
    }
    let parameter = Notification { channel: Said::Parameter(1), payload: Said::Parameter(2) };
    assert_eq!(notifications(b"select pg_notify($1, $2)"), [parameter]);
    assert_eq!(notifications(b"notify a; select 1; notify b, 'c'"), [text("a", ""), text("b", "c")]);
}

#[test]
fn what_is_put_together_is_not() {
    for sql in [
        "select pg_notify('a', last_name) from clinical.patients",
        "select pg_notify('a', 'b' || 'c')",
        "select pg_notify('a', 'b'), 1",
        "select pg_notify('a', 'b') from clinical.patients",
        "select mine.pg_notify('a', 'b')",
        "explain analyze select pg_notify('a', 'b')",
        "notify",
        "notify 'a'",
        "select 1",
        "select pg_notify('a', 'b",
    ] {
        assert_eq!(notifications(sql.as_bytes()), [], "{sql}");
    }
}
