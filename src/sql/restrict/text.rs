//! Texts that functions make of texts.

use super::functions::{between, size};
use super::value::{Val, ids, mix};

/// Most letters of a text that is made longer.
const LETTERS_MAX: usize = 256;

/// A place or length in a text.
fn place(value: &Val) -> Option<i64> {
    match value {
        Val::Number(number, _) if number.abs() < 1e9 => format!("{number:.0}").parse().ok(),
        _ => None,
    }
}

fn cut(text: &str, from: i64, count: Option<i64>) -> String {
    let end = count.map_or(i64::MAX, |count| from.saturating_add(count));
    text.chars().zip(1_i64..).filter(|(_, at)| *at >= from && *at < end).map(|(letter, _)| letter).collect()
}

pub(super) fn texts(name: &str, field: Option<&str>, args: &[Val]) -> Option<Val> {
    if let ("position", [Val::Text(sought), _]) = (name, args)
        && sought.is_empty()
    {
        return Some(Val::whole(1.0));
    }
    let Some(Val::Text(text)) = args.first() else { return texts_open(name, args) };
    let other = match args.get(1) {
        Some(Val::Text(other)) => Some(&**other),
        _ => None,
    };
    let letters = text.chars().count();
    let trimmed = |start: bool, end: bool| {
        let set: Vec<char> = other.unwrap_or(" ").chars().collect();
        let mut rest: &str = text;
        if start {
            rest = rest.trim_start_matches(|c| set.contains(&c));
        }
        if end {
            rest = rest.trim_end_matches(|c| set.contains(&c));
        }
        Val::text(rest)
    };
    Some(match (name, args.len()) {
        ("length" | "char_length" | "character_length", 1) => size(letters)?,
        ("octet_length", 1) => size(text.len())?,
        ("bit_length", 1) => size(text.len() * 8)?,
        ("lower", 1) => Val::text(&text.to_lowercase()),
        ("upper", 1) => Val::text(&text.to_uppercase()),
        ("reverse", 1) => Val::text(&text.chars().rev().collect::<String>()),
        ("ascii", 1) => Val::whole(text.chars().next().map_or(0.0, |c| f64::from(u32::from(c)))),
        ("btrim", 1) => trimmed(true, true),
        ("btrim", 2) if other.is_some() => trimmed(true, true),
        ("ltrim", 1) => trimmed(true, false),
        ("rtrim", 1) => trimmed(false, true),
        ("trim", 1) => trimmed(field != Some("trailing"), field != Some("leading")),
        ("position", 2) => found(other?, text)?,
        ("strpos", 2) => found(text, other?)?,
        ("starts_with", 2) => Val::Bool(text.starts_with(other?)),
        ("left", 2) => match place(args.get(1)?)? {
            count if count >= 0 => Val::text(&cut(text, 1, Some(count))),
            count => Val::text(&cut(text, 1, Some(i64::try_from(letters).ok()?.saturating_add(count)))),
        },
        ("right", 2) => match (place(args.get(1)?)?, i64::try_from(letters).ok()?) {
            (count, letters) if count >= 0 => Val::text(&cut(text, letters - count + 1, None)),
            (count, _) => Val::text(&cut(text, 1 - count, None)),
        },
        ("substr" | "substring", 2) if other.is_none() => Val::text(&cut(text, place(args.get(1)?)?, None)),
        ("substr" | "substring", 3) if other.is_none() => Val::text(&cut(text, place(args.get(1)?)?, Some(place(args.get(2)?)?))),
        ("lpad" | "rpad", 2 | 3) => {
            Val::text(&padded(text, place(args.get(1)?)?, text_at(args, 2).unwrap_or(" "), name == "lpad")?)
        }
        ("split_part", 3) => Val::text(split(text, other?, place(args.get(2)?)?)?),
        _ => return edited(name, text, other, args),
    })
}

/// Texts that others are put into.
fn edited(name: &str, text: &str, other: Option<&str>, args: &[Val]) -> Option<Val> {
    Some(match (name, args.len()) {
        ("replace", 3) => match args.get(2) {
            Some(Val::Text(with)) if other?.is_empty() => {
                let _ = with;
                Val::text(text)
            }
            Some(Val::Text(with)) => Val::text(&text.replace(other?, with)),
            _ => return None,
        },
        ("translate", 3) => {
            let (from, to): (Vec<char>, Vec<char>) = (other?.chars().collect(), text_at(args, 2)?.chars().collect());
            let put = |letter: char| match from.iter().position(|known| *known == letter) {
                Some(at) => to.get(at).copied(),
                None => Some(letter),
            };
            Val::text(&text.chars().filter_map(put).collect::<String>())
        }
        ("overlay", 3 | 4) => {
            let (with, from) = (other?, place(args.get(2)?)?);
            let count = match args.get(3) {
                Some(count) => place(count)?,
                None => i64::try_from(with.chars().count()).ok()?,
            };
            Val::text(&(cut(text, 1, Some(from - 1)) + with + &cut(text, from.saturating_add(count), None)))
        }
        ("repeat", 2) => match place(args.get(1)?)? {
            count @ ..=16 => Val::text(&text.repeat(usize::try_from(count).unwrap_or(0))),
            _ => return None,
        },
        _ => return None,
    })
}

/// Texts of which the second argument alone decides.
fn texts_open(name: &str, args: &[Val]) -> Option<Val> {
    let empty = |at: usize| matches!(args.get(at), Some(Val::Text(text)) if text.is_empty());
    let letters = match args.first() {
        Some(Val::Open(open)) => open.letters,
        _ => None,
    };
    match name {
        "length" | "char_length" | "character_length" | "octet_length" if letters.is_some() => {
            letters.map(|letters| Val::whole(f64::from(letters)))
        }
        "length" | "char_length" | "character_length" | "octet_length"
            if matches!(args.first().and_then(Val::low), Some(Val::Text(_))) =>
        {
            Some(between(mix((name, ids(args))), 1.0, f64::INFINITY, true))
        }
        "lpad" | "rpad" | "left" | "right" | "repeat" if args.get(1).and_then(place).is_some_and(|count| zero(name, count)) => {
            Some(Val::text(""))
        }
        "substr" | "substring" if args.get(2).and_then(place) == Some(0) => Some(Val::text("")),
        "starts_with" | "strpos" if empty(1) => Some(if name == "strpos" { Val::whole(1.0) } else { Val::Bool(true) }),
        _ => None,
    }
}

/// The place of a text in another.
fn found(within: &str, text: &str) -> Option<Val> {
    match within.find(text) {
        None => Some(Val::whole(0.0)),
        Some(at) => size(within.get(..at)?.chars().count() + 1),
    }
}

fn text_at(args: &[Val], at: usize) -> Option<&str> {
    match args.get(at) {
        Some(Val::Text(text)) => Some(text),
        _ => None,
    }
}

/// True if a text of that many letters, or repeated that often, is empty.
fn zero(name: &str, count: i64) -> bool {
    count == 0 || count < 0 && !matches!(name, "left" | "right")
}

/// A text filled up to a length, or cut to it.
fn padded(text: &str, length: i64, with: &str, before: bool) -> Option<String> {
    let length = usize::try_from(length.max(0)).ok()?;
    if length > LETTERS_MAX {
        return None;
    }
    let own: String = text.chars().take(length).collect();
    let lack = length - own.chars().count();
    let fill: String = with.chars().cycle().take(lack).collect();
    Some(if before { fill + &own } else { own + &fill })
}

/// The nth part of a text, from its end for a negative number.
fn split<'t>(text: &'t str, by: &str, nth: i64) -> Option<&'t str> {
    let parts: Vec<&str> = if by.is_empty() { vec![text] } else { text.split(by).collect() };
    let at = usize::try_from(nth.unsigned_abs()).ok()?.checked_sub(1)?;
    let found = if nth > 0 { parts.get(at) } else { parts.iter().rev().nth(at) };
    Some(found.copied().unwrap_or(""))
}
