//! Proposals as a policy with the evidence beside each column, and as JSON.

use std::fmt::Write as _;

use serde_json::json;

use super::Found;
use super::known::KINDS;
use super::propose::Proposal;
use crate::cli::client::plain;

pub(super) fn policy(found: &Found) -> String {
    let unsure = found.proposals.iter().filter(|proposal| !proposal.doubts.is_empty()).count();
    let mut text = String::new();
    let rows = if found.sample == 0 { "no rows".to_owned() } else { format!("up to {} rows of each", found.sample) };
    let lines = [
        format!("Proposed by `pgveil discover` for the database {}.", commented(&found.database)),
        format!(
            "Looked at {} columns of {} tables, {rows}: {} to be masked, {unsure} of them UNSURE.",
            found.columns,
            found.tables,
            found.proposals.len()
        ),
        "Nobody has looked at this yet. What was not found here may identify people all the same.".to_owned(),
    ];
    for line in lines {
        let _ = writeln!(text, "# {line}");
    }
    for (table, why) in &found.unread {
        let _ = writeln!(text, "# NOT READ: {} ({why}): only its names and types were looked at.", commented(table));
    }
    text.push_str(
        "\n[default]\nthen = \"allow\"\n\n# What cannot be analysed; let people answer by `{ hold = { approvers = [..] } }`.\n",
    );
    text.push_str("[unknown]\nthen = \"block\"\n");
    for kind in &KINDS {
        let own: Vec<&Proposal> =
            found.proposals.iter().filter(|proposal| proposal.kind == kind && fits(&proposal.column)).collect();
        if own.is_empty() {
            continue;
        }
        let _ = write!(
            text,
            "\n[[mask]]\nclause = \"45 CFR 164.514(b)(2)(i)({}): {}\"\nwith = {}\ncolumns = [\n",
            kind.clause, kind.name, kind.with
        );
        for proposal in own {
            let unsure =
                if proposal.doubts.is_empty() { String::new() } else { format!("; UNSURE: {}", proposal.doubts.join(", ")) };
            let evidence = proposal.evidence.join(", ");
            let _ = writeln!(text, "  {}, # {evidence}{unsure}", toml::Value::from(proposal.column.as_str()));
        }
        text.push_str("]\n");
    }
    for proposal in found.proposals.iter().filter(|proposal| !fits(&proposal.column)) {
        let _ =
            writeln!(text, "\n# {} needs a mask; its name holds a sign that a rule cannot name.", commented(&proposal.column));
    }
    text
}

/// True if a rule can name the column.
fn fits(column: &str) -> bool {
    column.matches('.').count() == 2 && column.split('.').all(|part| !part.is_empty())
}

/// A name inside a comment: one line, nothing that acts on a terminal.
fn commented(name: &str) -> String {
    format!("`{}`", plain(name).replace(['\n', '\r'], " "))
}

pub(super) fn json(found: &Found) -> serde_json::Value {
    let proposals: Vec<_> = found
        .proposals
        .iter()
        .map(|proposal| {
            json!({
                "column": proposal.column,
                "kind": proposal.kind.name,
                "clause": format!("45 CFR 164.514(b)(2)(i)({})", proposal.kind.clause),
                "with": proposal.kind.with.trim_matches('"'),
                "sure": proposal.doubts.is_empty(),
                "evidence": proposal.evidence,
                "doubts": proposal.doubts
            })
        })
        .collect();
    let unread: Vec<_> = found.unread.iter().map(|(table, why)| json!({"table": table, "reason": why})).collect();
    json!({
        "database": found.database, "sample": found.sample, "tables": found.tables, "columns": found.columns,
        "proposals": proposals, "unread": unread
    })
}
