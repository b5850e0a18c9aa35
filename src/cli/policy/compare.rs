//! A case beside what came of it.

use super::cases::{Case, Expected};
use crate::cli::explain::Explained;

/// One thing that is not as the case says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) what: String,
    pub(super) expected: String,
    pub(super) actual: String,
    pub(super) why: Option<String>,
}

/// All that is not as the case says.
pub(super) fn differences(case: &Case, explained: &Explained) -> Vec<Difference> {
    let ruling = &explained.ruling;
    let why = Some(ruling.reasons.join("; ")).filter(|reasons| !reasons.is_empty());
    let mut found = Vec::new();
    let mut note = |what: &str, expected: String, actual: String, why: Option<String>| {
        if expected != actual {
            found.push(Difference { what: what.to_owned(), expected, actual, why });
        }
    };
    note("decision", case.decision.clone(), ruling.decision.to_owned(), why.clone());
    if let Some(rules) = &case.rules {
        note("rules", set(rules), set(&ruling.rules), why.clone());
    }
    if let Some(approvers) = &case.approvers {
        let of_hold = ruling.hold.as_ref().or(ruling.rows_over.as_ref().map(|line| &line.hold));
        note("approvers", set(approvers), set(of_hold.map_or(&[], |hold| &hold.approvers)), None);
    }
    if let Some(rows) = case.rows_over {
        let actual = ruling.rows_over.as_ref().map_or_else(|| "no line".to_owned(), |line| line.rows.to_string());
        note("rows_over", rows.to_string(), actual, None);
    }
    if let Some(reason) = &case.reason
        && !ruling.reasons.iter().any(|said| said.contains(reason.as_str()))
    {
        note("reason", format!("`{reason}`"), why.unwrap_or_else(|| "none".to_owned()), None);
    }
    if let Some(columns) = &case.columns {
        found.extend(of_columns(columns, explained));
    }
    found
}

fn set(words: &[String]) -> String {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.sort_unstable();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// The columns of the last statement that has any.
fn of_columns(expected: &[Expected], explained: &Explained) -> Vec<Difference> {
    let last = explained.statements.iter().rev().find(|statement| !statement.columns.is_empty());
    let columns = last.map(|statement| statement.columns.as_slice()).unwrap_or_default();
    let names = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let wanted = names(expected.iter().map(|column| column.name.as_str()).collect());
    let given = names(columns.iter().map(|column| column.name.as_str()).collect());
    if wanted != given {
        return vec![Difference { what: "columns".to_owned(), expected: wanted, actual: given, why: None }];
    }
    let mut found = Vec::new();
    for (index, (expected, column)) in expected.iter().zip(columns).enumerate() {
        let hidden = matches!(column.verdict, "placeholder" | "null");
        let same = match expected.verdict.as_str() {
            "hidden" => hidden,
            // Without its type, a computed column may become either.
            "placeholder" | "null" if column.type_name.is_none() => hidden,
            verdict => verdict == column.verdict,
        };
        let fits = expected.strategy.as_ref().is_none_or(|strategy| column.strategy.as_ref() == Some(strategy));
        if !(same && fits) {
            let spelled = |verdict: &str, strategy: Option<&String>| match strategy {
                Some(strategy) if verdict == "masked" => format!("{verdict} {strategy}"),
                Some(_) | None => verdict.to_owned(),
            };
            found.push(Difference {
                what: format!("column {} `{}`", index + 1, column.name),
                expected: spelled(&expected.verdict, expected.strategy.as_ref()),
                actual: spelled(column.verdict, column.strategy.as_ref()),
                why: Some(column.reason.clone()),
            });
        }
    }
    found
}
