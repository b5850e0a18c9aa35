//! TOML text as tables that know their places, so that every fault of a file is named at once and at its line.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration;
use super::nearest::nearest;

/// Most bytes of a policy or configuration file.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most faults named in one go.
pub const FAULTS_MAX: usize = 100;

/// One fault of a file, with its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct FileFault {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong, and the way out.
    pub message: String,
}

/// A file that is being read, and the faults found so far.
pub struct Document<'i> {
    file: String,
    text: &'i str,
    faults: RefCell<Vec<FileFault>>,
}

impl<'i> Document<'i> {
    /// Begins to read; `file` is how faults name it.
    #[must_use]
    pub fn new(text: &'i str, file: &str) -> Self {
        Self { file: file.to_owned(), text, faults: RefCell::new(Vec::new()) }
    }

    /// Parses the text; what is no TOML is a fault each, and what can be read around it is returned all the same.
    #[must_use]
    pub fn parse(&self) -> DeTable<'i> {
        if self.text.len() > FILE_BYTES_MAX {
            self.fault(0..0, format!("the file has more than {FILE_BYTES_MAX} bytes"));
            return DeTable::new();
        }
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.fault(error.span().unwrap_or(0..0), error.message().replace('\n', ", "));
        }
        table.into_inner()
    }

    /// The outermost table of what `parse` gave.
    #[must_use]
    pub fn root<'d>(&'d self, table: &'d DeTable<'i>) -> Fields<'d, 'i> {
        Fields { document: self, table, span: 0..0, name: "the file".to_owned() }
    }

    /// Notes a fault at a place.
    pub fn fault(&self, span: Range<usize>, message: impl Into<String>) {
        let (line, column) = self.place(span.start);
        let mut faults = self.faults.borrow_mut();
        if faults.len() < FAULTS_MAX {
            faults.push(FileFault { file: self.file.clone(), line, column, message: message.into() });
        }
    }

    /// Line and column of a byte offset, from 1.
    #[must_use]
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(start..).unwrap_or_default().chars().count();
        (before.matches('\n').count() + 1, column + 1)
    }

    /// The faults in the order of the file.
    #[must_use]
    pub fn into_faults(self) -> Vec<FileFault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| (fault.line, fault.column));
        faults
    }
}

/// A table of the file.
#[derive(Clone)]
pub struct Fields<'d, 'i> {
    document: &'d Document<'i>,
    table: &'d DeTable<'i>,
    span: Range<usize>,
    name: String,
}

impl<'d, 'i> Fields<'d, 'i> {
    /// Every key that is not one of these is a fault.
    pub fn only(&self, known: &[&str]) {
        for key in self.table.keys() {
            let word = key.get_ref().as_ref();
            if !known.contains(&word) {
                let way = nearest(word, known)
                    .map_or_else(|| format!("known are {}", ticked(known)), |near| format!("did you mean `{near}`?"));
                self.document.fault(key.span(), format!("unknown key `{}` in {}; {way}", clip(word), self.name));
            }
        }
    }

    /// The value of a key, if it is there.
    #[must_use]
    pub fn value(&self, key: &'static str) -> Option<Value<'d, 'i>> {
        let value = self.table.get(key)?;
        Some(Value { document: self.document, name: format!("`{key}`"), value })
    }

    /// The value of a key that has to be there.
    #[must_use]
    pub fn require(&self, key: &'static str) -> Option<Value<'d, 'i>> {
        let value = self.value(key);
        if value.is_none() {
            self.fault(format!("{} lacks `{key}`", self.name));
        }
        value
    }

    /// The table of a key, if it is there.
    #[must_use]
    pub fn fields(&self, key: &'static str) -> Option<Fields<'d, 'i>> {
        self.value(key)?.fields(&format!("`[{key}]`"))
    }

    /// The tables of an array of tables; none if it is not there.
    #[must_use]
    pub fn tables(&self, key: &'static str) -> Vec<Fields<'d, 'i>> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(items) = value.value.get_ref() else {
            value.fault(format!("`{key}` is written as `[[{key}]]`"));
            return Vec::new();
        };
        let items = items.iter().map(|item| Value { document: self.document, name: format!("`[[{key}]]`"), value: item });
        items.filter_map(|item| item.fields(&format!("`[[{key}]]`"))).collect()
    }

    /// Notes a fault at the table's own place.
    pub fn fault(&self, message: impl Into<String>) {
        self.document.fault(self.span.clone(), message);
    }

    /// How faults name this table.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The keys that are there.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    /// Every key with its value.
    pub fn entries(&self) -> impl Iterator<Item = (&'d str, Value<'d, 'i>)> {
        let document = self.document;
        self.table.iter().map(move |(key, value)| {
            let key = key.get_ref().as_ref();
            (key, Value { document, name: format!("`{}`", clip(key)), value })
        })
    }

    /// True if no key is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }
}

/// A value of the file.
#[derive(Clone)]
pub struct Value<'d, 'i> {
    document: &'d Document<'i>,
    name: String,
    value: &'d Spanned<DeValue<'i>>,
}

impl<'d, 'i> Value<'d, 'i> {
    /// The value as it is.
    #[must_use]
    pub fn raw(&self) -> &'d DeValue<'i> {
        self.value.get_ref()
    }

    /// Its line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.document.place(self.value.span().start).0
    }

    /// Notes a fault at the value's place.
    pub fn fault(&self, message: impl Into<String>) {
        self.document.fault(self.value.span(), message);
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.fault(format!("{} must be {what}, not {}", self.name, self.raw().type_str()));
        None
    }

    /// A text that is not empty.
    #[must_use]
    pub fn text(&self) -> Option<&'d str> {
        match self.raw() {
            DeValue::String(text) if text.trim().is_empty() => {
                self.fault(format!("{} is empty", self.name));
                None
            }
            DeValue::String(text) => Some(text.as_ref()),
            _ => self.expected("a text"),
        }
    }

    /// True or false.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.raw() {
            DeValue::Boolean(value) => Some(*value),
            _ => self.expected("`true` or `false`"),
        }
    }

    /// A whole number between these, both included.
    #[must_use]
    pub fn integer(&self, min: u64, max: u64) -> Option<u64> {
        let DeValue::Integer(number) = self.raw() else { return self.expected("a whole number") };
        let value = u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok();
        let value = value.filter(|value| (min..=max).contains(value));
        if value.is_none() {
            self.fault(format!("{} is `{}`; it must be from {min} to {max}", self.name, clip(number.as_str())));
        }
        value
    }

    /// A number.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        let text = match self.raw() {
            DeValue::Integer(number) => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return self.expected("a number"),
        };
        text.replace('_', "").parse().ok().or_else(|| self.expected("a decimal number"))
    }

    /// A duration such as `500ms`, `30s`, `15m`, `2h` or `1d`, in milliseconds, between these, both included.
    #[must_use]
    pub fn duration_ms(&self, min_ms: u64, max_ms: u64) -> Option<u64> {
        let text = self.text()?;
        let Some(value) = duration::parse_ms(text) else {
            self.fault(format!("{} is `{}`; a duration is written like `30s`, `15m` or `2h`", self.name, clip(text)));
            return None;
        };
        if !(min_ms..=max_ms).contains(&value) {
            let (min, max) = (duration::show_ms(min_ms), duration::show_ms(max_ms));
            self.fault(format!("{} is `{}`; it must be from {min} to {max}", self.name, clip(text)));
            return None;
        }
        Some(value)
    }

    /// The items of a list.
    #[must_use]
    pub fn list(&self) -> Option<Vec<Value<'d, 'i>>> {
        let DeValue::Array(items) = self.raw() else { return self.expected("a list") };
        let item = |value| Value { document: self.document, name: format!("an item of {}", self.name), value };
        Some(items.iter().map(item).collect())
    }

    /// A list of texts that is not empty and names nothing twice; a single text counts as a list of one.
    #[must_use]
    pub fn texts(&self) -> Option<Vec<(&'d str, Value<'d, 'i>)>> {
        if let DeValue::String(_) = self.raw() {
            return Some(vec![(self.text()?, self.clone())]);
        }
        let mut texts: Vec<(&'d str, Value<'d, 'i>)> = Vec::new();
        for item in self.list()? {
            let Some(text) = item.text() else { continue };
            if texts.iter().any(|(known, _)| *known == text) {
                item.fault(format!("{} names `{}` twice", self.name, clip(text)));
            } else {
                texts.push((text, item));
            }
        }
        if texts.is_empty() && self.raw().as_array().is_some_and(|items| items.is_empty()) {
            self.fault(format!("{} is an empty list", self.name));
        }
        Some(texts)
    }

    /// The texts of a list, without their places.
    #[must_use]
    pub fn words(&self) -> Option<Vec<String>> {
        Some(self.texts()?.into_iter().map(|(text, _)| text.to_owned()).collect())
    }

    /// A table; `name` is how faults name it.
    #[must_use]
    pub fn fields(&self, name: &str) -> Option<Fields<'d, 'i>> {
        match self.raw() {
            DeValue::Table(table) => {
                Some(Fields { document: self.document, table, span: self.value.span(), name: name.to_owned() })
            }
            _ => self.expected("a table"),
        }
    }
}

/// Words in backticks, with commas.
#[must_use]
pub fn ticked(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// A word for a message: at most 80 characters, one line.
#[must_use]
pub fn clip(word: &str) -> String {
    let mut clipped: String = word.chars().take(80).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if word.chars().nth(80).is_some() {
        clipped.push_str("...");
    }
    clipped
}
