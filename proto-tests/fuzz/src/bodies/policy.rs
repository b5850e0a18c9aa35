//! Text of any kind as a policy: it loads, or its faults are told in their places.

use std::sync::LazyLock;

use pgveil::mask::MaskMap;
use pgveil::policy::{FAULTS_MAX, Outcome, Policy, Subject, parse_ms, show_ms};
use pgveil::sql::Analysis;

use super::ground::{CLINIC, analyzed};

/// Statements that a policy which loads is asked about.
static ASKED: LazyLock<[Analysis; 4]> = LazyLock::new(|| {
    [
        "select ssn, left(last_name, 1) from clinical.patients where mrn = $1",
        "delete from clinical.medications",
        "do $$ begin perform 1; end $$",
        "copy clinical.patients to stdout",
    ]
    .map(|text| analyzed(text.as_bytes(), "UTF8", true))
});

/// Any text as a policy, and as a duration.
pub fn policy(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(ms) = parse_ms(text) {
        assert_eq!(parse_ms(&show_ms(ms)), Some(ms), "{text}");
    }
    match Policy::parse(text, "policy.toml") {
        Err(faults) => {
            assert!(!faults.is_empty() && faults.len() <= FAULTS_MAX);
            let lines = text.split('\n').count();
            assert!(faults.iter().all(|fault| fault.line >= 1 && fault.line <= lines + 1), "{faults:?}");
            faults.iter().for_each(|fault| assert!(!fault.to_string().is_empty()));
        }
        Ok(policy) => decide(&policy),
    }
}

fn decide(policy: &Policy) {
    let groups = ["agents".to_owned()];
    let masks = MaskMap::resolve(&CLINIC, &policy.masks_for(&groups), policy.known_functions());
    let phi = MaskMap::resolve(&CLINIC, &policy.phi(), policy.known_functions());
    let _ = (policy.names_from(), policy.needs_catalog(), policy.size(), policy.budget(), policy.version());
    let subject = Subject { identity: "mcp-agent", groups: &groups, database: "clinic" };
    for asked in &*ASKED {
        let decision = policy.decide(asked, &subject, &masks, &phi);
        assert!(decision.outcome == Outcome::Forward || !decision.reasons.is_empty(), "decided without a reason: {asked:?}");
    }
}
