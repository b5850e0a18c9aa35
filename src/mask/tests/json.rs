//! Json: what is not listed stays, what is listed goes, and nothing breaks it.

use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as Generate;
use serde_json::Value;

use super::*;
use crate::mask::{JsonMask, Part};
use crate::sql::JsonStep;

fn rewrite(value: &[u8], mask: &JsonMask) -> Option<Vec<u8>> {
    let mut out = BytesMut::new();
    crate::mask::json::write(value, mask, &keys(), &mut out).then(|| out.to_vec())
}

fn documents() -> impl Generate<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é\"\\\\\n]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::hash_map("a|b|c|é|\"", inner, 0..5).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// The members `a` of an object that is reached over members and elements, as `$..a` finds them.
fn replaced(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(replaced).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| {
                let value = if name == "a" { hidden(&value) } else { replaced(value) };
                (name, value)
            })
            .collect(),
        other => other,
    }
}

fn hidden(value: &Value) -> Value {
    match value {
        Value::String(_) | Value::Array(_) | Value::Object(_) => Value::from("[redacted]"),
        Value::Null | Value::Bool(_) | Value::Number(_) => Value::Null,
    }
}

fn mask_of(rules: &[(&str, Strategy)]) -> JsonMask {
    JsonMask::new(rules.iter().map(|(path, with)| (*path, with.clone()))).unwrap()
}

proptest! {
    #[test]
    fn masked_documents_are_what_a_tree_says(document in documents(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) }.unwrap();
        let masked = rewrite(text.as_bytes(), &mask_of(&[("$..a", Strategy::Redact)])).unwrap();
        prop_assert_eq!(serde_json::from_slice::<Value>(&masked).unwrap(), replaced(document));
    }

    #[test]
    fn what_is_not_listed_stays_byte_for_byte(document in documents()) {
        let text = serde_json::to_string_pretty(&document).unwrap();
        prop_assert_eq!(rewrite(text.as_bytes(), &mask_of(&[("$.z[*].y", Strategy::Redact)])).unwrap(), text.into_bytes());
    }

    #[test]
    fn what_is_taken_for_json_is_json(text in "[\\[\\]{}:,\"a0-9eE.+\\-\\\\u tfn\n]{0,24}|[{\\[][ab\",:\\[\\]{}0]{0,16}") {
        let masked = rewrite(text.as_bytes(), &mask_of(&[("$..a", Strategy::Redact)]));
        let read: Result<Value, _> = serde_json::from_str(&text);
        match masked {
            Some(masked) => prop_assert!(read.is_err() || serde_json::from_slice::<Value>(&masked).is_ok()),
            None => prop_assert!(read.is_err(), "{text}"),
        }
    }

    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..60), text in ".{0,40}") {
        let mask = mask_of(&[("$..a", Strategy::KeepLast(2)), ("$[*][0]", Strategy::Pseudonym)]);
        let _ = rewrite(&bytes, &mask);
        let _ = rewrite(text.as_bytes(), &mask);
        let _ = JsonMask::new([(text.as_str(), Strategy::Redact)]);
        let _ = JsonMask::new([(format!("$.{text}").as_str(), Strategy::Redact)]);
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let mask = mask_of(&[("$..a", Strategy::Redact)]);
    assert!(rewrite(nested(128).as_bytes(), &mask).is_some());
    assert!(rewrite(nested(129).as_bytes(), &mask).is_none());
    assert!(rewrite(nested(1_000_000).as_bytes(), &mask).is_none());
}

#[test]
fn other_encodings_are_given_up() {
    // In Shift JIS the second byte of a letter can be a backslash.
    assert!(rewrite(b"{\"\x83\x5c\": \"x\"}", &mask_of(&[("$.a", Strategy::Redact)])).is_none());
}

fn steps(path: &str) -> Vec<JsonStep> {
    let step = |step: &str| match step {
        "*" => JsonStep::Element,
        "?" => JsonStep::Any,
        name => JsonStep::Member(name.to_owned()),
    };
    path.split_whitespace().map(step).collect()
}

#[test]
fn parts_are_clear_under_or_whole() {
    let mask = mask_of(&[
        ("$.phones[*].number", Strategy::Redact),
        ("$.emergency.name", Strategy::Redact),
        ("$.dob", Strategy::Year),
        ("$.tags[*]", Strategy::Null),
    ]);
    let strategy = Strategy::Json(mask);
    let cases = [
        ("prefers", "clear"),
        ("emergency relation", "clear"),
        ("phones * kind", "clear"),
        ("phones 0 kind", "clear"),
        ("emergency name", "redact"),
        ("emergency * name", "redact"),
        ("emergency name first", "redact"),
        ("phones * number", "redact"),
        ("phones 0 number", "redact"),
        ("phones number", "redact"),
        ("dob", "year"),
        ("dob x", "whole"),
        ("", "json"),
        ("emergency", "json"),
        ("phones", "json"),
        ("phones *", "json"),
        ("phones ?", "whole"),
        ("tags", "json"),
        ("tags *", "null"),
        ("tags 0", "whole"),
        ("tags x", "whole"),
        ("?", "whole"),
        ("? name", "whole"),
        ("emergency ?", "whole"),
    ];
    for (path, want) in cases {
        let found = match strategy.part(&steps(path)) {
            Part::Clear => "clear",
            Part::Under(strategy) => strategy.name(),
            Part::Whole => "whole",
        };
        assert_eq!(found, want, "{path}");
    }
    let Part::Under(Strategy::Json(rest)) = strategy.part(&steps("phones")) else { panic!("a part of the paths") };
    let masked = rewrite(br#"[{"number": "555", "kind": "home"}]"#, &rest).unwrap();
    assert_eq!(String::from_utf8(masked).unwrap(), r#"[{"number": "[redacted]", "kind": "home"}]"#);
    let below = mask_of(&[("$..name", Strategy::Redact)]);
    assert_eq!(below.part(&steps("name")), Part::Under(Strategy::Redact));
    assert_eq!(below.part(&steps("a * name")), Part::Under(Strategy::Redact));
    assert!(matches!(below.part(&steps("a b")), Part::Under(Strategy::Json(_))));
    assert_eq!(below.part(&steps("?")), Part::Whole);
}

#[test]
fn texts_of_a_document_are_looked_into_where_a_path_says() {
    let scan = crate::mask::scan::Scan { names: ["Quux"].into_iter().collect(), ..Default::default() };
    let scan = Strategy::Scan(std::sync::Arc::new(scan));
    let document = br#"{"note":"saw Quux, SSN 123-45-6789","plan":{"next":["rest","call 212-555-0147"]}}"#;
    let text = |paths: &[&str]| {
        let rules: Vec<(&str, Strategy)> = paths.iter().map(|path| (*path, scan.clone())).collect();
        String::from_utf8(rewrite(document, &mask_of(&rules)).unwrap()).unwrap()
    };
    let wanted = r#"{"note":"saw [name], SSN [ssn]","plan":{"next":["rest","call [phone]"]}}"#;
    assert_eq!(text(&["$..note", "$..next[*]"]), wanted);
    // Every text of the document, however the paths are written.
    assert_eq!(text(&["$.*"]), wanted);
    assert_eq!(text(&["$..*"]), wanted);
    let looked = |document: &str, mask: &JsonMask| String::from_utf8(rewrite(document.as_bytes(), mask).unwrap()).unwrap();
    let every = mask_of(&[("$..*", scan.clone())]);
    let kept = r#"{"ok": true, "n": [1.5e3, -7, null], "": {"a\"b": "\\", "c": {}}}"#;
    assert_eq!(looked(kept, &every), kept);
    let document = r#"{"x": {"Quux": [912345678, {"y": "\u0051uux \"SSN\" 123-45-\u0036789"}]}}"#;
    assert_eq!(looked(document, &every), r#"{"x": {"[name]": [null, {"y": "[name] \"SSN\" [ssn]"}]}}"#);
    // A part is looked into as the whole is.
    assert_eq!(mask_of(&[("$.x", scan.clone())]).part(&steps("x Quux *")), Part::Under(scan.clone()));
    assert_eq!(every.part(&steps("x Quux *")), Part::Whole, "other paths may lead there");
    assert_eq!(scan.part(&steps("x ?")), Part::Under(scan.clone()));
}

#[test]
fn a_document_is_looked_into_as_a_whole_under_scan() {
    let scan = crate::mask::scan::Scan { names: ["Quux"].into_iter().collect(), ..Default::default() };
    let mask = JsonMask::whole(&Strategy::Scan(std::sync::Arc::new(scan)));
    let document = br#"[{"a": "Quux"}, "Quux", 12]"#;
    assert_eq!(rewrite(document, &mask).unwrap(), br#"[{"a": "[name]"}, "[name]", 12]"#);
}
