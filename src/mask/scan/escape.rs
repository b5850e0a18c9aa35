//! Characters that are spelled otherwise: as in json, in HTML, in addresses of the web.

/// Longest entity, with its signs.
const ENTITY_BYTES_MAX: usize = 12;
/// Names of entities that stand between words and digits, or for letters of addresses.
const ENTITIES: [(&str, char); 20] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", ' '),
    ("ensp", ' '),
    ("emsp", ' '),
    ("thinsp", ' '),
    ("ndash", '-'),
    ("mdash", '-'),
    ("hyphen", '-'),
    ("dash", '-'),
    ("shy", '\u{ad}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("commat", '@'),
    ("period", '.'),
    ("colon", ':'),
    ("sol", '/'),
];

/// The character that a text begins with, if it is spelled otherwise, and the length of its spelling.
pub(super) fn escaped(text: &str) -> Option<(char, usize)> {
    match text.as_bytes().first()? {
        b'&' => entity(text),
        b'\\' => json(text),
        b'%' => percent(text),
        _ => None,
    }
}

/// `&#57;`, `&#x39;`, `&nbsp;`
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(ENTITY_BYTES_MAX).position(|byte| byte == b';')?;
    let inside = text.get(1..end)?;
    let character = match inside.strip_prefix('#') {
        Some(number) => {
            let hex = number.strip_prefix(['x', 'X']);
            let code = hex.map_or_else(|| number.parse(), |digits| u32::from_str_radix(digits, 16));
            char::from_u32(code.ok()?)?
        }
        None => ENTITIES.iter().find(|(name, _)| *name == inside)?.1,
    };
    Some((character, end + 1))
}

/// `\u0039`, `\x39`, `\n`
fn json(text: &str) -> Option<(char, usize)> {
    let unit = |at: usize, digits: usize| u32::from_str_radix(text.get(at..at + digits)?, 16).ok();
    match text.as_bytes().get(1)? {
        b'u' | b'U' => {
            let high = unit(2, 4)?;
            if let Some(character) = char::from_u32(high) {
                return Some((character, 6));
            }
            let low = unit(8, 4).filter(|_| text.get(6..8) == Some("\\u"))?;
            let pair = [u16::try_from(high).ok()?, u16::try_from(low).ok()?];
            Some((char::decode_utf16(pair).next()?.ok()?, 12))
        }
        b'x' => Some((char::from_u32(unit(2, 2)?)?, 4)),
        b'n' | b'r' | b't' | b'f' | b'b' => Some((if text.as_bytes().get(1) == Some(&b'n') { '\n' } else { ' ' }, 2)),
        sign @ (b'"' | b'\\' | b'/') => Some((char::from(*sign), 2)),
        _ => None,
    }
}

/// `%39`
fn percent(text: &str) -> Option<(char, usize)> {
    let digits = text.get(1..3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    let code = u32::from_str_radix(digits, 16).ok()?;
    Some((char::from_u32(code).filter(char::is_ascii).unwrap_or(' '), 3))
}
