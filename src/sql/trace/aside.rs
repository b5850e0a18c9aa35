//! What stands beside a value where something is computed with it: constants decide how much of the value shows.

use super::constant;
use super::value::Shared;
use crate::sql::tree::Expr;

/// What stands for arguments that are no constants.
pub(super) const ANY: &str = "*";
/// Most arguments that are told.
const TOLD_MAX: usize = 4;
/// Most bytes of them.
const BYTES_MAX: usize = 64;

/// The arguments beside the values: none where a value is the only one; as they are told in a step where all are constants.
pub(super) fn aside(args: &[Shared], written: &[Expr]) -> Option<String> {
    let known: Vec<&Expr> = written.iter().collect();
    let clean: Vec<bool> = args.iter().map(|arg| arg.is_clean()).collect();
    beside(&clean, &known)
}

/// The same for arguments of which it is known whether they are clean.
pub(super) fn beside(clean: &[bool], written: &[&Expr]) -> Option<String> {
    if clean.len() <= 1 {
        return None;
    }
    Some(told(clean, written).unwrap_or_else(|| ANY.to_owned()))
}

fn told(clean: &[bool], written: &[&Expr]) -> Option<String> {
    if clean.len() > TOLD_MAX || clean.len() != written.len() || clean.iter().filter(|clean| !**clean).count() > 1 {
        return None;
    }
    let place = clean.iter().position(|clean| !clean)?;
    let others = written.iter().enumerate().filter(|(at, _)| *at != place);
    let shown: Vec<String> = others.map(|(_, other)| constant::shown(other)).collect::<Option<_>>()?;
    let text = match shown.as_slice() {
        [only] if place == 0 => only.clone(),
        _ => {
            let mut all: Vec<String> = shown.iter().map(|one| quoted(one)).collect();
            if place > 0 {
                all.insert(place, "_".to_owned());
            }
            all.join(", ")
        }
    };
    (text.len() <= BYTES_MAX).then_some(text)
}

fn quoted(constant: &str) -> String {
    format!("'{}'", constant.replace('\'', "''"))
}
