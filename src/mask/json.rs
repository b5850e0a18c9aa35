//! Json: the listed parts of a document are masked, every other byte stays.
//!
//! The document is walked once, and only what is masked is written anew: blanks, the order of members, members that come twice
//! and the spelling of numbers stay. What is not json by RFC 8259, nested too deep or not UTF-8 is not touched but given up.

use bytes::{BufMut, BytesMut};

use super::kind::Limit;
use super::paths::{JsonMask, States};
use super::text::TextMask;
use super::{Keys, PLACEHOLDER, Strategy, number, pseudonym};

/// Most levels of nesting that are followed.
const LEVELS_MAX: usize = 128;

/// Writes a masked document; false, and nothing written, if it is none.
pub(super) fn write(value: &[u8], mask: &JsonMask, keys: &Keys, out: &mut BytesMut) -> bool {
    // In other encodings a byte that looks like a backslash can be half of a letter.
    if std::str::from_utf8(value).is_err() {
        return false;
    }
    let start = out.len();
    let mut walk = Walk { bytes: value, at: 0, kept: 0, mask, keys, out };
    let done = walk.document();
    if done.is_none() {
        out.truncate(start);
    }
    done.is_some()
}

/// A text as a json string.
pub(super) fn quoted(text: &str) -> BytesMut {
    let mut out = BytesMut::with_capacity(text.len() + 2);
    out.put_u8(b'"');
    out.extend_from_slice(text.as_bytes());
    close(1, &mut out);
    out
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Up to here everything has been written.
    kept: usize,
    mask: &'a JsonMask,
    keys: &'a Keys,
    out: &'a mut BytesMut,
}

impl<'a> Walk<'a> {
    fn document(&mut self) -> Option<()> {
        self.value(self.mask.start(), 0)?;
        self.blanks();
        self.out.extend_from_slice(self.bytes.get(self.kept..)?);
        (self.at == self.bytes.len()).then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn value(&mut self, states: States, level: usize) -> Option<()> {
        self.blanks();
        let first = self.peek()?;
        if states.is_empty() {
            return self.pass(first, states, level);
        }
        let states = if first == b'[' { states } else { self.mask.in_place(states) };
        let Some(strategy) = self.mask.leaf(states) else { return self.pass(first, states, level) };
        let from = self.at;
        self.pass(first, States::default(), level)?;
        self.out.extend_from_slice(self.bytes.get(self.kept..from)?);
        leaf(self.bytes.get(from..self.at)?, strategy, self.keys, self.out);
        self.kept = self.at;
        Some(())
    }

    fn pass(&mut self, first: u8, states: States, level: usize) -> Option<()> {
        match first {
            b'{' if level < LEVELS_MAX => self.object(states, level),
            b'[' if level < LEVELS_MAX => self.array(states, level),
            b'"' => self.string().map(|_| ()),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn object(&mut self, states: States, level: usize) -> Option<()> {
        self.at += 1;
        self.blanks();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.blanks();
            let key = self.string()?;
            self.blanks();
            self.take(b':')?;
            let below = if states.is_empty() { states } else { self.mask.member(states, |name| is_name(key, name)) };
            self.value(below, level + 1)?;
            self.blanks();
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.take(b'}'),
            }
        }
    }

    fn array(&mut self, states: States, level: usize) -> Option<()> {
        self.at += 1;
        self.blanks();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        for index in 0.. {
            let below = if states.is_empty() { states } else { self.mask.element(states, index) };
            self.value(below, level + 1)?;
            self.blanks();
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.take(b']'),
            }
        }
        None
    }

    /// What stands between the quotes of a string.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let from = self.at;
        loop {
            let rest = self.bytes.get(self.at..)?;
            self.at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
            match self.peek()? {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
        let text = self.bytes.get(from..self.at);
        self.at += 1;
        text
    }

    fn escape(&mut self) -> Option<()> {
        let (sign, rest) = self.bytes.get(self.at + 1..)?.split_first()?;
        self.at += match sign {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' if rest.get(..4)?.iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return None,
        };
        Some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let count = self.bytes.get(self.at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }
}

/// True if the name of a member, as it stands in the document, is this one.
fn is_name(raw: &[u8], name: &str) -> bool {
    if raw.contains(&b'\\') { signs(raw).eq(name.chars().map(Some)) } else { raw == name.as_bytes() }
}

/// The signs of a string; `None` for half a surrogate pair.
fn signs(raw: &[u8]) -> impl Iterator<Item = Option<char>> {
    let mut rest = std::str::from_utf8(raw).unwrap_or_default();
    std::iter::from_fn(move || {
        let mut chars = rest.chars();
        let sign = chars.next()?;
        if sign != '\\' {
            rest = chars.as_str();
            return Some(Some(sign));
        }
        let kind = chars.next()?;
        rest = chars.as_str();
        Some(match kind {
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => code_point(&mut rest),
            other => Some(other),
        })
    })
}

fn code_point(rest: &mut &str) -> Option<char> {
    let high = unit(rest)?;
    if let Some(sign) = char::from_u32(high) {
        return Some(sign);
    }
    let mut behind = rest.strip_prefix("\\u")?;
    let low = unit(&mut behind)?;
    let sign = char::decode_utf16([u16::try_from(high).ok()?, u16::try_from(low).ok()?]).next()?.ok()?;
    *rest = behind;
    Some(sign)
}

fn unit(rest: &mut &str) -> Option<u32> {
    let (digits, behind) = rest.split_at_checked(4)?;
    *rest = behind;
    u32::from_str_radix(digits, 16).ok()
}

/// Writes what becomes of one value that is masked.
fn leaf(value: &[u8], strategy: &Strategy, keys: &Keys, out: &mut BytesMut) {
    match (value.first(), strategy) {
        (Some(b'n'), _) | (_, Strategy::Null) => out.extend_from_slice(b"null"),
        (Some(b'"'), _) => string(value, strategy, keys, out),
        (Some(b't' | b'f'), Strategy::Scan(_)) => out.extend_from_slice(value),
        (Some(b'{' | b'[' | b'-' | b'0'..=b'9'), Strategy::Scan(_)) => scanned(value, strategy, keys, out),
        (Some(b'{' | b'['), Strategy::Fixed(text)) => out.extend_from_slice(&quoted(text)),
        (Some(b'{' | b'['), _) => placeholder(out),
        (Some(b'-' | b'0'..=b'9'), _) => {
            let start = out.len();
            if !number_leaf(value, strategy, keys, out) {
                out.truncate(start);
                out.extend_from_slice(b"null");
            }
        }
        _ => out.extend_from_slice(b"null"),
    }
}

/// Looks into every string of a value, names of members too; a number that identifies becomes null.
fn scanned(value: &[u8], strategy: &Strategy, keys: &Keys, out: &mut BytesMut) {
    let mut rest = value;
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => string_bytes(rest),
            b'-' | b'0'..=b'9' => rest.iter().take_while(|byte| is_of_number(**byte)).count(),
            _ => rest.iter().take_while(|byte| **byte != b'"' && **byte != b'-' && !byte.is_ascii_digit()).count(),
        };
        let (token, behind) = rest.split_at(length.clamp(1, rest.len()));
        match first {
            b'"' => string(token, strategy, keys, out),
            b'-' | b'0'..=b'9' => {
                let start = out.len();
                if let Some(mask) = TextMask::new(Some(strategy), Limit::None) {
                    mask.write(token, keys, out);
                }
                if out.get(start..) != Some(token) {
                    out.truncate(start);
                    out.extend_from_slice(b"null");
                }
            }
            _ => out.extend_from_slice(token),
        }
        rest = behind;
    }
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E')
}

/// The length of the string that a text begins with, with its quotes.
fn string_bytes(text: &[u8]) -> usize {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

fn placeholder(out: &mut BytesMut) {
    out.put_u8(b'"');
    out.extend_from_slice(PLACEHOLDER.as_bytes());
    out.put_u8(b'"');
}

fn number_leaf(value: &[u8], strategy: &Strategy, keys: &Keys, out: &mut BytesMut) -> bool {
    match strategy {
        Strategy::Round(step) => number::round_text(value, *step, out),
        Strategy::Age(over) => number::age_text(value, *over, out),
        Strategy::Pseudonym => pseudonym::json_number(value, None, keys, out),
        Strategy::PseudonymAs(how) => pseudonym::json_number(value, Some(how), keys, out),
        _ => false,
    }
}

fn string(value: &[u8], strategy: &Strategy, keys: &Keys, out: &mut BytesMut) {
    let raw = value.get(1..value.len().saturating_sub(1)).unwrap_or_default();
    let Some(mask) = TextMask::new(Some(strategy), Limit::None) else { return out.extend_from_slice(b"null") };
    out.put_u8(b'"');
    let start = out.len();
    if raw.contains(&b'\\') {
        match signs(raw).collect::<Option<String>>() {
            Some(text) => mask.write(text.as_bytes(), keys, out),
            None => out.extend_from_slice(PLACEHOLDER.as_bytes()),
        }
    } else {
        mask.write(raw, keys, out);
    }
    close(start, out);
}

/// Escapes what was written from `start` on, and ends the string.
fn close(start: usize, out: &mut BytesMut) {
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    if out.get(start..).is_some_and(|text| text.iter().any(special)) {
        let plain = out.split_off(start);
        for byte in &plain {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
                0..=0x1f => {
                    out.extend_from_slice(b"\\u00");
                    out.extend([byte >> 4, byte & 15].map(|nibble| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }));
                }
                _ => out.put_u8(*byte),
            }
        }
    }
    out.put_u8(b'"');
}
