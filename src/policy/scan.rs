//! The `scan` of a mask entry: what is looked for in free text.

use std::sync::Arc;

use super::document::{Fields, Value, clip, ticked};
use super::nearest::nearest;
use crate::mask::Strategy;
use crate::mask::scan::{Class, GIVEN_MAX, Pattern, Replace, Scan};

/// Most columns that names are drawn from.
const COLUMNS_MAX: usize = 64;
/// Keys of the table.
const KEYS: [&str; 7] = ["detect", "except", "mrn", "names", "names_from", "replace", "dates"];

/// Reads the table, noting what is wrong with it.
pub(super) fn scan(fields: &Fields<'_, '_>) -> Option<Strategy> {
    fields.only(&KEYS);
    let mut scan = Scan::default();
    if let Some(value) = fields.value("detect") {
        scan.detect = classes(&value)?;
    }
    if let Some(value) = fields.value("except") {
        let except = classes(&value)?;
        scan.detect.retain(|class| !except.contains(class));
    }
    if let Some(value) = fields.value("mrn") {
        scan.mrn = Some(pattern(&value)?);
    }
    if let Some(value) = fields.value("names") {
        let names = value.words()?;
        if names.len() > GIVEN_MAX {
            value.fault(format!("`names` has more than {GIVEN_MAX} items"));
            return None;
        }
        scan.names = names.iter().map(String::as_str).collect();
    }
    if let Some(value) = fields.value("names_from") {
        scan.names_from = columns(&value)?;
    }
    if let Some(value) = fields.value("replace") {
        scan.replace =
            word(&value, &[("label", Replace::Label), ("placeholder", Replace::Placeholder), ("pseudonym", Replace::Pseudonym)])?;
    }
    if let Some(value) = fields.value("dates") {
        scan.years = word(&value, &[("label", false), ("year", true)])?;
    }
    Some(Strategy::Scan(Arc::new(scan)))
}

fn classes(value: &Value<'_, '_>) -> Option<Vec<Class>> {
    let mut classes = Vec::new();
    for (word, place) in value.texts()? {
        match Class::named(word) {
            Some(class) => classes.push(class),
            None => {
                let known: Vec<&str> = Class::ALL.iter().map(|class| class.word()).collect();
                let way = nearest(word, &known)
                    .map_or_else(|| format!("known are {}", ticked(&known)), |near| format!("did you mean `{near}`?"));
                place.fault(format!("unknown class of identifiers `{}`; {way}", clip(word)));
                return None;
            }
        }
    }
    Some(classes)
}

fn pattern(value: &Value<'_, '_>) -> Option<Pattern> {
    match Pattern::new(value.text()?) {
        Ok(pattern) => Some(pattern),
        Err(why) => {
            value.fault(format!("`mrn` cannot be used: {why}"));
            None
        }
    }
}

/// Columns, each as `schema.table.column` without wildcards.
fn columns(value: &Value<'_, '_>) -> Option<Vec<String>> {
    let mut columns = value.words()?;
    columns.sort_unstable();
    if columns.len() > COLUMNS_MAX {
        value.fault(format!("`names_from` has more than {COLUMNS_MAX} items"));
        return None;
    }
    let wrong = columns
        .iter()
        .find(|column| column.split('.').count() != 3 || column.contains('*') || column.split('.').any(str::is_empty));
    if let Some(wrong) = wrong {
        value.fault(format!("`names_from` names `{}`; a column is written `schema.table.column`", clip(wrong)));
        return None;
    }
    Some(columns)
}

fn word<T: Copy>(value: &Value<'_, '_>, words: &[(&str, T)]) -> Option<T> {
    let text = value.text()?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        value.fault(format!("`{}` is none of {}", clip(text), ticked(&known)));
    }
    found
}
