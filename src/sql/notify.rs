//! What a text sends to listeners in so many words.

use super::lex::{self, Token};
use super::text;

/// A notification that a text sends, as far as the text alone tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The channel.
    pub channel: Said,
    /// The payload.
    pub payload: Said,
}

/// A value that is there in so many words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// In the text.
    Text(String),
    /// In the parameter of this number, from 1.
    Parameter(usize),
}

/// The notifications of constant content that a text sends: those of NOTIFY, and of `SELECT pg_notify(..)` alone with constants or
/// parameters. The text must be one that could be analysed. What is put together otherwise is left out.
#[must_use]
pub fn notifications(text: &[u8]) -> Vec<Notification> {
    let Ok(text) = std::str::from_utf8(text) else { return Vec::new() };
    let Ok(tokens) = lex::tokens(text) else { return Vec::new() };
    let statements = text::split(text, &tokens).unwrap_or_default();
    statements.iter().filter_map(|statement| notify(text, statement).or_else(|| select(text, statement))).collect()
}

fn notify(text: &str, tokens: &[Token]) -> Option<Notification> {
    let (_, rest) = tokens.split_first().filter(|(first, _)| first.is(text, "notify"))?;
    let (channel, payload) = match rest {
        [channel] => (channel, String::new()),
        [channel, comma, payload] if comma.sign(text, ",") => (channel, payload.value(text)?.into_owned()),
        _ => return None,
    };
    Some(Notification { channel: Said::Text(channel.name(text)?), payload: Said::Text(payload) })
}

fn select(text: &str, tokens: &[Token]) -> Option<Notification> {
    let (select, rest) = tokens.split_first()?;
    let call = match rest {
        [schema, dot, call @ ..] if schema.is(text, "pg_catalog") && dot.sign(text, ".") => call,
        call => call,
    };
    let [name, open, channel, comma, payload, close] = call else { return None };
    let fits = select.is(text, "select")
        && name.is(text, "pg_notify")
        && open.sign(text, "(")
        && comma.sign(text, ",")
        && close.sign(text, ")");
    fits.then(|| Some(Notification { channel: said(text, channel)?, payload: said(text, payload)? })).flatten()
}

fn said(text: &str, token: &Token) -> Option<Said> {
    match token.kind {
        lex::Kind::Parameter => token.raw(text).get(1..)?.parse().ok().map(Said::Parameter),
        _ => token.value(text).map(|value| Said::Text(value.into_owned())),
    }
}
