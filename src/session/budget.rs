//! Questions about masked columns count against the policy's budget before they are put to the database.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::relay::Relay;
use super::ruling::{Ruling, Verdict};
use crate::policy::{Decision, Outcome};
use crate::wire::Bind;

/// How decisions name the budget.
const INFERENCE: &str = "[inference]";

impl<C: AsyncRead + AsyncWrite + Unpin, S: AsyncRead + AsyncWrite + Unpin> Relay<C, S> {
    /// The verdict on a text that is about to run, once its questions are counted.
    pub(super) fn counted(&self, verdict: Arc<Verdict>, bind: Option<&Bind>) -> Arc<Verdict> {
        let decision = &verdict.decision;
        if decision.questions.is_empty() || decision.outcome == Outcome::Block {
            return verdict;
        }
        let question = question(&verdict, bind);
        let beyond = self.ground.asked(&self.identity, &decision.questions, &question);
        let Some(column) = beyond.first() else { return verdict };
        let decision = strict(decision, &verdict.sight.charter.policy.budget().beyond, column);
        Arc::new(verdict.under(decision))
    }

    /// The same for a portal.
    pub(super) fn counted_portal(&self, ruling: Ruling) -> Ruling {
        let verdict = self.counted(Arc::clone(ruling.verdict()), ruling.bind());
        if Arc::ptr_eq(&verdict, ruling.verdict()) { ruling } else { ruling.under(verdict) }
    }

    /// A person has let a text run: its identity may ask anew about the columns that it asks about.
    pub(super) fn forget_questions(&self, ruling: &Ruling) {
        self.ground.forget_asked(&self.identity, &ruling.verdict().decision.questions);
    }
}

/// What tells a question from others: its text and its parameters.
fn question(verdict: &Verdict, bind: Option<&Bind>) -> Vec<u8> {
    let mut question = verdict.text.to_vec();
    if let Some(bind) = bind {
        if question.is_empty() {
            question.extend_from_slice(&bind.statement);
        }
        for value in &bind.parameters {
            question.extend([0, u8::from(value.is_none())]);
            question.extend_from_slice(value.as_deref().unwrap_or_default());
        }
    }
    question
}

/// A decision, where one question too many was asked about a column.
fn strict(decision: &Decision, beyond: &Outcome, column: &str) -> Decision {
    let mut decision = decision.clone();
    decision.outcome = match (&decision.outcome, beyond) {
        (Outcome::Hold(_), Outcome::Hold(_) | Outcome::Forward) => decision.outcome,
        _ => beyond.clone(),
    };
    decision.rules.insert(0, INFERENCE.to_owned());
    decision.reasons.insert(0, format!("more questions about `{column}` than the policy allows"));
    decision
}
