//! What is too long to read is not let through, and the session survives it or ends with words.

use std::sync::LazyLock;

use proto_tests::{Stand, Wire};

const POLICY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/holds.toml");
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("clinic", &["--policy", POLICY]));

/// Refused, or held: what comes first is an error or the notice of a hold.
fn refused(sql: &str) {
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    wire.ask(sql);
    let first = wire.read().unwrap();
    assert!(matches!(first.tag, b'E' | b'N'), "{} bytes went through: {first:?}", sql.len());
    assert!(first.field(b'M').is_some_and(|m| !m.is_empty()));
    drop(wire);
    assert_eq!(STAND.owner("select count(*) from clinical.medications"), "1500");
}

#[test]
fn nine_mebibytes_of_comment_hide_no_delete() {
    refused(&format!("/*{}*/ delete from clinical.medications", "x".repeat(9 << 20)));
    refused(&format!("--{}\ndelete from clinical.medications", "x".repeat(9 << 20)));
    refused(&format!("{}delete from clinical.medications", " ".repeat(9 << 20)));
}

#[test]
fn neither_does_deep_nesting() {
    refused(&format!("select {}1{}; delete from clinical.medications", "(".repeat(20_000), ")".repeat(20_000)));
    refused(&format!("select 1{}; delete from clinical.medications", "+1".repeat(50_000)));
    refused(&format!("delete from clinical.medications where {}true", "not ".repeat(50_000)));
    refused(&format!("{}delete from clinical.medications", "select 1;".repeat(100_000)));
}

#[test]
fn ordinary_long_texts_run() {
    let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
    let list: Vec<_> = (1..=20_000).map(|n| n.to_string()).collect();
    let reply = wire.query(&format!("select count(*) from clinical.codes where label not in ('{}')", list.join("','")));
    assert_eq!(reply.rows(), [[Some("7".to_owned())]], "{:?}", reply.of(b'E').next().and_then(|m| m.field(b'M')));
}

#[test]
fn a_length_no_message_has_ends_the_connection_with_words() {
    for packet in [&b"Q\x7f\xff\xff\xff"[..], b"Q\0\0\0\x03", b"Q\xff\xff\xff\xff", b"?\0\0\0\x04"] {
        let mut wire = Wire::connect(&STAND, &STAND.identity("AGENT"));
        wire.send(packet).unwrap();
        let reply = wire.reply();
        assert_eq!(reply.sqlstate().as_deref(), Some("08P01"), "{packet:?}: {reply:?}");
    }
    assert_eq!(Wire::connect(&STAND, &STAND.identity("AGENT")).query("select 1").tags(), "TDCZ");
}
