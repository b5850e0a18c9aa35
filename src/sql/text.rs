//! The bytes of a statement as text, by the client's encoding; its statements.

use std::borrow::Cow;

use super::facts::{Analysis, Facts, Setting, UnknownReason, Verb};
use super::lex::{self, Token};
use super::statement::Course;

/// Most bytes of a text that are analysed.
pub(super) const BYTES_MAX: usize = 1_048_576;
/// Most statements of a text that are analysed.
const STATEMENTS_MAX: usize = 16_384;

/// Encodings in which a byte below 128 may be part of a character.
const SHIFTING: [&str; 8] = ["SJIS", "BIG5", "GBK", "UHC", "GB18030", "JOHAB", "SHIFT_JIS_2004", "MULE_INTERNAL"];

/// Encodings in which every byte below 128 is itself.
const STEADY: [&str; 4] = ["LATIN", "WIN", "KOI8", "ISO_8859_"];

/// The facts of every statement of a text.
pub(super) fn analyze(text: &[u8], setting: &Setting<'_>) -> Analysis {
    match read(text, setting) {
        Ok(analysis) => analysis,
        Err(reason) => Analysis { statements: vec![Facts::unknown(reason)] },
    }
}

fn read(bytes: &[u8], setting: &Setting<'_>) -> Result<Analysis, UnknownReason> {
    if bytes.len() > BYTES_MAX {
        return Err(UnknownReason::Bytes);
    }
    if bytes.contains(&0) {
        return Err(UnknownReason::Syntax);
    }
    let text = decoded(bytes, setting.client_encoding)?;
    if !setting.standard_conforming_strings && bytes.contains(&b'\\') {
        return Err(UnknownReason::Settings);
    }
    let tokens = lex::tokens(&text)?;
    let statements = split(&text, &tokens)?;
    if statements.is_empty() {
        return Ok(Analysis { statements: vec![Facts::of(Verb::Empty)] });
    }
    Ok(Course::new(setting).all(&text, &statements))
}

fn decoded<'b>(bytes: &'b [u8], encoding: &str) -> Result<Cow<'b, str>, UnknownReason> {
    let name = encoding.to_ascii_uppercase();
    let utf8 = matches!(name.as_str(), "UTF8" | "UNICODE" | "UTF-8");
    let known = utf8
        || name == "SQL_ASCII"
        || name.starts_with("EUC_")
        || SHIFTING.contains(&name.as_str())
        || STEADY.iter().any(|prefix| name.starts_with(prefix));
    if !known {
        return Err(UnknownReason::Encoding);
    }
    if bytes.is_ascii() || utf8 {
        return std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| UnknownReason::Encoding);
    }
    if SHIFTING.contains(&name.as_str()) {
        return Err(UnknownReason::Encoding);
    }
    Ok(Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()))
}

/// The statements between semicolons; those in parentheses and in BEGIN ATOMIC bodies do not end one. Empty ones are left out.
pub(super) fn split<'t>(text: &str, tokens: &'t [Token]) -> Result<Vec<&'t [Token]>, UnknownReason> {
    let mut statements = Vec::new();
    let (mut start, mut open, mut atomic) = (0, 0_usize, 0_usize);
    for (at, token) in tokens.iter().enumerate() {
        if atomic > 0 {
            atomic += usize::from(token.is(text, "case"));
            atomic -= usize::from(token.is(text, "end"));
        } else if token.sign(text, "(") {
            open += 1;
        } else if token.sign(text, ")") {
            open = open.checked_sub(1).ok_or(UnknownReason::Syntax)?;
        } else if token.is(text, "atomic") && is_body(text, tokens, start, at) {
            atomic = 1;
        } else if open == 0 && token.sign(text, ";") {
            push(&mut statements, tokens.get(start..at))?;
            start = at + 1;
        }
    }
    if open > 0 || atomic > 0 {
        return Err(UnknownReason::Syntax);
    }
    push(&mut statements, tokens.get(start..))?;
    Ok(statements)
}

/// True if ATOMIC follows BEGIN in a CREATE FUNCTION or PROCEDURE.
fn is_body(text: &str, tokens: &[Token], start: usize, at: usize) -> bool {
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token.is(text, word));
    let named = if word(start + 1, "or") { start + 3 } else { start + 1 };
    at > start && word(at - 1, "begin") && word(start, "create") && (word(named, "function") || word(named, "procedure"))
}

fn push<'t>(statements: &mut Vec<&'t [Token]>, tokens: Option<&'t [Token]>) -> Result<(), UnknownReason> {
    match tokens {
        Some(tokens) if !tokens.is_empty() => {
            if statements.len() >= STATEMENTS_MAX {
                return Err(UnknownReason::Tokens);
            }
            statements.push(tokens);
            Ok(())
        }
        _ => Ok(()),
    }
}
