//! The `with` of a mask entry.

use toml::de::DeValue;

use super::document::{Fields, Value, clip, ticked};
use super::nearest::nearest;
use super::scan;
use crate::mask::{CsvMask, JsonMask, PseudonymAs, PseudonymForm, Strategy};

/// Longest text that `fixed` may give, in bytes.
const FIXED_BYTES_MAX: usize = 1024;
/// Most characters that `partial` may keep.
const KEEP_MAX: u64 = 64;
/// Greatest age that may be told unless the policy says otherwise (45 CFR 164.514(b)(2)(i)(C)).
const AGE_YEARS: u16 = 89;
/// Greatest age that a policy may let through.
const AGE_YEARS_MAX: u64 = 150;
/// Most columns of CSV text, and the last one that can be named.
const CSV_COLUMNS_MAX: u64 = 1600;
/// Longest name of a scope, in bytes.
const SCOPE_BYTES_MAX: usize = 64;

/// Strategies that are a word, and what they mean.
const WORDS: [&str; 7] = ["redact", "null", "year", "zip3", "pseudonym", "age", "scan"];
/// Strategies that take a value.
const KEYS: [&str; 9] = ["fixed", "partial", "round", "age", "pseudonym", "json", "csv", "elements", "scan"];

/// Where a strategy stands: some cannot stand inside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Of a column.
    Column,
    /// Of each element of an array.
    Element,
    /// Of a part of a document.
    Part,
    /// Of a field of CSV.
    Field,
}

/// Reads a strategy, noting what is wrong with it.
pub(super) fn strategy(value: &Value<'_, '_>) -> Option<Strategy> {
    placed(value, Place::Column)
}

fn placed(value: &Value<'_, '_>, place: Place) -> Option<Strategy> {
    if let DeValue::String(word) = value.raw() {
        return strategy_word(word, value);
    }
    let fields = value.fields("`with`")?;
    let keys: Vec<&str> = fields.keys().collect();
    let [key] = keys.as_slice() else {
        value.fault(format!("`with` takes one of {}, or the name of a strategy", ticked(&KEYS)));
        return None;
    };
    let nested =
        matches!((*key, place), ("json" | "csv", Place::Part | Place::Field) | ("elements", Place::Element | Place::Field));
    if nested {
        value.fault(format!("`{key}` cannot stand here"));
        return None;
    }
    match *key {
        "fixed" => fixed(&fields.value("fixed")?),
        "round" => round(&fields.value("round")?),
        "partial" => partial(&fields.fields("partial")?),
        "scan" => scan::scan(&fields.fields("scan")?),
        "age" => age(&fields.fields("age")?),
        "pseudonym" => pseudonym(&fields.fields("pseudonym")?),
        "json" => json(&fields.fields("json")?),
        "csv" => csv(&fields.fields("csv")?),
        "elements" => {
            let place = if place == Place::Part { Place::Part } else { Place::Element };
            let inner = placed(&fields.value("elements")?, place)?;
            if let Strategy::Elements(_) = inner {
                value.fault("`elements` cannot stand in `elements`: an array of any number of dimensions has one kind of them");
                return None;
            }
            Some(Strategy::Elements(Box::new(inner)))
        }
        _ => {
            fields.only(&KEYS);
            None
        }
    }
}

fn strategy_word(word: &str, value: &Value<'_, '_>) -> Option<Strategy> {
    let way = match word {
        "redact" => return Some(Strategy::Redact),
        "null" => return Some(Strategy::Null),
        "year" => return Some(Strategy::Year),
        "zip3" => return Some(Strategy::Zip3),
        "pseudonym" => return Some(Strategy::Pseudonym),
        "age" => return Some(Strategy::Age(AGE_YEARS)),
        "scan" => return Some(Strategy::Scan(std::sync::Arc::default())),
        "fixed" => "{ fixed = \"x\" }",
        "partial" => "{ partial = { keep_last = 4 } }",
        "round" => "{ round = 10 }",
        "json" => "{ json = { \"$.phones[*].number\" = \"redact\" } }",
        "csv" => "{ csv = { columns = [2], with = \"redact\" } }",
        "elements" => "{ elements = \"redact\" }",
        _ => {
            let near = nearest(word, &WORDS).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let tables = KEYS.map(|key| format!("`{{ {key} = .. }}`")).join(", ");
            value.fault(format!("unknown strategy `{}`{near}; known are {}, {tables}", clip(word), ticked(&WORDS)));
            return None;
        }
    };
    value.fault(format!("the strategy `{word}` needs its value: `with = {way}`"));
    None
}

fn fixed(value: &Value<'_, '_>) -> Option<Strategy> {
    let DeValue::String(text) = value.raw() else {
        value.fault("`fixed` must be a text");
        return None;
    };
    if text.len() > FIXED_BYTES_MAX || text.contains('\0') {
        value.fault(format!("`fixed` has more than {FIXED_BYTES_MAX} bytes or a NUL"));
        return None;
    }
    Some(Strategy::Fixed(text.as_ref().to_owned()))
}

fn round(value: &Value<'_, '_>) -> Option<Strategy> {
    if let DeValue::String(unit) = value.raw() {
        return match unit.as_ref() {
            "year" => Some(Strategy::Year),
            "month" => Some(Strategy::Month),
            other => {
                value.fault(format!("`round` is `{}`; it is a number, `year` or `month`", clip(other)));
                None
            }
        };
    }
    let step = value.number()?;
    if !step.is_finite() || step <= 0.0 {
        value.fault(format!("`round` is `{step}`; it must be above 0"));
        return None;
    }
    Some(Strategy::Round(step))
}

fn partial(fields: &Fields<'_, '_>) -> Option<Strategy> {
    fields.only(&["keep_last", "keep_first"]);
    let keep = |value: Value<'_, '_>| usize::try_from(value.integer(1, KEEP_MAX)?).ok();
    match (fields.value("keep_last"), fields.value("keep_first")) {
        (Some(last), None) => keep(last).map(Strategy::KeepLast),
        (None, Some(first)) => keep(first).map(Strategy::KeepFirst),
        _ => {
            fields.fault("`partial` takes either `keep_last` or `keep_first`");
            None
        }
    }
}

fn age(fields: &Fields<'_, '_>) -> Option<Strategy> {
    fields.only(&["over"]);
    let over = match fields.value("over") {
        None => AGE_YEARS,
        Some(value) => u16::try_from(value.integer(1, AGE_YEARS_MAX)?).ok()?,
    };
    Some(Strategy::Age(over))
}

fn pseudonym(fields: &Fields<'_, '_>) -> Option<Strategy> {
    fields.only(&["scope", "format"]);
    let scope = match fields.value("scope") {
        None => None,
        Some(value) => {
            let scope = value.text()?;
            if scope.len() > SCOPE_BYTES_MAX || scope.contains('\0') {
                value.fault(format!("`scope` has more than {SCOPE_BYTES_MAX} bytes or a NUL"));
                return None;
            }
            Some(scope.to_owned())
        }
    };
    let form = match fields.value("format") {
        None => PseudonymForm::default(),
        Some(value) => match value.text()? {
            "token" => PseudonymForm::Token,
            "digits" => PseudonymForm::Digits,
            "uuid" => PseudonymForm::Uuid,
            "name" => PseudonymForm::Name,
            other => {
                value.fault(format!("`format` is `{}`; it is `token`, `digits`, `uuid` or `name`", clip(other)));
                return None;
            }
        },
    };
    Some(Strategy::PseudonymAs(PseudonymAs { scope, form }))
}

/// Paths under one strategy (`paths`, `with`), or each with its own (`"$.a" = "redact"`), or both.
fn json(fields: &Fields<'_, '_>) -> Option<Strategy> {
    let mut rules = Vec::new();
    let mut places = Vec::new();
    if let Some(paths) = fields.value("paths") {
        let with = fields.require("with").and_then(|value| placed(&value, Place::Part))?;
        for (path, value) in paths.texts()? {
            rules.push((path, with.clone()));
            places.push(value);
        }
    } else if let Some(with) = fields.value("with") {
        with.fault("`with` goes with `paths`");
    }
    for (path, value) in fields.entries().filter(|(key, _)| !matches!(*key, "paths" | "with")) {
        if let Some(with) = placed(&value, Place::Part) {
            rules.push((path, with));
            places.push(value);
        }
    }
    if rules.is_empty() {
        fields.fault("`json` names no path: write `{ json = { \"$.phones[*].number\" = \"redact\" } }`");
        return None;
    }
    match JsonMask::new(rules.iter().map(|(path, with)| (*path, with.clone()))) {
        Ok(mask) => Some(Strategy::Json(mask)),
        Err((at, why)) => {
            if let Some(((path, _), place)) = rules.get(at).zip(places.get(at)) {
                place.fault(format!("`{}` is no path into json: {why}", clip(path)));
            }
            None
        }
    }
}

fn csv(fields: &Fields<'_, '_>) -> Option<Strategy> {
    fields.only(&["delimiter", "columns", "with"]);
    let delimiter = fields.value("delimiter").map_or(Some(b','), |value| delimiter(&value));
    let with = fields.require("with").and_then(|value| placed(&value, Place::Field));
    let list = fields.require("columns")?;
    let mut columns = Vec::new();
    for item in list.list()? {
        columns.extend(item.integer(1, CSV_COLUMNS_MAX).and_then(|number| usize::try_from(number).ok()));
    }
    if columns.is_empty() {
        list.fault("`columns` names no column; the first is 1");
        return None;
    }
    columns.sort_unstable();
    columns.dedup();
    Some(Strategy::Csv(CsvMask { delimiter: delimiter?, columns, with: Box::new(with?) }))
}

/// A text that may be blank, as a tab is.
fn text<'d>(value: &Value<'d, '_>) -> Option<&'d str> {
    match value.raw() {
        DeValue::String(text) => Some(text.as_ref()),
        _ => value.text(),
    }
}

fn delimiter(value: &Value<'_, '_>) -> Option<u8> {
    match text(value)?.as_bytes() {
        [sign] if sign.is_ascii() && !matches!(sign, b'"' | b'\r' | b'\n' | 0) => Some(*sign),
        _ => {
            value.fault("`delimiter` is one sign of ASCII, and no quote or end of line");
            None
        }
    }
}
