//! The options of COPY TO (`ProcessCopyOptions`, and the grammar's older spelling).

use super::copy::{CopyFormat, CopyLayout};
use super::lex::{Kind, Token};
use super::reader::Reader;

/// Encodings that an option may name: all bytes of theirs that look like ASCII are.
const STEADY: [&str; 11] =
    ["utf8", "unicode", "sqlascii", "latin1", "latin2", "latin9", "iso88591", "iso885915", "win1252", "win1250", "koi8r"];

/// Options as they are written.
#[derive(Debug, Default)]
struct Written {
    layout: Option<CopyLayout>,
    delimiter: Option<String>,
    null: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    header: bool,
    other: bool,
}

/// Reads what stands behind STDOUT. `binary` is true if BINARY stands before the relation.
pub(super) fn format(reader: &mut Reader<'_>, binary: bool) -> CopyFormat {
    let mut written = Written { layout: binary.then_some(CopyLayout::Binary), ..Written::default() };
    if reader.eat("using") || reader.is("delimiters") {
        written.other |= !reader.eat("delimiters");
        written.delimiter = written.text(reader);
    }
    reader.eat("with");
    if reader.eat_sign("(") {
        written.list(reader)
    } else {
        written.old(reader)
    }
    written.meant()
}

impl Written {
    /// `(name [value], ...)`
    fn list(&mut self, reader: &mut Reader<'_>) {
        while let Ok(name) = reader.label() {
            let start = reader.at;
            let mut depth = 0_usize;
            while let Some(token) = reader.peek(0) {
                if depth == 0 && (token.sign(reader.text, ",") || token.sign(reader.text, ")")) {
                    break;
                }
                if token.sign(reader.text, "(") {
                    depth += 1;
                } else if token.sign(reader.text, ")") {
                    depth -= 1;
                }
                reader.at += 1;
            }
            let end = std::mem::replace(&mut reader.at, start);
            let one = (end - start == 1).then(|| reader.peek(0)).flatten();
            let value = one.and_then(|token| value(token, reader.text));
            reader.at = end;
            self.option(&name, value, end - start);
            if !reader.eat_sign(",") {
                self.other |= !reader.eat_sign(")");
                return;
            }
        }
        self.other = true;
    }

    fn option(&mut self, name: &str, value: Option<String>, tokens: usize) {
        match name {
            "format" => self.layout = value.as_deref().and_then(layout).or_else(|| self.doubt()),
            "delimiter" => self.delimiter = value.or_else(|| self.doubt()),
            "null" => self.null = value.or_else(|| self.doubt()),
            "quote" => self.quote = value.or_else(|| self.doubt()),
            "escape" => self.escape = value.or_else(|| self.doubt()),
            "header" => match (value.map(|value| value.to_ascii_lowercase()).as_deref(), tokens) {
                (None, 0) | (Some("true" | "on" | "1"), _) => self.header = true,
                (Some("false" | "off" | "0"), _) => self.header = false,
                _ => self.other = true,
            },
            "encoding" => self.other |= !value.is_some_and(|name| is_steady(&name)),
            "force_quote" => {}
            _ => self.other = true,
        }
    }

    /// `BINARY`, `CSV HEADER`, `DELIMITER AS '|'`, ...
    fn old(&mut self, reader: &mut Reader<'_>) {
        while !reader.done() && !reader.sign(";") {
            if reader.eat("binary") {
                self.layout = Some(CopyLayout::Binary);
            } else if reader.eat("csv") {
                self.layout = Some(CopyLayout::Csv);
            } else if reader.eat("header") {
                self.header = true;
            } else if reader.eat("delimiter") {
                self.delimiter = self.text(reader);
            } else if reader.eat("null") {
                self.null = self.text(reader);
            } else if reader.eat("quote") {
                self.quote = self.text(reader);
            } else if reader.eat("escape") {
                self.escape = self.text(reader);
            } else if reader.eat("encoding") {
                let named = self.text(reader);
                self.other |= !named.is_some_and(|name| is_steady(&name));
            } else if reader.eat_all(&["force", "quote"]) {
                self.other |= !(reader.eat_sign("*") || reader.list(Reader::label).is_ok());
            } else {
                self.other = true;
                reader.at += 1;
            }
        }
    }

    /// `[AS] 'text'`
    fn text(&mut self, reader: &mut Reader<'_>) -> Option<String> {
        reader.eat("as");
        let token = reader.any().ok()?;
        if token.is_text() { value(token, reader.text) } else { self.doubt() }
    }

    fn doubt<T>(&mut self) -> Option<T> {
        self.other = true;
        None
    }

    fn meant(mut self) -> CopyFormat {
        let mut format = CopyFormat::of(self.layout.unwrap_or(CopyLayout::Text));
        let mut byte = |written: Option<String>, otherwise| match written.as_deref().map(str::as_bytes) {
            None => otherwise,
            Some([byte]) => *byte,
            Some(_) => {
                self.other = true;
                otherwise
            }
        };
        format.delimiter = byte(self.delimiter, format.delimiter);
        format.quote = byte(self.quote, format.quote);
        format.escape = byte(self.escape, format.quote);
        format.null = self.null.unwrap_or(format.null);
        format.header = self.header;
        format.other = self.other;
        format
    }
}

fn layout(name: &str) -> Option<CopyLayout> {
    match name {
        "text" => Some(CopyLayout::Text),
        "csv" => Some(CopyLayout::Csv),
        "binary" => Some(CopyLayout::Binary),
        _ => None,
    }
}

fn is_steady(encoding: &str) -> bool {
    let name: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
    STEADY.iter().any(|steady| steady.eq_ignore_ascii_case(&name))
}

/// The value of an option that is one token.
fn value(token: &Token, text: &str) -> Option<String> {
    match token.kind {
        Kind::Number => Some(token.raw(text).to_owned()),
        _ if token.is_text() => token.value(text).map(std::borrow::Cow::into_owned),
        _ => token.name(text),
    }
}
