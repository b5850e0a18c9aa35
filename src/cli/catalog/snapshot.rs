//! A catalog as a file: JSON, one object to a line, the same text for the same catalog.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value};

use crate::cli::Exit;
use crate::cli::client::Failure;
use crate::sql::{Catalog, Relation};

/// Most bytes of a snapshot.
const SNAPSHOT_BYTES_MAX: u64 = 64 << 20;
/// The index of names is made anew from the relations.
const INDEX: &str = "by_name";
/// Lists of names, which a set gives in any order.
const SETS: [&str; 1] = ["builtin"];

/// The text of a snapshot.
pub(in crate::cli) fn write(catalog: &Catalog) -> Result<String, Failure> {
    let broken = |error: serde_json::Error| (Exit::Unavailable, format!("the catalog cannot be written: {error}"));
    let mut value = serde_json::to_value(catalog).map_err(broken)?;
    if let Value::Object(fields) = &mut value {
        fields.remove(INDEX);
        fields.values_mut().for_each(without_nulls);
        for name in SETS {
            if let Some(Value::Array(items)) = fields.get_mut(name) {
                items.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
            }
        }
    }
    let mut text = String::new();
    lines(&value, &mut text);
    Ok(text)
}

/// What is not there is not written.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Each field on a line, each entry of a field that is a table on a line of its own.
fn lines(value: &Value, text: &mut String) {
    let Value::Object(fields) = value else { return text.push_str(&value.to_string()) };
    text.push('{');
    for (index, (name, field)) in fields.iter().enumerate() {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        text.push_str(&format!("{}: ", Value::from(name.as_str())));
        match field {
            Value::Object(entries) if !entries.is_empty() => table(entries, text),
            Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                text.push_str(&field.to_string());
            }
        }
    }
    text.push_str("\n}\n");
}

fn table(entries: &Map<String, Value>, text: &mut String) {
    text.push('{');
    for (index, (key, entry)) in entries.iter().enumerate() {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        text.push_str(&format!("{}: {entry}", Value::from(key.as_str())));
    }
    text.push_str("\n}");
}

/// Reads a snapshot.
pub(in crate::cli) fn read(path: &Path) -> Result<Catalog, String> {
    let place = path.display();
    let file = std::fs::File::open(path).map_err(|error| format!("the snapshot `{place}` cannot be read: {error}"))?;
    let mut text = String::new();
    file.take(SNAPSHOT_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| format!("the snapshot `{place}` cannot be read: {error}"))?;
    let way = "make it anew by `pgveil catalog`";
    let mut value: Value = serde_json::from_str(&text).map_err(|error| format!("`{place}` is no snapshot: {error}; {way}"))?;
    if let Value::Object(fields) = &mut value {
        fields.insert(INDEX.to_owned(), Value::Object(Map::new()));
    }
    let mut catalog: Catalog =
        serde_json::from_value(value).map_err(|error| format!("`{place}` is no snapshot of this version: {error}; {way}"))?;
    let mut relations: Vec<Relation> = std::mem::take(&mut catalog.relations).into_values().collect();
    relations.sort_by_key(|relation| relation.oid);
    relations.into_iter().for_each(|relation| catalog.insert(relation));
    Ok(catalog)
}
