//! The `with` of a mask entry.

use toml::de::DeValue;

use super::document::{Fields, Value, clip};
use super::nearest::nearest;
use super::scan;
use crate::mask::Strategy;

/// Longest text that `fixed` may give, in bytes.
const FIXED_BYTES_MAX: usize = 1024;
/// Most characters that `partial` may keep.
const KEEP_MAX: u64 = 64;

/// Reads a strategy, noting what is wrong with it.
pub(super) fn strategy(value: &Value<'_, '_>) -> Option<Strategy> {
    if let DeValue::String(word) = value.raw() {
        return strategy_word(word, value);
    }
    let fields = value.fields("`with`")?;
    let keys: Vec<&str> = fields.keys().collect();
    let [key] = keys.as_slice() else {
        value.fault("`with` takes one of `fixed`, `partial`, `round` and `scan`, or the name of a strategy");
        return None;
    };
    match *key {
        "fixed" => fixed(&fields.value("fixed")?),
        "round" => round(&fields.value("round")?),
        "partial" => partial(&fields.fields("partial")?),
        "scan" => scan::scan(&fields.fields("scan")?),
        _ => {
            fields.only(&["fixed", "partial", "round", "scan"]);
            None
        }
    }
}

fn strategy_word(word: &str, value: &Value<'_, '_>) -> Option<Strategy> {
    const WORDS: [&str; 6] = ["redact", "null", "year", "zip3", "pseudonym", "scan"];
    match word {
        "redact" => Some(Strategy::Redact),
        "null" => Some(Strategy::Null),
        "year" => Some(Strategy::Year),
        "zip3" => Some(Strategy::Zip3),
        "pseudonym" => Some(Strategy::Pseudonym),
        "scan" => Some(Strategy::Scan(std::sync::Arc::default())),
        "fixed" | "partial" | "round" => {
            let way = match word {
                "fixed" => "{ fixed = \"x\" }",
                "partial" => "{ partial = { keep_last = 4 } }",
                _ => "{ round = 10 }",
            };
            value.fault(format!("the strategy `{word}` needs its value: `with = {way}`"));
            None
        }
        _ => {
            let near = nearest(word, &WORDS).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let all = "`redact`, `null`, `year`, `zip3`, `pseudonym`, `scan`, `{ fixed = .. }`, `{ partial = .. }`, `{ round = .. }`, `{ scan = .. }`";
            value.fault(format!("unknown strategy `{}`{near}; known are {all}", clip(word)));
            None
        }
    }
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
