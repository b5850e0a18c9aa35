//! Documents that a condition makes itself.

use std::rc::Rc;

use super::value::{Val, elements, mix, written};

/// The object that a function makes, if its members are known.
pub(super) fn made(name: &str, args: &[Val]) -> Option<Val> {
    match (name, args) {
        ("to_json" | "to_jsonb" | "row_to_json", [Val::Row(values, names)])
            if !names.is_empty() && values.len() == names.len() =>
        {
            Some(Val::Object(values.clone(), names.clone()))
        }
        ("json_build_object" | "jsonb_build_object", args) => {
            let (pairs, []) = args.as_chunks::<2>() else { return None };
            let names: Option<Rc<[String]>> = pairs.iter().map(|[name, _]| written(name)).collect();
            Some(Val::Object(pairs.iter().map(|[_, value]| value.clone()).collect(), names?))
        }
        ("jsonb_exists", [document, name]) => asked("?", document, name),
        ("jsonb_exists_any", [document, names]) => asked("?|", document, names),
        ("jsonb_exists_all", [document, names]) => asked("?&", document, names),
        _ => None,
    }
}

/// An operator between a document and the name of a member, or several names.
pub(super) fn asked(sign: &str, document: &Val, with: &Val) -> Option<Val> {
    let Val::Object(values, names) = document else { return None };
    let has = |name: &Val| match name {
        Val::Text(name) => Some(names.iter().any(|known| **known == **name)),
        _ => None,
    };
    match (sign, with) {
        ("?", name) => has(name).map(Val::Bool),
        ("?|" | "?&", Val::Text(text)) => asked(sign, document, &Val::Array(elements(text)?)),
        ("?|" | "?&", Val::Array(all)) => {
            let found: Option<Vec<bool>> = all.iter().map(has).collect();
            Some(Val::Bool(if sign == "?|" { found?.contains(&true) } else { !found?.contains(&false) }))
        }
        ("->" | "->>", Val::Text(name)) => {
            // The last of several members of one name, as in jsonb.
            let Some(value) = names.iter().rposition(|known| **known == **name).and_then(|at| values.get(at)) else {
                return Some(Val::Null);
            };
            Some(match (sign, value) {
                ("->", value) => Val::present(mix(("member", value.id()))),
                (_, Val::Null) => Val::Null,
                (_, value) => match (written(value), value) {
                    (Some(text), Val::Bool(_) | Val::Number(..) | Val::Text(_) | Val::Label(..)) => Val::text(&text),
                    (_, Val::Open(open)) => {
                        Val::Open(super::value::Open { id: mix(("member", open.id)), low: None, high: None, ..open.clone() })
                    }
                    _ => Val::present(mix(("member", value.id()))),
                },
            })
        }
        _ => None,
    }
}
