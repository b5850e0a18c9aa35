//! Tokens of a text, by the server's own rules (its manual, section 4.1, and `scan.l`).
//!
//! Only space, tab, newline, return, form feed and vertical tab are space; every byte above 127 is a letter; `--` ends at a newline
//! or a return; `/* */` nests; `$` may stand inside a word, so `a$$` is a word and opens no string.

use std::borrow::Cow;

use super::facts::UnknownReason;

/// Most tokens of a text.
pub(super) const TOKENS_MAX: usize = 524_288;
/// Most bytes of a name; longer ones are cut (`NAMEDATALEN - 1`).
const NAME_BYTES_MAX: usize = 63;
/// Most bytes of a run of operator characters; the server's operators end at 63.
const OPERATOR_BYTES_MAX: usize = 256;
/// Deepest nesting of comments.
const COMMENTS_NESTED_MAX: usize = 1024;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word: a keyword or a name.
    Word,
    /// `"name"`.
    Quoted,
    /// `U&"name"`, with its escape character.
    Escaped(u8),
    /// `'text'`, also with N before it.
    Text,
    /// `E'text'`.
    Backslashed,
    /// `U&'text'`, with its escape character.
    Unicode(u8),
    /// `$tag$text$tag$`, with the length of the tag and its dollars.
    Dollar(usize),
    /// `B'01'`, `X'ff'`.
    Bits,
    /// A number.
    Number,
    /// `$1`.
    Parameter,
    /// An operator.
    Operator,
    /// One of `, ( ) [ ] . ; : :: := ..`.
    Mark,
}

/// One token and its place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: Kind,
    /// Offset of its first byte.
    pub(super) start: usize,
    /// Offset behind its last byte.
    pub(super) end: usize,
}

impl Token {
    /// The token as written.
    pub(super) fn raw<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// True if it is this keyword (given in lower case).
    pub(super) fn is(&self, text: &str, word: &str) -> bool {
        self.kind == Kind::Word && self.end - self.start == word.len() && self.raw(text).eq_ignore_ascii_case(word)
    }

    /// True if it is this operator or mark.
    pub(super) fn sign(&self, text: &str, sign: &str) -> bool {
        matches!(self.kind, Kind::Operator | Kind::Mark) && self.raw(text) == sign
    }

    /// True for every sort of string.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.kind, Kind::Text | Kind::Backslashed | Kind::Unicode(_) | Kind::Dollar(_))
    }

    /// The name a word or quoted name stands for, folded and cut as the server does.
    pub(super) fn name(&self, text: &str) -> Option<String> {
        let raw = self.raw(text);
        let whole = match self.kind {
            Kind::Word => raw.to_ascii_lowercase(),
            Kind::Quoted => quoted(raw).replace("\"\"", "\""),
            Kind::Escaped(escape) => unicode(&quoted(raw.get(2..)?).replace("\"\"", "\""), escape)?,
            _ => return None,
        };
        Some(cut(whole))
    }

    /// The value of a string; `None` if it is none or its escapes are wrong.
    pub(super) fn value<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        let raw = self.raw(text);
        match self.kind {
            Kind::Dollar(tag) => raw.get(tag..raw.len().checked_sub(tag)?).map(Cow::Borrowed),
            Kind::Text => Some(joined(raw.trim_start_matches(['n', 'N']), false)),
            Kind::Backslashed => Some(Cow::Owned(unescape(&joined(raw.get(1..)?, true)))),
            Kind::Unicode(escape) => unicode(&joined(raw.get(2..)?, false), escape).map(Cow::Owned),
            _ => None,
        }
    }
}

/// Cuts a name at the server's limit, at a character's edge.
fn cut(mut name: String) -> String {
    if name.len() > NAME_BYTES_MAX {
        let edge = (0..=NAME_BYTES_MAX).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
        name.truncate(edge);
    }
    name
}

/// What stands between the first and the last quote.
fn quoted(raw: &str) -> &str {
    match (raw.find('"'), raw.rfind('"')) {
        (Some(first), Some(last)) if first < last => raw.get(first + 1..last).unwrap_or_default(),
        _ => "",
    }
}

/// The parts of a string that goes on after a newline, put together; doubled quotes become one.
fn joined(raw: &str, backslashes: bool) -> Cow<'_, str> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains('\'') {
        return Cow::Borrowed(inner);
    }
    let bytes = raw.as_bytes();
    let mut out = Vec::with_capacity(raw.len());
    let (mut at, mut inside) = (0, false);
    while let Some(&byte) = bytes.get(at) {
        let next = bytes.get(at + 1).copied();
        match byte {
            b'\'' if inside && next == Some(b'\'') => {
                out.push(b'\'');
                at += 1;
            }
            b'\'' => inside = !inside,
            b'\\' if inside && backslashes => {
                out.push(byte);
                out.extend(next);
                at += 1;
            }
            b'-' if !inside => at += until_line_end(bytes.get(at..).unwrap_or_default()).saturating_sub(1),
            _ if inside => out.push(byte),
            _ => {}
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8(out).unwrap_or_default())
}

/// Resolves the escapes of an `E''` string as far as ASCII goes; others become a replacement character.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('x') => out.push(digits(&mut rest, 16, 2, 0)),
            Some('u') => out.push(digits(&mut rest, 16, 4, 0)),
            Some('U') => out.push(digits(&mut rest, 16, 8, 0)),
            Some(d @ '0'..='7') => out.push(digits(&mut rest, 8, 2, d.to_digit(8).unwrap_or(0))),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// Reads up to `count` digits of an escape.
fn digits(rest: &mut std::iter::Peekable<std::str::Chars<'_>>, radix: u32, count: usize, first: u32) -> char {
    let mut value = first;
    for _ in 0..count {
        let Some(digit) = rest.peek().and_then(|c| c.to_digit(radix)) else { break };
        value = value.wrapping_mul(radix).wrapping_add(digit);
        rest.next();
    }
    char::from_u32(value).unwrap_or('\u{fffd}')
}

/// Resolves `\xxxx` and `\+xxxxxx` of U& strings and names; `None` if malformed.
fn unicode(raw: &str, escape: u8) -> Option<String> {
    let escape = char::from(escape);
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw.chars().peekable();
    let mut high: Option<u32> = None;
    while let Some(c) = rest.next() {
        if c != escape || rest.next_if_eq(&escape).is_some() {
            out.push(c);
            continue;
        }
        let count = if rest.next_if_eq(&'+').is_some() { 6 } else { 4 };
        let mut value = 0;
        for _ in 0..count {
            value = value * 16 + rest.next()?.to_digit(16)?;
        }
        match (high.take(), value) {
            (None, 0xd800..=0xdbff) => high = Some(value),
            (Some(first), 0xdc00..=0xdfff) => out.push(char::from_u32(0x10000 + ((first - 0xd800) << 10) + (value - 0xdc00))?),
            (Some(_), _) => return None,
            (None, _) => out.push(char::from_u32(value)?),
        }
    }
    Some(out)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

fn is_word_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn is_word_part(byte: u8) -> bool {
    is_word_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}

/// Bytes before the end of the line.
fn until_line_end(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| is_line_end(*byte)).unwrap_or(bytes.len())
}

/// Reads a whole text.
///
/// # Errors
/// `Syntax` for what the server's scanner refuses (an open string or comment, a zero byte, a lone `$`); `Tokens` and `Nesting` over
/// the bounds.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, UnknownReason> {
    let mut scan = Scan { bytes: text.as_bytes(), text, at: 0, tokens: Vec::new() };
    while scan.skip_space()? {
        if scan.tokens.len() >= TOKENS_MAX {
            return Err(UnknownReason::Tokens);
        }
        let start = scan.at;
        let kind = scan.token()?;
        scan.push(Token { kind, start, end: scan.at })?;
    }
    Ok(scan.tokens)
}

struct Scan<'t> {
    bytes: &'t [u8],
    text: &'t str,
    at: usize,
    tokens: Vec<Token>,
}

impl Scan<'_> {
    fn byte(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Skips space and comments; false at the end.
    fn skip_space(&mut self) -> Result<bool, UnknownReason> {
        loop {
            let byte = self.byte(0);
            if self.at >= self.bytes.len() {
                return Ok(false);
            } else if is_space(byte) {
                self.at += 1;
            } else if byte == b'-' && self.byte(1) == b'-' {
                self.at += until_line_end(self.rest());
            } else if byte == b'/' && self.byte(1) == b'*' {
                self.comment()?;
            } else {
                return Ok(true);
            }
        }
    }

    fn comment(&mut self) -> Result<(), UnknownReason> {
        let mut open = 0_usize;
        loop {
            match (self.byte(0), self.byte(1)) {
                (b'/', b'*') => {
                    open += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    open -= 1;
                    self.at += 2;
                }
                _ => self.at += 1,
            }
            if open == 0 {
                return Ok(());
            } else if open > COMMENTS_NESTED_MAX {
                return Err(UnknownReason::Nesting);
            } else if self.at >= self.bytes.len() {
                return Err(UnknownReason::Syntax);
            }
        }
    }

    /// Puts a token in; a UESCAPE and its string are taken into the token before them.
    fn push(&mut self, token: Token) -> Result<(), UnknownReason> {
        if token.kind == Kind::Text
            && let [.., before, word] = self.tokens.as_mut_slice()
            && word.is(self.text, "uescape")
            && let Kind::Escaped(_) | Kind::Unicode(_) = before.kind
        {
            let &[b'\'', escape, b'\''] = token.raw(self.text).as_bytes() else { return Err(UnknownReason::Syntax) };
            if escape.is_ascii_hexdigit() || b"+'\"".contains(&escape) || is_space(escape) {
                return Err(UnknownReason::Syntax);
            }
            before.kind = if let Kind::Escaped(_) = before.kind { Kind::Escaped(escape) } else { Kind::Unicode(escape) };
            self.tokens.pop();
            return Ok(());
        }
        self.tokens.push(token);
        Ok(())
    }

    fn token(&mut self) -> Result<Kind, UnknownReason> {
        let byte = self.byte(0);
        match (byte, self.byte(1), self.byte(2)) {
            (b'\'', ..) => self.string(0, Kind::Text, false),
            (b'e' | b'E', b'\'', _) => self.string(1, Kind::Backslashed, true),
            (b'b' | b'B' | b'x' | b'X', b'\'', _) => self.string(1, Kind::Bits, false),
            (b'n' | b'N', b'\'', _) => self.string(1, Kind::Text, false),
            (b'u' | b'U', b'&', b'\'') => self.string(2, Kind::Unicode(b'\\'), false),
            (b'u' | b'U', b'&', b'"') => self.name(2, Kind::Escaped(b'\\')),
            (b'"', ..) => self.name(0, Kind::Quoted),
            (b'$', ..) => self.dollar(),
            (b'0'..=b'9', ..) | (b'.', b'0'..=b'9', _) => Ok(self.number()),
            _ if is_word_start(byte) => {
                self.at += self.rest().iter().position(|b| !is_word_part(*b)).unwrap_or(self.rest().len());
                Ok(Kind::Word)
            }
            _ if is_operator(byte) => self.operator(),
            _ => self.mark(),
        }
    }

    /// A quoted string and what continues it after a newline.
    fn string(&mut self, prefix: usize, kind: Kind, backslashes: bool) -> Result<Kind, UnknownReason> {
        self.at += prefix + 1;
        loop {
            match self.byte(0) {
                _ if self.at >= self.bytes.len() => return Err(UnknownReason::Syntax),
                0 => return Err(UnknownReason::Syntax),
                b'\\' if backslashes => self.at += 2,
                b'\'' if self.byte(1) == b'\'' => self.at += 2,
                b'\'' => {
                    self.at += 1;
                    match self.continued() {
                        Some(next) => self.at = next,
                        None => return Ok(kind),
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    /// The place behind the quote that continues a string, if only space with a newline lies between.
    fn continued(&self) -> Option<usize> {
        let (mut at, mut line) = (self.at, false);
        loop {
            let byte = *self.bytes.get(at)?;
            if is_space(byte) {
                line |= is_line_end(byte);
                at += 1;
            } else if byte == b'-' && self.bytes.get(at + 1) == Some(&b'-') {
                at += until_line_end(self.bytes.get(at..)?);
            } else {
                return (line && byte == b'\'').then_some(at + 1);
            }
        }
    }

    fn name(&mut self, prefix: usize, kind: Kind) -> Result<Kind, UnknownReason> {
        let start = self.at + prefix + 1;
        self.at = start;
        loop {
            match self.byte(0) {
                0 => return Err(UnknownReason::Syntax),
                b'"' if self.byte(1) == b'"' => self.at += 2,
                b'"' if self.at == start => return Err(UnknownReason::Syntax),
                b'"' => {
                    self.at += 1;
                    return Ok(kind);
                }
                _ => self.at += 1,
            }
        }
    }

    fn dollar(&mut self) -> Result<Kind, UnknownReason> {
        if self.byte(1).is_ascii_digit() {
            self.at += 1;
            while self.byte(0).is_ascii_digit() {
                self.at += 1;
            }
            return Ok(Kind::Parameter);
        }
        let mut tag = 1;
        while is_word_start(self.byte(tag)) || (tag > 1 && self.byte(tag).is_ascii_digit()) {
            tag += 1;
        }
        if self.byte(tag) != b'$' {
            return Err(UnknownReason::Syntax);
        }
        tag += 1;
        let (opening, body) = self.rest().split_at_checked(tag).ok_or(UnknownReason::Syntax)?;
        let length = find(body, opening).ok_or(UnknownReason::Syntax)?;
        self.at += tag + length + tag;
        Ok(Kind::Dollar(tag))
    }

    fn number(&mut self) -> Kind {
        let digits = |scan: &mut Self| {
            while scan.byte(0).is_ascii_digit() || (scan.byte(0) == b'_' && scan.byte(1).is_ascii_digit()) {
                scan.at += 1;
            }
        };
        if self.byte(0) == b'0'
            && matches!(self.byte(1), b'x' | b'X' | b'o' | b'O' | b'b' | b'B')
            && self.byte(2).is_ascii_hexdigit()
        {
            self.at += 2;
            while self.byte(0).is_ascii_hexdigit() || self.byte(0) == b'_' {
                self.at += 1;
            }
            return Kind::Number;
        }
        digits(self);
        if self.byte(0) == b'.' && self.byte(1) != b'.' {
            self.at += 1;
            digits(self);
        }
        if matches!(self.byte(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(1), b'+' | b'-'));
            if self.byte(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                digits(self);
            }
        }
        Kind::Number
    }

    /// The longest run of operator characters that holds no start of a comment; a trailing `+` or `-` belongs to it only if it also
    /// holds one of `` ~ ! @ # % ^ & | ` ? ``.
    fn operator(&mut self) -> Result<Kind, UnknownReason> {
        let rest = self.rest();
        let rest = rest.get(..=OPERATOR_BYTES_MAX).unwrap_or(rest);
        let run = rest.iter().position(|byte| !is_operator(*byte)).unwrap_or(rest.len());
        if run > OPERATOR_BYTES_MAX {
            return Err(UnknownReason::Tokens);
        }
        let run = rest.get(..run).unwrap_or_default();
        let comment = run.windows(2).position(|pair| pair == b"--" || pair == b"/*").unwrap_or(run.len());
        let run = run.get(..comment.max(1)).unwrap_or_default();
        let special = run.iter().any(|byte| b"~!@#%^&|`?".contains(byte));
        let kept = if special {
            run.len()
        } else {
            run.iter().rposition(|byte| !matches!(byte, b'+' | b'-')).map_or(1, |last| last + 1)
        };
        self.at += kept;
        Ok(Kind::Operator)
    }

    fn mark(&mut self) -> Result<Kind, UnknownReason> {
        self.at += match (self.byte(0), self.byte(1)) {
            (b':', b':' | b'=') | (b'.', b'.') => 2,
            (b',' | b'(' | b')' | b'[' | b']' | b'.' | b';' | b':', _) => 1,
            _ => return Err(UnknownReason::Syntax),
        };
        Ok(Kind::Mark)
    }
}

/// The first place of `needle` that begins with `$`: linear, since a tag holds no `$` inside.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += hay.get(at..)?.iter().position(|byte| *byte == b'$')?;
        if hay.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
}
