//! Honest work comes through: what a masked identity is answered is what PostgreSQL answers, where nothing masked shows in it.

use std::sync::LazyLock;

use proto_tests::{Canaries, Identity, Stand, Wire};

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

#[test]
fn the_same_answer_with_and_without_masks() {
    let (mut masked, mut direct) = (masked(), direct());
    let mut differing = Vec::new();
    for sql in statements() {
        let (one, other) = (masked.query(sql), direct.query(sql));
        if one.bytes() != other.bytes() {
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
