//! An explanation for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use super::report::{Column, Explained, Hold, Ruling, Statement};
use crate::cli::client::plain;

pub(super) fn show(explained: &Explained) -> String {
    let mut text = String::new();
    let count = explained.statements.len();
    for (index, statement) in explained.statements.iter().enumerate() {
        if count > 1 {
            let _ = writeln!(text, "statement {} of {count}", index + 1);
        }
        of_statement(statement, &mut text);
        text.push('\n');
    }
    if count > 1 {
        text.push_str("all together\n");
        of_ruling(&explained.ruling, &mut text);
    }
    if let Some(note) = &explained.note {
        let _ = writeln!(text, "note: {note}");
    }
    plain(text.trim_end())
}

fn of_statement(statement: &Statement, text: &mut String) {
    let mut line = |name: &str, said: &str| {
        if !said.is_empty() {
            let _ = writeln!(text, "  {name:<11}{said}");
        }
    };
    line("verb", &verbs(statement));
    let condition = serde_json::to_value(statement.where_).ok();
    line("where", condition.as_ref().and_then(serde_json::Value::as_str).filter(|word| *word != "none").unwrap_or_default());
    line("reads", &statement.reads.join(", "));
    line("writes", &statement.writes.join(", "));
    line("functions", &statement.functions.join(", "));
    line("asks about", &pairs(&statement.asks));
    line("stores", &pairs(&statement.stores));
    line("unread", statement.unknown.as_deref().unwrap_or_default());
    of_ruling(&statement.ruling, text);
    if !statement.columns.is_empty() {
        let _ = writeln!(text, "{}", of_columns(&statement.columns));
    }
}

fn verbs(statement: &Statement) -> String {
    let others: Vec<&str> = statement.verbs.iter().copied().filter(|verb| *verb != statement.verb).collect();
    if others.is_empty() { statement.verb.to_owned() } else { format!("{} (with {})", statement.verb, others.join(", ")) }
}

fn pairs(map: &BTreeMap<String, Vec<String>>) -> String {
    let parts: Vec<String> = map
        .iter()
        .filter(|(_, columns)| !columns.is_empty())
        .map(|(how, columns)| format!("{how}: {}", columns.join(", ")))
        .collect();
    parts.join("; ")
}

fn of_ruling(ruling: &Ruling, text: &mut String) {
    let hold = ruling.hold.as_ref().map(|hold| format!(", {}", terms(hold))).unwrap_or_default();
    let _ = writeln!(text, "  {:<11}{}{hold}", "decision", ruling.decision);
    if !ruling.rules.is_empty() {
        let _ = writeln!(text, "  {:<11}{}", "rules", ruling.rules.join(", "));
    }
    for reason in &ruling.reasons {
        let _ = writeln!(text, "  {:<11}{reason}", "reason");
    }
    if let Some(line) = &ruling.rows_over {
        let _ = writeln!(text, "  {:<11}after {} rows, {} ({})", "stops", line.rows, terms(&line.hold), line.rules.join(", "));
    }
}

fn terms(hold: &Hold) -> String {
    let people = if hold.approvals == 1 { "one".to_owned() } else { hold.approvals.to_string() };
    format!("until {people} of {} agree, within {}", hold.approvers.join(" or "), hold.within)
}

fn of_columns(columns: &[Column]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["column", "type", "verdict", "lineage", "sources", "reason"]);
    for column in columns {
        let verdict = match &column.strategy {
            Some(strategy) => format!("{} ({strategy})", column.verdict),
            None => column.verdict.to_owned(),
        };
        let kind = column.type_name.clone().unwrap_or_else(|| "?".to_owned());
        let cells = [&column.name, &kind, &verdict, &column.lineage.to_owned(), &column.sources.join("\n"), &column.reason];
        table.add_row(cells.map(|cell: &String| plain(cell)));
    }
    table
}
