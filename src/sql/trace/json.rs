//! Paths into json documents, as far as constants give them.

use crate::sql::lineage::JsonStep;
use crate::sql::tree::{Expr, TypeName, Value};

/// Most paths of one constant document.
const PATHS_MAX: usize = 64;
/// Deepest constant document that is read.
const DEPTH_MAX: usize = 32;
/// Most steps of a lax path: each may pass through an array or not.
const LAX_STEPS_MAX: usize = 4;

pub(super) use super::constant::text;

/// The step of a key or an index.
pub(super) fn step(expr: &Expr) -> JsonStep {
    match expr {
        Expr::Value(Value::Text(key)) => JsonStep::Member(key.clone()),
        Expr::Value(Value::Number(_)) => JsonStep::Element,
        Expr::Cast(inner, types) if types.iter().all(is_text_type) => step(inner),
        _ => JsonStep::Any,
    }
}

fn is_text_type(kind: &TypeName) -> bool {
    !kind.array && !kind.sized && kind.name.last().is_some_and(|name| name == "text" || name == "varchar")
}

/// One step of a path whose steps may be indices or keys.
pub(super) fn loose(key: &str) -> JsonStep {
    if key.trim().parse::<i64>().is_ok() { JsonStep::Any } else { JsonStep::Member(key.to_owned()) }
}

/// The steps of a constant array of keys: `'{a,b}'`, `array['a', 'b']`; none if it is not constant.
pub(super) fn keys(expr: &Expr) -> Option<Vec<JsonStep>> {
    if let Expr::Array(items) = expr {
        return items.iter().map(|item| text(item).map(loose)).collect();
    }
    let inner = text(expr)?.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.contains(['{', '}', '\\']) {
        return None;
    }
    if inner.trim().is_empty() {
        return Some(Vec::new());
    }
    if inner.contains('"') {
        let plain = |key: &str| key.trim().strip_prefix('"')?.strip_suffix('"').map(str::to_owned);
        let simple = inner.split(',').all(|key| key.trim().len() > 2 && plain(key).is_some_and(|key| !key.contains('"')));
        return simple.then(|| inner.split(',').filter_map(|key| plain(key).map(|key| loose(&key))).collect());
    }
    Some(inner.split(',').map(|key| loose(key.trim())).collect())
}

/// True for `jsonb_set(document, '{a,b}', ..)`.
pub(super) fn keys_are_constant(written: &[Expr]) -> bool {
    written.get(1).is_some_and(|path| keys(path).is_some())
}

/// The paths of the leaves of a constant document; none if it cannot be read.
pub(super) fn leaves(document: &str) -> Option<Vec<Vec<JsonStep>>> {
    let document: serde_json::Value = serde_json::from_str(document).ok()?;
    let mut paths = Vec::new();
    gather(&document, &mut Vec::new(), &mut paths).then_some(paths)
}

fn gather(document: &serde_json::Value, path: &mut Vec<JsonStep>, paths: &mut Vec<Vec<JsonStep>>) -> bool {
    if paths.len() >= PATHS_MAX || path.len() >= DEPTH_MAX {
        return false;
    }
    let mut inside = |step: JsonStep, value: &serde_json::Value| {
        path.push(step);
        let read = gather(value, path, paths);
        path.pop();
        read
    };
    match document {
        serde_json::Value::Object(members) if !members.is_empty() => {
            members.iter().all(|(key, value)| inside(JsonStep::Member(key.clone()), value))
        }
        serde_json::Value::Array(items) if !items.is_empty() => items.iter().all(|item| inside(JsonStep::Element, item)),
        _ => {
            paths.push(path.clone());
            true
        }
    }
}

/// The paths that a simple constant jsonpath may take: `$.a.b[*]`; none if it is not simple.
pub(super) fn jsonpath(text: &str) -> Option<Vec<Vec<JsonStep>>> {
    let text = text.trim();
    let (strict, text) = match text.strip_prefix("strict ") {
        Some(rest) => (true, rest.trim()),
        None => (false, text.strip_prefix("lax ").map_or(text, str::trim)),
    };
    if strict {
        // It fails where the path is not there.
        return None;
    }
    let steps = steps(text.strip_prefix('$')?)?;
    let members = steps.iter().filter(|step| matches!(step, JsonStep::Member(_))).count();
    if members > LAX_STEPS_MAX {
        return None;
    }
    let mut paths = vec![Vec::new()];
    for step in steps {
        // It looks into an array where it finds one, and takes what is none for one of one element.
        let unwrapped = paths.iter().map(|path| with(path, JsonStep::Element)).collect::<Vec<_>>();
        let stays = if step == JsonStep::Element { paths.clone() } else { Vec::new() };
        let mut next: Vec<Vec<JsonStep>> = paths.iter().chain(&unwrapped).map(|path| with(path, step.clone())).collect();
        next.extend(stays);
        paths = next;
        if paths.len() > PATHS_MAX {
            return None;
        }
    }
    Some(paths)
}

fn with(path: &[JsonStep], step: JsonStep) -> Vec<JsonStep> {
    path.iter().cloned().chain(std::iter::once(step)).collect()
}

fn steps(mut text: &str) -> Option<Vec<JsonStep>> {
    let mut steps = Vec::new();
    while !text.is_empty() {
        if let Some(rest) = text.strip_prefix("[*]") {
            steps.push(JsonStep::Element);
            text = rest;
        } else if let Some(rest) = text.strip_prefix('[') {
            let (index, rest) = rest.split_once(']')?;
            index.trim().parse::<u32>().ok()?;
            steps.push(JsonStep::Element);
            text = rest;
        } else if let Some(rest) = text.strip_prefix(".\"") {
            let (key, rest) = rest.split_once('"')?;
            if key.contains('\\') {
                return None;
            }
            steps.push(JsonStep::Member(key.to_owned()));
            text = rest;
        } else {
            let rest = text.strip_prefix('.')?;
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let (key, rest) = rest.split_at_checked(end)?;
            if key.is_empty() || rest.starts_with('(') || key.starts_with(|c: char| c.is_ascii_digit()) {
                return None;
            }
            steps.push(JsonStep::Member(key.to_owned()));
            text = rest;
        }
    }
    Some(steps)
}
