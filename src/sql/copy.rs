//! How COPY TO writes rows.

use super::lex;

/// The layout of the rows of a COPY (PostgreSQL's documentation of COPY, "File Formats").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopyLayout {
    /// One line a row, with backslash escapes.
    Text,
    /// Comma-separated values.
    Csv,
    /// PostgreSQL's own binary format.
    Binary,
}

/// The options of a COPY TO STDOUT that decide how its bytes are read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct CopyFormat {
    /// FORMAT.
    pub layout: CopyLayout,
    /// DELIMITER.
    pub delimiter: u8,
    /// NULL.
    pub null: String,
    /// QUOTE (CSV).
    pub quote: u8,
    /// ESCAPE (CSV).
    pub escape: u8,
    /// True if the first line names the columns.
    pub header: bool,
    /// True if an option was written that is not followed (ENCODING, an unknown word): then the bytes cannot be read for certain.
    pub other: bool,
}

impl CopyFormat {
    /// The options that hold for a layout where nothing else is written.
    #[must_use]
    pub fn of(layout: CopyLayout) -> Self {
        let (delimiter, null) = if layout == CopyLayout::Csv { (b',', "") } else { (b'\t', "\\N") };
        Self { layout, delimiter, null: null.to_owned(), quote: b'"', escape: b'"', header: false, other: false }
    }
}

/// The query in a COPY of a query, with blanks in place of what stands before it, so that places in it are places in the whole
/// text. `None` if the text is not one such COPY, or is not UTF-8.
#[must_use]
pub fn copied(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let tokens = lex::tokens(text).ok()?;
    let [copy, open, rest @ ..] = tokens.as_slice() else { return None };
    if !copy.is(text, "copy") || !open.sign(text, "(") {
        return None;
    }
    let mut depth = 1_usize;
    let close = rest.iter().find(|token| {
        if token.sign(text, "(") {
            depth += 1;
        } else if token.sign(text, ")") {
            depth -= 1;
        }
        depth == 0
    })?;
    let before = text.get(..open.end)?.chars().count();
    Some(" ".repeat(before) + text.get(open.end..close.start)?)
}
