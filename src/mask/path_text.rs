//! How a path into a json document is written: `$.phones[*].number`, `$["a b"][0]`, `$..name`.

use std::iter::Peekable;
use std::str::Chars;

/// Most steps of one path.
const STEPS_MAX: usize = 32;
/// Most bytes of one path.
const BYTES_MAX: usize = 512;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PathStep {
    /// `.name`, `["name"]`
    Member(String),
    /// `.*`
    Members,
    /// `[n]`
    Element(usize),
    /// `[*]`
    Elements,
    /// `..`: what follows may stand at any depth.
    Below,
}

impl PathStep {
    /// True for a step that looks into objects.
    pub(super) fn is_member(&self) -> bool {
        matches!(self, Self::Member(_) | Self::Members)
    }
}

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It does not begin with `$`.
    #[error("it must begin with `$`, the whole document")]
    Start,
    /// It is no more than `$`.
    #[error("it names no part; mask the column itself instead")]
    Whole,
    /// `.` or `..` without a name.
    #[error("a name must follow `.`; one with other signs than letters, digits, `_` and `-` is written `[\"so\"]`")]
    Name,
    /// A bracket that is not `[*]`, `[n]` or `["name"]`.
    #[error("in brackets stands `*`, a number from 0, or a name in double quotes")]
    Bracket,
    /// Something else than a step.
    #[error("a step begins with `.` or `[`")]
    Step,
    /// Too long.
    #[error("it has more than 512 bytes or 32 steps")]
    Long,
    /// Too many paths.
    #[error("the paths of one mask have more than 256 steps together")]
    Many,
}

/// Reads a path.
pub(super) fn parse(path: &str) -> Result<Vec<PathStep>, PathFault> {
    if path.len() > BYTES_MAX {
        return Err(PathFault::Long);
    }
    let mut rest = path.strip_prefix('$').ok_or(PathFault::Start)?.chars().peekable();
    let mut steps = Vec::new();
    while let Some(sign) = rest.next() {
        match sign {
            '.' if rest.next_if_eq(&'.').is_some() => {
                steps.push(PathStep::Below);
                let bracket = rest.next_if_eq(&'[').is_some();
                steps.push(if bracket { bracketed(&mut rest)? } else { named(&mut rest)? });
            }
            '.' => steps.push(named(&mut rest)?),
            '[' => steps.push(bracketed(&mut rest)?),
            _ => return Err(PathFault::Step),
        }
    }
    match steps.len() {
        0 => Err(PathFault::Whole),
        1..=STEPS_MAX => Ok(steps),
        _ => Err(PathFault::Long),
    }
}

fn named(rest: &mut Peekable<Chars<'_>>) -> Result<PathStep, PathFault> {
    if rest.next_if_eq(&'*').is_some() {
        return Ok(PathStep::Members);
    }
    let mut name = String::new();
    while let Some(sign) = rest.next_if(|sign| sign.is_alphanumeric() || matches!(sign, '_' | '-')) {
        name.push(sign);
    }
    if name.is_empty() { Err(PathFault::Name) } else { Ok(PathStep::Member(name)) }
}

fn bracketed(rest: &mut Peekable<Chars<'_>>) -> Result<PathStep, PathFault> {
    let mut inside = String::new();
    if rest.next_if_eq(&'"').is_some() {
        loop {
            match rest.next().ok_or(PathFault::Bracket)? {
                '"' => break,
                '\\' => inside.push(rest.next().filter(|sign| matches!(sign, '"' | '\\')).ok_or(PathFault::Bracket)?),
                sign => inside.push(sign),
            }
        }
        return closed(rest, PathStep::Member(inside));
    }
    if rest.next_if_eq(&'*').is_some() {
        return closed(rest, PathStep::Elements);
    }
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        inside.push(digit);
    }
    closed(rest, PathStep::Element(inside.parse().map_err(|_| PathFault::Bracket)?))
}

fn closed(rest: &mut Peekable<Chars<'_>>, step: PathStep) -> Result<PathStep, PathFault> {
    if rest.next() == Some(']') { Ok(step) } else { Err(PathFault::Bracket) }
}
