//! The options of COPY TO, in parentheses or in the older spelling.

use super::copy::{CopyFormat, CopyLayout};
use super::reader::Reader;

/// The format that what follows TO STDOUT asks for; `binary` was written before the table.
pub(super) fn format(mut reader: Reader<'_>, binary: bool) -> CopyFormat {
    let mut written = Written { layout: binary.then_some(CopyLayout::Binary), ..Written::default() };
    let _ = reader.eat("using") && reader.is("delimiters");
    if reader.eat("delimiters") {
        written.delimiter = text(&mut reader);
    }
    reader.eat("with");
    if reader.eat_sign("(") {
        written.list(&mut reader);
    } else {
        written.words(&mut reader);
    }
    written.other |= !reader.done();
    written.format()
}

#[derive(Default)]
struct Written {
    layout: Option<CopyLayout>,
    delimiter: Option<String>,
    null: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    header: bool,
    other: bool,
}

impl Written {
    fn list(&mut self, reader: &mut Reader<'_>) {
        loop {
            let Ok(name) = reader.label() else { return };
            match name.as_str() {
                "format" => self.layout(reader),
                "delimiter" => self.delimiter = self.text(reader),
                "null" => self.null = self.text(reader),
                "quote" => self.quote = self.text(reader),
                "escape" => self.escape = self.text(reader),
                "header" => self.header = super::statement::option(reader),
                "force_quote" => {
                    let _ = if reader.sign("(") { reader.skip_parens() } else { reader.any().map(|_| ()) };
                }
                "freeze" | "oids" => self.other |= super::statement::option(reader),
                _ => {
                    self.other = true;
                    let _ = if reader.sign("(") { reader.skip_parens().is_ok() } else { super::statement::option(reader) };
                }
            }
            if !reader.eat_sign(",") {
                reader.eat_sign(")");
                return;
            }
        }
    }

    fn words(&mut self, reader: &mut Reader<'_>) {
        while !reader.done() {
            if reader.eat("csv") {
                self.layout = Some(CopyLayout::Csv);
            } else if reader.eat("binary") {
                self.layout = Some(CopyLayout::Binary);
            } else if reader.eat("header") {
                self.header = true;
            } else if reader.eat_all(&["force", "quote"]) {
                if !reader.eat_sign("*") && reader.list(Reader::label).is_err() {
                    return;
                }
            } else if reader.is_any(&["delimiter", "null", "quote", "escape"]) {
                let Ok(name) = reader.label() else { return };
                reader.eat("as");
                let value = self.text(reader);
                match name.as_str() {
                    "delimiter" => self.delimiter = value,
                    "null" => self.null = value,
                    "quote" => self.quote = value,
                    _ => self.escape = value,
                }
            } else {
                return;
            }
        }
    }

    fn layout(&mut self, reader: &mut Reader<'_>) {
        let name = reader.any().ok().and_then(|token| {
            token.name(reader.text).or_else(|| token.value(reader.text).map(|value| value.to_ascii_lowercase()))
        });
        self.layout = match name.as_deref() {
            Some("text") => Some(CopyLayout::Text),
            Some("csv") => Some(CopyLayout::Csv),
            Some("binary") => Some(CopyLayout::Binary),
            _ => {
                self.other = true;
                None
            }
        };
    }

    fn text(&mut self, reader: &mut Reader<'_>) -> Option<String> {
        let value = text(reader);
        self.other |= value.is_none();
        value
    }

    fn format(self) -> CopyFormat {
        let mut format = CopyFormat::of(self.layout.unwrap_or(CopyLayout::Text));
        let mut other = self.other;
        let mut byte = |written: Option<String>, usual: u8| match written.as_deref().map(str::as_bytes) {
            None => usual,
            Some([only]) => *only,
            Some(_) => {
                other = true;
                usual
            }
        };
        format.delimiter = byte(self.delimiter, format.delimiter);
        format.quote = byte(self.quote, format.quote);
        // The escape is the quote where it is not written.
        format.escape = byte(self.escape, format.quote);
        format.null = self.null.unwrap_or(format.null);
        format.header = self.header;
        format.other = other;
        format
    }
}

fn text(reader: &mut Reader<'_>) -> Option<String> {
    let token = reader.any().ok()?;
    token.value(reader.text).map(std::borrow::Cow::into_owned).or_else(|| token.name(reader.text))
}
