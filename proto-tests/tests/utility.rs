//! Honest work comes through: what a masked identity is answered is what PostgreSQL answers, where nothing masked shows in it.

use std::sync::LazyLock;

use proto_tests::wire::Reply;
use proto_tests::{Canaries, Identity, Message, Stand, Wire};

const HONEST: &str = include_str!("../../fixtures/utility/honest.sql");
/// Fewest statements that the fixture holds.
const STATEMENTS_MIN: usize = 200;
static STAND: LazyLock<Stand> = LazyLock::new(|| Stand::start("corpus", &[]));

fn masked() -> Wire {
    Wire::connect(&STAND, &STAND.identity("MASKED"))
}

fn direct() -> Wire {
    let who = Identity { user: "clinic_app".into(), password: "app".into(), dsn: String::new() };
    Wire::try_connect(STAND.value("PG_PORT").parse().unwrap(), &who, "clinic", &[]).unwrap().unwrap()
}

fn statements() -> impl Iterator<Item = &'static str> {
    HONEST.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// All of a reply but the numbers of relations, which are others each time they are made, and the places in the server's own code.
fn seen(reply: &Reply) -> Vec<(u8, Vec<u8>)> {
    let of = |message: &Message| -> Vec<u8> {
        let lines: Vec<String> = match message.tag {
            b'T' => {
                let columns = message.columns();
                columns.iter().map(|column| format!("{} {} {}", column.name, column.type_oid, column.binary)).collect()
            }
            b'E' | b'N' => b"SVCMDHPWstcdn".iter().filter_map(|kind| message.field(*kind)).collect(),
            _ => return message.body.clone(),
        };
        lines.join("\n").into_bytes()
    };
    reply.messages.iter().map(|message| (message.tag, of(message))).collect()
}

#[test]
fn the_same_answer_with_and_without_masks() {
    // One after the other: both make the same objects.
    let through: Vec<Reply> = {
        let mut wire = masked();
        statements().map(|sql| wire.query(sql)).collect()
    };
    let mut direct = direct();
    let mut differing = Vec::new();
    for (sql, one) in statements().zip(through) {
        let other = direct.query(sql);
        if seen(&one) != seen(&other) {
            let said = one.of(b'E').next().and_then(|error| error.field(b'M'));
            differing.push(format!("{sql}\n    {}", said.unwrap_or_else(|| format!("{:?}", one.rows().first()))));
        }
    }
    assert!(statements().count() >= STATEMENTS_MIN);
    assert!(differing.is_empty(), "{} differ:\n{}", differing.len(), differing.join("\n"));
}

/// What a name stands for is not what the catalog says while a transaction has changed it.
#[test]
fn a_relation_made_anew_in_a_transaction_does_not_hide_where_a_name_leads() {
    let raw = Canaries::of(&STAND);
    let query = "select id, (select ssn from scratch.swapped) as x from clinical.patients where id < 9";
    let swap = "drop table scratch.swapped; create table scratch.swapped (b int); insert into scratch.swapped values (1)";
    let mut wire = masked();
    for text in [format!("begin; {swap}"), query.to_owned(), "rollback".to_owned(), format!("{swap}; {query}")] {
        wire.query("create table if not exists scratch.swapped (ssn text)");
        raw.assert_clean(&text, &wire.query(&text).bytes());
    }
    wire.query("drop table if exists scratch.swapped");
}
