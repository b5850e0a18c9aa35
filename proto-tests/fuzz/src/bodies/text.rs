//! Text of any kind becomes facts.

use pgveil::mask;
use pgveil::policy::{Outcome, Subject};
use pgveil::sql::{self, Facts, SOURCES_MAX, Verb};

use super::ground::{CLINIC, MASKS, SAFE_HARBOR, analyzed};
use super::input::Input;

const ENCODINGS: [&str; 6] = ["UTF8", "SQL_ASCII", "LATIN1", "SJIS", "EUC_JP", "nonsense"];

/// Any text: it has an answer, within bounds, that white space around it does not change, and that a policy can decide upon.
pub fn sql_facts(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let encoding = ENCODINGS[usize::from(choice >> 1) % ENCODINGS.len()];
    let conforming = choice.is_multiple_of(2);
    let text = input.rest();
    let analysis = analyzed(text, encoding, conforming);
    assert!(!analysis.statements.is_empty());
    analysis.statements.iter().for_each(bounded);
    let spaced = analyzed(&[b"\n\t", text, b"\n"].concat(), encoding, conforming);
    assert_eq!(spaced, analysis, "white space changes the facts");
    decide(&analysis);
    if let Ok(text) = std::str::from_utf8(text) {
        let _ = (sql::copied(text.as_bytes()), sql::notifications(text.as_bytes()));
        if let Some(relation) = CLINIC.qualified("clinical", "patients") {
            let _ = (sql::expression(relation.oid, text, &CLINIC), sql::view_columns(text, &CLINIC));
        }
    }
}

fn bounded(facts: &Facts) {
    assert!(facts.verbs.contains(&facts.verb));
    if facts.verb == Verb::Unknown {
        assert!(facts.unknown.is_some(), "unknown, and no reason why");
    }
    let columns = facts.columns.iter().flatten().map(|column| &column.lineage);
    let asked = facts.asks.iter().map(|asked| &asked.of);
    let stored = facts.stores.iter().map(|stored| &stored.lineage);
    for lineage in columns.chain(asked).chain(stored) {
        assert!(lineage.sources.len() <= SOURCES_MAX);
        assert!(lineage.sources.is_sorted());
        let _ = mask::judge(lineage, &MASKS);
    }
}

fn decide(analysis: &sql::Analysis) {
    let groups = ["agents".to_owned()];
    let subject = Subject { identity: "mcp-agent", groups: &groups, database: "clinic" };
    let decision = SAFE_HARBOR.decide(analysis, &subject, &MASKS, &MASKS);
    let unread = |facts: &Facts| facts.verb == Verb::Unknown;
    assert!(decision.outcome != Outcome::Forward || !analysis.statements.iter().any(unread), "what could not be read runs");
    let reaches = |facts: &Facts| facts.reads.iter().any(|relation| MASKS.touches(relation));
    assert!(decision.touches_masked || !analysis.statements.iter().any(reaches), "masked relations are read, and nobody says so");
}
