//! The `when` of a rule, as it is written.

use std::collections::BTreeSet;

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;

use super::condition::{Condition, FunctionTest};
use super::document::{Fields, Value, clip};
use super::glob;
use super::nearest::nearest;
use crate::sql::{Verb, Where};

/// The verbs, as policies name them.
pub(super) const VERBS: [&str; 49] = [
    "select",
    "insert",
    "update",
    "delete",
    "merge",
    "truncate",
    "copy-out",
    "copy-in",
    "copy-file",
    "copy-program",
    "create",
    "alter",
    "drop",
    "comment",
    "select-into",
    "refresh",
    "grant",
    "revoke",
    "role",
    "owner",
    "security-label",
    "set-role",
    "alter-system",
    "transaction",
    "two-phase",
    "set",
    "show",
    "cursor",
    "prepare",
    "execute",
    "deallocate",
    "discard",
    "listen",
    "notify",
    "explain",
    "explain-analyze",
    "do",
    "call",
    "maintenance",
    "vacuum-full",
    "cluster",
    "reindex",
    "lock",
    "lock-strong",
    "load",
    "checkpoint",
    "function-call",
    "empty",
    "unknown",
];
/// The keys of a condition.
const WHENS: [&str; 10] =
    ["verb", "where", "target", "function", "groups", "not_groups", "database", "touches_masked", "reads", "rows_over"];
/// Most rows that `rows_over` may name.
const ROWS_MAX: u64 = 1 << 40;

/// Reads the conditions of a rule: any one of them is enough.
pub(super) fn when(fields: &Fields<'_, '_>) -> Option<Vec<Condition>> {
    match (fields.value("when"), fields.value("when_any")) {
        (Some(one), None) => Some(vec![condition(&one.fields("`when`")?)?]),
        (None, Some(any)) => {
            let list = any.list()?;
            if list.is_empty() {
                any.fault("`when_any` is an empty list: the rule would never apply");
            }
            list.iter().map(|item| condition(&item.fields("`when_any`")?)).collect()
        }
        (Some(_), Some(any)) => {
            any.fault("a rule has either `when` or `when_any`");
            None
        }
        (None, None) => {
            fields.fault("the rule lacks `when` (all of it must hold) or `when_any` (one of several)");
            None
        }
    }
}

fn condition(fields: &Fields<'_, '_>) -> Option<Condition> {
    fields.only(&WHENS);
    if fields.is_empty() {
        fields.fault(format!("{} is empty and would match every statement; say that under `[default]`", fields.name()));
        return None;
    }
    let words = |key| fields.value(key).and_then(|value| value.words()).unwrap_or_default();
    let condition = Condition {
        verbs: fields.value("verb").map(|value| verbs(&value)).unwrap_or_default(),
        wheres: fields.value("where").map(|value| wheres(&value)).unwrap_or_default(),
        not_temporary: fields.value("target").is_some_and(|value| target(&value)),
        functions: fields.value("function").map(|value| functions(&value)).unwrap_or_default(),
        groups: words("groups"),
        not_groups: words("not_groups"),
        databases: fields.value("database").map(|value| databases(&value)).unwrap_or_default(),
        touches_masked: fields.value("touches_masked").and_then(|value| value.boolean()),
        reads_phi: fields.value("reads").is_some_and(|value| reads(&value)),
        rows_over: fields.value("rows_over").and_then(|value| value.integer(1, ROWS_MAX)),
    };
    contradictions(fields, &condition);
    Some(condition)
}

fn contradictions(fields: &Fields<'_, '_>, condition: &Condition) {
    let with_where = [Verb::Delete, Verb::Update, Verb::Merge];
    if let Some(value) = fields.value("where")
        && !condition.verbs.is_empty()
        && !condition.verbs.iter().any(|verb| with_where.contains(verb))
    {
        value
            .fault("`where` speaks of `delete`, `update` and `merge`, and `verb` names none of them: the rule would never apply");
    }
    if let (Some(value), Some(group)) =
        (fields.value("not_groups"), condition.groups.iter().find(|group| condition.not_groups.contains(group)))
    {
        value.fault(format!("`{}` stands in `groups` and in `not_groups`", clip(group)));
    }
    if let Some(value) = fields.value("rows_over")
        && !condition.verbs.is_empty()
        && !condition.verbs.iter().any(|verb| gives_rows(*verb))
    {
        value.fault("`rows_over` counts rows that are sent, and no verb of the rule sends any");
    }
}

fn gives_rows(verb: Verb) -> bool {
    use Verb::{Call, CopyOut, Cursor, Delete, Execute, Explain, ExplainAnalyze, Insert, Merge, Select, Show, Unknown, Update};
    matches!(
        verb,
        Select | CopyOut | Cursor | Execute | Insert | Update | Delete | Merge | Explain | ExplainAnalyze | Show | Call | Unknown
    )
}

fn verbs(value: &Value<'_, '_>) -> BTreeSet<Verb> {
    let mut verbs = BTreeSet::new();
    for (text, item) in value.texts().unwrap_or_default() {
        match verb(text) {
            Some(verb) => {
                verbs.insert(verb);
            }
            None => {
                let way = nearest(text, &VERBS)
                    .map_or_else(|| format!("known are {}", VERBS.join(", ")), |near| format!("did you mean `{near}`?"));
                item.fault(format!("unknown verb `{}`; {way}", clip(text)));
            }
        }
    }
    verbs
}

/// The verb of this name.
pub(super) fn verb(text: &str) -> Option<Verb> {
    let text: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    Verb::deserialize(text).ok()
}

/// A tautology restricts nothing, so `absent` means both.
fn wheres(value: &Value<'_, '_>) -> BTreeSet<Where> {
    let mut wheres = BTreeSet::new();
    for (text, item) in value.texts().unwrap_or_default() {
        match text {
            "absent" => wheres.extend([Where::Absent, Where::Tautology]),
            "tautology" => wheres.extend([Where::Tautology]),
            "restricts" => wheres.extend([Where::Restricts]),
            _ => item.fault(format!("`where` is `{}`; it is `absent`, `tautology` or `restricts`", clip(text))),
        }
    }
    wheres
}

fn target(value: &Value<'_, '_>) -> bool {
    let text = value.text();
    if text.is_some_and(|text| text != "not temporary") {
        value.fault(format!("`target` is `{}`; it can only be `not temporary`", clip(text.unwrap_or_default())));
    }
    true
}

fn reads(value: &Value<'_, '_>) -> bool {
    let text = value.text();
    if text.is_some_and(|text| text != "phi") {
        value.fault(format!("`reads` is `{}`; it can only be `phi`", clip(text.unwrap_or_default())));
    }
    true
}

fn functions(value: &Value<'_, '_>) -> Vec<FunctionTest> {
    let mut tests = Vec::new();
    for (text, item) in value.texts().unwrap_or_default() {
        if let Some(why) = glob::fault(text) {
            item.fault(format!("`{}` is no pattern: {why}", clip(text)));
        } else if text == "unknown" {
            tests.push(FunctionTest::Unknown);
        } else if text.contains('.') {
            tests.push(FunctionTest::Qualified(text.to_owned()));
        } else {
            tests.push(FunctionTest::Name(text.to_owned()));
        }
    }
    tests
}

fn databases(value: &Value<'_, '_>) -> Vec<String> {
    let mut names = Vec::new();
    for (text, item) in value.texts().unwrap_or_default() {
        match glob::fault(text) {
            Some(why) => item.fault(format!("`{}` is no pattern: {why}", clip(text))),
            None => names.push(text.to_owned()),
        }
    }
    names
}
