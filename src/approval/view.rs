//! Holds as people see them.

use super::desk::Open;
use super::hold::Shown;
use super::{PARAMETER_CHARS_MAX, PARAMETERS_SHOWN_MAX, SUMMARY_CHARS_MAX};

/// A hold in a list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HoldSummary {
    /// Its identifier.
    pub id: String,
    /// Who asks.
    pub identity: String,
    /// The database.
    pub database: String,
    /// The beginning of the text, on one line.
    pub summary: String,
    /// Names of the rules that hold it.
    pub rules: Vec<String>,
    /// Groups that may answer.
    pub approvers: Vec<String>,
    /// How many different people it needs.
    pub approvals: u32,
    /// Who has approved.
    pub approved_by: Vec<String>,
    /// How long it still waits, in milliseconds.
    pub left_ms: u64,
}

/// A hold with everything that an answer needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HoldDetail {
    /// As in a list.
    #[serde(flatten)]
    pub summary: HoldSummary,
    /// The asking identity's groups.
    pub groups: Vec<String>,
    /// The session.
    pub session: String,
    /// The whole text.
    pub text: String,
    /// The parameters.
    pub parameters: Vec<Shown>,
    /// How many parameters are not shown.
    pub parameters_left_out: usize,
    /// Why it is held.
    pub reasons: Vec<String>,
    /// SHA-256 over what is approved, in hexadecimal digits.
    pub digest: String,
}

pub(super) fn summary(id: &str, open: &Open, left_ms: u64) -> HoldSummary {
    let request = &open.request;
    HoldSummary {
        id: id.to_owned(),
        identity: request.identity.clone(),
        database: request.database.clone(),
        summary: one_line(&request.text),
        rules: request.rules.clone(),
        approvers: request.terms.approvers.clone(),
        approvals: request.terms.approvals,
        approved_by: open.approved_by.clone(),
        left_ms,
    }
}

pub(super) fn detail(id: &str, open: &Open, left_ms: u64) -> HoldDetail {
    let request = &open.request;
    HoldDetail {
        summary: summary(id, open, left_ms),
        groups: request.groups.clone(),
        session: request.session.to_string(),
        text: request.text.clone(),
        parameters: request.parameters.iter().take(PARAMETERS_SHOWN_MAX).map(cut).collect(),
        parameters_left_out: request.parameters.len().saturating_sub(PARAMETERS_SHOWN_MAX),
        reasons: request.reasons.clone(),
        digest: request.digest.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

fn one_line(text: &str) -> String {
    let mut line: String = text.chars().take(SUMMARY_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SUMMARY_CHARS_MAX).is_some() {
        line.push_str("...");
    }
    line
}

fn cut(parameter: &Shown) -> Shown {
    let cut = |text: &String| {
        let mut short: String = text.chars().take(PARAMETER_CHARS_MAX).collect();
        if short.len() < text.len() {
            short.push_str("...");
        }
        short
    };
    match parameter {
        Shown::Null => Shown::Null,
        Shown::Text(text) => Shown::Text(cut(text)),
        Shown::Hex(text) => Shown::Hex(cut(text)),
    }
}
