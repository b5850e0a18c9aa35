//! The TOML form of a policy: read by hand over a tree with places, so that no fault hides another.

use std::collections::BTreeMap;

use toml::de::DeValue;

use super::document::{Document, Fields, FileFault, Value, clip};
use super::inference::{
    Budget, QUESTIONS_DEFAULT, QUESTIONS_MAX, QUESTIONS_WITHIN_MS_DEFAULT, QUESTIONS_WITHIN_MS_MAX, QUESTIONS_WITHIN_MS_MIN,
};
use super::strategies::strategy;
use super::when::when;
use super::{APPROVALS_MAX, HoldTerms, MaskRule, Policy, RULES_MAX, Rule, Then, glob};
use super::{WITHIN_MS_DEFAULT, WITHIN_MS_MAX, WITHIN_MS_MIN};
use crate::mask::Predicates;
use crate::sql::Step;

pub(super) fn read(text: &str, file: &str) -> Result<Policy, Vec<FileFault>> {
    let document = Document::new(text, file);
    let table = document.parse();
    let policy = policy(&document.root(&table), text);
    let faults = document.into_faults();
    match policy {
        Some(policy) if faults.is_empty() => Ok(policy),
        _ => Err(faults),
    }
}

fn policy(root: &Fields<'_, '_>, text: &str) -> Option<Policy> {
    root.only(&["default", "unknown", "mask", "rule", "known_functions", "inference"]);
    let default = answer(root, "default");
    let unknown = answer(root, "unknown");
    let known_functions = root.value("known_functions").map(|value| functions_known(&value)).unwrap_or_default();
    let budget = root.fields("inference").map(|fields| inference(&fields));
    let (masks, rules, unknown) = (masks(root), rules(root), unknown?);
    let budget = match budget {
        Some(written) => written?.of(&unknown),
        None => WrittenBudget::default().of(&unknown),
    };
    Some(Policy { version: sha256(text), masks, rules, default: default?, unknown, known_functions, budget })
}

/// `[inference]`, where what is not said is left open.
#[derive(Default)]
struct WrittenBudget {
    questions: Option<u64>,
    within_ms: Option<u64>,
    then: Option<Then>,
}

impl WrittenBudget {
    /// Who answers for what cannot be analysed answers for too many questions, unless another is named: never with a yes.
    fn of(self, unknown: &Then) -> Budget {
        let beyond = self.then.unwrap_or_else(|| if *unknown == Then::Allow { Then::Block } else { unknown.clone() });
        let questions = self.questions.unwrap_or(QUESTIONS_DEFAULT);
        Budget::of(questions, self.within_ms.unwrap_or(QUESTIONS_WITHIN_MS_DEFAULT), &beyond)
    }
}

fn inference(fields: &Fields<'_, '_>) -> Option<WrittenBudget> {
    fields.only(&["budget"]);
    let budget = fields.require("budget")?.fields("`budget`")?;
    budget.only(&["questions", "within", "then"]);
    let questions = budget.value("questions").map(|value| value.integer(1, QUESTIONS_MAX));
    let within = budget.value("within").map(|value| value.duration_ms(QUESTIONS_WITHIN_MS_MIN, QUESTIONS_WITHIN_MS_MAX));
    let then = budget.value("then").map(|value| then(&value));
    let all = |read: Option<Option<u64>>| read.map_or(Some(None), |value| value.map(Some));
    Some(WrittenBudget {
        questions: all(questions)?,
        within_ms: all(within)?,
        then: then.map_or(Some(None), |then| then.map(Some))?,
    })
}

fn sha256(text: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    bytes
}

/// `[default]` and `[unknown]`: what is not said is not allowed, so both have to be there.
fn answer(root: &Fields<'_, '_>, key: &'static str) -> Option<Then> {
    let Some(value) = root.value(key) else {
        root.fault(format!("the policy lacks `[{key}]`; write `[{key}]` with `then = \"block\"`, `\"allow\"` or a hold"));
        return None;
    };
    let fields = value.fields(&format!("`[{key}]`"))?;
    fields.only(&["then"]);
    then(&fields.require("then")?)
}

fn functions_known(value: &Value<'_, '_>) -> Vec<String> {
    let mut known = Vec::new();
    for (text, item) in value.texts().unwrap_or_default() {
        if let Some(why) = glob::fault(text) {
            item.fault(format!("`{}` is no pattern: {why}", clip(text)));
        } else if text.split('.').filter(|part| !part.is_empty()).count() != 2 || text.matches('.').count() != 1 {
            item.fault(format!("`{}` in `known_functions` must name a schema and a function: `schema.name`", clip(text)));
        } else {
            known.push(text.to_owned());
        }
    }
    known
}

fn masks(root: &Fields<'_, '_>) -> Vec<MaskRule> {
    let tables = root.tables("mask");
    if tables.len() > RULES_MAX {
        root.fault(format!("more than {RULES_MAX} `[[mask]]` entries"));
        return Vec::new();
    }
    let mut lines: BTreeMap<(String, Vec<String>), usize> = BTreeMap::new();
    tables.iter().filter_map(|fields| mask(fields, &mut lines)).collect()
}

fn mask(fields: &Fields<'_, '_>, lines: &mut BTreeMap<(String, Vec<String>), usize>) -> Option<MaskRule> {
    fields.only(&["columns", "with", "predicates", "reveal", "unless_groups", "clause"]);
    let strategy = fields.require("with").and_then(|value| strategy(&value));
    let predicates = fields.value("predicates").map_or(Some(Predicates::default()), |value| predicates(&value));
    let reveal = fields.value("reveal").map_or(Some(Vec::new()), |value| reveal(&value));
    let mut unless_groups = fields.value("unless_groups").and_then(|value| value.words()).unwrap_or_default();
    unless_groups.sort();
    if let Some(clause) = fields.value("clause") {
        let _ = clause.text();
    }
    let mut columns = Vec::new();
    for (text, item) in fields.require("columns")?.texts()? {
        if let Some(why) = column_fault(text) {
            item.fault(format!("`{}` names no column: {why}", clip(text)));
            continue;
        }
        if let Some(line) = lines.insert((text.to_owned(), unless_groups.clone()), item.line()) {
            item.fault(format!("`{}` is masked twice for the same groups; the first time in line {line}", clip(text)));
        }
        columns.push(text.to_owned());
    }
    Some(MaskRule { columns, strategy: strategy?, predicates: predicates?, reveal: reveal?, unless_groups })
}

/// What may be asked about the values of a masked column.
fn predicates(value: &Value<'_, '_>) -> Option<Predicates> {
    match value.text()? {
        "deny" => Some(Predicates::Deny),
        "equality" => Some(Predicates::Equality),
        "allow" => Some(Predicates::Allow),
        other => {
            value.fault(format!("`predicates` is `{}`; it is `deny`, `equality` or `allow`", clip(other)));
            None
        }
    }
}

/// What may be computed and shown: functions of nothing but the value, or with constants or anything (`*`) beside it: `avg`,
/// `date_trunc('year')`, `round(*)`.
fn reveal(value: &Value<'_, '_>) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for (text, item) in value.texts()? {
        let step = match text.split_once('(') {
            None => Some((text, None)),
            Some((function, rest)) => rest.strip_suffix(')').and_then(arguments).map(|argument| (function, argument)),
        };
        match step {
            Some((function, argument)) if !function.is_empty() => {
                steps.push(Step { function: function.trim().to_owned(), argument })
            }
            _ => item.fault(format!("`{}` names no function: write `avg`, `date_trunc('year')` or `round(*)`", clip(text))),
        }
    }
    Some(steps)
}

/// The constants beside the value, as a step tells them: one as it is, several or those before the value in quotes.
fn arguments(written: &str) -> Option<Option<String>> {
    let (mut list, mut open) = (vec![String::new()], false);
    for sign in written.chars() {
        match sign {
            ',' if !open => list.push(String::new()),
            _ => {
                open ^= sign == '\'';
                list.last_mut()?.push(sign);
            }
        }
    }
    let list: Vec<&str> = list.iter().map(|one| one.trim()).collect();
    let bare = |one: &str| one.strip_prefix('\'').and_then(|one| one.strip_suffix('\'')).unwrap_or(one).replace("''", "'");
    match list.as_slice() {
        _ if open => None,
        [""] => Some(None),
        [only] => Some(Some(bare(only))),
        _ if list.contains(&"") => None,
        _ => {
            let quoted = |one: &&str| if *one == "_" { "_".to_owned() } else { format!("'{}'", bare(one).replace('\'', "''")) };
            Some(Some(list.iter().map(quoted).collect::<Vec<_>>().join(", ")))
        }
    }
}

fn column_fault(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() != 3 || parts.iter().any(|part| part.is_empty()) {
        return Some("write `schema.table.column`".to_owned());
    }
    glob::fault(text)
}

fn rules(root: &Fields<'_, '_>) -> Vec<Rule> {
    let tables = root.tables("rule");
    if tables.len() > RULES_MAX {
        root.fault(format!("more than {RULES_MAX} `[[rule]]` entries"));
        return Vec::new();
    }
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    tables.iter().filter_map(|fields| rule(fields, &mut lines)).collect()
}

fn rule(fields: &Fields<'_, '_>, lines: &mut BTreeMap<String, usize>) -> Option<Rule> {
    fields.only(&["name", "says", "when", "when_any", "then"]);
    let name = fields.require("name").and_then(|value| rule_name(&value, lines));
    let says = fields.value("says").and_then(|value| value.text().map(str::to_owned));
    let then = fields.require("then").and_then(|value| then(&value));
    let when = when(fields);
    if let Some(then) = &then
        && !matches!(then, Then::Hold(_))
        && when.iter().flatten().any(|condition| condition.rows_over.is_some())
    {
        fields.fault("a rule with `rows_over` can only hold: rows before that number have been sent");
    }
    Some(Rule { name: name?, says, when: when?, then: then? })
}

fn rule_name(value: &Value<'_, '_>, lines: &mut BTreeMap<String, usize>) -> Option<String> {
    let name = value.text()?;
    if name.len() > 64 || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')) {
        value.fault(format!("the name `{}` may hold letters, digits, `-`, `_` and `.`, at most 64", clip(name)));
        return None;
    }
    if let Some(line) = lines.get(name) {
        value.fault(format!("the name `{name}` is taken by the rule in line {line}"));
        return None;
    }
    lines.insert(name.to_owned(), value.line());
    Some(name.to_owned())
}

fn then(value: &Value<'_, '_>) -> Option<Then> {
    match value.raw() {
        DeValue::String(word) => match word.as_ref() {
            "allow" => Some(Then::Allow),
            "block" => Some(Then::Block),
            "hold" => {
                value.fault("a hold needs approvers: `then = { hold = { approvers = [\"compliance\"], within = \"15m\" } }`");
                None
            }
            other => {
                value.fault(format!("`then` is `{}`; it is `allow`, `block` or `{{ hold = {{ .. }} }}`", clip(other)));
                None
            }
        },
        _ => {
            let fields = value.fields("`then`")?;
            fields.only(&["hold"]);
            hold(&fields.require("hold")?.fields("`hold`")?).map(Then::Hold)
        }
    }
}

fn hold(fields: &Fields<'_, '_>) -> Option<HoldTerms> {
    fields.only(&["approvers", "approvals", "within"]);
    let approvers = fields.require("approvers").and_then(|value| value.words());
    let approvals = match fields.value("approvals") {
        Some(value) => value.integer(1, APPROVALS_MAX).and_then(|number| u32::try_from(number).ok()),
        None => Some(1),
    };
    let within_ms = match fields.value("within") {
        Some(value) => value.duration_ms(WITHIN_MS_MIN, WITHIN_MS_MAX),
        None => Some(WITHIN_MS_DEFAULT),
    };
    Some(HoldTerms { approvers: approvers?, approvals: approvals?, within_ms: within_ms? })
}
