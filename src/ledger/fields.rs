//! Deterministic CBOR (RFC 8949 section 4.2.1): definite lengths, shortest numbers, arrays only.

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

use super::{Hash, LIST_LENGTH_MAX, LedgerError};

/// CBOR being written. Writing into memory cannot fail.
pub(super) struct Written(Encoder<Vec<u8>>);

impl Written {
    pub(super) fn new() -> Self {
        Self(Encoder::new(Vec::with_capacity(256)))
    }

    /// Goes on behind these bytes, with room for about so many.
    pub(super) fn behind(first: &[u8], bytes: usize) -> Self {
        let mut out = Vec::with_capacity(first.len() + bytes);
        out.extend_from_slice(first);
        Self(Encoder::new(out))
    }

    pub(super) fn array(&mut self, length: usize) {
        let _ = self.0.array(u64::try_from(length).unwrap_or(u64::MAX));
    }

    pub(super) fn number(&mut self, number: u64) {
        let _ = self.0.u64(number);
    }

    pub(super) fn truth(&mut self, truth: bool) {
        let _ = self.0.bool(truth);
    }

    pub(super) fn null(&mut self) {
        let _ = self.0.null();
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.0.bytes(bytes);
    }

    /// Bytes in two pieces.
    pub(super) fn bytes_of(&mut self, first: &[u8], second: &[u8]) {
        let _ = self.0.bytes_len(u64::try_from(first.len() + second.len()).unwrap_or(u64::MAX));
        let out = self.0.writer_mut();
        out.extend_from_slice(first);
        out.extend_from_slice(second);
    }

    pub(super) fn text(&mut self, text: &str) {
        let _ = self.0.str(text);
    }

    pub(super) fn texts(&mut self, texts: &[String]) {
        self.array(texts.len());
        texts.iter().for_each(|text| self.text(text));
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0.into_writer()
    }
}

/// CBOR being read.
pub(super) struct Fields<'a>(Decoder<'a>);

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(Decoder::new(bytes))
    }

    /// The head of an array of just this length.
    pub(super) fn array(&mut self, length: u64) -> Result<(), LedgerError> {
        match self.0.array() {
            Ok(Some(found)) if found == length => Ok(()),
            _ => Err(LedgerError::Malformed("an array of another length")),
        }
    }

    /// The head of an array; its length.
    pub(super) fn length(&mut self) -> Result<u64, LedgerError> {
        match self.0.array() {
            Ok(Some(length)) if length <= LIST_LENGTH_MAX => Ok(length),
            _ => Err(LedgerError::Malformed("a list out of bounds")),
        }
    }

    pub(super) fn number(&mut self) -> Result<u64, LedgerError> {
        self.0.u64().map_err(|_| LedgerError::Malformed("a number is missing"))
    }

    pub(super) fn number32(&mut self) -> Result<u32, LedgerError> {
        self.0.u32().map_err(|_| LedgerError::Malformed("a number is missing or too large"))
    }

    pub(super) fn truth(&mut self) -> Result<bool, LedgerError> {
        self.0.bool().map_err(|_| LedgerError::Malformed("a truth value is missing"))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], LedgerError> {
        self.0.bytes().map_err(|_| LedgerError::Malformed("bytes are missing"))
    }

    pub(super) fn hash(&mut self) -> Result<[u8; 32], LedgerError> {
        Hash::from_slice(self.bytes()?).map(|hash| hash.0).ok_or(LedgerError::Malformed("a hash of another length"))
    }

    pub(super) fn text(&mut self) -> Result<String, LedgerError> {
        self.0.str().map(str::to_owned).map_err(|_| LedgerError::Malformed("a text is missing"))
    }

    pub(super) fn texts(&mut self) -> Result<Vec<String>, LedgerError> {
        list(self, Self::text)
    }

    pub(super) fn end(self) -> Result<(), LedgerError> {
        if self.0.position() == self.0.input().len() { Ok(()) } else { Err(LedgerError::Malformed("bytes left over")) }
    }
}

/// A list, element by element.
pub(super) fn list<'a, T>(
    fields: &mut Fields<'a>,
    mut element: impl FnMut(&mut Fields<'a>) -> Result<T, LedgerError>,
) -> Result<Vec<T>, LedgerError> {
    let length = fields.length()?;
    (0..length).map(|_| element(fields)).collect()
}

/// A value that may be null.
pub(super) fn opened<'a, T>(
    fields: &mut Fields<'a>,
    value: impl FnOnce(&mut Fields<'a>) -> Result<T, LedgerError>,
) -> Result<Option<T>, LedgerError> {
    if matches!(fields.0.datatype(), Ok(Type::Null)) {
        fields.0.null().map_err(|_| LedgerError::Malformed("null is missing"))?;
        return Ok(None);
    }
    value(fields).map(Some)
}
