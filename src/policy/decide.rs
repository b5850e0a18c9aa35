//! Facts and who become a decision. The strictest matching rule wins, over all statements of a text.

use std::collections::BTreeSet;

use super::condition::{Seen, is_unknown};
use super::{Decision, Gate, HoldTerms, Outcome, Policy, RowsOver, Rule, Subject, Then, asked, masked};
use crate::mask::MaskMap;
use crate::sql::{Analysis, Facts, UnknownReason, Verb};

/// Most reasons that a decision carries.
const REASONS_MAX: usize = 32;
/// How decisions name what is no rule of the file.
const MASKED: &str = "[masked]";
const DEFAULT: &str = "[default]";
const UNKNOWN: &str = "[unknown]";

impl Policy {
    /// Decides upon a text. `masks` is what `masks_for` of the subject's groups gave on this database, `phi` what `phi` gave.
    ///
    /// With a `masks` that is not empty the subject is a masked identity, for whom some statements are refused whatever the
    /// rules say (`docs/policy.md` lists them).
    #[must_use]
    pub fn decide(&self, analysis: &Analysis, subject: &Subject<'_>, masks: &MaskMap, phi: &MaskMap) -> Decision {
        let mut sum = Sum::default();
        for facts in &analysis.statements {
            self.judge(facts, subject, (masks, phi), &mut sum);
        }
        if analysis.statements.is_empty() {
            self.judge(&Facts::unknown(UnknownReason::Syntax), subject, (masks, phi), &mut sum);
        }
        sum.decision()
    }

    fn judge(&self, facts: &Facts, subject: &Subject<'_>, (masks, phi): (&MaskMap, &MaskMap), sum: &mut Sum) {
        let touches_masked = masked::touches(facts, masks, self);
        sum.touches_masked |= touches_masked;
        sum.calls_unknown |= facts.functions.iter().any(|function| is_unknown(function, self));
        if facts.verb == Verb::Empty && facts.unknown.is_none() {
            return;
        }
        if !masks.is_empty() {
            for reason in masked::refusals(facts, masks, self) {
                sum.add(MASKED, &Then::Block, reason);
            }
            sum.questions.extend(asked::questions(facts, masks).into_iter().map(str::to_owned));
        }
        let unread = masked::unread(facts);
        if let Some(reason) = unread {
            sum.add(UNKNOWN, &self.unknown, reason.to_string());
        }
        let seen = Seen { facts, subject, touches_masked, reads_phi: masked::reads_phi(facts, phi) };
        let mut matched = unread.is_some();
        for rule in &self.rules {
            matched |= self.apply(rule, &seen, sum);
        }
        if !matched {
            sum.add(DEFAULT, &self.default, format!("no rule speaks of {}", facts.verb.name()));
        }
    }

    /// Adds what a rule says of a statement; true if it speaks of it at once.
    fn apply(&self, rule: &Rule, seen: &Seen<'_>, sum: &mut Sum) -> bool {
        let mut at_once = false;
        for condition in rule.when.iter().filter(|condition| condition.met(seen, self)) {
            match (condition.rows_over, &rule.then) {
                (Some(rows), Then::Hold(terms)) => {
                    sum.stop_after(rows, terms, &rule.name, rule.says.clone().unwrap_or_else(|| says(rule, seen.facts)));
                }
                _ => at_once = true,
            }
        }
        if at_once {
            sum.add(&rule.name, &rule.then, rule.says.clone().unwrap_or_else(|| says(rule, seen.facts)));
        }
        at_once
    }
}

fn says(rule: &Rule, facts: &Facts) -> String {
    let does = match rule.then {
        Then::Allow => "allows",
        Then::Hold(_) => "holds",
        Then::Block => "blocks",
    };
    format!("the rule `{}` {does} this {}", rule.name, facts.verb.name())
}

/// What the rules have said so far.
#[derive(Default)]
struct Sum {
    blocks: Vec<(String, String)>,
    holds: Vec<(String, String)>,
    allows: Vec<(String, String)>,
    terms: Option<HoldTerms>,
    rows_over: Option<RowsOver>,
    touches_masked: bool,
    calls_unknown: bool,
    questions: BTreeSet<String>,
}

impl Sum {
    fn add(&mut self, rule: &str, then: &Then, reason: String) {
        let list = match then {
            Then::Allow => &mut self.allows,
            Then::Hold(_) => &mut self.holds,
            Then::Block => &mut self.blocks,
        };
        if list.len() < REASONS_MAX && !list.iter().any(|(name, said)| name == rule && *said == reason) {
            list.push((rule.to_owned(), reason));
        }
        if let Then::Hold(terms) = then {
            self.terms = Some(self.terms.as_ref().map_or_else(|| terms.clone(), |held| both(held, terms)));
        }
    }

    fn stop_after(&mut self, rows: u64, terms: &HoldTerms, rule: &str, reason: String) {
        let mut over = match self.rows_over.take() {
            None => RowsOver { rows, terms: terms.clone(), rules: Vec::new(), reasons: Vec::new() },
            Some(over) => RowsOver { rows: over.rows.min(rows), terms: both(&over.terms, terms), ..over },
        };
        if over.reasons.len() < REASONS_MAX && !over.reasons.contains(&reason) {
            over.reasons.push(reason);
        }
        if !over.rules.iter().any(|name| name == rule) {
            over.rules.push(rule.to_owned());
        }
        self.rows_over = Some(over);
    }

    fn decision(self) -> Decision {
        let nobody = |terms: &HoldTerms| terms.approvers.is_empty();
        let mut reasons: Vec<(String, String)> = self.blocks;
        let mut outcome = match self.terms {
            _ if !reasons.is_empty() => Outcome::Block,
            Some(terms) if nobody(&terms) => {
                reasons.push((String::new(), "it is held by rules that no one group may answer together".to_owned()));
                Outcome::Block
            }
            Some(terms) => Outcome::Hold(terms),
            None => Outcome::Forward,
        };
        if self.rows_over.as_ref().is_some_and(|over| nobody(&over.terms)) {
            reasons.push((String::new(), "its rows are held by rules that no one group may answer together".to_owned()));
            outcome = Outcome::Block;
        }
        let gate = if self.calls_unknown && outcome != Outcome::Forward { Gate::Bind } else { Gate::Execute };
        reasons.extend(self.holds);
        reasons.extend(self.allows.into_iter().filter(|(name, _)| name != DEFAULT));
        let mut rules: Vec<String> = Vec::new();
        for (name, _) in &reasons {
            if !name.is_empty() && !rules.contains(name) {
                rules.push(name.clone());
            }
        }
        let reasons = reasons.into_iter().map(|(_, reason)| reason).take(REASONS_MAX).collect();
        let rows_over = self.rows_over.filter(|_| outcome != Outcome::Block);
        Decision {
            outcome,
            gate,
            rules,
            reasons,
            touches_masked: self.touches_masked,
            calls_unknown: self.calls_unknown,
            rows_over,
            questions: self.questions.into_iter().collect(),
        }
    }
}

/// Terms that satisfy both: groups that may answer both, the more people, the shorter wait. No common group: no approvers.
fn both(one: &HoldTerms, other: &HoldTerms) -> HoldTerms {
    HoldTerms {
        approvers: one.approvers.iter().filter(|group| other.approvers.contains(group)).cloned().collect(),
        approvals: one.approvals.max(other.approvals),
        within_ms: one.within_ms.min(other.within_ms),
    }
}
