//! Json documents under paths: a document stays one, and nothing beside the paths changes.

use pgveil::wire::Format;
use serde_json::Value;

use super::ground::{Column, STRATEGIES, plan};
use super::input::Input;
use super::rows::masked;

/// Any bytes as `json`, or as `jsonb` in text or binary, under masks of documents.
pub fn mask_json(data: &[u8]) {
    let mut input = Input::new(data);
    let (type_oid, format) = *input.one_of(&[(114, Format::Text), (3802, Format::Text), (3802, Format::Binary)]);
    let strategy = STRATEGIES[input.below(STRATEGIES.len())].clone();
    let bytes = input.rest();
    let binary = format == Format::Binary;
    let raw = if binary { [b"\x01", bytes].concat() } else { bytes.to_vec() };
    let of = |mask| plan(&[Column { type_oid, modifier: -1, format, mask: Some(mask) }]);
    let Some(out) = masked(&of(Some(strategy)), &vec![Some(raw.clone())]).remove(0) else { return };
    let out = if binary { out.strip_prefix(b"\x01").expect("a version").to_vec() } else { out };
    // PostgreSQL's `json` also holds halves of surrogate pairs, which this reader refuses.
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else { return };
    let _: Value = serde_json::from_slice(&out).expect("a document comes out as one");
    for (at, path) in [(16, Path::Top), (17, Path::Anywhere)] {
        if let Some(shown) = masked(&of(Some(STRATEGIES[at].clone())), &vec![Some(raw.clone())]).remove(0) {
            let shown = if binary { shown[1..].to_vec() } else { shown };
            let shown: Value = serde_json::from_slice(&shown).expect("a document");
            if doubled(bytes, &document) {
                continue;
            }
            beside(&document, &shown, path, true);
        }
    }
}

/// Where `ssn` is masked.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Path {
    /// `$.ssn`
    Top,
    /// `$..ssn`, and the notes and the birth dates of kin beside it.
    Anywhere,
}

/// True if some object names a member twice, of which the reader keeps one. It is told by the documents' lengths in their shortest form.
fn doubled(bytes: &[u8], document: &Value) -> bool {
    let colons = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b':').count();
    let again = serde_json::to_vec(document).unwrap_or_default();
    colons(bytes) != colons(&again)
}

/// What lies beside `ssn` is as it was, and `ssn` is not.
fn beside(was: &Value, is: &Value, path: Path, top: bool) {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            assert!(was.keys().eq(is.keys()), "members come or go");
            for (name, was) in was {
                let masked = name == "ssn" && (path == Path::Anywhere || top);
                match name.as_str() {
                    _ if masked => gone(was, &is[name]),
                    "notes" | "kin" if path == Path::Anywhere => {}
                    _ => beside(was, &is[name], path, false),
                }
            }
        }
        (Value::Array(was), Value::Array(is)) => {
            assert_eq!(was.len(), is.len(), "elements come or go");
            // In lax mode a member may stand one array deeper than the path says.
            was.iter().zip(is).for_each(|(was, is)| beside(was, is, path, top));
        }
        (was, is) => assert_eq!(was, is, "something beside the path changes"),
    }
}

fn gone(was: &Value, is: &Value) {
    match was {
        Value::String(text) if !text.is_empty() && text != "[redacted]" => assert_ne!(was, is, "it stays"),
        Value::Number(number) if number.as_f64() != Some(0.0) => assert_ne!(was, is, "it stays"),
        _ => {}
    }
}
